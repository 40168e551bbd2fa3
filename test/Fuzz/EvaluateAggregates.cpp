//===- EvaluateAggregates.cpp - What brings modules together, by its rules -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

/// The shape of a row of the parts, with another dimension 0.
static SmallVector<int64_t> shapeOf(const Parts &parts, int64_t rows) {
  SmallVector<int64_t> shape(parts.results.front().shape);
  shape.front() = rows;
  return shape;
}

/// Calls `body` with each filled slot, in order.
static void eachSlot(const Parts &parts,
                     llvm::function_ref<void(int64_t row, int64_t slot, const double *part)> body) {
  for (int64_t r = 0; r < parts.route->chosen.rows(); ++r)
    for (int64_t s = 0; s < parts.route->slots(); ++s)
      if (const double *part = parts.get(r, s))
        body(r, s, part);
}

static Array sum(Aggregation how, const Parts &parts) {
  const Route &route = *parts.route;
  Array result(shapeOf(parts, route.chosen.rows()));
  std::vector<double> filled(size_t(result.rows()));
  eachSlot(parts, [&](int64_t r, int64_t, const double *) { filled[size_t(r)] += 1; });
  eachSlot(parts, [&](int64_t r, int64_t s, const double *part) {
    const double weight = how == Aggregation::WeightedSum
                              ? route.weights.data[size_t(r * route.slots() + s)]
                              : 1 / (how == Aggregation::Mean ? filled[size_t(r)] : 1);
    for (int64_t i = 0; i < result.rowSize(); ++i)
      result.data[size_t(r * result.rowSize() + i)] += weight * part[i];
  });
  return result;
}

/// Slots side by side along the last dimension, 0 where one is empty.
static Array concatenate(const Parts &parts) {
  SmallVector<int64_t> shape = shapeOf(parts, parts.route->chosen.rows());
  const int64_t width = shape.back();
  shape.back() *= parts.route->slots();
  Array result(shape);
  const int64_t vectors = result.rowSize() / std::max<int64_t>(shape.back(), 1);
  eachSlot(parts, [&](int64_t r, int64_t s, const double *part) {
    for (int64_t v = 0; v < vectors; ++v)
      std::copy_n(part + v * width, width,
                  result.data.begin() + (r * vectors + v) * shape.back() + s * width);
  });
  return result;
}

/// (rows, slots, …), 0 where a slot is empty.
static Array collect(const Parts &parts) {
  SmallVector<int64_t> shape = shapeOf(parts, parts.route->chosen.rows());
  shape.insert(shape.begin() + 1, parts.route->slots());
  Array result(shape);
  const int64_t size = result.rowSize() / parts.route->slots();
  eachSlot(parts, [&](int64_t r, int64_t s, const double *part) {
    std::copy_n(part, size, result.data.begin() + (r * parts.route->slots() + s) * size);
  });
  return result;
}

/// x · Wᵀ of one row.
static std::vector<double> times(const double *x, const Array &weight) {
  std::vector<double> result(size_t(weight.shape[0]));
  for (int64_t o = 0; o < weight.shape[0]; ++o)
    for (int64_t i = 0; i < weight.shape[1]; ++i)
      result[size_t(o)] += x[i] * weight.data[size_t(o * weight.shape[1] + i)];
  return result;
}

static Array attend(const Parts &parts, const Array &query, const Array &q, const Array &k,
                    const Array *v, double scale) {
  const int64_t rows = query.rows(), slots = parts.route->slots();
  Array result({rows, v ? v->shape[0] : parts.results.front().last()});
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<double> asked = times(query.data.data() + r * query.last(), q);
    std::vector<double> scores;
    std::vector<std::vector<double>> values;
    for (int64_t s = 0; s < slots; ++s)
      if (const double *part = parts.get(r, s)) {
        std::vector<double> key = times(part, k);
        double score = 0;
        for (auto [a, b] : llvm::zip_equal(asked, key))
          score += a * b;
        scores.push_back(scale * score);
        values.push_back(v ? times(part, *v) : std::vector<double>(part, part + result.last()));
      }
    double most = -std::numeric_limits<double>::infinity(), total = 0;
    for (double score : scores)
      most = std::isnan(score) || std::isnan(most) ? score + most : std::max(most, score);
    for (double &score : scores)
      total += score = std::exp(score - most);
    for (auto [score, value] : llvm::zip_equal(scores, values))
      for (int64_t i = 0; i < result.last(); ++i)
        result.data[size_t(r * result.last() + i)] += score / total * value[size_t(i)];
  }
  return result;
}

bool Evaluator::runAggregate(Operation *op, Values &values) {
  auto partsOf = [&](Value value) -> const Parts & { return *values.find(value)->second.parts; };
  auto array = [&](Value value) -> const Array & { return values.find(value)->second.array; };
  std::optional<Array> result =
      llvm::TypeSwitch<Operation *, std::optional<Array>>(op)
          .Case([&](AggregateOp aggregate) {
            const Parts &parts = partsOf(aggregate.getParts());
            return aggregate.getAggregation() == Aggregation::Concatenation
                       ? concatenate(parts)
                       : sum(aggregate.getAggregation(), parts);
          })
          .Case([&](AggregateAttentionOp attention) {
            return attend(partsOf(attention.getParts()), array(attention.getQuery()),
                          array(attention.getQ()), array(attention.getK()),
                          attention.getV() ? &array(attention.getV()) : nullptr,
                          attention.getScale().convertToDouble());
          })
          .Case([&](AggregateByOp by) -> std::optional<Array> {
            const Parts &parts = partsOf(by.getParts());
            Array chosen = parts.route->chosen;
            for (double &number : chosen.data)
              if (!(number >= 0 && number < double(parts.route->modules)))
                number = -1;
            std::vector<Array> arguments{collect(parts), std::move(chosen), parts.route->weights};
            for (Value input : by.getInputs())
              arguments.push_back(array(input));
            auto own = module.lookupSymbol<AggregatorOp>(by.getAggregatorAttr().getAttr());
            auto results = runBlock(own.getBody().front(), std::move(arguments), nullptr);
            return results ? std::optional(std::move(results->front())) : std::nullopt;
          })
          .Default([](Operation *) { return std::nullopt; });
  if (!result)
    return false;
  values[op->getResult(0)].array = std::move(*result);
  return true;
}
