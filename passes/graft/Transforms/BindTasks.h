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

/// Writes the plan's choices to the adapts: `modular.residency = {task = "fold" or "branch"}`.
void recordResidency(const ResidencyPlan &plan);

/// Evaluates what is folded and prepares what is branched, as `modular.residency` says, "fold"
/// where it says nothing. New parameters are declared once for all tasks that share them.
mlir::FailureOr<TaskBindings> bindTasks(mlir::ModuleOp module);

} // namespace graft

#endif // GRAFT_TRANSFORMS_BINDTASKS_H
