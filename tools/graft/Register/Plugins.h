//===- Plugins.h - Dialects and passes of somebody else's -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_REGISTER_PLUGINS_H
#define GRAFT_REGISTER_PLUGINS_H

#include "mlir/IR/DialectRegistry.h"
#include "llvm/Support/Error.h"

namespace graft {

/// Loads a plugin as MLIR defines them: a shared library with `mlirGetDialectPluginInfo`,
/// `mlirGetPassPluginInfo` or both. Its dialects go into `registry`, its passes into MLIR's
/// registry; they stay until the process ends. An error names the file and what is wrong with it.
llvm::Error loadPlugin(llvm::StringRef path, mlir::DialectRegistry &registry);

/// Loads the dialects of the libraries that `--load-pass-plugin` names: MLIR's option takes a
/// library's passes only, and a plugin that brings a router is nothing without its dialect. What
/// is no such plugin is left to MLIR's option, which complains.
void loadDialectsOfPassPlugins(int argc, char **argv, mlir::DialectRegistry &registry);

} // namespace graft

#endif // GRAFT_REGISTER_PLUGINS_H
