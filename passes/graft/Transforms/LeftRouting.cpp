//===- LeftRouting.cpp - What looks like routing and was not raised -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Origin.h"
#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;

namespace {
/// What follows from a choice of the greatest of scores: numbers, masks and weights.
class Choice {
public:
  Choice(Operation *op, int64_t width) : width(width) {
    scores.insert(op->getOperand(0));
    for (size_t i = 0; i < scores.size() && scores.size() < 4096; ++i)
      if (Operation *producer = scores[i].getDefiningOp(); producer && !isParameter(scores[i]))
        scores.insert(producer->operand_begin(), producer->operand_end());
    follow(op->getResults().back());
  }

  /// Why it looks like routing, or an empty text, and the op at which it does.
  StringRef find(Operation *&at) const;
  /// The nodes that have a part in it.
  llvm::StringSet<> nodes() const;

private:
  void follow(Value chosen);
  bool isBranch(Value value) const { return bool(ownProduct(value)); }
  Operation *ownProduct(Value value) const;
  bool isStack(Value value) const;
  bool hasAllMatrices(Value value) const {
    return isParameter(value) && typeOf(value) && typeOf(value).getRank() == 3 &&
           typeOf(value).getDimSize(0) == width;
  }
  bool isMine(Value value) const { return gates.contains(value); }

  const int64_t width;
  llvm::SetVector<Value> scores; ///< and what is behind them
  llvm::SetVector<Value> gates;  ///< and the numbers that they are made of
};
} // namespace

static bool isInteger(Value value) {
  return isa<IntegerType>(getElementTypeOrSelf(value.getType()));
}

void Choice::follow(Value chosen) {
  gates.insert(chosen);
  for (size_t i = 0; i < gates.size() && gates.size() < 4096; ++i)
    for (Operation *user : gates[i].getUsers()) {
      // Weights are masks, sums and shares of what is chosen, with nothing else that has rows.
      const bool isShape =
          isa<onnx::CastOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::ReshapeOp, onnx::ExpandOp,
              onnx::TransposeOp, onnx::SliceOp, onnx::SplitOp, onnx::ReduceSumOp, onnx::ReduceMaxOp,
              onnx::SoftmaxOp, onnx::SigmoidOp, onnx::ClipOp, onnx::ScatterElementsOp,
              onnx::OneHotOp>(user) ||
          (isa<onnx::GatherOp>(user) && user->getOperand(0) == gates[i]);
      const bool isWeighed =
          isa<onnx::MulOp, onnx::DivOp, onnx::AddOp, onnx::WhereOp>(user) &&
          llvm::none_of(user->getOperands(), [&](Value other) { return isBranch(other); });
      for (Value result : user->getResults())
        if (isInteger(result) || isShape || isWeighed)
          gates.insert(result);
    }
}

/// The nearest product with a parameter behind a value that is not behind the scores.
Operation *Choice::ownProduct(Value value) const {
  llvm::SetVector<Value> cone;
  cone.insert(value);
  for (size_t i = 0; i < cone.size() && cone.size() < 64; ++i) {
    Operation *op = cone[i].getDefiningOp();
    if (!op || scores.contains(cone[i]) || isMine(cone[i]) || isInteger(cone[i]))
      continue;
    if (isa<onnx::MatMulOp, onnx::GemmOp, onnx::EinsumOp, onnx::ConvOp>(op) &&
        llvm::any_of(op->getOperands(), isParameter))
      return op;
    cone.insert(op->operand_begin(), op->operand_end());
  }
  return nullptr;
}

/// Whether a value has what all modules make: side by side, or by a product with all matrices.
bool Choice::isStack(Value value) const {
  llvm::SetVector<Value> cone;
  cone.insert(value);
  for (size_t i = 0; i < cone.size() && cone.size() < 64; ++i) {
    Operation *op = cone[i].getDefiningOp();
    if (!op || scores.contains(cone[i]) || isMine(cone[i]))
      continue;
    if (auto concat = dyn_cast<onnx::ConcatOp>(op);
        concat && int64_t(concat.getInputs().size()) == width &&
        llvm::all_of(concat.getInputs(), [&](Value input) { return isBranch(input); }))
      return true;
    if (isa<onnx::MatMulOp, onnx::EinsumOp>(op) &&
        llvm::any_of(op->getOperands(), [&](Value operand) { return hasAllMatrices(operand); }))
      return true;
    cone.insert(op->operand_begin(), op->operand_end());
  }
  return false;
}

/// The end of the sums that a value is a term of.
static Operation *endOfSum(Operation *op) {
  for (int i = 0; i < 1024 && op->hasOneUse(); ++i) {
    Operation *user = *op->user_begin();
    if (!isa<onnx::AddOp, onnx::WhereOp, onnx::ReduceSumOp, onnx::ConcatOp, onnx::UnsqueezeOp>(
            user))
      return op;
    op = user;
  }
  return op;
}

StringRef Choice::find(Operation *&at) const {
  // Terms by the sum that they are of: gate and branch.
  llvm::MapVector<Operation *, SmallVector<std::pair<Value, Value>>> sums;
  for (Value gate : gates)
    for (Operation *user : gate.getUsers()) {
      at = user;
      if (isa<onnx::NonZeroOp>(user))
        return "rows are picked by the greatest of scores, but no sum over what is made of them is "
               "seen";
      const bool picks = isa<onnx::GatherOp, onnx::GatherNDOp, onnx::GatherElementsOp>(user) &&
                         isInteger(gate) && gate == user->getOperand(1);
      if (picks && hasAllMatrices(user->getOperand(0)))
        return "parameters are picked by the greatest of scores, but no sum over what is made of "
               "them is seen";
      if (picks && !isParameter(user->getOperand(0)) && isStack(user->getOperand(0)))
        return "results of modules are picked by the greatest of scores, but no sum over them is "
               "seen";
      if (!isa<onnx::MulOp, onnx::WhereOp, onnx::MatMulOp, onnx::EinsumOp>(user))
        continue;
      if (!isInteger(gate) &&
          llvm::any_of(user->getOperands(), [&](Value operand) { return hasAllMatrices(operand); }))
        return "inputs of all modules are weighed by which scores are the greatest, but no sum "
               "over the modules is seen";
      for (Value branch : user->getOperands()) {
        if (branch == gate || isMine(branch) || !isBranch(branch))
          continue;
        if (isStack(branch) && !isInteger(gate))
          return "results of all modules are weighed by which scores are the greatest, but no sum "
                 "over the modules is seen";
        sums[endOfSum(user)].push_back({gate, branch});
      }
    }
  for (auto &[sum, terms] : sums)
    for (auto [gate, branch] : terms)
      if (gate != terms.front().first && branch != terms.front().second &&
          ownProduct(branch) != ownProduct(terms.front().second)) {
        at = sum;
        return "branches are weighed by which scores are the greatest, but their gates are not all "
               "seen as those of one router";
      }
  return "";
}

llvm::StringSet<> Choice::nodes() const {
  llvm::StringSet<> names;
  for (Value gate : gates)
    for (Operation *user : gate.getUsers()) {
      names.insert(originOf(user->getLoc()).node);
      names.insert(originOf(endOfSum(user)->getLoc()).node);
    }
  return names;
}

void graft::raise::leaveRest(Raising &raising, func::FuncOp main) {
  const size_t before = raising.report.left.size();
  for (Operation &op : main.getBody().front()) {
    auto scores = op.getNumOperands() ? typeOf(op.getOperand(0)) : nullptr;
    if (!isa<onnx::TopKOp, onnx::ArgMaxOp>(op) || !scores || scores.getRank() == 0)
      continue;
    const Choice choice(&op, scores.getShape().back());
    Operation *at = nullptr;
    const StringRef why = choice.find(at);
    if (why.empty())
      continue;
    const llvm::StringSet<> nodes = choice.nodes();
    if (llvm::none_of(ArrayRef(raising.report.left).take_front(before),
                      [&](const RaiseReport::Left &left) { return nodes.contains(left.node); }))
      raising.leave(at, why);
  }
}
