//===- DriverMain.cpp - Where the graft executable enters libGraft.so -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Driver/Commands.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

extern "C" int graft_driver_main(int argc, char **argv) {
  llvm::StringRef command = argc > 1 ? argv[1] : "";
  if (command == "compile")
    return graft::runCompileCommand(argc - 1, argv + 1);
  if (command == "inspect")
    return graft::runInspectCommand(argc - 1, argv + 1);
  llvm::errs() << "error: graft: expected compile or inspect, found '" << command << "'\n";
  return 1;
}
