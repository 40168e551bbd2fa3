//===- PlanResidency.cpp - Decides where each module lives -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Residency.h"
#include "graft/Transforms/BindTasks.h"
#include "graft/Transforms/Passes.h"

#include "llvm/ADT/StringSwitch.h"

namespace graft {
#define GEN_PASS_DEF_PLANRESIDENCYPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace graft;

namespace {
struct PlanResidencyPass : graft::impl::PlanResidencyPassBase<PlanResidencyPass> {
  using PlanResidencyPassBase::PlanResidencyPassBase;

  void runOnOperation() override {
    auto chosen = llvm::StringSwitch<std::optional<FoldPolicy>>(policy)
                      .Case("auto", FoldPolicy::Auto)
                      .Case("always", FoldPolicy::Always)
                      .Case("never", FoldPolicy::Never)
                      .Default(std::nullopt);
    if (!chosen) {
      getOperation().emitError() << "expected fold=auto, always or never, found " << policy;
      return signalPassFailure();
    }
    ResidencyOptions options;
    options.policy = *chosen;
    options.tolerance = tolerance;
    if (budget >= 0)
      options.memoryBudget = budget;
    auto plan = planResidency(getOperation(), options);
    if (mlir::failed(plan))
      return signalPassFailure();
    recordResidency(*plan);
  }
};
} // namespace
