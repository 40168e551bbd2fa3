//===- Commands.h - The commands that need the compiler -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_COMMANDS_H
#define GRAFT_DRIVER_COMMANDS_H

namespace graft {

/// `graft compile …`, `graft inspect FILE.onnx | ADAPTER_DIR`: argv[0] is the command's name. They
/// return exit codes.
int runCompileCommand(int argc, char **argv);
int runInspectCommand(int argc, char **argv);

} // namespace graft

/// What the graft executable, which does not link the compiler, looks up in libGraft.so: `argv` as
/// main got it.
extern "C" int graft_driver_main(int argc, char **argv);

#endif // GRAFT_DRIVER_COMMANDS_H
