//===- Compile.h - A graph on its way to a library, in this process -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_FUZZ_COMPILE_H
#define GRAFT_FUZZ_COMPILE_H

#include "graft/Pipelines/Phases.h"

#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <string>

namespace graft::fuzz {

/// What one compilation is told.
struct Choices {
  bool dense = false; ///< every module on every row: the oracle
  FoldPolicy fold = FoldPolicy::Auto;
  CpuTarget target = CpuTarget::native();
  unsigned optLevel = 0; ///< of LLVM's
  bool instrumented = false;
  bool roundTrips = false; ///< each level is printed, parsed and printed again
  bool overruns = false;   ///< plants a write behind the end of a buffer
};

/// What was found on the way.
struct Compiled {
  bool rowsAreIndependent = false;
  unsigned dispatched = 0, dense = 0; ///< applies that are computed sparsely, and for all rows
  unsigned differing = 0;             ///< of the former those whose modules have other ops
};

/// Takes `module`, at the modular level, through the phases that `graft compile` has after linking,
/// verified after each pass, and writes a library.
/// \returns what went wrong, or nothing
std::string compile(mlir::OwningOpRef<mlir::ModuleOp> module, const Choices &choices,
                    llvm::StringRef path, Compiled &compiled);

/// Prints, parses and prints again. \returns what went wrong, or nothing
std::string roundTrip(mlir::ModuleOp module);

/// Counts the names of ops, and for ops of the modular dialect also their attributes that name a
/// choice.
void countOps(mlir::ModuleOp module, std::map<std::string, uint64_t> &counts);

} // namespace graft::fuzz

#endif // GRAFT_FUZZ_COMPILE_H
