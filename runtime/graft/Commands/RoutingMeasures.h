//===- RoutingMeasures.h - What routes say about modules --------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// Load, entropy and overlap of routes, and the measures of Mittal, Bengio and Lajoie (*Is a
/// Modular Architecture Enough?*, 2022). docs/cli.md has their definitions.
///
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_ROUTINGMEASURES_H
#define GRAFT_COMMANDS_ROUTINGMEASURES_H

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace graft::commands {

/// (rows, slots) of chosen modules, -1 where a slot is empty, and of weights.
struct RouteRows {
  int64_t modules = 0, slots = 0;
  std::vector<int64_t> chosen;
  std::vector<double> weights;

  int64_t rows() const { return int64_t(chosen.size()) / slots; }
};

/// Nothing where weights that are negative, NaN or all 0 leave no distribution.
struct RoutingLoad {
  std::vector<int64_t> rows;  ///< by module: rows that take it
  std::vector<double> weight; ///< by module: the sum of the weights that they give it
  int64_t emptySlots = 0;
  std::optional<double> loadEntropy, weightEntropy, rowEntropy; ///< in nats
};
RoutingLoad measureLoad(const RouteRows &routes);

/// How alike two sets of routes through the same modules are.
struct RouteOverlap {
  std::optional<double> load, weight;         ///< what the shares of the modules have in common
  std::optional<double> equalRoutes, jaccard; ///< only of the same rows
};
/// \param sameRows row i of both is the same row
RouteOverlap measureOverlap(const RouteRows &first, const RouteRows &second, bool sameRows);

/// The measures of routes whose rows obey rules. What is undefined is absent, and `undefined` has
/// its name and why.
struct RuleMeasures {
  std::vector<int64_t> rules;             ///< the distinct labels, ascending
  std::vector<int64_t> rows;              ///< by rule
  std::vector<std::vector<double>> joint; ///< P(module, rule)
  std::optional<double> collapseAverage, collapseWorst, inverseMutualInformation, alignment,
      adaptation;
  std::vector<std::pair<std::string, std::string>> undefined;
};
/// \param labels the rule of each row
RuleMeasures measureRules(const RouteRows &routes, const std::vector<int64_t> &labels);

} // namespace graft::commands

#endif
