//===- Residency.h - Where a module's parameters live: folded or beside -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_RESIDENCY_H
#define GRAFT_ANALYSIS_RESIDENCY_H

#include "graft/Modular/ParameterValues.h"

#include "mlir/IR/BuiltinOps.h"

#include <optional>

namespace graft {

/// `--fold`: by the cost model, wherever a module enters, or only where nothing else can be done.
enum class FoldPolicy { Auto, Always, Never };

/// Folded into a copy of the weight, or kept as a side branch beside the frozen one.
enum class Residency { Fold, Branch };

struct ResidencyOptions {
  FoldPolicy policy = FoldPolicy::Auto;
  double tolerance = 1e-3;              ///< of AdaptedValue::error
  std::optional<uint64_t> memoryBudget; ///< bytes of weights
  unsigned lanes = 16;                  ///< floats in a vector: packed weights are padded to it
};

/// The modules of one route at one adapt, and what is done with them.
struct SiteResidency {
  modular::AdaptOp adapt;
  llvm::SmallVector<mlir::StringAttr> modules; ///< the router's names that enter here
  llvm::SmallVector<mlir::StringAttr> tasks;   ///< whose route that is
  bool canBranch = false;
  double foldError = 0;   ///< see AdaptedValue
  uint64_t foldBytes = 0; ///< of the folded copy, in all forms
  /// The forms in which the copy is stored, and their bytes.
  llvm::SmallVector<std::pair<unsigned, uint64_t>, 1> foldForms;
  uint64_t branchBytes = 0;                ///< of the thin matrices of all modules
  llvm::SmallVector<uint64_t> moduleBytes; ///< of those of each
  uint64_t branchFlops = 0;                ///< for each row that runs through the branch
  Residency choice = Residency::Fold;
  /// What planning has evaluated, where it is chosen and there was room to keep it.
  std::optional<modular::AdaptedValue> folded;
};

struct ResidencyPlan {
  std::vector<SiteResidency> sites;
  uint64_t frozenBytes = 0; ///< of the weights that the backbone itself needs, each content once
  uint64_t bytes = 0;       ///< of all weights as chosen
  uint64_t leastBytes = 0;  ///< of all weights where every site takes the least
};

/// Decides for every adapt and task. Fails with an error where a fold that can't be avoided, or any
/// under `Always`, is above the tolerance, and where the least possible is above the budget.
mlir::FailureOr<ResidencyPlan> planResidency(mlir::ModuleOp module,
                                             const ResidencyOptions &options);

/// Each weight begins at a multiple of these bytes in the library.
constexpr uint64_t kWeightAlignment = 64;

/// Without a budget, `Auto` folds while all weights stay below this multiple of the frozen ones.
constexpr uint64_t kDefaultBudgetMultiple = 4;

/// The operands that the value of `adapt` reaches through transposes and identities, where each is
/// the parameter of an op that is linear in it and sees it as the site does; nothing if there is
/// any other use.
std::optional<llvm::SmallVector<mlir::OpOperand *>> getLinearUses(modular::AdaptOp adapt);

} // namespace graft

#endif // GRAFT_ANALYSIS_RESIDENCY_H
