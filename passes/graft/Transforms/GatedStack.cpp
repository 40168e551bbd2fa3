//===- GatedStack.cpp - Sums of what has all modules along a dimension -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatedSum.h"

#include "graft/Analysis/Einsum.h"

#include <numeric>
#include <set>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

RankedTensorType graft::raise::knownType(const SymbolicShapes &shapes, Value value) {
  return shapes.isKnown(value) && isa<RankedTensorType>(value.getType()) ? shapes.type(value)
                                                                         : RankedTensorType();
}

static bool isAxis(int64_t given, int64_t axis, int64_t rank) {
  return given == axis || given == axis - rank;
}

/// The value before reshapes to the dimensions that it has.
static Value withoutReshapes(const SymbolicShapes &shapes, Value x) {
  for (;;) {
    auto reshape = x.getDefiningOp<onnx::ReshapeOp>();
    if (!reshape || !shapes.isKnown(x) || !shapes.isKnown(reshape.getData()) ||
        shapes.get(x).dims != shapes.get(reshape.getData()).dims)
      return x;
    x = reshape.getData();
  }
}

/// The value with dimension `axis` as the last one, where `b` stands.
static Value moveLast(GraphBuilder &b, const SymbolicShapes &shapes, Value x, int64_t axis) {
  x = withoutReshapes(shapes, x);
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
    return b.softmax(moveLast(b, shapes, softmax.getInput(), axis));
  SmallVector<int64_t> shape =
      llvm::map_to_vector(order, [&](int64_t d) { return type.getDimSize(d); });
  return onnx::TransposeOp::create(b, type.clone(shape), x, b.getI64ArrayAttr(order));
}

Value graft::raise::buildShares(GraphBuilder &b, const SymbolicShapes &shapes, Value gates,
                                int64_t axis, int64_t one) {
  auto type = knownType(shapes, gates);
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
    return b.softmax(moveLast(b, shapes, squeeze(softmax.getInput()), left));
  return moveLast(b, shapes, squeeze(gates), left);
}

/// Of rows that gates, (modules, …, 1), and stack, (modules, …, n), have in several dimensions what
/// they were before: in one. Gives what has the dimensions still, or null.
static Value mergeRows(GraphBuilder &b, const SymbolicShapes &shapes, Value gates,
                       GatedSum &result) {
  auto unsqueeze = gates.getDefiningOp<onnx::UnsqueezeOp>();
  auto split = unsqueeze ? unsqueeze.getData().getDefiningOp<onnx::ReshapeOp>() : nullptr;
  auto of = result.stack.getDefiningOp<onnx::ReshapeOp>();
  auto at = unsqueeze ? integerOf(unsqueeze.getAxes()) : std::nullopt;
  auto dims = [&](Value value) { return ArrayRef(shapes.get(value).dims); };
  if (!split || !of || result.axis != 0 || !at || !isLastAxis(*at, gates) ||
      !knownType(shapes, split.getData()) || !knownType(shapes, of.getData()) ||
      dims(split.getData()).size() != 2 || dims(of.getData()).size() != 3 ||
      dims(split).size() < 3 || dims(split.getData())[0] != dims(split)[0] ||
      dims(of.getData()).drop_back() != dims(split.getData()) ||
      dims(of.getData()).back() != dims(of).back())
    return {};
  result.stack = of.getData();
  result.gates.shares = moveLast(b, shapes, split.getData(), 0);
  return moveLast(b, shapes, split, 0);
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
  if (first.getDimSize(one) != 1 || ShapedType::isDynamic(result.modules) ||
      first.getDimSize(from) != result.modules)
    return false;
  result.stack = stack;
  result.axis = axis;
  result.rows = mergeRows(b, shapes, gates, result);
  if (!result.rows)
    result.gates.shares = buildShares(b, shapes, gates, from, one);
  unwrapPick(b, shapes, result);
  return result.modules >= 2;
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

/// An operand with all gates as (…, modules), in the order of the result's dimensions; those that
/// it lacks are 1.
static Value arrangeGates(GraphBuilder &b, const SymbolicShapes &shapes, Value gates,
                          EinsumEquation::Labels labels, int label, ArrayRef<int> leading) {
  const int64_t axis = llvm::find(labels, label) - labels.begin();
  if (auto softmax = gates.getDefiningOp<onnx::SoftmaxOp>();
      softmax && isAxis(softmax.getAxis(), axis, labels.size()))
    return b.softmax(arrangeGates(b, shapes, softmax.getInput(), labels, label, leading));
  Value shares = moveLast(b, shapes, gates, axis);
  labels.erase(labels.begin() + axis);
  SmallVector<int64_t> order;
  for (int other : leading)
    if (auto it = llvm::find(labels, other); it != labels.end())
      order.push_back(it - labels.begin());
  order.push_back(labels.size());
  if (!llvm::is_sorted(order))
    shares = b.transpose(shares, order);
  for (auto [place, other] : llvm::enumerate(leading))
    if (!llvm::is_contained(labels, other))
      shares = b.unsqueeze(shares, place);
  return shares;
}

bool graft::raise::parseEinsum(GraphBuilder &b, Raising &raising, onnx::EinsumOp op,
                               GatedSum &result) {
  if (op.getInputs().size() < 2)
    return false;
  const SymbolicShapes &shapes = raising.shapes();
  auto equation = EinsumEquation::of(op, shapes);
  if (!equation || equation->result.size() < 2 || !shapes.isKnown(op.getOutput()))
    return false;
  ArrayRef<int> leading = ArrayRef(equation->result).drop_back();
  for (auto [number, labels] : llvm::enumerate(equation->operands)) {
    // Weights of modules have one label that the result lacks.
    Value gates = op.getInputs()[number];
    SmallVector<int> summed = llvm::filter_to_vector(
        labels, [&](int label) { return !llvm::is_contained(leading, label); });
    const std::set<int> once(labels.begin(), labels.end());
    if (summed.size() != 1 || summed[0] == equation->result.back() ||
        once.size() != labels.size() || !once.count(leading.front()) || isParameter(gates) ||
        !knownType(shapes, gates))
      continue;
    const int label = summed[0];
    const int64_t axis = llvm::find(labels, label) - labels.begin();
    result.modules = knownType(shapes, gates).getDimSize(axis);
    if (ShapedType::isDynamic(result.modules) || result.modules < 2)
      continue;
    // The others have all branches, along the same label.
    EinsumEquation rest;
    SmallVector<Value> inputs;
    for (auto [i, input] : llvm::enumerate(op.getInputs()))
      if (i != number) {
        inputs.push_back(input);
        rest.operands.push_back(equation->operands[i]);
      }
    auto isThere = [&](int wanted) {
      return llvm::any_of(rest.operands, [&](const EinsumEquation::Labels &labels) {
        return llvm::is_contained(labels, wanted);
      });
    };
    if (!isThere(label) || !llvm::all_of(equation->result, isThere))
      continue;
    result.axis =
        inputs.size() == 1 ? llvm::find(rest.operands[0], label) - rest.operands[0].begin() : 0;
    rest.result = equation->result;
    rest.result.insert(rest.result.begin() + std::min<size_t>(result.axis, rest.result.size()),
                       label);
    if (inputs.size() == 1 && rest.operands[0] == rest.result) {
      result.stack = inputs[0];
    } else {
      SmallVector<int64_t> shape(knownType(shapes, op.getOutput()).getShape());
      shape.insert(shape.begin() + std::min<size_t>(result.axis, shape.size()), result.modules);
      auto text = rest.str();
      if (!text)
        continue;
      result.stack = onnx::EinsumOp::create(
          b, RankedTensorType::get(shape, getElementTypeOrSelf(op.getType())), inputs,
          b.getStringAttr(*text));
    }
    if (isParameter(result.stack)) {
      result.stack = nullptr;
      continue;
    }
    result.gates.shares = arrangeGates(b, shapes, gates, labels, label, leading);
    unwrapPick(b, shapes, result);
    return true;
  }
  return false;
}
