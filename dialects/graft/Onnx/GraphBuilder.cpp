//===- GraphBuilder.cpp - Short words for building onnx ops -----*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/GraphBuilder.h"

#include <limits>

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

Value GraphBuilder::isWithin(Value x, int64_t size) {
  return predicate<AndOp>(predicate<GreaterOrEqualOp>(x, number(0, x)),
                          predicate<LessOp>(x, number(size, x)));
}

Value GraphBuilder::lowest(Value like) {
  return number(-std::numeric_limits<double>::infinity(), like);
}

Value GraphBuilder::ordered(Value x) { return where(isNaN(x), lowest(x), x); }

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

Value GraphBuilder::scatterElements(Value x, Value indices, Value updates, int64_t axis) {
  return ScatterElementsOp::create(*this, x.getType(), x, indices, updates, axis);
}

Value GraphBuilder::sumAlong(Value x, int64_t axis) {
  SmallVector<int64_t> shape(dimsOf(x));
  shape.erase(shape.begin() + axis);
  return ReduceSumOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(axis),
                             /*keepdims=*/int64_t(0));
}

Value GraphBuilder::cumulativeSum(Value x, int64_t axis) {
  return CumSumOp::create(*this, x.getType(), x, integers(axis));
}

Value GraphBuilder::oneHot(Value indices, int64_t depth) {
  SmallVector<int64_t> shape(dimsOf(indices));
  shape.push_back(depth);
  return OneHotOp::create(*this, RankedTensorType::get(shape, getI64Type()), indices,
                          integers(depth), integers({0, 1}));
}

Value GraphBuilder::cast(Value x, Type element) {
  // ONNX's numbers of the types.
  int64_t to = element.isF64()                ? 11
               : element.isF32()              ? 1
               : element.isF16()              ? 10
               : element.isBF16()             ? 16
               : element.isSignlessInteger(1) ? 9
                                              : 7;
  return CastOp::create(*this, RankedTensorType::get(dimsOf(x), element), x, StringRef("up"),
                        int64_t(1), to);
}

Value GraphBuilder::transpose(Value x, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> shape;
  for (int64_t from : permutation)
    shape.push_back(dimsOf(x)[from]);
  return TransposeOp::create(*this, RankedTensorType::get(shape, element(x)), x,
                             getI64ArrayAttr(permutation));
}

Value GraphBuilder::concat(ValueRange parts, int64_t axis) {
  SmallVector<int64_t> shape(dimsOf(parts.front()));
  shape[axis] = 0;
  for (Value part : parts) {
    int64_t size = dimsOf(part)[axis];
    const bool isKnown = !ShapedType::isDynamic(size) && !ShapedType::isDynamic(shape[axis]);
    shape[axis] = isKnown ? shape[axis] + size : ShapedType::kDynamic;
  }
  return ConcatOp::create(*this, RankedTensorType::get(shape, element(parts.front())), parts, axis);
}

Value GraphBuilder::slice(Value x, int64_t axis, int64_t from, int64_t to) {
  SmallVector<int64_t> shape(dimsOf(x));
  shape[axis] = from >= 0 && to >= from ? to - from : ShapedType::kDynamic;
  return SliceOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(from),
                         integers(to), integers(axis), Value());
}

Value GraphBuilder::unsqueeze(Value x, int64_t axis) {
  SmallVector<int64_t> shape(dimsOf(x));
  shape.insert(shape.begin() + axis, 1);
  return UnsqueezeOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(axis));
}

Value GraphBuilder::sizeOf(Value x, int64_t axis) {
  return ShapeOp::create(*this, RankedTensorType::get({1}, getI64Type()), x,
                         getI64IntegerAttr(axis + 1), getI64IntegerAttr(axis));
}

Value GraphBuilder::reshape(Value x, ArrayRef<int64_t> dims) {
  SmallVector<int64_t> shape(dims);
  for (auto [i, dim] : llvm::enumerate(shape))
    dim = dim == 0 ? dimsOf(x)[i] : dim < 0 ? ShapedType::kDynamic : dim;
  return ReshapeOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(dims));
}

Value GraphBuilder::expand(Value x, ArrayRef<int64_t> dims) {
  SmallVector<int64_t> shape(dims);
  for (auto [dim, own] : llvm::zip(shape, dimsOf(x)))
    dim = dim == 1 ? own : dim;
  return ExpandOp::create(*this, RankedTensorType::get(shape, element(x)), x, integers(dims));
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
