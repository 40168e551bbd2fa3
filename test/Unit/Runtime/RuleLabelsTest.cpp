//===- RuleLabelsTest.cpp - Labels in other shapes than rows ----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/RuleLabels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace graft::commands;
using Numbers = std::vector<int64_t>;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {
struct Found {
  Numbers labels;
  std::string words; ///< empty if they fit
};
} // namespace

static Found find(Numbers dims, Numbers labels, LabelledRows of) {
  of.inputs = {{2, 3, 8}, {2, 3}};
  Found found;
  std::string words;
  if (!labelRows({"rules.npy", std::move(dims), std::move(labels)}, of, found.labels, words))
    found.words = words;
  return found;
}

TEST(RuleLabelsTest, TakesOneForEachRowInAnyShape) {
  EXPECT_THAT(find({2, 3}, {1, 2, 3, 4, 5, 6}, {6, 0, 1, {}}).labels,
              ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(find({6, 1}, {1, 2, 3, 4, 5, 6}, {6, 0, 1, {}}).labels,
              ElementsAre(1, 2, 3, 4, 5, 6));
  // Also where their dimension 1 could be one of steps.
  EXPECT_THAT(find({2, 3}, {1, 2, 3, 4, 5, 6}, {6, 1, 3, {}}).labels,
              ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(RuleLabelsTest, RepeatsThoseOfASequenceForItsTokens) {
  EXPECT_THAT(find({2}, {7, 9}, {6, 0, 1, {}}).labels, ElementsAre(7, 7, 7, 9, 9, 9));
  EXPECT_THAT(find({2, 3}, {1, 2, 3, 4, 5, 6}, {12, 0, 1, {}}).labels,
              ElementsAre(1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6));
  // No input begins with such a dimension: what they label is not known.
  EXPECT_EQ(find({3}, {1, 2, 3}, {6, 0, 1, {}}).words,
            "expected 6 labels, one for each row, found 3");
  EXPECT_EQ(find({2}, {1, 2}, {5, 0, 1, {}}).words, "expected 5 labels, one for each row, found 2");
}

TEST(RuleLabelsTest, TakesTheColumnOfAStep) {
  const Numbers labels = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(find({2, 3}, labels, {2, 0, 3, {}}).labels, ElementsAre(1, 4));
  EXPECT_THAT(find({2, 3}, labels, {2, 2, 3, {}}).labels, ElementsAre(3, 6));
  EXPECT_THAT(find({1, 2, 3}, labels, {3, 1, 2, {}}).labels, ElementsAre(4, 5, 6));
  EXPECT_THAT(find({2, 3}, labels, {4, 1, 3, {}}).labels, ElementsAre(2, 2, 5, 5));
  // As many routers as steps, or none of it is one.
  EXPECT_EQ(find({2, 3}, labels, {2, 1, 2, {}}).words,
            "expected 2 labels, one for each row, found 2x3, of which row 0 has 1 and 2");
}

TEST(RuleLabelsTest, TakesTheOneLabelOfASequence) {
  EXPECT_THAT(find({2, 3}, {4, 4, 4, 5, 5, 5}, {2, 0, 1, {}}).labels, ElementsAre(4, 5));
  EXPECT_EQ(find({2, 3}, {4, 4, 4, 5, 5, 6}, {2, 0, 1, {}}).words,
            "expected 2 labels, one for each row, found 2x3, of which row 1 has 5 and 6");
  // Three rows are none of its first dimensions.
  EXPECT_EQ(find({2, 3}, {4, 4, 5, 5, 6, 6}, {3, 0, 1, {}}).words,
            "expected 3 labels, one for each row, found 2x3");
}

TEST(RuleLabelsTest, TakesNoneForNoRows) {
  Found none = find({0}, {}, {0, 0, 1, {}});
  EXPECT_THAT(none.labels, IsEmpty());
  EXPECT_THAT(none.words, IsEmpty());
  EXPECT_EQ(find({0, 3}, {}, {2, 1, 3, {}}).words, "expected 2 labels, one for each row, found 0");
  EXPECT_EQ(find({2}, {1, 2}, {0, 0, 1, {}}).words, "expected 0 labels, one for each row, found 2");
}
