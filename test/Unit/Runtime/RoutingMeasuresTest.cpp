//===- RoutingMeasuresTest.cpp - Measures against closed forms --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/RoutingMeasures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

using namespace graft::commands;
using Numbers = std::vector<int64_t>;
using Doubles = std::vector<double>;
using testing::ElementsAre;

/// A row for each rule; row r gives module m the weight joint[r][m].
static RouteRows softRows(const std::vector<Doubles> &weights) {
  RouteRows rows;
  rows.modules = rows.slots = int64_t(weights.front().size());
  for (const Doubles &row : weights)
    for (size_t m = 0; m < row.size(); ++m) {
      rows.chosen.push_back(int64_t(m));
      rows.weights.push_back(row[m]);
    }
  return rows;
}

static Numbers counted(size_t count) {
  Numbers labels(count);
  std::iota(labels.begin(), labels.end(), 0);
  return labels;
}

static std::vector<Doubles> square(size_t size, double value) {
  return std::vector<Doubles>(size, Doubles(size, value));
}

TEST(RoutingMeasuresTest, CountsLoad) {
  // Module 1 twice in one row, an empty slot, and a row without any.
  RouteRows rows{3, 2, {0, 1, 1, 1, -1, 2, -1, -1}, {0.25, 0.75, 1, 1, 0, 2, 0, 0}};
  RoutingLoad load = measureLoad(rows);
  EXPECT_EQ(load.rows, (Numbers{1, 2, 1}));
  EXPECT_EQ(load.weight, (Doubles{0.25, 2.75, 2}));
  EXPECT_EQ(load.emptySlots, 3);
  EXPECT_NEAR(*load.loadEntropy, 1.5 * std::log(2), 1e-15);
  const double h = -(0.05 * std::log(0.05) + 0.55 * std::log(0.55) + 0.4 * std::log(0.4));
  EXPECT_NEAR(*load.weightEntropy, h, 1e-15);
  const double first = -(0.25 * std::log(0.25) + 0.75 * std::log(0.75));
  EXPECT_NEAR(*load.rowEntropy, (first + std::log(2) + 0) / 3, 1e-15);
}

TEST(RoutingMeasuresTest, HasNoEntropyWithoutADistribution) {
  RoutingLoad none = measureLoad({2, 1, {}, {}});
  EXPECT_FALSE(none.loadEntropy || none.weightEntropy || none.rowEntropy);
  for (double wrong : {-1.0, double(NAN)}) {
    RoutingLoad load = measureLoad({2, 2, {0, 1, 0, 1}, {1, wrong, 1, 3}});
    EXPECT_NEAR(*load.loadEntropy, std::log(2), 1e-15);
    EXPECT_FALSE(load.weightEntropy || load.rowEntropy);
  }
}

TEST(RoutingMeasuresTest, MeasuresOverlap) {
  RouteRows a{4, 2, {0, 1, 2, 3, 0, -1, -1, -1}, {1, 1, 1, 1, 4, 0, 0, 0}};
  RouteRows b{4, 2, {1, 0, 2, 1, 3, -1, -1, -1}, {1, 1, 1, 1, 4, 0, 0, 0}};
  RouteOverlap overlap = measureOverlap(a, b, true);
  // By rows 2 1 1 1 and 1 2 1 1 of 5; by weight 5 1 1 1 and 1 2 1 4 of 8.
  EXPECT_NEAR(*overlap.load, 0.8, 1e-15);
  EXPECT_NEAR(*overlap.weight, 4.0 / 8, 1e-15);
  EXPECT_NEAR(*overlap.equalRoutes, 0.5, 1e-15);
  EXPECT_NEAR(*overlap.jaccard, (1 + 1.0 / 3 + 0 + 1) / 4, 1e-15);
  EXPECT_NEAR(*measureOverlap(a, a, true).weight, 1, 1e-15);
  RouteOverlap apart = measureOverlap(a, b, false);
  EXPECT_TRUE(apart.load);
  EXPECT_FALSE(apart.equalRoutes || apart.jaccard);
}

TEST(RoutingMeasuresTest, IsPerfectWhereEachRuleHasItsModule) {
  std::vector<Doubles> weights = square(4, 0);
  for (size_t i = 0; i < 4; ++i)
    weights[i][(i + 1) % 4] = 1;
  RuleMeasures measures = measureRules(softRows(weights), counted(4));
  EXPECT_NEAR(*measures.collapseAverage, 0, 1e-15);
  EXPECT_NEAR(*measures.collapseWorst, 0, 1e-15);
  EXPECT_NEAR(*measures.inverseMutualInformation, 0, 1e-15);
  EXPECT_NEAR(*measures.alignment, 0, 1e-15);
  EXPECT_NEAR(*measures.adaptation, 0, 1e-15);
  EXPECT_TRUE(measures.undefined.empty());
}

TEST(RoutingMeasuresTest, IsCollapsedWhereAllTakeOneModule) {
  std::vector<Doubles> weights = square(4, 0);
  for (Doubles &row : weights)
    row[2] = 1;
  RuleMeasures measures = measureRules(softRows(weights), counted(4));
  EXPECT_NEAR(*measures.collapseAverage, 1, 1e-15);
  EXPECT_NEAR(*measures.collapseWorst, 1, 1e-15);
  EXPECT_NEAR(*measures.inverseMutualInformation, 1, 1e-15);
  EXPECT_NEAR(*measures.alignment, 0.75, 1e-15);
}

TEST(RoutingMeasuresTest, TellsEvenUseFromSpecialisation) {
  RuleMeasures measures = measureRules(softRows(square(2, 0.5)), counted(2));
  EXPECT_NEAR(*measures.collapseAverage, 0, 1e-15);
  EXPECT_NEAR(*measures.collapseWorst, 0, 1e-15);
  EXPECT_NEAR(*measures.inverseMutualInformation, 1, 1e-15);
  EXPECT_NEAR(*measures.alignment, 0.5, 1e-15);
  // The mean of |q - 1/2| over numpy.random.RandomState(seed).dirichlet([1, 1]), seed 0 to 99; in
  // the limit 1/4.
  EXPECT_NEAR(*measures.adaptation, 0.25666175382922257, 1e-14);
  EXPECT_NEAR(*measureRules(softRows(square(3, 0.2)), counted(3)).adaptation, 0.28038438419179657,
              1e-14);
}

TEST(RoutingMeasuresTest, CountsEachRuleEqually) {
  // Rule 7 has three rows, rule -2 one, and weights that do not sum to 1.
  RouteRows rows = softRows({{2, 0}, {2, 0}, {0, 2}, {2, 0}});
  RuleMeasures measures = measureRules(rows, {7, 7, -2, 7});
  EXPECT_EQ(measures.rules, (Numbers{-2, 7}));
  EXPECT_EQ(measures.rows, (Numbers{1, 3}));
  EXPECT_THAT(measures.joint, ElementsAre(ElementsAre(0, 0.5), ElementsAre(0.5, 0)));
  EXPECT_NEAR(*measures.alignment, 0, 1e-15);
  EXPECT_NEAR(*measures.collapseWorst, 0, 1e-15);
}

TEST(RoutingMeasuresTest, AssignsAsAllPermutationsWould) {
  std::mt19937 bits(1);
  std::uniform_real_distribution<double> uniform;
  for (size_t size = 2; size <= 6; ++size)
    for (int round = 0; round < 20; ++round) {
      std::vector<Doubles> weights = square(size, 0);
      for (Doubles &row : weights) {
        for (double &weight : row)
          weight = std::pow(uniform(bits), 4);
        const double sum = std::accumulate(row.begin(), row.end(), 0.0);
        for (double &weight : row)
          weight /= sum;
      }
      Numbers order = counted(size);
      double best = 0;
      do {
        double match = 0;
        for (size_t r = 0; r < size; ++r)
          match += weights[r][size_t(order[r])];
        best = std::max(best, match);
      } while (std::next_permutation(order.begin(), order.end()));
      EXPECT_NEAR(*measureRules(softRows(weights), counted(size)).alignment,
                  1 - best / double(size), 1e-14);
    }
}

TEST(RoutingMeasuresTest, SaysWhatIsUndefined) {
  auto undefined = [](const RuleMeasures &measures) {
    std::string text;
    for (const auto &[name, why] : measures.undefined)
      text += name + ": " + why + "\n";
    return text;
  };
  RuleMeasures fewer = measureRules(softRows({{0.5, 0.25, 0.25}, {0.5, 0.25, 0.25}}), {0, 1});
  EXPECT_NEAR(*fewer.collapseAverage, 1.5 * 2 * (1.0 / 3 - 0.25), 1e-15);
  EXPECT_NEAR(*fewer.collapseWorst, 0.25, 1e-15);
  EXPECT_FALSE(fewer.inverseMutualInformation || fewer.alignment || fewer.adaptation);
  EXPECT_EQ(undefined(fewer), "inverse_mutual_information: there are 3 modules and 2 rules\n"
                              "alignment: there are 3 modules and 2 rules\n"
                              "adaptation: there are 3 modules and 2 rules\n");
  RuleMeasures one = measureRules({1, 1, {0, 0}, {1, 1}}, {0, 1});
  EXPECT_NEAR(*one.collapseWorst, 0, 1e-15);
  EXPECT_THAT(undefined(one), testing::HasSubstr("collapse_average: there is one module"));
  for (double wrong : {-1.0, double(NAN)}) {
    RuleMeasures measures = measureRules(softRows({{3, wrong}, {1, 1}}), {0, 1});
    EXPECT_FALSE(measures.collapseAverage || measures.alignment);
    EXPECT_THAT(undefined(measures),
                testing::HasSubstr("collapse_worst: weights that are negative"));
  }
  EXPECT_THAT(undefined(measureRules({2, 1, {}, {}}, {})),
              testing::HasSubstr("adaptation: there are no rows"));
}
