//===- Commands.h - graft run, bench and inspect ----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_COMMANDS_H
#define GRAFT_COMMANDS_COMMANDS_H

#include "graft/Commands/Compare.h"
#include "graft/Commands/Routing.h"
#include "graft/Commands/Session.h"

namespace graft::commands {

/// Exit codes beside those of `graft_status`.
constexpr int kComparisonFailed = 3;

/// The code to exit with; words go to standard error, in one line.
int exitCode(const Status &status);

struct RunOptions {
  SessionOptions session;
  std::vector<std::string> outputs, expected; ///< NAME=@FILE.npy
  Tolerance tolerance;
  RoutingOptions routing;
};
int runCommand(const RunOptions &options);

struct BenchOptions {
  SessionOptions session;
  int64_t iterations = 0; ///< 0: as many as fit into a second, at least ten
  int64_t warmup = 3;
};
int benchCommand(const BenchOptions &options);

/// Of a library; other files are for the compiler to look at.
int inspectCommand(const std::string &path, bool json);
/// A file that begins as ELF files do, or is called .so.
bool isLibrary(const std::string &path);

/// Hands the whole command line to libGraft.so, which is loaded only here.
int compilerMain(int argc, char **argv);

/// The `graft` executable.
int graftMain(int argc, char **argv);

} // namespace graft::commands

#endif
