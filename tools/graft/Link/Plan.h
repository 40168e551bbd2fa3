//===- Plan.h - What linking will do to a backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_PLAN_H
#define GRAFT_LINK_PLAN_H

#include "graft/Link/Link.h"
#include "graft/Link/Match.h"

#include <memory>

namespace graft {

/// An adapter under the name that it has in the library.
struct LinkedAdapter {
  std::string name;
  double scale = 1;
  std::unique_ptr<Adapter> adapter;
};

/// What one adapter does at one site, in order: what replaces comes first.
struct Entry {
  const LinkedAdapter *adapter = nullptr;
  std::vector<Binding> bindings;
  /// Not zero: the rows of (out, in) that the adapter brings instead of the backbone's.
  int64_t rows = 0;

  bool replaces() const;
};

/// All that enters at one site.
struct SitePlan {
  Site *site = nullptr;
  std::vector<Entry> entries;
  /// A convolution that must be written without groups, since what is added to it isn't in groups.
  int64_t groups = 1;
  bool resized() const;
};

struct LinkPlan {
  /// The backbone's sites, which `sites` points into.
  std::shared_ptr<Sites> backbone;
  std::vector<SitePlan> sites;
  std::vector<LinkedAdapter> adapters;
  /// Every task, `base` first, with the adapters that it takes.
  std::vector<LinkOptions::Task> tasks;
};

/// Dimensions of results that adapters resize become dynamic: `apply` says whether types are
/// changed, or only whether that is possible. Fails with a Fault where an op depends on the size.
llvm::Error resizeResults(mlir::ModuleOp module, const LinkPlan &plan, bool apply);

/// Writes the plan into the module. Nothing can fail any more.
void emitPlan(mlir::ModuleOp module, const LinkPlan &plan);

} // namespace graft

#endif // GRAFT_LINK_PLAN_H
