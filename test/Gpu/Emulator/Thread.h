//===- Thread.h - The threads of a block and what each knows -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_THREAD_H
#define GRAFT_TEST_GPU_EMULATOR_THREAD_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace graft::emulator {

constexpr uint32_t warpSize = 32, mostThreads = 1024, barrierCount = 16;

/// An operation of the kernel, for messages.
struct Site {
  std::string op, where;
};

/// What a warp does together.
enum class Together : uint8_t {
  None,
  Barrier,
  Sync,
  Shuffle,
  Vote,
  Match,
  Reduce,
  Elect,
  LdMatrix,
  Mma
};

enum class ShuffleKind : uint32_t { Up, Down, Butterfly, Index };
enum class VoteKind : uint32_t { Any, All, Ballot, Uniform };
enum class ReduceKind : uint32_t { Add, And, Or, Xor, Min, Max, UMin, UMax };

/// What a thread waits at.
struct Post {
  Together kind = Together::None;
  uint32_t site = 0, mask = 0;
  /// Attributes of the operation, the same for all lanes.
  uint32_t detail = 0;
  uint32_t value[3] = {};
  const void *in = nullptr;
  void *out = nullptr;
  uint32_t result[2] = {};
};

/// An asynchronous copy that no wait has asked for yet.
struct Copy {
  char *to;
  const char *from;
  uint32_t bytes, size, group;
};

/// A moment of a thread: what it did then is known to who has seen a later one.
struct Moment {
  uint32_t thread = ~0u, clock = 0, barriers = 0, site = 0;
};

struct Thread {
  enum class State : uint8_t { Ready, Waiting, Exited };
  void *stack = nullptr;
  uint32_t index = 0;
  State state = State::Ready;
  Post post;
  std::vector<Copy> copies;
  uint32_t group = 0;

  /// Clocks of happens-before. `clock` counts what orders it within its warp, `barriers` what
  /// orders it with other warps.
  uint32_t clock = 0, barriers = 0;
  std::array<uint32_t, warpSize> lanes, warps;

  uint32_t warp() const { return index / warpSize; }
  uint32_t lane() const { return index % warpSize; }
  Moment now(uint32_t site) const { return {index, clock, barriers, site}; }
  bool knows(const Moment &other) const {
    if (other.thread == index)
      return true;
    if (other.thread / warpSize == warp())
      return lanes[other.thread % warpSize] > other.clock;
    return warps[other.thread / warpSize] > other.barriers;
  }
};

/// What those who meet know together.
struct Knowledge {
  std::array<uint32_t, warpSize> warps{};
  std::array<std::array<uint32_t, warpSize>, mostThreads / warpSize> lanes{};

  /// A thread comes: what it did up to now is known to all who leave. Only a barrier tells of it to
  /// other warps.
  void bring(Thread &thread, bool barrier);
  void take(Thread &thread) const;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_THREAD_H
