//===- Phases.h - The phases of a compilation, in one table -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_PIPELINES_PHASES_H
#define GRAFT_PIPELINES_PHASES_H

#include "graft/Analysis/Residency.h"
#include "graft/Codegen/Cpu/Codegen.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/RaiseReport.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <functional>

namespace mlir {
class OpPassManager;
}

namespace graft {

/// In the order in which they run.
enum class Phase : unsigned {
  Import,
  Link,
  Raise,
  Specialize,
  Lower,
  Fuse,
  Bufferize,
  Place,
  Device,
  Ptx,
  Cubin,
  Generate,
  Select,
  Assemble,
  Write
};

/// What the passes of all phases are told.
struct PhaseOptions {
  ResidencyOptions residency;
  CodegenOptions codegen;
  /// Whether stages get kernels for a GPU beside their code for the CPU.
  bool device = false;
  /// Whether every module is computed for every row: the oracle of what is sparse.
  bool denseRouting = false;
  /// A file of `graft run --routing-stats`: modules that it never uses are left out. None if empty.
  std::string routingProfile;
  /// Called with each router of that profile; or null.
  std::function<void(const PrunedRouter &)> onPrune;
  /// Whether what an export froze of routing is compiled as what was traced.
  bool repair = false;
  /// Called with what of routing was recognised; or null.
  std::function<void(const RaiseReport &)> onRaise;
  /// Whether rows of several tasks have a body in which they run together.
  bool rowStage = true;
  /// Called with what Specialize has decided, while the plan's ops are there; or null.
  std::function<void(const ResidencyPlan &)> onPlan;
};

/// A line of the table: from it come the driver's loop, the choices of `--emit`, the pipelines of
/// graft-opt and the list in docs/Passes.md.
struct PhaseInfo {
  Phase phase;
  llvm::StringLiteral name;  ///< in lower case; the pipeline of its passes is `--graft-NAME`
  llvm::StringLiteral level; ///< what `--emit` calls what the phase yields; empty: no place to stop
  bool isText;               ///< whether that is text
  llvm::StringLiteral doc;   ///< what it yields, in a line
  /// Adds its passes; null where files are read or written.
  void (*build)(mlir::OpPassManager &, const PhaseOptions &);
};

llvm::ArrayRef<PhaseInfo> getPhases();
const PhaseInfo &getPhase(Phase phase);

/// The phase after which `--emit level` stops, or null if there is no such level.
const PhaseInfo *findLevel(llvm::StringRef level);
/// "onnx, modular, … or so"
std::string listLevels();

/// Makes each phase that has passes a pipeline, `--graft-NAME`.
void registerPhasePipelines();

/// The table in Markdown, with the passes of each phase.
void printPhases(llvm::raw_ostream &out);

} // namespace graft

#endif // GRAFT_PIPELINES_PHASES_H
