//===- StageProduct.cpp - Products of a stage with one of its parameters -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/StageProduct.h"

#include "graft/Modular/ParameterValues.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;

bool graft::isPlainGemm(onnx::GemmOp gemm) {
  return gemm.getTransA() == 0 && gemm.getAlpha().convertToDouble() == 1 &&
         (!gemm.getC() || gemm.getBeta().convertToDouble() == 1);
}

std::optional<StageProduct> graft::matchProduct(const StageBody &body, Operation *op) {
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  if ((!gemm && !isa<onnx::MatMulOp>(op)) || (gemm && !isPlainGemm(gemm)) ||
      op->getParentOp() != body.function)
    return std::nullopt;
  Value weight = op->getOperand(1);
  bool outFirst = gemm && gemm.getTransB() != 0;
  if (auto transpose = weight.getDefiningOp<onnx::TransposeOp>();
      transpose && !gemm && transpose->hasOneUse()) {
    weight = transpose.getData();
    outFirst = true;
  }
  std::optional<int64_t> slot = body.slotOf(weight);
  auto type = dyn_cast<RankedTensorType>(weight.getType());
  if (!slot || !weight.hasOneUse() || type.getRank() != 2 || !type.hasStaticShape() ||
      !isa<FloatType>(type.getElementType()))
    return std::nullopt;
  StageProduct product{op,
                       op->getOperand(0),
                       *slot,
                       outFirst,
                       std::nullopt,
                       type.getDimSize(outFirst ? 1 : 0),
                       type.getDimSize(outFirst ? 0 : 1)};
  auto x = dyn_cast<RankedTensorType>(product.x.getType());
  if (!x || x.getRank() < 2 || body.slotOf(product.x))
    return std::nullopt;
  if (gemm && gemm.getC()) {
    product.bias = body.slotOf(gemm.getC());
    auto bias = dyn_cast<RankedTensorType>(gemm.getC().getType());
    if (!product.bias || !gemm.getC().hasOneUse() || bias.getRank() != 1 ||
        bias.getDimSize(0) != product.out)
      return std::nullopt;
  }
  return product;
}

FailureOr<std::vector<double>> graft::readMatrix(const StageProduct &product, StageOp stage) {
  FailureOr<std::vector<double>> matrix = StageBody::read(stage, product.weight);
  if (succeeded(matrix) && product.outFirst)
    return transposed(*matrix, product.out, product.in);
  return matrix;
}

FailureOr<std::vector<double>> graft::readBias(const StageProduct &product, StageOp stage) {
  return StageBody::read(stage, *product.bias);
}

Value graft::buildProduct(OpBuilder &builder, const StageProduct &like, Value x, Value matrix,
                          Value bias) {
  Location loc = like.op->getLoc();
  SmallVector<int64_t> shape(cast<RankedTensorType>(x.getType()).getShape());
  shape.back() = cast<RankedTensorType>(matrix.getType()).getDimSize(1);
  auto type = cast<RankedTensorType>(like.result().getType()).clone(shape);
  if (!like.isGemm())
    return onnx::MatMulOp::create(builder, loc, type, x, matrix);
  auto one = builder.getF32FloatAttr(1);
  auto no = builder.getI64IntegerAttr(0);
  return onnx::GemmOp::create(builder, loc, type, x, matrix, bias, one, one, no, no);
}
