//===- Schedule.cpp - Orders in which threads run -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Emulator.h"

using namespace graft::emulator;

std::string Schedule::name() const {
  static const char *const warpNames[] = {"round robin", "first warp", "last warp", "random warp"};
  static const char *const laneNames[] = {"forwards", "backwards", "random"};
  std::string text = warpNames[int(warps)];
  text += std::string(", lanes ") + laneNames[int(lanes)];
  if (preempt)
    text += ", preempted";
  if (warps == Warps::Random || lanes == Lanes::Random || preempt)
    text += ", seed " + std::to_string(seed);
  return text;
}

llvm::ArrayRef<Schedule> graft::emulator::schedules() {
  using Warps = Schedule::Warps;
  using Lanes = Schedule::Lanes;
  static const Schedule list[] = {
      {Warps::RoundRobin, Lanes::Forwards}, {Warps::RoundRobin, Lanes::Backwards},
      {Warps::First, Lanes::Forwards},      {Warps::First, Lanes::Backwards},
      {Warps::Last, Lanes::Forwards},       {Warps::Last, Lanes::Backwards},
      {Warps::Random, Lanes::Random, 1},    {Warps::Random, Lanes::Random, 2, true},
  };
  return list;
}
