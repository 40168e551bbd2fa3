//===- Occupancy.cpp - How many blocks a multiprocessor takes ---*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Occupancy.h"

#include <algorithm>
#include <cstdlib>

using namespace graft::commands;

namespace {
/// What a multiprocessor has, from the table "Technical Specifications per Compute Capability" of
/// the CUDA C++ Programming Guide. How it is given out is cuda_occupancy.h's of the toolkit:
/// registers to a warp in 256s, warps to four parts of the multiprocessor, shared memory in 128
/// bytes, of which the system takes 1 KB a block.
struct Multiprocessor {
  int64_t capability, warps, blocks, sharedKilobytes;
};
} // namespace

static constexpr Multiprocessor kMultiprocessors[] = {
    {80, 64, 32, 164},  {86, 48, 16, 100},  {87, 48, 16, 164},  {89, 48, 24, 100},
    {90, 64, 32, 228},  {100, 64, 32, 228}, {103, 64, 32, 228}, {110, 48, 24, 228},
    {120, 48, 24, 100}, {121, 48, 24, 100}};
static constexpr int64_t kRegisters = 64 << 10, kRegisterUnit = 256, kParts = 4, kLanes = 32;
static constexpr int64_t kSharedUnit = 128, kSystemShared = 1 << 10;

static int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

std::optional<Occupancy> graft::commands::occupancyOf(const std::string &architecture,
                                                      int64_t threads, int64_t registers,
                                                      int64_t sharedBytes) {
  const int64_t capability =
      architecture.compare(0, 3, "sm_") == 0 ? std::atoll(architecture.c_str() + 3) : 0;
  const auto *known =
      std::find_if(std::begin(kMultiprocessors), std::end(kMultiprocessors),
                   [&](const Multiprocessor &each) { return each.capability == capability; });
  if (known == std::end(kMultiprocessors) || threads < 1 || threads > 1024 || registers < 1 ||
      registers > 255 || sharedBytes < 0 || sharedBytes > known->sharedKilobytes << 10)
    return std::nullopt;
  const int64_t warps = (threads + kLanes - 1) / kLanes;
  const int64_t ofRegisters =
      kRegisters / kParts / roundUp(registers * kLanes, kRegisterUnit) * kParts / warps;
  const int64_t ofShared =
      (known->sharedKilobytes << 10) / roundUp(sharedBytes + kSystemShared, kSharedUnit);
  const int64_t blocks = std::min({known->blocks, known->warps / warps, ofRegisters, ofShared});
  return Occupancy{blocks, double(blocks * warps) / double(known->warps)};
}
