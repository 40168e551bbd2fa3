//===- CompileOptions.h - What graft compile is asked for -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_COMPILEOPTIONS_H
#define GRAFT_DRIVER_COMPILEOPTIONS_H

#include "graft/Link/Link.h"
#include "graft/Pipelines/Phases.h"

#include <string>
#include <vector>

namespace graft {

struct CompileOptions {
  std::string backbone;
  std::string output;               ///< "-": text to standard output, without weights
  std::vector<std::string> plugins; ///< libraries with dialects and passes, in order
  std::string routingProfile;       ///< see PhaseOptions
  LinkOptions link;
  std::string spec; ///< a file that states routers and modules, or nothing
  ResidencyOptions residency;
  CpuTarget target = CpuTarget::native();
  bool device = false;                    ///< kernels for a GPU too
  std::vector<std::string> architectures; ///< that kernels are assembled for, as sm_90a
  std::string deviceTools;                ///< the folder of ptxas, or empty: PATH
  bool splitTasks = false;
  bool repair = false; ///< what an export froze of routing
  bool allowLinks = false;
  bool timeReport = false;
  bool denseRouting = false; ///< every module for every row: the oracle
  bool warningsAreErrors = false;
  Phase emit = Phase::Write; ///< the last phase
};

/// Compiles, and returns the exit code: 0 done, 1 the input is at fault, 2 not supported, 70 an
/// internal error. Errors go to standard error; on any, no output file is left.
int compile(const CompileOptions &options);

} // namespace graft

#endif // GRAFT_DRIVER_COMPILEOPTIONS_H
