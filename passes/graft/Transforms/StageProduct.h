//===- StageProduct.h - Products of a stage with one of its parameters -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_STAGEPRODUCT_H
#define GRAFT_TRANSFORMS_STAGEPRODUCT_H

#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/StageBody.h"

namespace graft {

/// Products wider than this fill the registers by themselves.
inline constexpr int64_t kNarrowProduct = 64;

/// y = x·W + b in the body of a stage, where W and, if there is one, b are parameters, or constants
/// where they are small.
struct StageProduct {
  mlir::Operation *op;      ///< whose result y is
  mlir::Operation *product; ///< Gemm or MatMul: `op`, or what it adds the bias to
  mlir::Value x;
  mlir::Value weight; ///< a matrix
  bool outFirst;      ///< the matrix is (out, in)
  mlir::Value bias;   ///< of (out), or null
  int64_t in, out;

  mlir::Value result() const { return op->getResult(0); }
  bool isGemm() const { return llvm::isa<onnx::GemmOp>(product); }
};

/// Whether what `gemm` computes is x·W + c, of W or its transpose.
bool isPlainGemm(onnx::GemmOp gemm);

/// A Gemm or MatMul as such a product, if it is one, is not scaled, and nothing else reads its
/// parameters.
std::optional<StageProduct> matchProduct(const StageBody &body, mlir::Operation *op);
/// A Gemm, a MatMul, or an Add of a bias to a MatMul that nothing else reads. Others may read the
/// parameters.
std::optional<StageProduct> matchAffine(const StageBody &body, mlir::Operation *op);

/// The matrix of a product in one stage as (in, out), exactly; an error is reported.
mlir::FailureOr<std::vector<double>> readMatrix(const StageBody &body, const StageProduct &product,
                                                modular::StageOp stage);
/// The bias of a product that has one.
mlir::FailureOr<std::vector<double>> readBias(const StageBody &body, const StageProduct &product,
                                              modular::StageOp stage);

/// `x` times the matrix (in, out) in a new slot, of the form of `like`; `bias` may be null.
mlir::Value buildProduct(mlir::OpBuilder &builder, const StageProduct &like, mlir::Value x,
                         mlir::Value matrix, mlir::Value bias);

} // namespace graft

#endif // GRAFT_TRANSFORMS_STAGEPRODUCT_H
