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

/// y = x·W + b in the body of a stage, where W and, if there is one, b are parameters.
struct StageProduct {
  mlir::Operation *op;
  mlir::Value x;
  int64_t weight;              ///< slot, of a matrix
  bool outFirst;               ///< the matrix is (out, in)
  std::optional<int64_t> bias; ///< slot, of (out)
  int64_t in, out;

  mlir::Value result() const { return op->getResult(0); }
  bool isGemm() const { return llvm::isa<onnx::GemmOp>(op); }
};

/// Whether what `gemm` computes is x·W + c, of W or its transpose.
bool isPlainGemm(onnx::GemmOp gemm);

/// `op` as such a product, if it is one, is not scaled, and nothing else reads its parameters.
std::optional<StageProduct> matchProduct(const StageBody &body, mlir::Operation *op);

/// The matrix of a product in one stage as (in, out), exactly; an error is reported.
mlir::FailureOr<std::vector<double>> readMatrix(const StageProduct &product,
                                                modular::StageOp stage);
/// The bias of a product that has one.
mlir::FailureOr<std::vector<double>> readBias(const StageProduct &product, modular::StageOp stage);

/// `x` times the matrix (in, out) in a new slot, of the form of `like`; `bias` may be null.
mlir::Value buildProduct(mlir::OpBuilder &builder, const StageProduct &like, mlir::Value x,
                         mlir::Value matrix, mlir::Value bias);

} // namespace graft

#endif // GRAFT_TRANSFORMS_STAGEPRODUCT_H
