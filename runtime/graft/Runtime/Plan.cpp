//===- Plan.cpp - Where the buffers of an arena lie -------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Plan.h"

#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <limits>
#include <numeric>

using namespace graft::runtime;

static bool overlap(const Interval &a, const Interval &b) {
  return a.first <= b.last && b.first <= a.last;
}

std::optional<int64_t> graft::runtime::placeBuffers(const std::vector<Interval> &lives,
                                                    const std::vector<int64_t> &bytes,
                                                    std::vector<int64_t> &offsets) {
  size_t count = lives.size();
  std::vector<int64_t> sizes(count);
  int64_t sum = 0;
  for (size_t i = 0; i < count; ++i)
    if (bytes[i] < 0 || !checkedAlign(bytes[i], sizes[i]) || !checkedAdd(sum, sizes[i], sum))
      return std::nullopt;

  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return sizes[a] != sizes[b] ? sizes[a] > sizes[b] : a < b;
  });

  offsets.assign(count, 0);
  std::vector<uint32_t> placed; // by offset
  int64_t total = 0;
  for (uint32_t buffer : order) {
    // Nothing is in the way of a buffer without bytes.
    if (sizes[buffer] == 0)
      continue;
    // The smallest gap that fits, between those that live at the same time; else behind them all.
    int64_t end = 0, best = -1, bestGap = std::numeric_limits<int64_t>::max();
    for (uint32_t other : placed) {
      if (!overlap(lives[buffer], lives[other]))
        continue;
      int64_t gap = offsets[other] - end;
      if (gap >= sizes[buffer] && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, offsets[other] + sizes[other]);
    }
    offsets[buffer] = best >= 0 ? best : end;
    total = std::max(total, offsets[buffer] + sizes[buffer]);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [&](uint32_t a, uint32_t b) { return offsets[a] < offsets[b]; }),
                  buffer);
  }
  return total;
}

std::shared_ptr<const StagePlan> PlanCache::find(const std::vector<int64_t> &key) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = plans.find(key);
  return found == plans.end() ? nullptr : found->second;
}

void PlanCache::insert(const std::vector<int64_t> &key, std::shared_ptr<const StagePlan> plan) {
  std::lock_guard<std::mutex> lock(mutex);
  if (plans.size() >= kMost)
    plans.clear();
  plans[key] = std::move(plan);
}
