//===- GraphBuilder.cpp - Short words for building onnx ops -----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/GraphBuilder.h"

using namespace mlir;
using namespace graft::onnx;

static ArrayRef<int64_t> dimsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

RankedTensorType GraphBuilder::broadcast(ValueRange operands, Type element) {
  SmallVector<int64_t> result;
  for (Value operand : operands) {
    ArrayRef<int64_t> shape = dimsOf(operand);
    if (shape.size() > result.size())
      result.insert(result.begin(), shape.size() - result.size(), 1);
    for (auto [have, dim] : llvm::zip(MutableArrayRef(result).take_back(shape.size()), shape)) {
      // One that is known and not 1 is the result's, whatever the other turns out to be.
      if (have == 1 || (ShapedType::isDynamic(have) && dim != 1))
        have = dim;
    }
  }
  return RankedTensorType::get(result, element);
}

Value GraphBuilder::integers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({int64_t(values.size())}, getI64Type());
  return ConstantOp::create(*this, type, DenseElementsAttr::get(type, values));
}

Value GraphBuilder::number(double value, Value like) {
  auto type = RankedTensorType::get({}, element(like));
  Attribute scalar = isa<FloatType>(type.getElementType())
                         ? Attribute(getFloatAttr(type.getElementType(), value))
                         : Attribute(getIntegerAttr(type.getElementType(), int64_t(value)));
  return ConstantOp::create(*this, type, DenseElementsAttr::get(type, scalar));
}

Value GraphBuilder::isNaN(Value x) { return IsNaNOp::create(*this, broadcast(x, getI1Type()), x); }

Value GraphBuilder::where(Value condition, Value a, Value b) {
  return WhereOp::create(*this, broadcast({condition, a, b}, element(a)), condition, a, b);
}

std::pair<Value, Value> GraphBuilder::topK(Value x, int64_t count) {
  SmallVector<int64_t> shape(dimsOf(x));
  shape.back() = count;
  auto op = TopKOp::create(*this, RankedTensorType::get(shape, element(x)),
                           RankedTensorType::get(shape, getI64Type()), x, integers(count));
  return {op.getValues(), op.getIndices()};
}

Value GraphBuilder::gatherElements(Value x, Value indices) {
  return GatherElementsOp::create(*this, RankedTensorType::get(dimsOf(indices), element(x)), x,
                                  indices, /*axis=*/int64_t(1));
}

Value GraphBuilder::sumOfRows(Value x) {
  SmallVector<int64_t> shape(dimsOf(x));
  shape.back() = 1;
  return ReduceSumOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(-1));
}

Value GraphBuilder::softmax(Value x) { return SoftmaxOp::create(*this, x.getType(), x); }

Value GraphBuilder::linear(Value x, Value weight, Value bias) {
  auto type = RankedTensorType::get({dimsOf(x)[0], dimsOf(weight)[0]}, element(x));
  auto one = getF32FloatAttr(1);
  return GemmOp::create(*this, type, x, weight, bias, one, one, getI64IntegerAttr(0),
                        getI64IntegerAttr(1));
}

Value GraphBuilder::shapeOf(Value x) {
  auto type = RankedTensorType::get({int64_t(dimsOf(x).size())}, getI64Type());
  return ShapeOp::create(*this, type, x, IntegerAttr(), int64_t(0));
}

Value GraphBuilder::rowsOf(Value x) {
  int64_t width = dimsOf(x).back();
  return ReshapeOp::create(*this, RankedTensorType::get({ShapedType::kDynamic, width}, element(x)),
                           x, integers({-1, width}));
}

Value GraphBuilder::vectorsLike(Value rows, Value like) {
  SmallVector<int64_t> dims(dimsOf(like));
  if (dims.size() == 2)
    return rows;
  const int64_t leading = dims.size() - 1;
  dims.back() = dimsOf(rows).back();
  Value front = ShapeOp::create(*this, RankedTensorType::get({leading}, getI64Type()), like,
                                getI64IntegerAttr(leading), getI64IntegerAttr(0));
  Value shape = ConcatOp::create(*this, RankedTensorType::get({leading + 1}, getI64Type()),
                                 ValueRange{front, integers(dims.back())}, /*axis=*/int64_t(0));
  return ReshapeOp::create(*this, RankedTensorType::get(dims, element(rows)), rows, shape);
}

Value GraphBuilder::reshapeTo(Value x, Value like) {
  auto type = RankedTensorType::get(dimsOf(like), element(x));
  return ReshapeOp::create(*this, type, x, shapeOf(like));
}

Value GraphBuilder::expandTo(Value x, Value like) {
  auto type = RankedTensorType::get(dimsOf(like), element(x));
  return ExpandOp::create(*this, type, x, shapeOf(like));
}
