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
  Value where(Value condition, Value a, Value b);

  /// The `count` greatest of each row of (rows, n), the greatest first: values and positions, of
  /// i64. Equal ones are in the order of their positions.
  std::pair<Value, Value> topK(Value x, int64_t count);
  /// Element (r, c) of the result is x[r, indices[r, c]].
  Value gatherElements(Value x, Value indices);
  /// The sum along the last axis, kept as a dimension of 1.
  Value sumOfRows(Value x);
  /// Along the last axis.
  Value softmax(Value x);
  /// x · weightᵀ + bias for x of (rows, in) and a weight of (out, in); the bias may be null.
  Value linear(Value x, Value weight, Value bias);
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
