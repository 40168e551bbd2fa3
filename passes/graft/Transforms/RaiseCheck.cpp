//===- RaiseCheck.cpp - Whether a mixture gives what it stands for -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/RaiseCheck.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;
using namespace graft::reference;

//===----------------------------------------------------------------------===//
// Draws
//===----------------------------------------------------------------------===//

Draws::Draws(int64_t experts, int64_t slots, std::optional<int64_t> hit)
    : experts(experts), slots(slots), hit(std::min(hit.value_or(experts), experts)) {
  count = std::max<int64_t>(this->hit / std::max<int64_t>(slots, 1) + 2, 4);
}

int64_t Draws::expertOf(int64_t row, int64_t slot) const {
  // Those that take part stand side by side, and start at another one each turn.
  return (turn * std::max<int64_t>(hit - 1, 1) + (row * slots + slot) % std::max<int64_t>(hit, 1)) %
         experts;
}

std::vector<double> Draws::chosen(int64_t rows) {
  std::vector<double> result;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> all;
    for (int64_t slot = 0; slot < slots; ++slot)
      all.push_back(double(expertOf(row, slot)));
    std::shuffle(all.begin(), all.end(), random);
    result.insert(result.end(), all.begin(), all.end());
  }
  return result;
}

std::vector<double> Draws::anyOf(int64_t rows) {
  std::vector<double> result, all;
  for (int64_t i = 0; i < experts; ++i)
    all.push_back(double(i));
  for (int64_t row = 0; row < rows; ++row) {
    std::shuffle(all.begin(), all.end(), random);
    result.insert(result.end(), all.begin(), all.begin() + std::min(slots, experts));
  }
  return result;
}

std::vector<double> Draws::scores(int64_t rows) {
  std::vector<double> result = normal(rows * experts);
  for (int64_t row = 0; row < rows; ++row) {
    double *scores = result.data() + row * experts;
    for (int64_t slot = 0; slot < slots && slots < experts; ++slot)
      scores[expertOf(row, slot)] += 6;
    // A weight of 0 may be none.
    std::bernoulli_distribution isNone(0.25);
    for (int64_t i = 0; i < experts && slots == experts; ++i)
      if ((row / 2 + i + turn) % 2 == 0 || isNone(random))
        scores[i] = 0;
    if (hit == experts)
      continue;
    for (int64_t i = 0; i < experts; ++i)
      if ((i - turn * std::max<int64_t>(hit - 1, 1) % experts + experts) % experts >= hit)
        scores[i] -= 30;
  }
  return result;
}

std::vector<double> Draws::normal(int64_t elements) {
  std::normal_distribution<double> distribution;
  std::vector<double> result(elements);
  for (double &value : result)
    value = distribution(random);
  return result;
}

std::vector<double> Draws::weights(int64_t elements) {
  std::uniform_real_distribution<double> distribution(0.1, 1);
  std::vector<double> result(elements);
  for (double &value : result)
    value = distribution(random);
  return result;
}

llvm::StringMap<int64_t> graft::raise::chooseSymbols(const SymbolicShapes &shapes, Value input,
                                                     int64_t rows) {
  llvm::StringMap<int64_t> symbols;
  std::vector<std::string> own;
  if (shapes.isKnown(input))
    own = product(ArrayRef(shapes.get(input).dims).drop_back()).symbols();
  for (auto [i, symbol] : llvm::enumerate(own))
    symbols[symbol] = own.size() == 1       ? rows
                      : i == 0              ? 2
                      : i + 1 == own.size() ? (rows + 1) / 2
                                            : 1;
  for (Value argument : input.getParentBlock()->getParentOp()->getRegion(0).getArguments())
    if (shapes.isKnown(argument))
      for (const Polynomial &dim : shapes.get(argument).dims)
        for (const std::string &symbol : dim.symbols())
          symbols.try_emplace(symbol, 3);
  return symbols;
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

namespace {
class Comparison {
public:
  Comparison(const SymbolicShapes &shapes, Operation *begin, Value before, Value after,
             std::optional<int64_t> hit)
      : shapes(shapes), begin(begin), before(before), after(after), hit(hit) {}

  Verdict run();

private:
  bool findMixture();
  /// Whether the op was built for the mixture.
  bool isNew(Operation *op) const;
  /// Whether `value` is made of others that are given, without a product in between.
  bool isDerived(Value value) const;
  bool seed(Evaluator &at, Draws &draws, Value value, int64_t experts, int64_t slots);
  Verdict fail(const Evaluator &at, Verdict::Kind kind) const;

  const SymbolicShapes &shapes;
  Operation *begin;
  Value before, after;
  std::optional<int64_t> hit;
  AggregateOp aggregate;
  ApplyOp apply;
  llvm::SetVector<Value> given;
};
} // namespace

bool Comparison::isNew(Operation *op) const {
  return op && op->getBlock() == before.getDefiningOp()->getBlock() &&
         op->isBeforeInBlock(before.getDefiningOp()) && (!begin || begin->isBeforeInBlock(op));
}

/// The aggregate, and what is read of what stood there before.
bool Comparison::findMixture() {
  llvm::SetVector<Operation *> inside;
  if (!isNew(after.getDefiningOp()))
    return false;
  inside.insert(after.getDefiningOp());
  for (size_t i = 0; i < inside.size(); ++i) {
    if (auto op = dyn_cast<AggregateOp>(inside[i]))
      aggregate = op;
    for (Value operand : inside[i]->getOperands()) {
      if (isNew(operand.getDefiningOp()))
        inside.insert(operand.getDefiningOp());
      else if (!isParameter(operand) && !isa<onnx::ShapeOp>(inside[i]))
        given.insert(operand);
    }
  }
  apply = aggregate ? aggregate.getParts().getDefiningOp<ApplyOp>() : ApplyOp();
  return apply != nullptr;
}

bool Comparison::isDerived(Value value) const {
  llvm::SetVector<Value> cone;
  cone.insert(value);
  bool anyGiven = false;
  for (size_t i = 0; i < cone.size() && cone.size() < 64; ++i) {
    Operation *op = cone[i].getDefiningOp();
    if (i != 0 && given.contains(cone[i])) {
      anyGiven = true;
      continue;
    }
    if (!op || isa<onnx::MatMulOp, onnx::GemmOp, onnx::ConvOp>(op))
      return false;
    if (isParameter(cone[i]) || isa<onnx::ShapeOp>(op))
      continue;
    cone.insert(op->operand_begin(), op->operand_end());
  }
  return anyGiven;
}

bool Comparison::seed(Evaluator &at, Draws &draws, Value value, int64_t experts, int64_t slots) {
  auto type = typeOf(value);
  std::optional<Shape> known = at.shapeOf(value);
  std::optional<int64_t> count = known ? elementCount(*known) : std::nullopt;
  if (!type || !count || *count > (1 << 24))
    return false;
  const Shape &shape = *known;
  const Tensor::Kind kind = Tensor::kindOf(type.getElementType());
  const bool isOfSlots = slots > 0 && *count % slots == 0;
  std::vector<double> values;
  if (kind == Tensor::Bool) {
    values = draws.weights(*count);
    for (double &value : values)
      value = value < 0.5;
  } else if (kind == Tensor::Integer) {
    if (!isOfSlots)
      return false;
    values = draws.chosen(*count / slots);
  } else if (!shape.empty() && shape.back() == experts) {
    values = draws.scores(*count / experts);
  } else {
    // Beside what is chosen, its weights.
    const bool isWeight = llvm::any_of(given, [&](Value other) {
      return other != value && typeOf(other) && typeOf(other).getElementType().isInteger(64) &&
             shapes.isKnown(other) && shapes.get(other).dims == shapes.get(value).dims;
    });
    values = isWeight ? draws.weights(*count) : draws.normal(*count);
  }
  at.set(value, Tensor(kind, shape, std::move(values)));
  return true;
}

Verdict Comparison::fail(const Evaluator &at, Verdict::Kind kind) const {
  const Evaluator::Failure &failure = at.failure();
  return {failure.isUnknown ? Verdict::Unchecked : kind,
          failure.op ? failure.op : before.getDefiningOp(), failure.why};
}

Verdict Comparison::run() {
  if (!findMixture())
    return {Verdict::Unchecked, before.getDefiningOp(), "a mixture of another form"};
  RouteType type = apply.getRoute().getType();
  const int64_t experts = type.getModules(), slots = type.getSlots();
  Draws draws(experts, slots, hit);
  std::vector<bool> isTaken(experts), isLeft(experts, slots == experts);
  for (int turn = 0; turn < 64; ++turn, draws.next()) {
    // The rows' symbols are those of what the experts see.
    Value rows = apply.getInputs().front();
    if (auto reshape = rows.getDefiningOp<onnx::ReshapeOp>(); reshape && isNew(reshape))
      rows = reshape.getData();
    Evaluator at(&shapes, chooseSymbols(shapes, rows, draws.rows()));
    for (Value value : given) {
      if (isDerived(value))
        continue;
      if (!seed(at, draws, value, experts, slots))
        return {Verdict::Unchecked, before.getDefiningOp(), "a value of unknown shape"};
    }
    for (Value value : apply.getRoute().getDefiningOp()->getOperands())
      if (!at.get(value))
        return fail(at, Verdict::Unchecked);
    std::optional<SmallVector<Tensor>> route = evaluateRoute(at, apply.getRoute());
    if (!route)
      return fail(at, Verdict::Unchecked);
    const int64_t count = (*route)[0].shape[0];
    std::vector<int64_t> users(experts, 0);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t slot = 0; slot < slots; ++slot) {
        const double number = (*route)[0].values()[row * slots + slot];
        if (number >= 0 && number < double(experts))
          ++users[int64_t(number)];
      }
    const int64_t taken = llvm::count_if(users, [](int64_t n) { return n != 0; });
    if (taken == 0 || (hit && taken != *hit))
      continue;
    const Tensor *wanted = at.get(before);
    if (!wanted)
      return fail(at, Verdict::Fails);
    Tensor expected = *wanted;
    const Tensor *found = at.get(after);
    if (!found)
      return fail(at, Verdict::Unchecked);
    if (found->shape != expected.shape)
      return {Verdict::Disagrees, before.getDefiningOp(), "another shape"};
    double error = 0, norm = 0;
    for (auto [a, b] : llvm::zip(found->values(), expected.values())) {
      error += (a - b) * (a - b);
      norm += b * b;
    }
    error = std::sqrt(error) / std::max(std::sqrt(norm), 1e-30);
    if (!(error <= 1e-6)) {
      llvm::SmallString<32> text;
      llvm::raw_svector_ostream(text) << llvm::formatv("{0:e1}", error);
      return {Verdict::Disagrees, before.getDefiningOp(),
              ("a relative difference of " + text).str()};
    }
    for (int64_t i = 0; i < experts; ++i) {
      isTaken[i] = isTaken[i] || users[i] > 0;
      isLeft[i] = isLeft[i] || users[i] < count;
    }
    if (!llvm::is_contained(isTaken, false) && !llvm::is_contained(isLeft, false))
      return {Verdict::Agrees, nullptr, ""};
  }
  return {Verdict::Unchecked, before.getDefiningOp(), "no draw that chooses every expert"};
}

Verdict graft::raise::compare(const SymbolicShapes &shapes, Operation *begin, Value before,
                              Value after, std::optional<int64_t> hit) {
  return Comparison(shapes, begin, before, after, hit).run();
}
