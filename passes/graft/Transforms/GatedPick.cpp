//===- GatedPick.cpp - What rows chose of all modules' results --*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatedSum.h"
#include "graft/Transforms/LoopBranch.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;
using onnx::GraphBuilder;

namespace {
/// What has all modules along a dimension, and which of them rows take: for each slot, or one
/// without a dimension of slots.
struct Pick {
  Value stack;
  int64_t axis;
  Value chosen;
};
} // namespace

/// Whether a value is the rows' numbers, or a product of them.
static bool areRowNumbers(Value value) {
  for (;;) {
    value = peel(value);
    Operation *op = value.getDefiningOp();
    if (auto product = dyn_cast_or_null<onnx::MulOp>(op)) {
      value = areRowNumbers(product.getA()) ? product.getA() : product.getB();
      continue;
    }
    if (isa_and_nonnull<onnx::RangeOp>(op))
      return true;
    // Of as many rows as are known they are a constant, repeated for slots, maybe a product
    // already.
    auto all = integersOf(value);
    const int64_t rows = all && typeOf(value).getRank() > 0 ? typeOf(value).getDimSize(0) : 0;
    if (rows < 2)
      return false;
    const int64_t slots = int64_t(all->size()) / rows, step = (*all)[slots];
    for (auto [i, number] : llvm::enumerate(*all))
      if (number != int64_t(i) / slots * step)
        return false;
    return step > 0;
  }
}

/// One number for all of a module's result, where it is repeated along that.
static std::optional<Pick> pickElements(GraphBuilder &b, const SymbolicShapes &shapes,
                                        onnx::GatherElementsOp gather) {
  Value data = gather.getData(), chosen = gather.getIndices();
  while (isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(chosen.getDefiningOp()))
    chosen = chosen.getDefiningOp()->getOperand(0);
  auto numbers = knownType(shapes, chosen), all = knownType(shapes, data);
  if (!numbers || !all || !knownType(shapes, gather) || numbers.getRank() != all.getRank() ||
      all.getRank() < 3)
    return std::nullopt;
  const int64_t rank = all.getRank();
  const int64_t axis = gather.getAxis() < 0 ? gather.getAxis() + rank : gather.getAxis();
  const int64_t one = axis == rank - 1 ? rank - 2 : rank - 1;
  if (numbers.getDimSize(one) != 1)
    return std::nullopt;
  for (auto [d, size] : llvm::enumerate(shapes.get(data).dims))
    if (int64_t(d) != axis && size != shapes.get(gather).dims[d])
      return std::nullopt;
  return Pick{data, axis, buildShares(b, shapes, chosen, axis, one)};
}

/// (row, number) of (rows, modules, …), together or as a number in all of them.
static std::optional<Pick> pickRows(const SymbolicShapes &shapes, Operation *op) {
  Value stack, chosen;
  if (auto gather = dyn_cast_or_null<onnx::GatherNDOp>(op)) {
    auto concat = gather.getIndices().getDefiningOp<onnx::ConcatOp>();
    if (gather.getBatchDims() != 0 || !concat || concat.getInputs().size() != 2 ||
        !isLastAxis(concat.getAxis(), concat) || !areRowNumbers(concat.getInputs()[0]))
      return std::nullopt;
    stack = gather.getData();
    chosen = concat.getInputs()[1];
  } else if (auto gather = dyn_cast_or_null<onnx::GatherOp>(op)) {
    Operation *flat = gather.getData().getDefiningOp();
    auto sum = gather.getIndices().getDefiningOp<onnx::AddOp>();
    if (gather.getAxis() != 0 || !sum || !isa_and_nonnull<onnx::ReshapeOp, onnx::FlattenOp>(flat))
      return std::nullopt;
    const bool isFirst = areRowNumbers(sum.getA());
    if (!isFirst && !areRowNumbers(sum.getB()))
      return std::nullopt;
    stack = flat->getOperand(0);
    chosen = isFirst ? sum.getB() : sum.getA();
  } else {
    return std::nullopt;
  }
  chosen = peel(chosen);
  auto numbers = knownType(shapes, chosen), all = knownType(shapes, stack);
  if (!numbers || !all || all.getRank() != 3 || numbers.getRank() < 1 || numbers.getRank() > 2 ||
      shapes.get(chosen).dims.front() != shapes.get(stack).dims.front())
    return std::nullopt;
  return Pick{stack, 1, chosen};
}

static std::optional<Pick> pickOf(GraphBuilder &b, const SymbolicShapes &shapes, Value value) {
  Operation *op = value.getDefiningOp();
  std::optional<Pick> pick;
  if (auto gather = dyn_cast_or_null<onnx::GatherElementsOp>(op))
    pick = pickElements(b, shapes, gather);
  else
    pick = pickRows(shapes, op);
  if (!pick || isParameter(pick->stack) ||
      knownType(shapes, pick->stack).isDynamicDim(pick->axis) ||
      knownType(shapes, pick->stack).getDimSize(pick->axis) < 2)
    return std::nullopt;
  return pick;
}

void graft::raise::unwrapPick(GraphBuilder &b, const SymbolicShapes &shapes, GatedSum &result) {
  auto type = knownType(shapes, result.stack);
  Value picked =
      result.stack.getDefiningOp<onnx::GatherElementsOp>() ? result.stack : peel(result.stack);
  auto pick = type ? pickOf(b, shapes, picked) : std::nullopt;
  auto chosen = pick ? typeOf(pick->chosen) : nullptr;
  // There is a slot for each module that the stack seemed to have.
  if (!pick || pick->axis != result.axis || chosen.getRank() != type.getRank() - 1 ||
      typeOf(pick->stack).getRank() != type.getRank())
    return;
  result.stack = pick->stack;
  result.modules = knownType(shapes, pick->stack).getDimSize(pick->axis);
  result.gates = {{}, pick->chosen, result.gates.shares};
}

/// Whether an op may be one that picks: seen before shapes are asked for.
static bool mayPick(Operation *op) {
  if (auto gather = dyn_cast_or_null<onnx::GatherNDOp>(op))
    return gather.getIndices().getDefiningOp<onnx::ConcatOp>() != nullptr;
  if (auto gather = dyn_cast_or_null<onnx::GatherOp>(op))
    return gather.getIndices().getDefiningOp<onnx::AddOp>() != nullptr &&
           isa_and_nonnull<onnx::ReshapeOp, onnx::FlattenOp>(gather.getData().getDefiningOp());
  return isa_and_nonnull<onnx::GatherElementsOp>(op);
}

bool graft::raise::parsePick(GraphBuilder &b, Raising &raising, Operation *op, GatedSum &result) {
  SmallVector<std::pair<Value, Value>> pairs{{op->getResult(0), Value()}};
  if (auto product = dyn_cast<onnx::MulOp>(op))
    pairs = {{product.getA(), product.getB()}, {product.getB(), product.getA()}};
  llvm::erase_if(pairs, [](auto pair) { return !mayPick(peel(pair.first).getDefiningOp()); });
  if (pairs.empty())
    return false;
  const SymbolicShapes &shapes = raising.shapes();
  if (!knownType(shapes, op->getResult(0)))
    return false;
  ArrayRef<Polynomial> dims = shapes.get(op->getResult(0)).dims;
  for (auto [picked, scale] : pairs) {
    auto pick = pickOf(b, shapes, peel(picked));
    if (!pick)
      continue;
    // One slot: without weights what is picked by elements keeps its dimension.
    auto chosen = typeOf(pick->chosen);
    const bool hasSlot = isa<onnx::GatherElementsOp>(peel(picked).getDefiningOp());
    if (hasSlot ? chosen.getShape().back() != 1 : chosen.getRank() != 1)
      return false;
    ArrayRef<Polynomial> all = shapes.get(pick->stack).dims;
    const bool keeps = hasSlot && !scale;
    if (dims.size() != all.size() - !keeps || dims.back() != all.back() ||
        dims.front() != all.front() || pick->axis != 1)
      return false;
    result.gates = {{}, pick->chosen, {}, hasSlot ? 0 : 1};
    if (scale) {
      Value weights = scale;
      while (typeOf(weights) && typeOf(weights).getRank() > chosen.getRank() &&
             isa_and_nonnull<onnx::UnsqueezeOp>(weights.getDefiningOp()))
        weights = weights.getDefiningOp()->getOperand(0);
      if (!knownType(shapes, weights) || !shapes.get(scale).dims.back().isConstant(1) ||
          typeOf(weights).getRank() != chosen.getRank())
        return false;
      result.gates.weights = weights;
    }
    result.stack = pick->stack;
    result.axis = pick->axis;
    result.modules = knownType(shapes, pick->stack).getDimSize(pick->axis);
    result.keepsAxis = keeps;
    return true;
  }
  return false;
}
