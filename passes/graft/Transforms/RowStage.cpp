//===- RowStage.cpp - Which tasks' rows can run together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/RowIndependence.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/BindTasks.h"
#include "graft/Transforms/StageProduct.h"

#include <map>

using namespace mlir;
using namespace graft;
using namespace graft::modular;

/// A product of rows with a weight, to which another can be added.
static bool isRowProduct(Operation *op, const RowIndependence &rows) {
  auto rankOf = [](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type ? type.getRank() : 0;
  };
  if (rankOf(op->getOperand(0)) < 2 || !rows.isInRowOrder(op->getOperand(0)))
    return false;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return isPlainGemm(gemm);
  return isa<onnx::MatMulOp>(op);
}

/// Why what a task has at an adapt has no form in a row stage; empty if it has one.
static StringRef whyApart(AdaptOp adapt, const TaskBinding &binding, const RowIndependence &rows) {
  auto site = adapt.getSite().getDefiningOp<SiteOp>();
  if (ParameterOp(binding.parameter).getSymName() != site.getParameter())
    return "has weights of its own at";
  if (binding.branches.empty())
    return "";
  for (const TaskBinding::Branch &branch : binding.branches)
    if (branch.rowScale)
      return "scales what comes of";
  std::optional<SmallVector<OpOperand *>> uses = getLinearUses(adapt);
  for (OpOperand *use : uses.value_or(SmallVector<OpOperand *>()))
    if (!isRowProduct(use->getOwner(), rows))
      return "has modules beside what is no product of rows at";
  return "";
}

/// Joins the downs of a task's modules that read one value, as WidenProducts does in the task's own
/// stages: then both read the same parameter.
static LogicalResult shareDowns(mlir::ModuleOp module, ArrayRef<AdaptOp> adapts, RowStage &stage) {
  llvm::MapVector<Value, SmallVector<AdaptOp>> readers;
  for (AdaptOp adapt : adapts)
    if (stage.modules.count(adapt))
      if (auto uses = getLinearUses(adapt); uses && uses->size() == 1)
        readers[uses->front()->getOwner()->getOperand(0)].push_back(adapt);
  std::map<std::vector<Operation *>, ParameterOp> joined;
  for (auto &[x, own] : readers) {
    llvm::sort(own, [](AdaptOp a, AdaptOp b) {
      auto reader = [](AdaptOp adapt) { return getLinearUses(adapt)->front()->getOwner(); };
      return reader(a)->isBeforeInBlock(reader(b));
    });
    for (int64_t key = 0; key < int64_t(stage.tasks.size()); ++key) {
      SmallVector<RowStage::Module *> modules;
      std::vector<Operation *> downs;
      for (AdaptOp adapt : own)
        for (RowStage::Module &each : stage.modules[adapt])
          if (each.key == key && each.down.getType().getDimSize(0) <= kNarrowProduct) {
            modules.push_back(&each);
            downs.push_back(each.down);
          }
      if (modules.size() < 2)
        continue;
      ParameterOp &all = joined[downs];
      if (!all) {
        auto parts =
            llvm::map_to_vector(downs, [](Operation *op) { return cast<ParameterOp>(op); });
        FailureOr<ParameterOp> stacked = stackRows(module, parts);
        if (failed(stacked))
          return failure();
        all = *stacked;
      }
      int64_t start = 0;
      for (RowStage::Module *each : modules) {
        each->start = start;
        start += each->down.getType().getDimSize(0);
        each->down = all;
      }
    }
  }
  return success();
}

FailureOr<std::optional<RowStage>>
graft::planRowStage(func::FuncOp main, const Spine &spine, const TaskBindings &bindings,
                    ArrayRef<PlannedStage> stages, const RowIndependence &rows, TasksApart &apart) {
  auto hasBranch = [](auto &entry) { return !entry.second.branches.empty(); };
  auto countOf = [&](auto &&isOne) { return llvm::count_if(bindings, isOne); };
  if (countOf([&](auto &task) { return llvm::any_of(task.second, hasBranch); }) < 2)
    return std::optional<RowStage>();
  if (!rows)
    return std::optional<RowStage>();

  SmallVector<AdaptOp> inOrder;
  main.walk([&](AdaptOp adapt) { inOrder.push_back(adapt); });
  RowStage stage;
  unsigned withModules = 0;
  for (auto &[task, adapts] : bindings) {
    std::string why;
    unsigned first = spine.ops.size();
    for (AdaptOp adapt : inOrder) {
      auto binding = adapts.find(adapt);
      StringRef reason = binding == adapts.end() ? "" : whyApart(adapt, binding->second, rows);
      if (reason.empty() || spine.uses(adapt).first >= first)
        continue;
      first = spine.uses(adapt).first;
      why = (reason + " '" + adapt.getSite().getDefiningOp<SiteOp>().getPath() + "'").str();
    }
    if (!why.empty()) {
      apart[task] = why;
      continue;
    }
    stage.tasks.push_back(task);
    withModules += llvm::any_of(adapts, hasBranch);
  }
  if (withModules < 2)
    return std::optional<RowStage>();

  for (size_t i = 0; i < stages.size(); ++i)
    if (stages[i].end > stage.begin && llvm::all_of(stage.tasks, [&](StringAttr task) {
          return llvm::is_contained(stages[i].tasks, task);
        })) {
      stage.parent = i;
      stage.begin = stages[i].end;
    }
  // In the order of the backbone, so that what is made has the same names each time.
  auto module = main->getParentOfType<mlir::ModuleOp>();
  std::map<std::vector<Operation *>, TaskBinding::Branch> joined;
  for (AdaptOp adapt : inOrder)
    for (auto [key, task] : llvm::enumerate(stage.tasks)) {
      ArrayRef<TaskBinding::Branch> branches =
          bindings.find(task)->second.find(adapt)->second.branches;
      if (branches.empty())
        continue;
      std::vector<Operation *> downs;
      for (const TaskBinding::Branch &each : branches)
        downs.push_back(each.down);
      auto [entry, isNew] = joined.try_emplace(downs, branches.front());
      if (isNew && branches.size() > 1) {
        FailureOr<TaskBinding::Branch> all = joinBranches(module, branches);
        if (failed(all))
          return failure();
        entry->second = *all;
      }
      stage.modules[adapt].push_back({int64_t(key), entry->second.down, entry->second.up});
    }
  if (failed(shareDowns(module, inOrder, stage)))
    return failure();
  return std::optional(std::move(stage));
}
