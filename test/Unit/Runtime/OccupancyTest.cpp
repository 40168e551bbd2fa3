//===- OccupancyTest.cpp - How many blocks a multiprocessor takes *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Occupancy.h"

#include <gtest/gtest.h>

using namespace graft::commands;

static int64_t blocks(const char *architecture, int64_t threads, int64_t registers,
                      int64_t shared) {
  auto occupancy = occupancyOf(architecture, threads, registers, shared);
  return occupancy ? occupancy->blocks : -1;
}

TEST(OccupancyTest, CountsWhatIsShortest) {
  EXPECT_EQ(blocks("sm_80", 128, 72, 20480), 7) << "registers: 28 warps of 2304";
  EXPECT_EQ(blocks("sm_80", 128, 96, 20480), 5) << "registers: 20 warps, five of each part";
  EXPECT_EQ(blocks("sm_80", 128, 32, 41472), 3) << "164 KB of shared memory, 41.5 a block";
  EXPECT_EQ(blocks("sm_86", 128, 32, 41472), 2) << "100 KB";
  EXPECT_EQ(blocks("sm_90a", 128, 32, 41472), 5) << "228 KB";
  EXPECT_EQ(blocks("sm_80", 32, 16, 0), 32) << "blocks";
  EXPECT_EQ(blocks("sm_86", 32, 16, 0), 16);
  EXPECT_EQ(blocks("sm_120", 256, 20, 0), 6) << "48 warps";
  EXPECT_EQ(blocks("sm_80", 1024, 255, 0), 0) << "no block has room";
  EXPECT_DOUBLE_EQ(occupancyOf("sm_80", 128, 72, 20480)->share, 28. / 64);
}

TEST(OccupancyTest, KnowsWhatItDoesNotKnow) {
  EXPECT_EQ(blocks("sm_99", 128, 32, 0), -1);
  EXPECT_EQ(blocks("compute_80", 128, 32, 0), -1);
  EXPECT_EQ(blocks("", 128, 32, 0), -1);
  EXPECT_EQ(blocks("sm_80", 0, 32, 0), -1);
  EXPECT_EQ(blocks("sm_80", 128, -1, -1), -1);
  EXPECT_EQ(blocks("sm_80", 128, 32, int64_t(1) << 62), -1);
}
