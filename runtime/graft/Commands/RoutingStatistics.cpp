//===- RoutingStatistics.cpp - What --routing-stats writes ------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Routing.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

using namespace graft::commands;
using Json = nlohmann::ordered_json;

/// The rows of a task, or all.
static RouteRows rowsOf(const Router &router, const RouteRecord &record, int32_t task = -1) {
  RouteRows rows;
  rows.modules = int64_t(router.modules.size());
  rows.slots = router.slots;
  TensorView weights;
  weights.type = router.weightType;
  weights.data = record.weights.data();
  for (int64_t row = 0; row < record.rows; ++row) {
    if (task >= 0 && record.taskOfRow[size_t(row)] != task)
      continue;
    for (int64_t i = row * router.slots; i < (row + 1) * router.slots; ++i) {
      const int64_t module = record.chosen[size_t(i)];
      rows.chosen.push_back(module);
      rows.weights.push_back(module < 0 ? 0 : double(weights.element(size_t(i))));
    }
  }
  return rows;
}

static Json orNull(const std::optional<double> &value) { return value ? Json(*value) : Json(); }

static Json taskFacts(const std::string &task, const RouteRows &rows) {
  RoutingLoad load = measureLoad(rows);
  Json facts;
  facts["task"] = task;
  facts["rows"] = rows.rows();
  facts["load"] = {{"rows", load.rows}, {"weight", load.weight}};
  facts["empty_slots"] = load.emptySlots;
  facts["entropy"] = {{"load", orNull(load.loadEntropy)},
                      {"weight", orNull(load.weightEntropy)},
                      {"row", orNull(load.rowEntropy)},
                      {"greatest", std::log(double(rows.modules))}};
  return facts;
}

static Json overlapFacts(const std::string &first, const std::string &second,
                         const RouteOverlap &overlap) {
  Json facts;
  facts["tasks"] = {first, second};
  facts["load"] = orNull(overlap.load);
  facts["weight"] = orNull(overlap.weight);
  facts["equal_routes"] = orNull(overlap.equalRoutes);
  facts["jaccard"] = orNull(overlap.jaccard);
  return facts;
}

static Json ruleFacts(const std::vector<std::string> &tasks, const char *source,
                      const RuleMeasures &measures) {
  Json facts;
  facts["tasks"] = tasks;
  facts["labels"] = source;
  facts["rules"] = measures.rules;
  facts["rows"] = measures.rows;
  facts["joint"] = measures.joint;
  facts["collapse_average"] = orNull(measures.collapseAverage);
  facts["collapse_worst"] = orNull(measures.collapseWorst);
  facts["inverse_mutual_information"] = orNull(measures.inverseMutualInformation);
  facts["alignment"] = orNull(measures.alignment);
  facts["adaptation"] = orNull(measures.adaptation);
  facts["undefined"] = Json::object();
  for (const auto &[name, why] : measures.undefined)
    facts["undefined"][name] = why;
  return facts;
}

namespace {
/// A task's rows at a router.
struct TaskRows {
  std::string task;
  RouteRows rows;
  bool areOfAll; ///< each task has all rows
};
} // namespace

Status graft::commands::routingStatistics(const std::vector<Router> &routers,
                                          const std::vector<RouteRecord> &records,
                                          const RuleLabels &labels, Json &statistics) {
  statistics = Json::array();
  for (size_t i = 0; i < routers.size(); ++i) {
    const Router &router = routers[i];
    auto given = labels.find(i);
    std::vector<TaskRows> tasks;
    Json facts;
    facts["router"] = router.name;
    facts["slots"] = router.slots;
    facts["modules"] = router.modules;
    facts["tasks"] = Json::array();
    facts["overlap"] = Json::array();
    facts["rules"] = Json::array();
    for (const RouteRecord &record : records) {
      if (record.router != i)
        continue;
      const RouteRows all = rowsOf(router, record);
      for (size_t t = 0; t < record.tasks.size(); ++t)
        tasks.push_back({record.tasks[t],
                         record.isOfRowTasks() ? rowsOf(router, record, int32_t(t)) : all,
                         !record.isOfRowTasks()});
      std::vector<int64_t> rules;
      const char *source = "file";
      if (given != labels.end()) {
        rules = given->second;
        if (int64_t(rules.size()) != record.rows)
          return inputError("--rules: router '" + router.name + "': expected " +
                            std::to_string(record.rows) + " labels, one for each row, found " +
                            std::to_string(rules.size()));
      } else if (record.isOfRowTasks()) {
        rules.assign(record.taskOfRow.begin(), record.taskOfRow.end());
        source = "tasks";
      } else {
        continue;
      }
      facts["rules"].push_back(ruleFacts(record.tasks, source, measureRules(all, rules)));
    }
    for (size_t a = 0; a < tasks.size(); ++a) {
      facts["tasks"].push_back(taskFacts(tasks[a].task, tasks[a].rows));
      for (size_t b = 0; b < a; ++b)
        facts["overlap"].push_back(overlapFacts(
            tasks[b].task, tasks[a].task,
            measureOverlap(tasks[b].rows, tasks[a].rows, tasks[a].areOfAll && tasks[b].areOfAll)));
    }
    statistics.push_back(std::move(facts));
  }
  return {};
}
