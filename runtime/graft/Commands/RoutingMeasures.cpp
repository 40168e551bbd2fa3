//===- RoutingMeasures.cpp - What routes say about modules ------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/RoutingMeasures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

using namespace graft::commands;
using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;

/// Shares of a whole, or nothing if the parts make no whole.
static std::optional<Vector> normalised(Vector parts) {
  double sum = 0;
  for (double part : parts) {
    if (!(part >= 0))
      return std::nullopt;
    sum += part;
  }
  if (!(sum > 0) || !std::isfinite(sum))
    return std::nullopt;
  for (double &part : parts)
    part /= sum;
  return parts;
}

static double entropy(const Vector &shares) {
  double sum = 0;
  for (double share : shares)
    sum -= share > 0 ? share * std::log(share) : 0;
  return sum;
}

static std::optional<double> entropyOf(Vector parts) {
  std::optional<Vector> shares = normalised(std::move(parts));
  return shares ? std::optional(entropy(*shares)) : std::nullopt;
}

RoutingLoad graft::commands::measureLoad(const RouteRows &routes) {
  RoutingLoad load;
  load.rows.assign(size_t(routes.modules), 0);
  load.weight.assign(size_t(routes.modules), 0);
  std::vector<int64_t> last(size_t(routes.modules), -1); // the row that took a module last
  double rowEntropies = 0;
  int64_t rowsWithWeight = 0;
  bool allPositive = true;
  for (int64_t row = 0; row < routes.rows(); ++row) {
    Vector weights;
    for (int64_t slot = row * routes.slots; slot < (row + 1) * routes.slots; ++slot) {
      const int64_t module = routes.chosen[size_t(slot)];
      if (module < 0) {
        ++load.emptySlots;
        continue;
      }
      load.rows[size_t(module)] += last[size_t(module)] != row;
      last[size_t(module)] = row;
      load.weight[size_t(module)] += routes.weights[size_t(slot)];
      weights.push_back(routes.weights[size_t(slot)]);
      allPositive &= routes.weights[size_t(slot)] >= 0;
    }
    if (std::optional<double> ofRow = entropyOf(std::move(weights))) {
      rowEntropies += *ofRow;
      ++rowsWithWeight;
    }
  }
  load.loadEntropy = entropyOf(Vector(load.rows.begin(), load.rows.end()));
  if (allPositive) {
    load.weightEntropy = entropyOf(load.weight);
    if (rowsWithWeight)
      load.rowEntropy = rowEntropies / double(rowsWithWeight);
  }
  return load;
}

static std::optional<double> common(Vector first, Vector second) {
  std::optional<Vector> p = normalised(std::move(first)), q = normalised(std::move(second));
  if (!p || !q)
    return std::nullopt;
  double sum = 0;
  for (size_t i = 0; i < p->size(); ++i)
    sum += std::min((*p)[i], (*q)[i]);
  return sum;
}

/// The modules that a row takes, each once, ascending.
static std::vector<int64_t> modulesOf(const RouteRows &routes, int64_t row) {
  auto begin = routes.chosen.begin() + row * routes.slots;
  std::vector<int64_t> modules(begin, begin + routes.slots);
  std::sort(modules.begin(), modules.end());
  modules.erase(std::unique(modules.begin(), modules.end()), modules.end());
  if (!modules.empty() && modules.front() < 0)
    modules.erase(modules.begin());
  return modules;
}

RouteOverlap graft::commands::measureOverlap(const RouteRows &first, const RouteRows &second,
                                             bool sameRows) {
  RoutingLoad a = measureLoad(first), b = measureLoad(second);
  RouteOverlap overlap;
  overlap.load = common(Vector(a.rows.begin(), a.rows.end()), Vector(b.rows.begin(), b.rows.end()));
  if (a.weightEntropy && b.weightEntropy)
    overlap.weight = common(a.weight, b.weight);
  const int64_t rows = first.rows();
  if (!sameRows || rows != second.rows() || rows == 0)
    return overlap;
  int64_t equal = 0;
  double shared = 0;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int64_t> p = modulesOf(first, row), q = modulesOf(second, row), both;
    equal += p == q;
    std::set_intersection(p.begin(), p.end(), q.begin(), q.end(), std::back_inserter(both));
    const size_t any = p.size() + q.size() - both.size();
    shared += any ? double(both.size()) / double(any) : 1;
  }
  overlap.equalRoutes = double(equal) / double(rows);
  overlap.jaccard = shared / double(rows);
  return overlap;
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

/// By row of a square matrix, the column of the one-to-one assignment of the greatest sum: the
/// Hungarian method, by shortest augmenting paths.
static std::vector<size_t> assign(const Matrix &gain) {
  const size_t n = gain.size(), none = n;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  // One column more, from which each row's path begins.
  Vector rowPrice(n, 0), columnPrice(n + 1, 0);
  std::vector<size_t> rowOf(n + 1, none), before(n + 1);
  for (size_t row = 0; row < n; ++row) {
    Vector slack(n + 1, kInfinity);
    std::vector<bool> done(n + 1);
    size_t column = n;
    rowOf[n] = row;
    while (rowOf[column] != none) {
      done[column] = true;
      const size_t at = rowOf[column];
      size_t next = n;
      double least = kInfinity;
      for (size_t j = 0; j < n; ++j) {
        if (done[j])
          continue;
        const double cost = -gain[at][j] - rowPrice[at] - columnPrice[j];
        if (cost < slack[j]) {
          slack[j] = cost;
          before[j] = column;
        }
        if (slack[j] < least || next == n) {
          least = slack[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= n; ++j) {
        if (done[j]) {
          rowPrice[rowOf[j]] += least;
          columnPrice[j] -= least;
        } else {
          slack[j] -= least;
        }
      }
      column = next;
    }
    while (column != n) {
      rowOf[column] = rowOf[before[column]];
      column = before[column];
    }
    rowOf[n] = none;
  }
  std::vector<size_t> columnOf(n);
  for (size_t j = 0; j < n; ++j)
    columnOf[rowOf[j]] = j;
  return columnOf;
}

static double mutualInformation(const Matrix &joint, const Vector &modules, const Vector &rules) {
  double sum = 0;
  for (size_t m = 0; m < modules.size(); ++m)
    for (size_t r = 0; r < rules.size(); ++r)
      if (joint[m][r] > 0)
        sum += joint[m][r] * std::log(joint[m][r] / (modules[m] * rules[r]));
  return sum;
}

/// Draw `seed` of a flat Dirichlet distribution, as `numpy.random.RandomState(seed)` has it, which
/// is how the measure was published.
static Vector drawDirichlet(uint32_t seed, size_t size) {
  std::mt19937 bits(seed);
  Vector shares(size);
  double sum = 0;
  for (double &share : shares) {
    const double high = bits() >> 5, low = bits() >> 6;
    share = -std::log(1 - (high * 67108864 + low) / 9007199254740992);
    sum += share;
  }
  for (double &share : shares)
    share *= 1 / sum;
  return shares;
}

/// \param means by module and rule
static double adaptation(const Matrix &means) {
  constexpr uint32_t kDraws = 100;
  double total = 0;
  for (uint32_t seed = 0; seed < kDraws; ++seed) {
    Vector q = drawDirichlet(seed, means.size()), p;
    for (const Vector &ofModule : means)
      p.push_back(std::inner_product(q.begin(), q.end(), ofModule.begin(), 0.0));
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    std::sort(q.begin(), q.end());
    std::sort(p.begin(), p.end());
    for (size_t i = 0; i < p.size(); ++i)
      total += std::abs(q[i] - (sum > 0 ? p[i] / sum : 0)) / 2;
  }
  return total / kDraws;
}

/// The mean weight that the rows of each rule give each module, by module and rule.
static Matrix meanWeights(const RouteRows &routes, const std::vector<int64_t> &labels,
                          RuleMeasures &measures) {
  measures.rules = labels;
  std::sort(measures.rules.begin(), measures.rules.end());
  measures.rules.erase(std::unique(measures.rules.begin(), measures.rules.end()),
                       measures.rules.end());
  measures.rows.assign(measures.rules.size(), 0);
  Matrix means(size_t(routes.modules), Vector(measures.rules.size(), 0));
  for (int64_t row = 0; row < routes.rows(); ++row) {
    const size_t rule =
        size_t(std::lower_bound(measures.rules.begin(), measures.rules.end(), labels[size_t(row)]) -
               measures.rules.begin());
    ++measures.rows[rule];
    for (int64_t slot = row * routes.slots; slot < (row + 1) * routes.slots; ++slot)
      if (const int64_t module = routes.chosen[size_t(slot)]; module >= 0)
        means[size_t(module)][rule] += routes.weights[size_t(slot)];
  }
  for (Vector &ofModule : means)
    for (size_t r = 0; r < ofModule.size(); ++r)
      ofModule[r] /= double(measures.rows[r]);
  return means;
}

RuleMeasures graft::commands::measureRules(const RouteRows &routes,
                                           const std::vector<int64_t> &labels) {
  RuleMeasures measures;
  Matrix means = meanWeights(routes, labels, measures);
  const size_t count = means.size(), ruleCount = measures.rules.size();
  auto undefine = [&](std::initializer_list<const char *> names, const std::string &why) {
    for (const char *name : names)
      measures.undefined.emplace_back(name, why);
  };
  const auto square = {"inverse_mutual_information", "alignment", "adaptation"};
  Vector flat;
  for (const Vector &ofModule : means)
    flat.insert(flat.end(), ofModule.begin(), ofModule.end());
  std::optional<Vector> shares = normalised(std::move(flat));
  if (!shares || !std::all_of(routes.weights.begin(), routes.weights.end(),
                              [](double weight) { return weight >= 0; })) {
    const std::string why = routes.rows() ? "weights that are negative, NaN or all 0 are no "
                                            "distribution"
                                          : "there are no rows";
    undefine({"collapse_average", "collapse_worst"}, why);
    undefine(square, why);
    return measures;
  }
  Vector modules(count, 0), rules(ruleCount, 0);
  for (size_t m = 0; m < count; ++m) {
    Vector &row = measures.joint.emplace_back(shares->begin() + long(m * ruleCount),
                                              shares->begin() + long((m + 1) * ruleCount));
    for (size_t r = 0; r < ruleCount; ++r) {
      modules[m] += row[r];
      rules[r] += row[r];
    }
  }

  const double size = double(count);
  measures.collapseWorst = 1 - size * *std::min_element(modules.begin(), modules.end());
  if (count == 1) {
    undefine({"collapse_average"}, "there is one module");
    undefine(square, "there is one module");
    return measures;
  }
  double missing = 0;
  for (double share : modules)
    missing += std::max(0.0, 1 / size - share);
  measures.collapseAverage = size / (size - 1) * missing;
  if (count != ruleCount) {
    undefine(square, "there are " + std::to_string(count) + " modules and " +
                         std::to_string(ruleCount) + " rules");
    return measures;
  }
  measures.inverseMutualInformation =
      (std::log(size) - mutualInformation(measures.joint, modules, rules)) / std::log(size);
  std::vector<size_t> ruleOf = assign(measures.joint);
  double apart = 0;
  for (size_t m = 0; m < count; ++m)
    for (size_t r = 0; r < count; ++r)
      apart += std::abs((ruleOf[m] == r ? 1 : 0) - size * measures.joint[m][r]);
  measures.alignment = apart / (2 * size);
  measures.adaptation = adaptation(means);
  return measures;
}
