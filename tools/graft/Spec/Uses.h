//===- Uses.h - What definitions of a spec depend on -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_SPEC_USES_H
#define GRAFT_SPEC_USES_H

#include "graft/Spec/Document.h"

#include <set>

namespace graft::spec {

/// An input, or a tensor of the backbone, that a router reads beside what it routes.
struct Need {
  Text name;
  bool isNumbers; ///< an integer for each row; else a row of floats or bools
  bool operator<(const Need &other) const {
    return std::tie(name.text, isNumbers) < std::tie(other.name.text, other.isNumbers);
  }
  std::string key() const { return (isNumbers ? "#" : "=") + name.text; }
};

/// What a definition depends on, with all that is within it.
struct Uses {
  std::set<std::string> captures;
  std::set<Need> needs;
  bool layer = false; ///< the backbone's own

  void add(const Uses &other);
};

/// Computes each definition's once: what is within many others would be visited without bound.
class UsesCache {
public:
  /// Of a module; {index} is not a dependency of one with a count.
  const Uses &of(const Module &module);
  /// Of a router, with its scores.
  const Uses &of(const Router &router);
  const Uses &of(const Aggregator &aggregator);

private:
  std::map<const void *, Uses> known;
};

} // namespace graft::spec

#endif // GRAFT_SPEC_USES_H
