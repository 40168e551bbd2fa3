//===- Spec.h - Routers, modules and aggregators that a file states -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_SPEC_H
#define GRAFT_SPEC_SPEC_H

#include "graft/Link/Link.h"

#include "llvm/ADT/StringMap.h"

#include <memory>

namespace graft {

/// Names that a backbone's file gives and its module does not keep.
struct BackboneNames {
  /// For the name of a tensor the node that computes it, and which of its results it is.
  llvm::StringMap<std::pair<std::string, unsigned>> tensors;
  /// The module that the scope of a node's name is another call of.
  llvm::StringMap<std::string> calls;
};

/// A spec (docs/writing-a-spec.md) on its way into a backbone.
class Spec {
public:
  /// Reads the file and checks what can be told without backbone and weights. Errors are Faults
  /// that begin with the file, the line and the column.
  static llvm::Expected<Spec> read(llvm::StringRef path);
  Spec(Spec &&);
  ~Spec();

  /// A task that a router of the spec knows, and where the file first says so.
  struct Task {
    std::string name, place;
  };
  std::vector<Task> tasks() const;

  /// Writes modules, routers, and what applies them, into `module`, which importOnnx has made of
  /// the file `backbone` and linkAdapters has linked.
  llvm::Error apply(mlir::ModuleOp module, llvm::StringRef backbone, const BackboneNames &names,
                    bool allowLinks);

private:
  struct State;
  explicit Spec(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace graft

#endif // GRAFT_SPEC_SPEC_H
