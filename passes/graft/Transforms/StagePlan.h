//===- StagePlan.h - Where tasks part: the tree of stages over a backbone's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_STAGEPLAN_H
#define GRAFT_TRANSFORMS_STAGEPLAN_H

#include "graft/Modular/Modular.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"

#include <optional>

namespace graft {

class RowIndependence;

/// What a task runs on at one adapt: a parameter, and what is kept beside it.
struct TaskBinding {
  modular::ParameterOp parameter; ///< frozen or folded
  struct Branch {
    modular::ParameterOp down, up; ///< `up` has the scale multiplied in
    modular::ParameterOp rowScale; ///< or null
  };
  llvm::SmallVector<Branch> branches;

  bool operator==(const TaskBinding &other) const;
  bool operator!=(const TaskBinding &other) const { return !(*this == other); }
};

/// The bindings of all tasks: task, then adapt.
using TaskBindings =
    llvm::MapVector<mlir::StringAttr, llvm::DenseMap<mlir::Operation *, TaskBinding>>;

/// The ops of a backbone in order, without those that are rematerialised; the terminator is the
/// last.
///
/// A stage clones for itself, instead of taking their results from another stage: constants, what
/// is computed of constants alone, and shape arithmetic, whose meaning shape inference would lose
/// at a cut.
struct Spine {
  explicit Spine(mlir::func::FuncOp function);
  llvm::SmallVector<mlir::Operation *> ops;
  llvm::DenseMap<mlir::Operation *, unsigned> number;

  bool isRematerialized(mlir::Operation *op) const { return !number.count(op); }
  /// The numbers of the first and the last op of the spine that use a value of `op`, through
  /// rematerialised ops; the size of the spine and 0 if none does.
  std::pair<unsigned, unsigned> uses(mlir::Operation *op) const;
};

/// A node of the tree: ops [begin, end) of the spine, for `tasks`, which are bound alike there.
struct PlannedStage {
  int parent = -1;
  unsigned begin, end;
  llvm::SmallVector<mlir::StringAttr> tasks;
};

/// The tree in which tasks share all that comes before the first op at which their bindings differ.
/// Every path is cut at the same ops, so that stages of different tasks can share code. Parents
/// come before their children.
std::vector<PlannedStage> planStages(const Spine &spine, const TaskBindings &bindings);

/// A stage in which rows of several tasks run together, with the low-rank modules that each task
/// keeps beside the frozen weights: from where its tasks part to the end of the spine.
struct RowStage {
  int parent = -1;                           ///< among the planned stages
  unsigned begin = 0;                        ///< on the spine
  llvm::SmallVector<mlir::StringAttr> tasks; ///< a task's key is its number here
  /// What a task adds at an adapt.
  struct Module {
    int64_t key;
    modular::ParameterOp down, up;
    int64_t start = 0; ///< which rank of `down` is the first that `up` takes
  };
  /// By ascending key. Without an entry: nothing.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Module>> modules;
};

/// Tasks that have no part in a row stage, and why.
using TasksApart = llvm::MapVector<mlir::StringAttr, std::string>;

/// The row stage of the tasks that have one, if that are two with modules or more. Modules of one
/// task at one adapt are joined into one, and the narrow downs of those that read one value.
mlir::FailureOr<std::optional<RowStage>>
planRowStage(mlir::func::FuncOp main, const Spine &spine, const TaskBindings &bindings,
             llvm::ArrayRef<PlannedStage> stages, const RowIndependence &rows, TasksApart &apart);

/// The symbols of a model's input dimensions, in the order in which they first stand in the
/// `modular.dims` of its arguments.
llvm::SmallVector<mlir::StringAttr> getModelSymbols(mlir::func::FuncOp main);

} // namespace graft

#endif // GRAFT_TRANSFORMS_STAGEPLAN_H
