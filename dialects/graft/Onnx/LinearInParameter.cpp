//===- LinearInParameter.cpp - Ops that are linear in a parameter -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace graft::onnx;

#include "graft/Onnx/LinearInParameter.cpp.inc"

/// `value` with its two dimensions swapped, as an op that lowering absorbs into the product.
static Value transpose(OpBuilder &builder, Location loc, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  auto swapped =
      RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  return TransposeOp::create(builder, loc, swapped, value, builder.getI64ArrayAttr({1, 0}));
}

static RankedTensorType withLastDim(Type type, int64_t dim) {
  auto ranked = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(ranked.getShape());
  shape.back() = dim;
  return ranked.clone(shape);
}

unsigned MatMulOp::getParameterOperandNumber() { return 1; }
bool MatMulOp::isParameterTransposed() { return true; }

FailureOr<Value> MatMulOp::buildLowRankDelta(OpBuilder &builder, Value a, Value b) {
  auto aType = dyn_cast<RankedTensorType>(a.getType());
  auto xType = dyn_cast<RankedTensorType>(getA().getType());
  if (!aType || aType.getRank() != 2 || !xType || xType.getRank() < 2)
    return failure();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(*this);
  Location loc = getLoc();
  Value low = MatMulOp::create(builder, loc, withLastDim(xType, aType.getDimSize(0)), getA(),
                               transpose(builder, loc, a));
  return Value(MatMulOp::create(builder, loc, getType(), low, transpose(builder, loc, b)));
}

unsigned GemmOp::getParameterOperandNumber() { return 1; }
bool GemmOp::isParameterTransposed() { return getTransB() == 0; }

FailureOr<Value> GemmOp::buildLowRankDelta(OpBuilder &builder, Value a, Value b) {
  auto aType = dyn_cast<RankedTensorType>(a.getType());
  auto yType = dyn_cast<RankedTensorType>(getType());
  if (!aType || aType.getRank() != 2 || !yType)
    return failure();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(*this);
  auto lowType = withLastDim(yType, aType.getDimSize(0));
  auto one = builder.getF32FloatAttr(1.0f);
  auto no = builder.getI64IntegerAttr(0), yes = builder.getI64IntegerAttr(1);
  Value low = GemmOp::create(builder, getLoc(), lowType, getA(), a, Value(), one, one,
                             getTransAAttr() ? getTransAAttr() : no, yes);
  return Value(
      GemmOp::create(builder, getLoc(), yType, low, b, Value(), getAlphaAttr(), one, no, yes));
}

unsigned ConvOp::getParameterOperandNumber() { return 1; }
bool ConvOp::isParameterTransposed() { return false; }

FailureOr<Value> ConvOp::buildLowRankDelta(OpBuilder &builder, Value a, Value b) {
  auto aType = dyn_cast<RankedTensorType>(a.getType());
  auto yType = dyn_cast<RankedTensorType>(getType());
  if (getGroup() != 1 || !aType || !yType || aType.getRank() != yType.getRank() ||
      yType.getRank() < 3)
    return failure();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(*this);
  SmallVector<int64_t> shape(yType.getShape());
  shape[1] = aType.getDimSize(0);
  Value low = ConvOp::create(builder, getLoc(), yType.clone(shape), getX(), a, Value(),
                             getAutoPadAttr(), getDilationsAttr(), getGroupAttr(),
                             getKernelShapeAttr(), getPadsAttr(), getStridesAttr());
  SmallVector<int64_t> ones(yType.getRank() - 2, 1);
  return Value(ConvOp::create(
      builder, getLoc(), yType, low, b, Value(), builder.getStringAttr("NOTSET"), ArrayAttr(),
      builder.getI64IntegerAttr(1), builder.getI64ArrayAttr(ones), ArrayAttr(), ArrayAttr()));
}

unsigned GatherOp::getParameterOperandNumber() { return 0; }
bool GatherOp::isParameterTransposed() { return true; }

FailureOr<Value> GatherOp::buildLowRankDelta(OpBuilder &builder, Value a, Value b) {
  auto aType = dyn_cast<RankedTensorType>(a.getType());
  auto dataType = dyn_cast<RankedTensorType>(getData().getType());
  if (!aType || aType.getRank() != 2 || !dataType || dataType.getRank() != 2 || getAxis() != 0)
    return failure();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfter(*this);
  Location loc = getLoc();
  auto lowType = withLastDim(getType(), aType.getDimSize(0));
  Value low = GatherOp::create(builder, loc, lowType, transpose(builder, loc, a), getIndices(),
                               builder.getI64IntegerAttr(0));
  // A lookup of a scalar index is a vector, which matmul's rules for one dimension cover.
  return Value(MatMulOp::create(builder, loc, getType(), low, transpose(builder, loc, b)));
}
