//===- Segments.cpp - Modules whose rows can be computed together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Segments.h"

#include "graft/Onnx/Onnx.h"

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
/// Looks at one apply.
class Segments {
public:
  explicit Segments(modular::ApplyOp apply) : apply(apply) {}
  std::optional<std::vector<SegmentedOp>> run();

private:
  bool areAlike(const SegmentedOp &ops) const;
  std::optional<SegmentedOp::Kind> kindOf(const SegmentedOp &ops) const;
  bool isProduct(const SegmentedOp &ops) const;
  bool isRowWise(Operation *op) const;
  /// Whether the value is computed in the first body, from rows.
  bool isRows(Value value) const { return place.contains(value); }

  modular::ApplyOp apply;
  /// The values of each body by their number, and that number.
  SmallVector<llvm::DenseMap<Value, unsigned>> numbers;
  llvm::DenseMap<Value, unsigned> place;
};
} // namespace

/// The same op on operands that stand for each other, or on parameters.
bool Segments::areAlike(const SegmentedOp &ops) const {
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

/// Rows of rank 2 times a matrix; a bias, if there is one, is a vector.
bool Segments::isProduct(const SegmentedOp &ops) const {
  Operation *op = ops.ops.front();
  if (!isa<onnx::MatMulOp, onnx::GemmOp>(op) || !isRows(op->getOperand(0)) ||
      isRows(op->getOperand(1)) || rankOf(op->getOperand(0)) != 2 ||
      rankOf(op->getOperand(1)) != 2 ||
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
         (bias && !isRows(gemm.getC()) && bias.getRank() == 1 &&
          bias.getDimSize(0) == cast<RankedTensorType>(gemm.getType()).getDimSize(1));
}

/// Ops that compute along the last dimension of rank 2 at most, so that rows stay apart.
bool Segments::isRowWise(Operation *op) const {
  if (llvm::any_of(op->getResults(), [](Value value) { return rankOf(value) != 2; }))
    return false;
  for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
    std::optional<int64_t> rank = rankOf(operand);
    // What is no row is repeated for each.
    if (!rank || (isRows(operand) ? *rank != 2 : *rank > 1))
      return false;
  }
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op))
    return isLastAxis(norm.getAxis(), norm.getX()) && norm->getNumResults() == 1;
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return slicesVectors(slice);
  return isa<onnx::WhereOp, onnx::CastOp>(op) || keepsVectorsApart(op);
}

std::optional<SegmentedOp::Kind> Segments::kindOf(const SegmentedOp &ops) const {
  if (isProduct(ops))
    return SegmentedOp::Product;
  Operation *op = ops.ops.front();
  // Whatever each module has of its own, and only that.
  SmallVector<unsigned> own;
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    if (!isRows(op->getOperand(i)) && !areOne(ops.operand(i)))
      own.push_back(i);
  if (!isRowWise(op))
    return std::nullopt;
  if (own.empty())
    return SegmentedOp::RowWise;
  // Only right behind a product, whose epilogue it joins.
  if (own.size() != 1 || !isa<onnx::AddOp, onnx::MulOp, onnx::SubOp>(op) ||
      (isa<onnx::SubOp>(op) && own[0] == 0))
    return std::nullopt;
  Value rows = op->getOperand(1 - own[0]);
  Operation *producer = rows.getDefiningOp();
  auto vector = cast<RankedTensorType>(op->getOperand(own[0]).getType());
  if (!isRows(rows) || !producer || !rows.hasOneUse() ||
      !isa<onnx::MatMulOp, onnx::GemmOp, onnx::AddOp, onnx::MulOp, onnx::SubOp>(producer) ||
      vector.getRank() != 1 ||
      vector.getDimSize(0) != cast<RankedTensorType>(op->getResult(0).getType()).getDimSize(1))
    return std::nullopt;
  return SegmentedOp::Shift;
}

std::optional<std::vector<SegmentedOp>> Segments::run() {
  const size_t count = apply.getBodies().size();
  numbers.resize(count);
  SmallVector<SmallVector<Operation *>> bodies(count);
  for (auto &&[index, region] : llvm::enumerate(apply.getBodies())) {
    for (BlockArgument argument : region.getArguments()) {
      if (rankOf(argument) != 2)
        return std::nullopt;
      numbers[index].try_emplace(argument, numbers[index].size());
    }
    for (Operation &op : region.front()) {
      bodies[index].push_back(&op);
      for (Value result : op.getResults())
        numbers[index].try_emplace(result, numbers[index].size());
    }
    if (bodies[index].size() != bodies[0].size())
      return std::nullopt;
  }
  place = numbers[0];
  std::vector<SegmentedOp> result;
  llvm::DenseSet<Operation *> products; // and what has joined their epilogues
  for (size_t i = 0; i < bodies[0].size(); ++i) {
    SegmentedOp ops{SegmentedOp::RowWise, {}};
    for (auto &body : bodies)
      ops.ops.push_back(body[i]);
    if (!areAlike(ops))
      return std::nullopt;
    if (isa<modular::YieldOp>(ops.ops.front()))
      return isRows(ops.ops.front()->getOperand(0)) ? std::optional(std::move(result))
                                                    : std::nullopt;
    std::optional<SegmentedOp::Kind> kind = kindOf(ops);
    if (!kind)
      return std::nullopt;
    ops.kind = *kind;
    if (*kind != SegmentedOp::RowWise) {
      if (*kind == SegmentedOp::Shift) {
        Operation *op = ops.ops.front();
        Value rows = op->getOperand(isRows(op->getOperand(0)) ? 0 : 1);
        if (!products.contains(rows.getDefiningOp()))
          return std::nullopt;
      }
      products.insert(ops.ops.front());
    }
    result.push_back(std::move(ops));
  }
  return std::nullopt;
}

std::optional<std::vector<SegmentedOp>> graft::segmentBodies(modular::ApplyOp apply) {
  if (!apply.isInlined())
    return std::nullopt;
  return Segments(apply).run();
}
