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

static bool isBias(const StageBody &body, const StageProduct &product, Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() == 1 && type.getDimSize(0) == product.out &&
         type.getElementType() == getElementTypeOrSelf(product.weight.getType()) &&
         body.isKnown(value);
}

static std::optional<StageProduct> match(const StageBody &body, Operation *op) {
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
  auto type = dyn_cast<RankedTensorType>(weight.getType());
  if (!body.isKnown(weight) || type.getRank() != 2 || !type.hasStaticShape() ||
      !isa<FloatType>(type.getElementType()))
    return std::nullopt;
  StageProduct product{op,
                       op,
                       op->getOperand(0),
                       weight,
                       outFirst,
                       Value(),
                       type.getDimSize(outFirst ? 1 : 0),
                       type.getDimSize(outFirst ? 0 : 1)};
  auto x = dyn_cast<RankedTensorType>(product.x.getType());
  if (!x || x.getRank() < 2 || body.slotOf(product.x))
    return std::nullopt;
  if (gemm && gemm.getC()) {
    if (!isBias(body, product, gemm.getC()))
      return std::nullopt;
    product.bias = gemm.getC();
  }
  return product;
}

std::optional<StageProduct> graft::matchProduct(const StageBody &body, Operation *op) {
  std::optional<StageProduct> product = match(body, op);
  const bool isAlone =
      product && llvm::all_of(ArrayRef<Value>{product->weight, product->bias}, [&](Value value) {
        return !value || value.hasOneUse() || !body.slotOf(value);
      });
  return isAlone ? product : std::nullopt;
}

std::optional<StageProduct> graft::matchAffine(const StageBody &body, Operation *op) {
  if (!isa<onnx::AddOp>(op))
    return match(body, op);
  for (unsigned i : {0, 1}) {
    Operation *producer = op->getOperand(i).getDefiningOp();
    std::optional<StageProduct> product =
        producer && producer->hasOneUse() ? matchProduct(body, producer) : std::nullopt;
    if (!product || product->bias || !isBias(body, *product, op->getOperand(1 - i)))
      continue;
    product->op = op;
    product->bias = op->getOperand(1 - i);
    return product;
  }
  return std::nullopt;
}

FailureOr<std::vector<double>> graft::readMatrix(const StageBody &body, const StageProduct &product,
                                                 StageOp stage) {
  FailureOr<std::vector<double>> matrix = body.read(stage, product.weight);
  if (succeeded(matrix) && product.outFirst)
    return transposed(*matrix, product.out, product.in);
  return matrix;
}

FailureOr<std::vector<double>> graft::readBias(const StageBody &body, const StageProduct &product,
                                               StageOp stage) {
  return body.read(stage, product.bias);
}

Value graft::buildProduct(OpBuilder &builder, const StageProduct &like, Value x, Value matrix,
                          Value bias) {
  Location loc = like.op->getLoc();
  SmallVector<int64_t> shape(cast<RankedTensorType>(x.getType()).getShape());
  shape.back() = cast<RankedTensorType>(matrix.getType()).getDimSize(1);
  auto type = cast<RankedTensorType>(like.result().getType()).clone(shape);
  if (!like.isGemm()) {
    Value y = onnx::MatMulOp::create(builder, loc, type, x, matrix);
    return bias ? onnx::AddOp::create(builder, loc, type, y, bias).getResult() : y;
  }
  auto one = builder.getF32FloatAttr(1);
  auto no = builder.getI64IntegerAttr(0);
  return onnx::GemmOp::create(builder, loc, type, x, matrix, bias, one, one, no, no);
}
