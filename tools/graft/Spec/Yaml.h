//===- Yaml.h - A YAML file as a tree with places -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_YAML_H
#define GRAFT_SPEC_YAML_H

#include "graft/Fault/Fault.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace graft::spec {

/// A place in the file, counted from 1.
struct Mark {
  int line = 0, column = 0;
};

struct Node;
using NodeRef = std::shared_ptr<const Node>;

/// A node of the tree. An alias is the very node that it names.
struct Node {
  enum Kind { Null, Scalar, List, Map } kind = Null;
  Mark mark;
  std::string text;    ///< of a scalar
  bool quoted = false; ///< a scalar that is text whatever it looks like
  std::vector<NodeRef> items;
  struct Entry {
    std::string key;
    Mark mark;
    NodeRef value;
  };
  std::vector<Entry> entries; ///< in the order of the file
  uint64_t size = 1;          ///< of the tree, aliases counted in full

  const NodeRef *find(llvm::StringRef key) const;
};

/// The first error of a spec, with its place. Whoever goes on after one has harmless values.
class Errors {
public:
  explicit Errors(std::string file) : file(std::move(file)) {}

  void fail(Mark mark, const llvm::Twine &message, FaultKind kind = FaultKind::Input);
  bool any() const { return first.has_value(); }
  /// `file:line:column`
  std::string place(Mark mark) const;
  llvm::Error take();

  const std::string file;

private:
  std::optional<std::pair<FaultKind, std::string>> first;
};

/// Reads the one document of a YAML file, or returns null with an error. Files, trees with their
/// aliases expanded, and depths without a use are refused.
NodeRef readYaml(llvm::StringRef path, Errors &errors);

} // namespace graft::spec

#endif // GRAFT_SPEC_YAML_H
