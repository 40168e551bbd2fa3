//===- Plan.h - Where the buffers of an arena lie ---------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_PLAN_H
#define GRAFT_RUNTIME_PLAN_H

#include "graft/Runtime/Manifest.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace graft::runtime {

/// Offsets, multiples of `kAlignment`, such that buffers that live at the same time do not overlap.
/// Greedy best fit, the largest buffers first.
/// \returns the arena's size, or nothing if a size is negative or the sum does not fit
std::optional<int64_t> placeBuffers(const std::vector<Interval> &lives,
                                    const std::vector<int64_t> &bytes,
                                    std::vector<int64_t> &offsets);

/// What a code needs for given values of the symbols.
struct StagePlan {
  std::vector<int64_t> outputDims; ///< flattened; -1 where they depend on data
  std::vector<int64_t> offsets;
  int64_t arenaBytes = 0;
};

/// Plans by code and symbols' values. Thread-safe.
class PlanCache {
public:
  /// \param key the code, then the symbols' values
  std::shared_ptr<const StagePlan> find(const std::vector<int64_t> &key);
  void insert(const std::vector<int64_t> &key, std::shared_ptr<const StagePlan> plan);

private:
  /// A bound for servers that see every shape; starting over is cheap.
  static constexpr size_t kMost = 4096;

  std::mutex mutex;
  std::map<std::vector<int64_t>, std::shared_ptr<const StagePlan>> plans;
};

} // namespace graft::runtime

#endif
