//===- RoutingStatistics.cpp - What --routing-stats writes ------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Routing.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <iterator>

using namespace graft::commands;
using Json = nlohmann::ordered_json;

/// Which rows came to a router, of a task or all.
static std::vector<int64_t> reachedRows(const Router &router, const RouteRecord &record,
                                        int32_t task = -1) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < record.rows; ++row)
    if ((task < 0 || record.taskOfRow[size_t(row)] == task) && record.isReached(row, router.slots))
      rows.push_back(row);
  return rows;
}

static RouteRows rowsOf(const Router &router, const RouteRecord &record,
                        const std::vector<int64_t> &which) {
  RouteRows rows;
  rows.modules = int64_t(router.modules.size());
  rows.slots = router.slots;
  TensorView weights;
  weights.type = router.weightType;
  weights.data = record.weights.data();
  for (int64_t row : which) {
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
                      const char *counted, const RuleMeasures &measures) {
  Json facts;
  facts["tasks"] = tasks;
  facts["labels"] = source;
  facts["counted"] = counted;
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
  std::vector<int64_t> which; ///< of the router's rows
  const RouteRecord *record;
};

/// Rows with the rules that they obey, of tasks that share a route.
struct RuledRows {
  std::vector<std::string> tasks;
  const char *source;
  const char *counted;
  RouteRows rows;
  std::vector<int64_t> labels;
};

class Statistics {
public:
  Statistics(const std::vector<Router> &routers, const std::vector<RouteRecord> &records,
             const Rules &rules)
      : routers(routers), records(records), rules(rules) {}

  Status write(Json &statistics, std::vector<std::string> &unlabelled);

private:
  /// The routers that choose among the modules of router `i`, in order.
  std::vector<size_t> groupOf(size_t i) const;
  /// What shows the tokens of router `i` in the same run as `record`, or null.
  const RouteRecord *findTokens(size_t i, const RouteRecord &record) const;
  bool label(size_t i, const RouteRecord &record, std::vector<RuledRows> &ruled,
             std::string &words) const;
  Json routerFacts(size_t i) const;
  Json togetherFacts(const std::vector<size_t> &group) const;

  const std::vector<Router> &routers;
  const std::vector<RouteRecord> &records;
  const Rules &rules;
  std::vector<std::vector<TaskRows>> tasks;  ///< by router
  std::vector<std::vector<RuledRows>> ruled; ///< by router
};
} // namespace

/// Shares are those of all rows that each has; routes are compared where a row came in both.
static RouteOverlap overlapOf(const Router &router, const TaskRows &a, const TaskRows &b) {
  const bool sameRows = !a.record->isOfRowTasks() && !b.record->isOfRowTasks();
  RouteOverlap overlap = measureOverlap(a.rows, b.rows, sameRows);
  if (!sameRows || a.which == b.which)
    return overlap;
  std::vector<int64_t> both;
  std::set_intersection(a.which.begin(), a.which.end(), b.which.begin(), b.which.end(),
                        std::back_inserter(both));
  const RouteOverlap common =
      measureOverlap(rowsOf(router, *a.record, both), rowsOf(router, *b.record, both), sameRows);
  overlap.equalRoutes = common.equalRoutes;
  overlap.jaccard = common.jaccard;
  return overlap;
}

std::vector<size_t> Statistics::groupOf(size_t i) const {
  auto first = [&](size_t router) {
    const int64_t same = routers[router].sameModulesAs;
    return same < 0 ? router : size_t(same);
  };
  std::vector<size_t> group;
  for (size_t other = 0; other < routers.size(); ++other)
    if (routers[other].tokensOf < 0 && first(other) == first(i))
      group.push_back(other);
  return group;
}

const RouteRecord *Statistics::findTokens(size_t i, const RouteRecord &record) const {
  for (const RouteRecord &other : records)
    if (routers[other.router].tokensOf == int64_t(i) && other.tasks == record.tasks &&
        other.isOfRowTasks() == record.isOfRowTasks())
      return &other;
  return nullptr;
}

bool Statistics::label(size_t i, const RouteRecord &record, std::vector<RuledRows> &ruled,
                       std::string &words) const {
  auto named = rules.named.find(i);
  const RuleLabels *given = named != rules.named.end() ? &named->second
                            : rules.all                ? &*rules.all
                                                       : nullptr;
  const RouteRecord *tokens = findTokens(i, record);
  auto add = [&](const RouteRecord &from, const char *source, const char *counted,
                 const std::vector<int64_t> &labels) {
    const Router &router = routers[from.router];
    const std::vector<int64_t> which = reachedRows(router, from);
    RuledRows &rows = ruled.emplace_back();
    rows = {record.tasks, source, counted, rowsOf(router, from, which), {}};
    for (int64_t row : which)
      rows.labels.push_back(labels[size_t(row)]);
  };
  if (!given) {
    if (record.isOfRowTasks())
      add(record, "tasks", "rows", {record.taskOfRow.begin(), record.taskOfRow.end()});
    return true;
  }
  const std::vector<size_t> group = groupOf(i);
  LabelledRows of;
  of.step = std::find(group.begin(), group.end(), i) - group.begin();
  of.steps = int64_t(group.size());
  of.inputs = rules.inputs;
  // A row's weights are the means of its tokens', whose rules may differ.
  for (const RouteRecord *each : {tokens, &record}) {
    if (!each)
      continue;
    of.rows = each->rows;
    std::vector<int64_t> labels;
    std::string why;
    if (labelRows(*given, of, labels, why)) {
      add(*each, "file", each == tokens ? "tokens" : "rows", labels);
      return true;
    }
    words = "router '" + routers[i].name + "': " + why;
  }
  return false;
}

Json Statistics::routerFacts(size_t i) const {
  const Router &router = routers[i];
  Json facts;
  facts["router"] = router.name;
  facts["slots"] = router.slots;
  if (router.within >= 0) {
    const Router &outer = routers[size_t(router.within)];
    facts["within"] = {{"router", outer.name}, {"module", outer.modules[router.module]}};
    if (!router.isAsked)
      facts["not_asked"] = "no row comes there, or its route is compiled in";
  }
  facts["modules"] = router.modules;
  facts["tasks"] = Json::array();
  facts["overlap"] = Json::array();
  facts["rules"] = Json::array();
  for (const RuledRows &rows : ruled[i])
    facts["rules"].push_back(
        ruleFacts(rows.tasks, rows.source, rows.counted, measureRules(rows.rows, rows.labels)));
  for (size_t a = 0; a < tasks[i].size(); ++a) {
    facts["tasks"].push_back(taskFacts(tasks[i][a].task, tasks[i][a].rows));
    for (size_t b = 0; b < a; ++b)
      facts["overlap"].push_back(overlapFacts(tasks[i][b].task, tasks[i][a].task,
                                              overlapOf(router, tasks[i][b], tasks[i][a])));
  }
  return facts;
}

static void append(RouteRows &rows, const RouteRows &more) {
  rows.chosen.insert(rows.chosen.end(), more.chosen.begin(), more.chosen.end());
  rows.weights.insert(rows.weights.end(), more.weights.begin(), more.weights.end());
}

/// The rows of all routers of a group as those of one.
Json Statistics::togetherFacts(const std::vector<size_t> &group) const {
  Json facts;
  facts["routers"] = Json::array();
  for (size_t i : group)
    facts["routers"].push_back(routers[i].name);
  facts["modules"] = routers[group.front()].modules;
  facts["tasks"] = Json::array();
  facts["rules"] = Json::array();
  for (TaskRows all : tasks[group.front()]) {
    for (size_t i : group)
      for (const TaskRows &more : tasks[i])
        if (i != group.front() && more.task == all.task)
          append(all.rows, more.rows);
    facts["tasks"].push_back(taskFacts(all.task, all.rows));
  }
  for (RuledRows all : ruled[group.front()]) {
    bool haveAll = true;
    for (size_t i : group) {
      auto more = std::find_if(ruled[i].begin(), ruled[i].end(), [&](const RuledRows &rows) {
        return rows.tasks == all.tasks && rows.source == std::string(all.source);
      });
      haveAll &= more != ruled[i].end();
      if (!haveAll || i == group.front())
        continue;
      append(all.rows, more->rows);
      all.labels.insert(all.labels.end(), more->labels.begin(), more->labels.end());
    }
    if (haveAll)
      facts["rules"].push_back(
          ruleFacts(all.tasks, all.source, all.counted, measureRules(all.rows, all.labels)));
  }
  return facts;
}

Status Statistics::write(Json &statistics, std::vector<std::string> &unlabelled) {
  statistics["routers"] = Json::array();
  statistics["together"] = Json::array();
  tasks.resize(routers.size());
  ruled.resize(routers.size());
  bool anyFit = false;
  for (size_t i = 0; i < routers.size(); ++i) {
    if (routers[i].tokensOf >= 0)
      continue;
    std::string words;
    for (const RouteRecord &record : records) {
      if (record.router != i)
        continue;
      for (size_t t = 0; t < record.tasks.size(); ++t) {
        std::vector<int64_t> which =
            reachedRows(routers[i], record, record.isOfRowTasks() ? int32_t(t) : -1);
        RouteRows rows = rowsOf(routers[i], record, which);
        tasks[i].push_back({record.tasks[t], std::move(rows), std::move(which), &record});
      }
      std::string why;
      if (!label(i, record, ruled[i], why))
        words = why;
    }
    if (!words.empty() && rules.named.count(i))
      return inputError("--rules: " + words);
    anyFit |= words.empty();
    statistics["routers"].push_back(routerFacts(i));
    if (!words.empty()) {
      statistics["routers"].back()["unlabelled"] = words;
      unlabelled.push_back(words);
    }
  }
  if (!unlabelled.empty() && !anyFit)
    return inputError("--rules: " + unlabelled.front());
  for (size_t i = 0; i < routers.size(); ++i)
    if (std::vector<size_t> group = groupOf(i); group.size() > 1 && group.front() == i)
      statistics["together"].push_back(togetherFacts(group));
  return {};
}

Status graft::commands::routingStatistics(const std::vector<Router> &routers,
                                          const std::vector<RouteRecord> &records,
                                          const Rules &rules, Json &statistics,
                                          std::vector<std::string> &unlabelled) {
  return Statistics(routers, records, rules).write(statistics, unlabelled);
}
