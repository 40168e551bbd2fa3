//===- Places.h - Where in a backbone a spec's modules go -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_PLACES_H
#define GRAFT_SPEC_PLACES_H

#include "graft/Spec/Spec.h"
#include "graft/Spec/Tensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace graft::spec {

/// A layer of the backbone that a place names: what goes in and what comes out.
struct Layer {
  const Place *place = nullptr;
  std::string name; ///< the module's path, or the node's or tensor's name
  Captures captures;
  mlir::Value input; ///< null where only the output is told
  mlir::Value output;
};

/// The backbone by the names of its modules, nodes and tensors.
class Backbone {
public:
  Backbone(mlir::func::FuncOp main, const BackboneNames &names, Errors &errors);

  /// The layers of a place, in the order of the backbone; none with an error.
  std::vector<Layer> find(const Place &place);
  /// The value of a name: a tensor of the file, or an input.
  mlir::Value lookup(llvm::StringRef tensor) const;
  std::vector<std::string> tensorNames() const;
  void add(llvm::StringRef tensor, mlir::Value value) { tensors[tensor] = value; }
  std::string nameOf(mlir::Value value) const;
  /// Whether the value depends on no input.
  bool isConstant(mlir::Value value);

private:
  struct Group {
    std::string path;
    Captures captures;
    std::vector<mlir::Operation *> ops;
  };
  std::vector<Group> groupsOf(const Place &place);
  std::vector<std::string> pathsOf(Place::Where where);
  std::optional<Layer> describe(const Place &place, const Group &group);
  mlir::Value choose(const Place &place, const Group &group, llvm::ArrayRef<mlir::Value> values,
                     const Text &wanted, llvm::StringRef key);
  mlir::Value need(const Text &tensor);

  mlir::func::FuncOp main;
  const BackboneNames &names;
  Errors &errors;
  llvm::DenseMap<mlir::Value, bool> constants;
  llvm::StringMap<mlir::Value> tensors;
  llvm::DenseMap<mlir::Value, std::string> known;
};

/// What `*`, `**` and `{name}` of a pattern stand for in a path, or nothing if it doesn't match.
/// All but `**` stay within a part of the path.
std::optional<Captures> matchPath(llvm::StringRef pattern, llvm::StringRef path);

} // namespace graft::spec

#endif // GRAFT_SPEC_PLACES_H
