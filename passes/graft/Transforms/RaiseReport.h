//===- RaiseReport.h - Which routing was recognised, and which not -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_RAISEREPORT_H
#define GRAFT_TRANSFORMS_RAISEREPORT_H

#include <cstdint>
#include <string>
#include <vector>

namespace graft {

/// What recognising mixtures has found in a graph. Nodes and module paths are the exporter's.
struct RaiseReport {
  struct Raised {
    std::string node, module; ///< of the op whose result the mixture gives
    std::string router;       ///< its symbol
    std::string form;         ///< what it was: `loop`, `gathered weights`, …
    int64_t modules, slots;
    std::string unchecked; ///< why it was not compared with the graph in numbers; empty if it was
    std::string frozen;    ///< what the export had frozen; empty if nothing
    bool needsRepair = false;
  };
  struct Left {
    std::string node, module;
    std::string reason;
  };
  std::vector<Raised> raised;
  std::vector<Left> left; ///< what looks like routing and stays as it was exported
};

} // namespace graft

#endif // GRAFT_TRANSFORMS_RAISEREPORT_H
