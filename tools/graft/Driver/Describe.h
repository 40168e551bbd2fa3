//===- Describe.h - What a compilation tells: to the artifact and to its user -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_DESCRIBE_H
#define GRAFT_DRIVER_DESCRIBE_H

#include "graft/Analysis/Residency.h"
#include "graft/Analysis/RowIndependence.h"
#include "graft/Artifact/Artifact.h"

namespace graft {

/// The choices of a residency plan by name, one row for each site and set of adapters. What a spec
/// says of tasks is none of them.
struct ResidencyRow {
  std::string site;
  std::vector<std::string> adapters, tasks;
  SiteResidency choice; ///< its ops may be gone
};
struct ResidencyReport {
  std::vector<ResidencyRow> rows;
  uint64_t bytes = 0, leastBytes = 0; ///< of the plan
};
ResidencyReport describeResidency(const ResidencyPlan &plan);

/// The cost model as it was applied: what each adapter's sites cost either way, what was chosen,
/// and the bytes that it predicts.
void printResidency(llvm::raw_ostream &out, const ResidencyReport &residency,
                    const ResidencyOptions &options);

/// What a device's machine code takes, in a line.
void printImage(llvm::raw_ostream &out, const DeviceImage &image);

/// How many tasks' rows run together, and why others' don't; nothing where none do.
void printRows(llvm::raw_ostream &out, mlir::ModuleOp module);

/// The manifest's `rows`: whether tasks may be mixed in a batch, or the op that forbids it.
llvm::json::Object describeRows(const RowIndependence &rows);

/// The manifest's `routers`: those whose routes a run shows. `module` has its backbone in @main
/// yet.
llvm::json::Array describeRouters(mlir::ModuleOp module);

/// The manifest's `hidden_routers`: the names of those whose routes no run shows.
llvm::json::Array describeHiddenRouters(mlir::ModuleOp module);

/// The artifact of a module that SplitTasks has made, with the code of its bodies.
mlir::FailureOr<ArtifactSpec> describeArtifact(mlir::ModuleOp module,
                                               const std::vector<StageCode> &codes,
                                               const ResidencyReport &residency);

} // namespace graft

#endif // GRAFT_DRIVER_DESCRIBE_H
