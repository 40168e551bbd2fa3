//===- Match.h - Which site each change of an adapter binds to -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_MATCH_H
#define GRAFT_LINK_MATCH_H

#include "graft/Link/Adapter.h"
#include "graft/Link/Sites.h"

namespace graft {

/// How the elements of a Replace or Copy lie, compared with the site's canonical form.
enum class Layout {
  Canonical,  ///< the same
  Transposed, ///< a matrix, the other way round: an embedding, or a layer that keeps (in, out)
};

/// A change and its site.
struct Binding {
  const Change *change = nullptr;
  Site *site = nullptr;
  Layout layout = Layout::Canonical;
  /// The groups of a convolution that has more than one.
  int64_t groups = 1;
  /// The rows of (out, in) that are the module's own, where an exporter has joined several layers
  /// into one.
  std::optional<std::pair<int64_t, int64_t>> part = std::nullopt;
};

/// Pairs of a POSIX extended expression and its replacement. What the replacement gives may end in
/// `[BEGIN:END]`: rows of the layer's (out, in), the module's part of it.
using PathMaps = llvm::ArrayRef<std::pair<std::string, std::string>>;

/// Where a change's module is in the backbone, as far as `--map` says.
struct MappedPath {
  std::string path;
  std::optional<std::pair<int64_t, int64_t>> part = std::nullopt;
};

/// The paths of all changes of `adapter`, in their order.
llvm::Expected<std::vector<MappedPath>> mapPaths(const Adapter &adapter, PathMaps maps);

/// Binds every change of `adapter`: by path, after `maps` and, if paths don't agree as they are,
/// after one change of prefix that is learned from all of them; by shape and orientation; and by
/// value where the adapter holds a copy of the backbone's parameter. Or fails with a Fault that
/// names the tensor and the nearest sites.
llvm::Expected<std::vector<Binding>> bindAdapter(const Adapter &adapter, Sites &sites,
                                                 PathMaps maps);

/// Whether two sites' parameters hold the same matrix, seen as `a` of (out, in) and `b` of (in,
/// out): tied weights.
bool holdSameTable(const Site &embedding, const Site &linear);

/// A shape as 3x4x5.
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace graft

#endif // GRAFT_LINK_MATCH_H
