//===- RaiseGatheredWeights.cpp - Weights gathered per row become modules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/GatheredWeights.h"

#include "graft/Analysis/Einsum.h"

#include "llvm/ADT/SetVector.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using onnx::GraphBuilder;

bool GatheredWeights::setRows(ArrayRef<Polynomial> rowDims, const Polynomial &slotDim) {
  std::optional<int64_t> slots = slotDim.asConstant();
  if (!slots || *slots < 1 || rowDims.empty())
    return false;
  slotCount = *slots;
  rows = product(rowDims);
  positions = rows * slotDim;
  return true;
}

/// What stacked matrices are gathered by, of those that `data` is made of; and what depends on it.
bool GatheredWeights::findChosen(Value data) {
  llvm::SetVector<Value> values;
  values.insert(data);
  for (size_t i = 0; i < values.size() && i < 256 && !chosen; ++i)
    if (Operation *op = values[i].getDefiningOp()) {
      if (isa<onnx::GatherOp, onnx::GatherNDOp>(op) && typeOf(op->getOperand(0)) &&
          typeOf(op->getOperand(0)).getRank() == 3)
        stackOf(values[i]);
      else
        values.insert(op->operand_begin(), op->operand_end());
    }
  if (!chosen)
    return false;
  SmallVector<Value> open{chosen};
  while (!open.empty())
    for (Operation *user : open.pop_back_val().getUsers())
      if (!isa<onnx::ShapeOp, onnx::SizeOp>(user)) // how many is no matter of which
        for (Value result : user->getResults())
          if (dependent.insert(result).second)
            open.push_back(result);
  return true;
}

/// `data` has a vector for each slot, and `scale`, unless it is null, their weights.
bool GatheredWeights::matchParts(Value data, Value scale) {
  steps.clear();
  input = weights = nullptr;
  if (!isVectors(data) || !dependent.contains(data))
    return false;
  if (scale) {
    weights = throughReshapes(scale, [&](Value v) {
      return isRoute(v) &&
             !isa_and_nonnull<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(
                 v.getDefiningOp());
    });
    if (!weights)
      return false;
  }
  return visit(data) && input &&
         llvm::any_of(steps, [](const auto &step) { return step.second.kind == Step::Product; });
}

bool GatheredWeights::matchReduced(onnx::ReduceSumOp sum) {
  Value data = sum.getData();
  auto axis = sum.getAxes() ? integerOf(sum.getAxes()) : std::nullopt;
  if (!axis || !shapes.isKnown(data))
    return false;
  const int64_t rank = int64_t(dims(data).size()), at = *axis < 0 ? *axis + rank : *axis;
  if (at < 1 || at >= rank || !setRows(dims(data).take_front(at), dims(data)[at]) ||
      !isVectors(data) || !findChosen(data))
    return false;
  Value product =
      throughReshapes(data, [](Value v) { return v.getDefiningOp<onnx::MulOp>() != nullptr; });
  if (product && isVectors(product) && width(product, positions) == width(data, positions)) {
    auto mul = product.getDefiningOp<onnx::MulOp>();
    if (matchParts(mul.getA(), mul.getB()) || matchParts(mul.getB(), mul.getA()))
      return true;
  }
  return matchParts(data, {});
}

/// (…, 1, slots) · (…, slots, n).
bool GatheredWeights::matchWeightedSum(onnx::MatMulOp sum) {
  Value scale = sum.getA(), data = sum.getB();
  if (!shapes.isKnown(scale) || !shapes.isKnown(data))
    return false;
  const size_t rank = dims(data).size();
  return rank >= 3 && dims(scale).size() == rank && dims(scale)[rank - 2] == Polynomial(1) &&
         setRows(dims(data).drop_back(2), dims(data)[rank - 2]) && isVectors(data) &&
         findChosen(data) && matchParts(data, scale);
}

/// (…, slots) and (…, slots, n) to (…, n).
bool GatheredWeights::matchEinsum(onnx::EinsumOp sum) {
  auto equation = EinsumEquation::of(sum, shapes);
  if (!equation || sum.getInputs().size() != 2 || equation->result.size() < 2)
    return false;
  ArrayRef<int> leading = ArrayRef(equation->result).drop_back();
  for (unsigned number : {0u, 1u}) {
    EinsumEquation::Labels route = equation->operands[number], all = route;
    all.push_back(equation->result.back());
    if (route.size() != leading.size() + 1 || ArrayRef(route).drop_back() != leading ||
        llvm::is_contained(equation->result, route.back()) ||
        ArrayRef(equation->operands[1 - number]) != ArrayRef(all))
      continue;
    Value scale = sum.getInputs()[number], data = sum.getInputs()[1 - number];
    if (setRows(dims(scale).drop_back(), dims(scale).back()) && isVectors(data) &&
        findChosen(data) && matchParts(data, scale))
      return true;
  }
  return false;
}

/// Whether all that is gathered by what is chosen is part of it.
bool GatheredWeights::isComplete() {
  llvm::DenseSet<Value> used;
  for (const auto &[value, step] : steps)
    if (step.stack)
      used.insert(step.stack);
  return llvm::all_of(dependent, [&](Value value) {
    Value stack = stackOf(value);
    return !stack || used.contains(stack);
  });
}

/// What is multiplied with a weight for each vector of `value`, alone, is not through.
bool GatheredWeights::isWeighed(Value value) const {
  while (value.hasOneUse()) {
    Operation *user = *value.getUsers().begin();
    if (auto mul = dyn_cast<onnx::MulOp>(user)) {
      Value scale = mul.getA() == value ? mul.getB() : mul.getA();
      return isRoute(scale) && !dependent.contains(scale);
    }
    if (!isa<onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::FlattenOp>(user))
      return false;
    value = user->getResult(0);
  }
  return false;
}

/// One slot: no sum is left of it.
bool GatheredWeights::matchOneSlot(Operation *root) {
  Value result = root->getResult(0);
  if (!shapes.isKnown(result) || dims(result).size() < 2)
    return false;
  size_t last = dims(result).size() - 1;
  if (last > 1 && dims(result)[last] == Polynomial(1))
    --last;
  if (!setRows(dims(result).take_front(last), Polynomial(1)) || !isVectors(result) ||
      !findChosen(result))
    return false;
  if (isWeighed(result))
    return false;
  if (auto mul = dyn_cast<onnx::MulOp>(root))
    if (matchParts(mul.getA(), mul.getB()) || matchParts(mul.getB(), mul.getA()))
      return isComplete() && hasPlace(result);
  return matchParts(result, {}) && isComplete() && hasPlace(result);
}

/// Whether the rows' results can be put in the place of the root's.
bool GatheredWeights::hasPlace(Value root) const {
  std::optional<size_t> first = leading(root, rows);
  return first && vectorDim(root, rows) &&
         (*first == 1 || dims(root).take_front(*first) == dims(input).drop_back());
}

bool GatheredWeights::matchSum(Operation *root) {
  auto sum = dyn_cast<onnx::ReduceSumOp>(root);
  auto product = dyn_cast<onnx::MatMulOp>(root);
  auto einsum = dyn_cast<onnx::EinsumOp>(root);
  return ((sum && matchReduced(sum)) || (product && matchWeightedSum(product)) ||
          (einsum && matchEinsum(einsum))) &&
         hasPlace(root->getResult(0));
}

Value GatheredWeights::shape(GraphBuilder &b, Value rows, Value root) const {
  const size_t first = *leading(root, this->rows);
  if (first > 1)
    rows = b.vectorsLike(rows, input);
  // Then the dimensions of 1 around the vectors.
  const size_t dim = *vectorDim(root, this->rows);
  for (size_t i = first; i < dims(root).size(); ++i)
    if (i != dim)
      rows = b.unsqueeze(rows, int64_t(i));
  return rows;
}

bool graft::raise::gathersMatrices(func::FuncOp main) {
  return llvm::any_of(main.getBody().front(), [](Operation &op) {
    auto stack = isa<onnx::GatherOp, onnx::GatherNDOp>(op) ? typeOf(op.getOperand(0)) : nullptr;
    return stack && stack.getRank() == 3 && isStacked(op.getOperand(0), stack.getShape());
  });
}

bool graft::raise::raiseGatheredWeights(Raising &raising, Operation *op, bool isSum) {
  auto type = op->getNumResults() == 1 ? typeOf(op->getResult(0)) : nullptr;
  if (!type || type.getRank() < 2 || !isa<FloatType>(type.getElementType()))
    return false;
  GatheredWeights gathered(raising.shapes());
  if (isSum ? !gathered.matchSum(op) : !gathered.matchOneSlot(op)) {
    if (isSum && gathered.experts != 0 && gathered.obstacle)
      raising.leave(gathered.obstacle, "weights are gathered by what is chosen, but an expert "
                                       "computes what is not seen as a function of one row");
    return false;
  }
  OpBuilder builder(op);
  GraphBuilder b(op->getLoc(), builder);
  MixtureBuilder mixture(raising.module, op, gathered.experts);
  Value chosen = gathered.chosen;
  if (!gathered.isBounded) {
    // Refuses what is outside, and counts from the end what is below 0, as the gathers did.
    SmallVector<int64_t> all(gathered.experts);
    std::iota(all.begin(), all.end(), 0);
    auto same = RankedTensorType::get(typeOf(chosen).getShape(), b.getI64Type());
    chosen = onnx::GatherOp::create(b, same, b.integers(all), chosen, b.getI64IntegerAttr(0));
  }
  SmallVector<Value> routed;
  buildRouter(b, mixture, Gates{{}, chosen, gathered.weights, gathered.slotCount}, routed);
  const bool isMatrix = typeOf(gathered.input).getRank() == 2;
  Value input = isMatrix ? gathered.input : b.rowsOf(gathered.input);
  for (int64_t number = 0; number < gathered.experts; ++number)
    mixture.addExpert(
        input, [&](GraphBuilder &b, ValueRange v) { return gathered.build(b, v[0], number); });
  Value result = gathered.shape(b, mixture.build(routed, input), op->getResult(0));
  return raising.replace(mixture, op, result, "gathered weights");
}
