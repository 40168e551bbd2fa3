//===- StagePlan.cpp - Where tasks part: the tree of stages over a backbone's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/StagePlan.h"

#include "graft/Onnx/Onnx.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

#include <map>
#include <set>

using namespace mlir;
using namespace graft;

bool TaskBinding::operator==(const TaskBinding &other) const {
  return parameter == other.parameter &&
         llvm::equal(branches, other.branches, [](const Branch &a, const Branch &b) {
           return a.down == b.down && a.up == b.up && a.rowScale == b.rowScale;
         });
}

/// Small integer tensors of static shape are what exporters compute shapes with.
static bool isShapeLike(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape() && tensor.getRank() <= 1 &&
         tensor.getNumElements() <= 16 && tensor.getElementType().isInteger(64);
}

/// `rematerialized` says it of the ops before `op`.
static bool canRematerialize(Operation *op, const llvm::DenseSet<Operation *> &rematerialized) {
  if (isa<onnx::ConstantOp, modular::SiteOp, modular::AdaptOp, modular::RouteOp>(op))
    return true;
  // Routes and parts are no tensors that a stage could hand on: what aggregates them computes them.
  if (isa<modular::RouteOfOp, modular::ApplyOp>(op))
    return true;
  if (op->hasTrait<OpTrait::IsTerminator>() || !isMemoryEffectFree(op) || op->getNumRegions() != 0)
    return false;
  // What the function returns is computed by some stage, even if it is a constant.
  if (llvm::any_of(op->getUsers(),
                   [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); }))
    return false;
  if (isa<onnx::ShapeOp, onnx::SizeOp>(op))
    return true;
  auto isDerived = [&](Value operand) {
    return operand.getDefiningOp() && rematerialized.contains(operand.getDefiningOp());
  };
  if (op->getNumOperands() == 0 || !llvm::all_of(op->getOperands(), isDerived))
    return false;
  return llvm::all_of(op->getResultTypes(), isShapeLike) ||
         isa<onnx::TransposeOp, onnx::CastOp, onnx::IdentityOp, onnx::ReshapeOp, onnx::UnsqueezeOp,
             onnx::SqueezeOp, onnx::SliceOp, onnx::ConcatOp>(op);
}

Spine::Spine(func::FuncOp function) {
  llvm::DenseSet<Operation *> rematerialized;
  for (Operation &op : function.getBody().front()) {
    if (canRematerialize(&op, rematerialized)) {
      rematerialized.insert(&op);
      continue;
    }
    number[&op] = ops.size();
    ops.push_back(&op);
  }
}

std::pair<unsigned, unsigned> Spine::uses(Operation *op) const {
  unsigned first = ops.size(), last = 0;
  SmallVector<Operation *> worklist = {op};
  llvm::DenseSet<Operation *> seen;
  while (!worklist.empty())
    for (Operation *user : worklist.pop_back_val()->getUsers()) {
      Operation *ancestor = op->getBlock()->findAncestorOpInBlock(*user);
      if (auto found = number.find(ancestor); found != number.end()) {
        first = std::min(first, found->second);
        last = std::max(last, found->second);
      } else if (seen.insert(ancestor).second) {
        worklist.push_back(ancestor);
      }
    }
  return {first, last};
}

std::vector<PlannedStage> graft::planStages(const Spine &spine, const TaskBindings &bindings) {
  // The adapts in the order in which the spine reaches them.
  std::vector<std::pair<unsigned, Operation *>> adapts;
  if (!bindings.empty())
    for (auto &[adapt, binding] : bindings.begin()->second)
      adapts.push_back({spine.uses(adapt).first, adapt});
  llvm::sort(adapts, [](auto &a, auto &b) { return a.first < b.first; });
  auto differ = [&](StringAttr a, StringAttr b, Operation *adapt) {
    return bindings.find(a)->second.lookup(adapt) != bindings.find(b)->second.lookup(adapt);
  };

  // Cuts: wherever a task first parts from another.
  std::set<unsigned> cuts = {0, unsigned(spine.ops.size())};
  using Group = SmallVector<StringAttr>;
  Group all;
  for (auto &[task, unused] : bindings)
    all.push_back(task);
  // For each op at which tasks part, the partition of all tasks that holds from there on.
  std::map<unsigned, std::vector<Group>> partitions;
  std::vector<Group> current = {all};
  for (auto &entry : adapts) {
    const unsigned position = entry.first;
    Operation *adapt = entry.second;
    std::vector<Group> next;
    for (Group &group : current) {
      std::vector<Group> parts;
      for (StringAttr task : group) {
        auto same =
            llvm::find_if(parts, [&](Group &part) { return !differ(part.front(), task, adapt); });
        if (same == parts.end())
          parts.push_back({task});
        else
          same->push_back(task);
      }
      llvm::append_range(next, parts);
    }
    if (next.size() != current.size()) {
      cuts.insert(position);
      partitions[position] = next;
    }
    current = std::move(next);
  }

  std::vector<PlannedStage> stages;
  llvm::DenseMap<StringAttr, int> last; // the stage that a task's path has reached
  std::vector<Group> groups = {all};
  for (auto cut = cuts.begin(); std::next(cut) != cuts.end(); ++cut) {
    if (auto found = partitions.find(*cut); found != partitions.end())
      groups = found->second;
    for (Group &group : groups) {
      auto parent = last.find(group.front());
      PlannedStage stage;
      stage.parent = parent == last.end() ? -1 : parent->second;
      stage.begin = *cut;
      stage.end = *std::next(cut);
      stage.tasks = group;
      for (StringAttr task : group)
        last[task] = stages.size();
      stages.push_back(std::move(stage));
    }
  }
  return stages;
}

SmallVector<StringAttr> graft::getModelSymbols(func::FuncOp main) {
  llvm::SetVector<StringAttr> symbols;
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    if (auto dims = main.getArgAttrOfType<ArrayAttr>(i, "modular.dims"))
      for (auto dim : dims.getAsRange<StringAttr>())
        if (int64_t number; dim.getValue().getAsInteger(10, number))
          symbols.insert(dim);
  return symbols.takeVector();
}
