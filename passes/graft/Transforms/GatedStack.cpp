//===- GatedStack.cpp - Sums of what has all modules along a dimension -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatedSum.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

/// The type that the analysis knows: an exporter's may know less.
static RankedTensorType knownType(const SymbolicShapes &shapes, Value value) {
  return shapes.isKnown(value) && isa<RankedTensorType>(value.getType()) ? shapes.type(value)
                                                                         : RankedTensorType();
}

static bool isAxis(int64_t given, int64_t axis, int64_t rank) {
  return given == axis || given == axis - rank;
}

/// The value with dimension `axis` as the last one, where `b` stands.
static Value moveLast(GraphBuilder &b, Value x, int64_t axis) {
  auto type = typeOf(x);
  const int64_t rank = type.getRank();
  if (axis == rank - 1)
    return x;
  SmallVector<int64_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin() + axis, order.begin() + axis + 1, order.end());
  if (auto before = x.getDefiningOp<onnx::TransposeOp>(); before && before.getPermAttr()) {
    auto perm = before.getPermAttr().getAsRange<IntegerAttr>();
    SmallVector<int64_t> from = llvm::map_to_vector(perm, [](IntegerAttr i) { return i.getInt(); });
    if (llvm::all_of(llvm::seq<int64_t>(0, rank), [&](int64_t i) { return from[order[i]] == i; }))
      return before.getData();
  }
  if (auto softmax = x.getDefiningOp<onnx::SoftmaxOp>();
      softmax && isAxis(softmax.getAxis(), axis, rank))
    return b.softmax(moveLast(b, softmax.getInput(), axis));
  SmallVector<int64_t> shape =
      llvm::map_to_vector(order, [&](int64_t d) { return type.getDimSize(d); });
  return onnx::TransposeOp::create(b, type.clone(shape), x, b.getI64ArrayAttr(order));
}

/// What weighs the modules, (…, modules), given the same with a dimension of 1 at `one`; where `b`
/// stands.
static Value buildShares(GraphBuilder &b, Value gates, RankedTensorType type, int64_t axis,
                         int64_t one) {
  const int64_t rank = type.getRank(), left = axis - (one < axis);
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + one);
  auto squeeze = [&](Value x) -> Value {
    auto unsqueeze = x.getDefiningOp<onnx::UnsqueezeOp>();
    auto at = unsqueeze ? integerOf(unsqueeze.getAxes()) : std::nullopt;
    if (at && (*at == one || *at == one - rank))
      return unsqueeze.getData();
    return onnx::SqueezeOp::create(b, type.clone(shape), x, b.integers(one));
  };
  if (auto softmax = gates.getDefiningOp<onnx::SoftmaxOp>();
      softmax && isAxis(softmax.getAxis(), axis, rank))
    return b.softmax(moveLast(b, squeeze(softmax.getInput()), left));
  return moveLast(b, squeeze(gates), left);
}

/// Gates, with all modules along dimension `from` and 1 along `one`, and the stack, with all
/// modules along `axis`.
static bool fitStack(GraphBuilder &b, Raising &raising, Value gates, int64_t from, int64_t one,
                     Value stack, int64_t axis, GatedSum &result) {
  if (isParameter(gates) || isParameter(stack))
    return false;
  const SymbolicShapes &shapes = raising.shapes();
  auto first = knownType(shapes, gates), second = knownType(shapes, stack);
  if (!first || !second || first.getRank() != second.getRank())
    return false;
  result.modules = second.getDimSize(axis);
  if (first.getDimSize(one) != 1 || ShapedType::isDynamic(result.modules) || result.modules < 2 ||
      first.getDimSize(from) != result.modules)
    return false;
  result.stack = stack;
  result.axis = axis;
  result.gates.shares = buildShares(b, gates, first, from, one);
  return true;
}

bool graft::raise::parseStack(GraphBuilder &b, Raising &raising, onnx::ReduceSumOp sum,
                              GatedSum &result) {
  auto axis = integerOf(sum.getAxes());
  auto type = typeOf(sum.getData());
  auto product = sum.getData().getDefiningOp<onnx::MulOp>();
  if (!axis || !type || type.getRank() < 3 || !product || sum.getKeepdims() != 0 ||
      !product->hasOneUse())
    return false;
  if (*axis < 0)
    *axis += type.getRank();
  const int64_t of = *axis == type.getRank() - 1 ? *axis - 1 : type.getRank() - 1;
  for (auto [gates, stack] :
       {std::pair(product.getA(), product.getB()), std::pair(product.getB(), product.getA())})
    if (typeOf(stack) && typeOf(stack).getRank() > of && typeOf(stack).getDimSize(of) != 1 &&
        fitStack(b, raising, gates, *axis, of, stack, *axis, result))
      return true;
  return false;
}

bool graft::raise::parseProduct(GraphBuilder &b, Raising &raising, onnx::MatMulOp op,
                                GatedSum &result) {
  auto a = typeOf(op.getA()), other = typeOf(op.getB());
  if (!a || !other || a.getRank() < 3 || a.getRank() != other.getRank())
    return false;
  const int64_t rank = a.getRank();
  if (a.getDimSize(rank - 2) == 1)
    return fitStack(b, raising, op.getA(), rank - 1, rank - 2, op.getB(), rank - 2, result);
  return other.getDimSize(rank - 1) == 1 &&
         fitStack(b, raising, op.getB(), rank - 2, rank - 1, op.getA(), rank - 1, result);
}
