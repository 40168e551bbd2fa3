//===- PlanResidency.cpp - Decides where each module lives -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Residency.h"
#include "graft/Transforms/BindTasks.h"
#include "graft/Transforms/Passes.h"

namespace graft {
#define GEN_PASS_DEF_PLANRESIDENCYPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace graft;

namespace {
struct PlanResidencyPass : graft::impl::PlanResidencyPassBase<PlanResidencyPass> {
  using PlanResidencyPassBase::PlanResidencyPassBase;
  PlanResidencyPass(const PlanResidencyPassOptions &options,
                    std::function<void(const ResidencyPlan &)> onPlan)
      : PlanResidencyPassBase(options), onPlan(std::move(onPlan)) {}

  void runOnOperation() override {
    ResidencyOptions options;
    options.policy = policy;
    options.tolerance = tolerance;
    if (budget >= 0)
      options.memoryBudget = budget;
    options.lanes = lanes;
    auto plan = planResidency(getOperation(), options);
    if (mlir::failed(plan))
      return signalPassFailure();
    recordResidency(getOperation(), *plan);
    if (onPlan)
      onPlan(*plan);
  }

  std::function<void(const ResidencyPlan &)> onPlan;
};
} // namespace

std::unique_ptr<mlir::Pass>
graft::createPlanResidencyPass(const ResidencyOptions &options,
                               std::function<void(const ResidencyPlan &)> onPlan) {
  PlanResidencyPassOptions given;
  given.policy = options.policy;
  given.tolerance = options.tolerance;
  given.budget = options.memoryBudget ? int64_t(*options.memoryBudget) : -1;
  given.lanes = options.lanes;
  return std::make_unique<PlanResidencyPass>(given, std::move(onPlan));
}
