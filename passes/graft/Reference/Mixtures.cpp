//===- Mixtures.cpp - Routes, modules and aggregates, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Modular/Modular.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::reference;

/// Numbers of the greatest scores of a row, the lower first among equals, NaN the least.
static bool evaluateSelectTop(Evaluator &at, SelectTopOp op) {
  const Tensor &scores = *at.lookup(op.getScores());
  if (scores.rank() != 2 || op.getCount() > uint64_t(scores.shape[1]))
    return at.fail(op, "scores that do not fit");
  const int64_t modules = scores.shape[1], count = op.getCount();
  std::vector<double> out;
  for (int64_t row = 0; row < scores.shape[0]; ++row) {
    auto score = [&](int64_t i) {
      double value = scores.values()[row * modules + i];
      return std::isnan(value) ? -INFINITY : value;
    };
    std::vector<int64_t> order(modules);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return score(a) > score(b); });
    out.insert(out.end(), order.begin(), order.begin() + count);
  }
  return at.result(op, {scores.shape[0], count}, std::move(out));
}

static bool evaluateWeigh(Evaluator &at, WeighOp op) {
  const Tensor &chosen = *at.lookup(op.getChosen()), &scores = *at.lookup(op.getScores());
  if (chosen.rank() != 2 || scores.rank() != 2 || chosen.shape[0] != scores.shape[0])
    return at.fail(op, "scores that do not fit");
  const int64_t rows = chosen.shape[0], slots = chosen.shape[1], modules = scores.shape[1];
  std::vector<double> out;
  for (int64_t row = 0; row < rows; ++row) {
    SmallVector<double> weights;
    double sum = 0;
    for (int64_t slot = 0; slot < slots; ++slot) {
      const double number = chosen.values()[row * slots + slot];
      const bool isFilled = number >= 0 && number < modules;
      double weight = isFilled ? scores.values()[row * modules + int64_t(number)] : 0;
      if (op.getNormalization() == Normalization::Softmax)
        weight = isFilled ? std::exp(weight) : 0;
      weights.push_back(weight);
      sum += weight;
    }
    for (double weight : weights)
      out.push_back(op.getNormalization() == Normalization::None || weight == 0 ? weight
                                                                                : weight / sum);
  }
  return at.result(op, {rows, slots}, std::move(out));
}

/// What a body yields for its arguments.
static std::optional<SmallVector<Tensor>> evaluateBody(Evaluator &at, Operation *user, Block &body,
                                                       ArrayRef<Tensor> arguments) {
  Evaluator inner;
  for (auto [argument, tensor] : llvm::zip(body.getArguments(), arguments))
    inner.set(argument, tensor);
  SmallVector<Tensor> results;
  for (Value value : body.getTerminator()->getOperands()) {
    const Tensor *tensor = inner.get(value);
    if (!tensor) {
      const Evaluator::Failure &failure = inner.failure();
      at.fail(failure.op ? failure.op : user, failure.why, failure.isUnknown);
      return std::nullopt;
    }
    results.push_back(*tensor);
  }
  return results;
}

static std::optional<SmallVector<Tensor>> routeOf(Evaluator &at, Value value) {
  if (auto given = value.getDefiningOp<RouteOfOp>())
    return SmallVector<Tensor>{*at.lookup(given.getChosen()), *at.lookup(given.getWeights())};
  auto route = value.getDefiningOp<RouteOp>();
  auto router = route ? SymbolTable::lookupNearestSymbolFrom<RouterOp>(route, route.getRouterAttr())
                      : nullptr;
  if (!router || router.isFixedByTask()) {
    at.fail(value.getDefiningOp(), "a route that is not evaluated here", true);
    return std::nullopt;
  }
  SmallVector<Tensor> inputs;
  for (Value input : route.getInputs())
    inputs.push_back(*at.lookup(input));
  return evaluateBody(at, route, router.getBody().front(), inputs);
}

std::optional<SmallVector<Tensor>> graft::reference::evaluateRoute(Evaluator &at, Value value) {
  std::optional<SmallVector<Tensor>> route = routeOf(at, value);
  if (route && (route->size() != 2 || (*route)[0].rank() != 2 ||
                (*route)[0].shape[1] != cast<RouteType>(value.getType()).getSlots() ||
                (*route)[1].shape != (*route)[0].shape)) {
    at.fail(value.getDefiningOp(), "a route of another shape");
    return std::nullopt;
  }
  return route;
}

/// The rows of `tensor` at `places`.
static Tensor rowsAt(const Tensor &tensor, ArrayRef<int64_t> places) {
  const int64_t width = tensor.shape[0] == 0 ? 0 : tensor.count() / tensor.shape[0];
  std::vector<double> out;
  for (int64_t place : places)
    llvm::append_range(out, tensor.values().slice(place * width, width));
  Shape shape(tensor.shape);
  shape[0] = places.size();
  return Tensor(tensor.kind, shape, std::move(out));
}

/// Σ over the slots of each row of weight · module(row), module by module.
static bool evaluateAggregate(Evaluator &at, AggregateOp op) {
  auto apply = op.getParts().getDefiningOp<ApplyOp>();
  if (!apply || apply.isInlined() ||
      (op.getAggregation() != Aggregation::WeightedSum && op.getAggregation() != Aggregation::Sum))
    return at.fail(op, "an aggregate that is not evaluated here", true);
  auto route = evaluateRoute(at, apply.getRoute());
  if (!route)
    return false;
  const Tensor &chosen = (*route)[0], &weights = (*route)[1];
  const int64_t rows = chosen.shape[0], slots = chosen.shape[1];
  Shape shape;
  std::vector<double> out;
  for (auto [number, symbol] :
       llvm::enumerate(apply.getModules().getAsRange<FlatSymbolRefAttr>())) {
    SmallVector<int64_t> places;
    SmallVector<double> scales;
    for (int64_t i = 0; i < rows * slots; ++i)
      if (chosen.values()[i] == double(number)) {
        places.push_back(i / slots);
        scales.push_back(op.getAggregation() == Aggregation::Sum ? 1 : weights.values()[i]);
      }
    auto module = SymbolTable::lookupNearestSymbolFrom<modular::ModuleOp>(apply, symbol);
    if (!module)
      return at.fail(op, "a module that is not evaluated here", true);
    SmallVector<Tensor> inputs;
    for (Value input : apply.getInputs()) {
      const Tensor &all = *at.lookup(input);
      if (all.rank() == 0 || all.shape[0] != rows)
        return at.fail(op, "inputs of another number of rows than the route");
      inputs.push_back(rowsAt(all, places));
    }
    if (places.empty())
      continue;
    auto results = evaluateBody(at, apply, module.getBody().front(), inputs);
    if (!results)
      return false;
    if (results->size() != 1 || results->front().rank() == 0 ||
        results->front().shape[0] != int64_t(places.size()))
      return at.fail(op, "a module that gives another number of rows");
    const Tensor &result = results->front();
    const int64_t width = result.count() / int64_t(places.size());
    shape = result.shape;
    shape[0] = rows;
    out.resize(rows * width, 0.0);
    for (auto [i, place] : llvm::enumerate(places))
      for (int64_t j = 0; j < width; ++j)
        out[place * width + j] += scales[i] * result.values()[i * width + j];
  }
  return shape.empty() ? at.fail(op, "no row that takes a module")
                       : at.result(op, shape, std::move(out));
}

Known graft::reference::evaluateMixtures(Evaluator &at, Operation *op) {
  if (isa<RouteOp, RouteOfOp, ApplyOp>(op))
    return true; // with what aggregates
  if (auto select = dyn_cast<SelectTopOp>(op))
    return evaluateSelectTop(at, select);
  if (auto select = dyn_cast<SelectAllOp>(op)) {
    const Tensor &scores = *at.lookup(select.getScores());
    if (scores.rank() != 2)
      return at.fail(op, "scores that do not fit");
    std::vector<double> out;
    for (int64_t i = 0, n = scores.count(); i < n; ++i)
      out.push_back(double(i % scores.shape[1]));
    return at.result(select, scores.shape, std::move(out));
  }
  if (auto weigh = dyn_cast<WeighOp>(op))
    return evaluateWeigh(at, weigh);
  if (auto aggregate = dyn_cast<AggregateOp>(op))
    return evaluateAggregate(at, aggregate);
  return std::nullopt;
}
