//===- EvaluateSteps.cpp - Selecting, limiting and weighing by their rules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

void Evaluator::compare(double a, double b) {
  if (std::isfinite(a) && std::isfinite(b) && a != b &&
      std::abs(a - b) <= 1e-4 * std::max(std::abs(a), std::abs(b)))
    ambiguous = true;
}

/// (route-S1): NaN is −∞.
static double ordered(double score) { return std::isnan(score) ? -kInfinity : score; }

/// 0, 1, … in the order of their scores, the lower of equal ones first.
static std::vector<int64_t> sorted(int64_t count, llvm::function_ref<double(int64_t)> score) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return score(a) > score(b); });
  return order;
}

/// ⌈factor · of⌉ of a factor of six decimals, over a divisor.
static int64_t shareOf(const APFloat &factor, int64_t of, int64_t divisor) {
  const int64_t millionths = std::llround(factor.convertToDouble() * 1e6);
  divisor *= 1000000;
  return (millionths * of + divisor - 1) / divisor;
}

//===----------------------------------------------------------------------===//
// Selecting
//===----------------------------------------------------------------------===//

Array Evaluator::selectTop(SelectTopOp op, const Array &scores) {
  const int64_t modules = scores.last(), count = int64_t(op.getCount());
  Array chosen({scores.rows(), count});
  for (int64_t r = 0; r < scores.rows(); ++r) {
    auto score = [&](int64_t e) { return ordered(scores.data[size_t(r * modules + e)]); };
    std::vector<int64_t> order = sorted(modules, score);
    for (int64_t i = 0; i + 1 < modules && i < count; ++i)
      compare(score(order[size_t(i)]), score(order[size_t(i) + 1]));
    std::copy_n(order.begin(), count, chosen.data.begin() + r * count);
  }
  return chosen;
}

/// Slot i holds module i, or nothing.
Array Evaluator::selectAbove(SelectAboveOp op, const Array &scores) {
  const double threshold = op.getThreshold().convertToDouble();
  Array chosen(scores.shape);
  for (auto [i, score] : llvm::enumerate(scores.data)) {
    compare(score, threshold);
    chosen.data[i] = score > threshold ? double(int64_t(i) % scores.last()) : -1;
  }
  return chosen;
}

Array Evaluator::selectRows(SelectRowsOp op, const Array &scores) {
  const int64_t rows = scores.rows(), modules = scores.last();
  const int64_t wanted =
      op.getCount() ? int64_t(*op.getCount()) : shareOf(*op.getFactor(), rows, modules);
  Array chosen(scores.shape);
  std::fill(chosen.data.begin(), chosen.data.end(), -1);
  for (int64_t e = 0; e < modules; ++e) {
    auto score = [&](int64_t r) { return ordered(scores.data[size_t(r * modules + e)]); };
    std::vector<int64_t> order = sorted(rows, score);
    const int64_t count = std::min(wanted, rows);
    if (count > 0 && count < rows)
      compare(score(order[size_t(count) - 1]), score(order[size_t(count)]));
    for (int64_t i = 0; i < count; ++i)
      chosen.data[size_t(order[size_t(i)] * modules + e)] = double(e);
  }
  return chosen;
}

static Array selectHash(SelectHashOp op, const Array &ids) {
  constexpr int64_t kPrime = (int64_t(1) << 31) - 1;
  auto mod = [](int64_t x, int64_t by) { return (x % by + by) % by; };
  Array chosen({ids.rows(), 1});
  for (auto [id, to] : llvm::zip_equal(ids.data, chosen.data)) {
    const int64_t hash = 48271 * mod(int64_t(id), kPrime) + mod(int64_t(op.getSeed()), kPrime);
    to = double(mod(mod(hash, kPrime), int64_t(op.getModules())));
  }
  return chosen;
}

/// Slot by slot, and in each slot row by row, until a module is full.
static Array limit(LimitOp op, Array chosen) {
  const int64_t modules = int64_t(op.getModules()), slots = chosen.last();
  const int64_t capacity = op.getCount() ? int64_t(*op.getCount())
                                         : shareOf(*op.getFactor(), chosen.rows() * slots, modules);
  std::vector<int64_t> taken(static_cast<size_t>(modules));
  for (int64_t s = 0; s < slots; ++s)
    for (int64_t r = 0; r < chosen.rows(); ++r) {
      double &number = chosen.data[size_t(r * slots + s)];
      const bool isFilled = number >= 0 && number < double(modules);
      if (!isFilled || taken[size_t(number)]++ >= capacity)
        number = -1;
    }
  return chosen;
}

Array Evaluator::maskGroups(MaskGroupsOp op, Array scores) {
  const int64_t groups = int64_t(op.getGroups()), size = scores.last() / groups;
  for (int64_t r = 0; r < scores.rows(); ++r) {
    double *row = scores.data.data() + r * scores.last();
    std::vector<double> sums;
    for (int64_t g = 0; g < groups; ++g) {
      auto score = [&](int64_t e) { return ordered(row[g * size + e]); };
      std::vector<int64_t> order = sorted(size, score);
      double sum = 0;
      for (int64_t i = 0; i < int64_t(op.getTop()); ++i)
        sum += score(order[size_t(i)]);
      sums.push_back(ordered(sum));
    }
    std::vector<int64_t> order = sorted(groups, [&](int64_t g) { return sums[size_t(g)]; });
    for (int64_t i = 0; i < groups; ++i) {
      if (i == int64_t(op.getKeep()))
        compare(sums[size_t(order[size_t(i) - 1])], sums[size_t(order[size_t(i)])]);
      for (int64_t e = 0; e < size && i >= int64_t(op.getKeep()); ++e)
        row[order[size_t(i)] * size + e] = -kInfinity;
    }
  }
  return scores;
}

//===----------------------------------------------------------------------===//
// Weighing
//===----------------------------------------------------------------------===//

Array Evaluator::weigh(WeighOp op, const Array &chosen, const Array &scores) {
  Array weights(chosen.shape);
  Route route;
  route.chosen = chosen;
  route.modules = scores.last();
  for (int64_t r = 0; r < chosen.rows(); ++r) {
    double sum = 0, size = 0, most = -kInfinity;
    auto each = [&](llvm::function_ref<void(double &weight, double score)> body) {
      for (int64_t s = 0; s < route.slots(); ++s)
        if (std::optional<int64_t> number = route.get(r, s))
          body(weights.data[size_t(r * route.slots() + s)],
               scores.data[size_t(r * route.modules + *number)]);
    };
    switch (op.getNormalization()) {
    case Normalization::None:
      each([&](double &weight, double score) { weight = score; });
      break;
    case Normalization::Sum:
      each([&](double &, double score) {
        sum += score;
        size += std::abs(score);
      });
      if (std::abs(sum) < 0.02 * size)
        ambiguous = true;
      each([&](double &weight, double score) { weight = score / sum; });
      break;
    case Normalization::Softmax:
      each([&](double &, double score) {
        most = std::isnan(score) || std::isnan(most) ? score + most : std::max(most, score);
      });
      each([&](double &, double score) { sum += std::exp(score - most); });
      each([&](double &weight, double score) { weight = std::exp(score - most) / sum; });
      break;
    }
  }
  return weights;
}

static Array weighEvenly(WeighEvenlyOp op, const Array &chosen) {
  Array weights(chosen.shape);
  Route route;
  route.chosen = chosen;
  route.modules = int64_t(op.getModules());
  for (int64_t r = 0; r < chosen.rows(); ++r) {
    double filled = 0;
    for (int64_t s = 0; s < route.slots(); ++s)
      filled += route.get(r, s) ? 1 : 0;
    for (int64_t s = 0; s < route.slots(); ++s)
      if (route.get(r, s))
        weights.data[size_t(r * route.slots() + s)] = op.getShared() ? 1 / filled : 1;
  }
  return weights;
}

bool Evaluator::runStep(Operation *op, Values &values) {
  auto in = [&](unsigned i) -> const Array & {
    return values.find(op->getOperand(i))->second.array;
  };
  std::optional<Array> result =
      llvm::TypeSwitch<Operation *, std::optional<Array>>(op)
          .Case([&](SelectAllOp) {
            Array chosen(in(0).shape);
            for (size_t i = 0; i < chosen.data.size(); ++i)
              chosen.data[i] = double(int64_t(i) % chosen.last());
            return chosen;
          })
          .Case([&](SelectTopOp step) { return selectTop(step, in(0)); })
          .Case([&](SelectAboveOp step) { return selectAbove(step, in(0)); })
          .Case([&](SelectRowsOp step) { return selectRows(step, in(0)); })
          .Case([&](SelectHashOp step) { return selectHash(step, in(0)); })
          .Case([&](LimitOp step) { return limit(step, in(0)); })
          .Case([&](MaskGroupsOp step) { return maskGroups(step, in(0)); })
          .Case([&](WeighOp step) { return weigh(step, in(0), in(1)); })
          .Case([&](WeighEvenlyOp step) { return weighEvenly(step, in(0)); })
          .Default([](Operation *) { return std::nullopt; });
  if (!result)
    return false;
  values[op->getResult(0)].array = std::move(*result);
  return true;
}
