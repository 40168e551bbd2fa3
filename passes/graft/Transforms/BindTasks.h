//===- BindTasks.h - What each task runs on at each adapt -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_BINDTASKS_H
#define GRAFT_TRANSFORMS_BINDTASKS_H

#include "graft/Analysis/Residency.h"
#include "graft/Transforms/StagePlan.h"

namespace graft {

/// Writes the plan's choices to the adapts: `modular.residency = {task = …}` with "branch", "fold",
/// or, where the plan has kept what it evaluated, the parameter that holds it. Takes those values
/// from the plan.
void recordResidency(mlir::ModuleOp module, ResidencyPlan &plan);

/// Evaluates what is still to be folded and prepares what is branched, as `modular.residency` says,
/// "fold" where it says nothing. New parameters are declared once for all tasks that share them.
mlir::FailureOr<TaskBindings> bindTasks(mlir::ModuleOp module);

/// One branch that adds what all of `branches` do, none of which scales rows: the ranks one after
/// another.
mlir::FailureOr<TaskBinding::Branch> joinBranches(mlir::ModuleOp module,
                                                  llvm::ArrayRef<TaskBinding::Branch> branches);
/// Matrices of one width, one on top of another.
mlir::FailureOr<modular::ParameterOp> stackRows(mlir::ModuleOp module,
                                                llvm::ArrayRef<modular::ParameterOp> parts);

} // namespace graft

#endif // GRAFT_TRANSFORMS_BINDTASKS_H
