//===- Link.h - Binds adapters to a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_LINK_H
#define GRAFT_LINK_LINK_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace graft {

struct LinkOptions {
  /// A PEFT folder. `scale` multiplies the adapter's own.
  struct Adapter {
    std::string name, directory;
    double scale = 1;
  };
  /// A task that applies adapters, by their names.
  struct Task {
    std::string name;
    std::vector<std::string> adapters;
  };
  std::vector<Adapter> adapters;
  /// Tasks beside `base`, which applies none, and one of each adapter's name.
  std::vector<Task> tasks;
  /// POSIX extended expressions on an adapter's module path, and what replaces them: the first that
  /// matches.
  std::vector<std::pair<std::string, std::string>> maps;
};

/// Binds every tensor of every adapter to a site of `module`, which importOnnx has made, or fails
/// with a Fault and changes nothing. Afterwards the module has a router, a task for `base`, for
/// each adapter and for each of `tasks`, the adapters' modules and parameters, and sites and adapts
/// where they enter. Without adapters there are the router and the task `base` alone.
llvm::Error linkAdapters(mlir::ModuleOp module, const LinkOptions &options);

} // namespace graft

#endif // GRAFT_LINK_LINK_H
