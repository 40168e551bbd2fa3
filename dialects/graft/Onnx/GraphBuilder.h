//===- GraphBuilder.h - Short words for building onnx ops -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_GRAPHBUILDER_H
#define GRAFT_ONNX_GRAPHBUILDER_H

#include "graft/Onnx/Onnx.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

namespace graft::onnx {

/// Builds ops of the onnx dialect with result types as exact as their operands' tell. Operands
/// broadcast as ONNX lets them.
class GraphBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  /// A constant of i64 with one dimension.
  Value integers(llvm::ArrayRef<int64_t> values);
  /// A constant without dimensions, of the element type of `like`.
  Value number(double value, Value like);

  template <typename OpT> Value unary(Value x) { return OpT::create(*this, x.getType(), x); }
  /// Arithmetic: the result has the operands' element type.
  template <typename OpT> Value binary(Value a, Value b) {
    return OpT::create(*this, broadcast({a, b}, element(a)), a, b);
  }
  /// A comparison or a logical op.
  template <typename OpT> Value predicate(Value a, Value b) {
    return OpT::create(*this, broadcast({a, b}, getI1Type()), a, b);
  }
  Value isNaN(Value x);
  /// True where 0 ≤ x < size.
  Value isWithin(Value x, int64_t size);
  /// −∞ without dimensions, of the element type of `like`.
  Value lowest(Value like);
  /// `x` with −∞ in the place of NaN, so that any two are ordered.
  Value ordered(Value x);
  Value where(Value condition, Value a, Value b);

  /// The `count` greatest of each row of (rows, n), the greatest first: values and positions, of
  /// i64. Equal ones are in the order of their positions.
  std::pair<Value, Value> topK(Value x, int64_t count);
  /// Element (r, c) of the result is x[r, indices[r, c]].
  Value gatherElements(Value x, Value indices);
  /// `x` with updates[i, …] at position indices[i, …] along the axis.
  Value scatterElements(Value x, Value indices, Value updates, int64_t axis);
  /// The sum along the last axis, kept as a dimension of 1.
  Value sumOfRows(Value x);
  /// The sum along an axis, which goes away.
  Value sumAlong(Value x, int64_t axis);
  /// The running sum along an axis.
  Value cumulativeSum(Value x, int64_t axis);
  /// 1 at each index along a new last dimension of `depth`, 0 elsewhere, in the type of i64.
  Value oneHot(Value indices, int64_t depth);
  /// Along the last axis.
  Value softmax(Value x);
  /// x · weightᵀ + bias for x of (rows, in) and a weight of (out, in); the bias may be null.
  Value linear(Value x, Value weight, Value bias);
  /// `x` in another element type.
  Value cast(Value x, mlir::Type element);
  Value transpose(Value x, llvm::ArrayRef<int64_t> permutation);
  Value concat(mlir::ValueRange parts, int64_t axis);
  /// Elements [from, to) along an axis; `to` may count from the end.
  Value slice(Value x, int64_t axis, int64_t from, int64_t to);
  /// A dimension of 1 before dimension `axis`.
  Value unsqueeze(Value x, int64_t axis);
  /// The size of a dimension, as an i64 tensor of one element.
  Value sizeOf(Value x, int64_t axis);
  /// `x` with those dimensions; 0 keeps x's at that place, -1 is what is left, once.
  Value reshape(Value x, llvm::ArrayRef<int64_t> dims);
  /// `x` repeated to those dimensions; 1 keeps x's.
  Value expand(Value x, llvm::ArrayRef<int64_t> dims);
  /// `x` as a matrix of its last dimension's rows.
  Value rowsOf(Value x);
  /// Rows of vectors in the places of the vectors of `like`, which has as many.
  Value vectorsLike(Value rows, Value like);
  /// `x` with the shape of `like`, which has as many elements.
  Value reshapeTo(Value x, Value like);
  /// `x` repeated to the shape of `like`.
  Value expandTo(Value x, Value like);

private:
  Value shapeOf(Value x);
  static mlir::Type element(Value x) { return mlir::getElementTypeOrSelf(x.getType()); }
  mlir::RankedTensorType broadcast(mlir::ValueRange operands, mlir::Type element);
};

} // namespace graft::onnx

#endif // GRAFT_ONNX_GRAPHBUILDER_H
