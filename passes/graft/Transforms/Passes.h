//===- Passes.h - Passes from the modular dialect to itself -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_PASSES_H
#define GRAFT_TRANSFORMS_PASSES_H

#include "graft/Analysis/Residency.h"
#include "graft/Modular/Modular.h"
#include "graft/Transforms/RaiseReport.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>

namespace graft {
#define GEN_PASS_DECL
#include "graft/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "graft/Transforms/Passes.h.inc"

/// The pass with all that planResidency is asked; `onPlan`, if any, is shown the plan while its ops
/// are there.
std::unique_ptr<mlir::Pass>
createRaiseRoutingPass(bool repair, std::function<void(const RaiseReport &)> onRaise);
std::unique_ptr<mlir::Pass>
createPlanResidencyPass(const ResidencyOptions &options,
                        std::function<void(const ResidencyPlan &)> onPlan);

/// What a profile has made of one router.
struct PrunedRouter {
  std::string router;
  int64_t left, modules; ///< how many modules were left out, of how many
  double lost;           ///< their share of the profile's weights
};

/// The pass on the profile in a file, none if the path is empty; `onPrune`, if any, is told of each
/// router of the profile.
std::unique_ptr<mlir::Pass>
createPruneModulesPass(llvm::StringRef profile, std::function<void(const PrunedRouter &)> onPrune);
} // namespace graft

#endif // GRAFT_TRANSFORMS_PASSES_H
