//===- Segments.cpp - Modules whose rows can be computed together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Segments.h"

#include "graft/Analysis/BodyRows.h"
#include "graft/Modular/Exposure.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/BitVector.h"

using namespace mlir;
using namespace graft;

/// Whether all values are one: the same, or constants of the same elements.
static bool areOne(ArrayRef<Value> values) {
  auto constantOf = [](Value value) -> Attribute {
    auto constant = value.getDefiningOp<onnx::ConstantOp>();
    return constant ? constant.getValue() : Attribute();
  };
  Attribute first = constantOf(values.front());
  return llvm::all_of(values, [&](Value value) {
    return value == values.front() || (first && constantOf(value) == first);
  });
}

static std::optional<int64_t> rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? std::optional(type.getRank()) : std::nullopt;
}

bool graft::isLastAxis(int64_t axis, Value value) {
  std::optional<int64_t> rank = rankOf(value);
  return rank && (axis == -1 || axis == *rank - 1);
}

/// Whether the op takes a part of each vector along the last dimension, the same of all.
static bool slicesVectors(onnx::SliceOp slice) {
  auto axes = slice.getAxes() ? slice.getAxes().getDefiningOp<onnx::ConstantOp>() : nullptr;
  auto numbers = axes ? dyn_cast<DenseIntElementsAttr>(axes.getValue()) : nullptr;
  return numbers && llvm::all_of(numbers.getValues<APInt>(), [&](const APInt &axis) {
           return isLastAxis(axis.getSExtValue(), slice.getData());
         });
}

bool graft::keepsVectorsApart(Operation *op) {
  if (auto softmax = dyn_cast<onnx::SoftmaxOp>(op))
    return isLastAxis(softmax.getAxis(), softmax.getInput());
  if (auto split = dyn_cast<onnx::SplitOp>(op))
    return isLastAxis(split.getAxis(), split.getInput());
  return isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::MinOp, onnx::MaxOp,
             onnx::PowOp, onnx::ReluOp, onnx::SigmoidOp, onnx::TanhOp, onnx::GeluOp, onnx::ErfOp,
             onnx::ExpOp, onnx::SqrtOp, onnx::NegOp, onnx::AbsOp, onnx::LeakyReluOp, onnx::EluOp,
             onnx::SoftplusOp, onnx::HardSwishOp, onnx::HardSigmoidOp, onnx::MishOp, onnx::ClipOp,
             onnx::IdentityOp, onnx::ReciprocalOp>(op);
}

namespace {
/// Looks at some modules of an apply, of which the first speaks for all.
class Lockstep {
public:
  Lockstep(modular::ApplyOp apply, ArrayRef<unsigned> modules, const BodyRows &rows)
      : apply(apply), modules(modules), rows(rows) {}

  /// Whether the bodies are alike, op by op.
  bool line();
  /// The ops in lockstep, if the rows of all modules can stand in one tensor.
  std::optional<std::vector<SegmentedOp>> run();
  /// Whether all rows are vectors, and each op treats them alone whatever is in them.
  bool isOfVectors();

private:
  bool areAlike(const SegmentedOp &ops) const;
  std::optional<SegmentedOp::Kind> kindOf(const SegmentedOp &ops) const;
  bool isProduct(const SegmentedOp &ops) const;
  bool isVectorWise(Operation *op) const;
  /// Whether the value is computed in the first body.
  bool isInner(Value value) const { return numbers[0].contains(value); }

  modular::ApplyOp apply;
  ArrayRef<unsigned> modules;
  const BodyRows &rows;
  std::vector<SegmentedOp> lines;
  /// The values of each body by their number.
  SmallVector<llvm::DenseMap<Value, unsigned>> numbers;
};
} // namespace

/// The same op on operands that stand for each other, or on parameters.
bool Lockstep::areAlike(const SegmentedOp &ops) const {
  Operation *first = ops.ops.front();
  for (auto [body, op] : llvm::enumerate(ops.ops)) {
    if (op->getName() != first->getName() || op->getNumOperands() != first->getNumOperands() ||
        op->getAttrDictionary() != first->getAttrDictionary() ||
        op->getResultTypes() != first->getResultTypes() || op->getNumRegions() != 0)
      return false;
    for (auto [mine, other] : llvm::zip(first->getOperands(), op->getOperands())) {
      auto number = numbers[0].find(mine), there = numbers[body].find(other);
      const bool isInner = number != numbers[0].end();
      if (isInner != (there != numbers[body].end()) ||
          (isInner && number->second != there->second) || mine.getType() != other.getType())
        return false;
    }
  }
  return true;
}

bool Lockstep::line() {
  numbers.resize(modules.size());
  SmallVector<SmallVector<Operation *>> bodies(modules.size());
  for (auto [index, module] : llvm::enumerate(modules)) {
    Region &region = apply.getBodies()[module];
    for (BlockArgument argument : region.getArguments())
      numbers[index].try_emplace(argument, numbers[index].size());
    for (Operation &op : region.front()) {
      bodies[index].push_back(&op);
      for (Value result : op.getResults())
        numbers[index].try_emplace(result, numbers[index].size());
    }
    if (bodies[index].size() != bodies[0].size())
      return false;
  }
  for (size_t i = 0; i < bodies[0].size(); ++i) {
    SegmentedOp ops{SegmentedOp::RowWise, {}};
    for (auto &body : bodies)
      ops.ops.push_back(body[i]);
    if (!areAlike(ops))
      return false;
    lines.push_back(std::move(ops));
  }
  return true;
}

/// Vectors of rows times a matrix; a bias, if there is one, is a vector.
bool Lockstep::isProduct(const SegmentedOp &ops) const {
  Operation *op = ops.ops.front();
  if (!isa<onnx::MatMulOp, onnx::GemmOp>(op) || !isInner(op->getOperand(0)) ||
      !rows.isByRow(op->getOperand(0)) || isInner(op->getOperand(1)) ||
      rankOf(op->getOperand(0)).value_or(0) < 2 || rankOf(op->getOperand(1)) != 2 ||
      !cast<RankedTensorType>(op->getOperand(1).getType()).hasStaticShape())
    return false;
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  if (!gemm)
    return true;
  if (gemm.getTransA() != 0 || !gemm.getAlpha().isExactlyValue(1) ||
      !gemm.getBeta().isExactlyValue(1))
    return false;
  auto bias = gemm.getC() ? dyn_cast<RankedTensorType>(gemm.getC().getType()) : nullptr;
  return !gemm.getC() ||
         (bias && !isInner(gemm.getC()) && bias.getRank() == 1 &&
          bias.getDimSize(0) == cast<RankedTensorType>(gemm.getType()).getDimSize(1));
}

std::optional<SegmentedOp::Kind> Lockstep::kindOf(const SegmentedOp &ops) const {
  if (isProduct(ops))
    return SegmentedOp::Product;
  Operation *op = ops.ops.front();
  // Whatever each module has of its own, and only that.
  SmallVector<unsigned> own;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    if (!isInner(op->getOperand(i)) && !areOne(ops.operand(i)))
      own.push_back(i);
  if (own.empty())
    return SegmentedOp::RowWise;
  // Only right behind a product, whose epilogue it joins.
  if (own.size() != 1 || !isa<onnx::AddOp, onnx::MulOp, onnx::SubOp>(op) ||
      (isa<onnx::SubOp>(op) && own[0] == 0))
    return std::nullopt;
  Value x = op->getOperand(1 - own[0]);
  Operation *producer = x.getDefiningOp();
  auto vector = cast<RankedTensorType>(op->getOperand(own[0]).getType());
  if (!isInner(x) || !producer || !x.hasOneUse() ||
      !isa<onnx::MatMulOp, onnx::GemmOp, onnx::AddOp, onnx::MulOp, onnx::SubOp>(producer) ||
      vector.getRank() != 1 ||
      vector.getDimSize(0) != cast<RankedTensorType>(op->getResult(0).getType()).getShape().back())
    return std::nullopt;
  return SegmentedOp::Shift;
}

std::optional<std::vector<SegmentedOp>> Lockstep::run() {
  llvm::DenseSet<Operation *> products; // and what has joined their epilogues
  for (SegmentedOp &ops : lines) {
    Operation *op = ops.ops.front();
    if (op->hasTrait<OpTrait::IsTerminator>()) {
      lines.pop_back();
      return isInner(op->getOperand(0)) ? std::optional(lines) : std::nullopt;
    }
    std::optional<SegmentedOp::Kind> kind = kindOf(ops);
    if (!kind)
      return std::nullopt;
    ops.kind = *kind;
    if (*kind == SegmentedOp::RowWise)
      continue;
    if (*kind == SegmentedOp::Shift) {
      Value x = op->getOperand(isInner(op->getOperand(0)) ? 0 : 1);
      if (!products.contains(x.getDefiningOp()))
        return std::nullopt;
    }
    products.insert(op);
  }
  return std::nullopt;
}

/// Ops that compute along the last dimension of rank 2 at most.
bool Lockstep::isVectorWise(Operation *op) const {
  if (llvm::any_of(op->getResults(), [](Value value) { return rankOf(value) != 2; }))
    return false;
  for (Value operand : op->getOperands()) {
    std::optional<int64_t> rank = rankOf(operand);
    // What is no row is repeated for each.
    if (!rank || (isInner(operand) ? *rank != 2 : *rank > 1))
      return false;
  }
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op))
    return isLastAxis(norm.getAxis(), norm.getX()) && norm->getNumResults() == 1;
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return slicesVectors(slice);
  return isa<onnx::WhereOp, onnx::CastOp>(op) || keepsVectorsApart(op);
}

bool Lockstep::isOfVectors() {
  return llvm::all_of(apply.getInputs(), [](Value input) { return rankOf(input) == 2; }) &&
         llvm::all_of(lines, [&](const SegmentedOp &ops) {
           return ops.kind != SegmentedOp::RowWise || isVectorWise(ops.ops.front());
         });
}

/// Whether a slot is filled for each row, as far as the ops tell: the k greatest, or all modules.
static bool fillsEachSlot(Value chosen) {
  while (isa_and_nonnull<onnx::ReshapeOp, onnx::IdentityOp, onnx::CastOp, modular::ExposeOp>(
      chosen.getDefiningOp()))
    chosen = chosen.getDefiningOp()->getOperand(0);
  Operation *op = chosen.getDefiningOp();
  auto expand = dyn_cast_or_null<onnx::ExpandOp>(op);
  return isa_and_nonnull<onnx::TopKOp>(op) ||
         (expand && expand.getInput().getDefiningOp<onnx::ConstantOp>());
}

static bool isFloat(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

std::optional<Segmentation> graft::segmentModules(modular::ApplyOp apply,
                                                  const SymbolicShapes &shapes) {
  if (!apply.isInlined() || apply.getInputs().empty() ||
      !isFloat(apply.getParts().getType().getType()))
    return std::nullopt;
  Segmentation result;
  auto route = apply.getRoute().getType();
  llvm::BitVector isPlaced(apply.getBodies().size());
  for (unsigned first = 0; first < isPlaced.size(); ++first) {
    if (isPlaced[first])
      continue;
    BodyRows rows(apply.getBodies()[first], apply.getInputs(), shapes);
    if (!rows)
      return std::nullopt;
    ModuleClass same{{first}, {}};
    for (unsigned other = first + 1; other < isPlaced.size(); ++other)
      if (!isPlaced[other] && Lockstep(apply, {first, other}, rows).line())
        same.modules.push_back(other);
    Lockstep lockstep(apply, same.modules, rows);
    std::optional<std::vector<SegmentedOp>> ops;
    if (lockstep.line())
      ops = lockstep.run();
    if (ops && (same.modules.size() > 1 || isPlaced.size() == 1)) {
      same.ops = std::move(*ops);
      result.hasPlaceForEachSlot = same.modules.size() == isPlaced.size() && lockstep.isOfVectors();
    } else {
      same.modules.resize(1);
    }
    for (unsigned module : same.modules)
      isPlaced.set(module);
    result.classes.push_back(std::move(same));
  }
  // With as many slots as modules most may be empty.
  auto of = apply.getRoute().getDefiningOp<modular::RouteOfOp>();
  if (route.getSlots() > 1 && route.getSlots() >= route.getModules() &&
      !(of && fillsEachSlot(of.getChosen())))
    result.hasPlaceForEachSlot = false;
  return result;
}
