//===- PlanTest.cpp - The arena's layout ------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Plan.h"
#include "graft/Runtime/Tensor.h"

#include <gtest/gtest.h>

#include <random>

using namespace graft::runtime;

TEST(PlanTest, SharesMemoryBetweenBuffersThatDoNotMeet) {
  std::vector<int64_t> offsets;
  EXPECT_EQ(placeBuffers({{0, 1}, {2, 3}}, {100, 60}, offsets), 128);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(placeBuffers({{0, 2}, {2, 3}}, {100, 60}, offsets), 192);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 128}));
  EXPECT_EQ(placeBuffers({}, {}, offsets), 0);
}

TEST(PlanTest, TakesTheSmallestGapThatFits) {
  // Three that live always leave no gap; the two of ends free 256 and 128 bytes at times 5 to 9.
  std::vector<int64_t> offsets;
  std::vector<Interval> lives = {{0, 9}, {0, 4}, {0, 9}, {0, 4}, {0, 9}, {5, 9}};
  auto total = placeBuffers(lives, {1024, 512, 448, 384, 320, 64}, offsets);
  EXPECT_EQ(total, 1024 + 512 + 448 + 384 + 320);
  EXPECT_EQ(offsets[5], offsets[3]) << "the gap of 384 bytes is the smallest";
}

TEST(PlanTest, RefusesSizesThatDoNotFit) {
  std::vector<int64_t> offsets;
  EXPECT_FALSE(placeBuffers({{0, 1}}, {-1}, offsets));
  EXPECT_FALSE(placeBuffers({{0, 1}}, {INT64_MAX}, offsets));
  EXPECT_FALSE(placeBuffers({{0, 1}, {0, 1}}, {INT64_MAX - 200, 1000}, offsets));
}

TEST(PlanTest, NeverOverlaps) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    size_t count = random() % 60;
    std::vector<Interval> lives;
    std::vector<int64_t> bytes, offsets;
    int64_t sum = 0, most = 0;
    for (size_t i = 0; i < count; ++i) {
      int64_t first = random() % 50;
      lives.push_back({first, first + int64_t(random() % 10)});
      bytes.push_back(random() % 4 ? random() % 5000 : 0);
    }
    auto total = placeBuffers(lives, bytes, offsets);
    ASSERT_TRUE(total);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(offsets[i] % kAlignment, 0);
      ASSERT_LE(offsets[i] + bytes[i], *total);
      sum += (bytes[i] + 63) / 64 * 64;
      for (size_t j = 0; j < i; ++j) {
        bool meet = lives[i].first <= lives[j].last && lives[j].first <= lives[i].last;
        bool apart = offsets[i] + bytes[i] <= offsets[j] || offsets[j] + bytes[j] <= offsets[i];
        ASSERT_TRUE(!meet || apart || !bytes[i] || !bytes[j]) << i << " and " << j;
      }
    }
    for (int64_t time = 0; time < 60; ++time) {
      int64_t live = 0;
      for (size_t i = 0; i < count; ++i)
        live += lives[i].first <= time && time <= lives[i].last ? (bytes[i] + 63) / 64 * 64 : 0;
      most = std::max(most, live);
    }
    ASSERT_GE(*total, most);
    ASSERT_LE(*total, sum);
  }
}

TEST(PlanTest, CachesByCodeAndSymbols) {
  PlanCache cache;
  auto plan = std::make_shared<StagePlan>();
  cache.insert({1, 2, 3}, plan);
  EXPECT_EQ(cache.find({1, 2, 3}), plan);
  EXPECT_EQ(cache.find({1, 2, 4}), nullptr);
  for (int64_t i = 0; i < 10000; ++i)
    cache.insert({2, i}, plan);
  EXPECT_EQ(cache.find({2, 9999}), plan);
  EXPECT_EQ(cache.find({1, 2, 3}), nullptr) << "the cache has a bound";
}
