//===- Selection.cpp - How routers select -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Modular/RoutingTypes.h"
#include "graft/Onnx/GraphBuilder.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::modular::detail;
using onnx::GraphBuilder;

bool graft::modular::detail::areScoresAndChosen(RankedTensorType scores, RankedTensorType chosen) {
  return scores.getRank() == 2 && chosen.getRank() == 2 && !scores.isDynamicDim(1) &&
         !chosen.isDynamicDim(1) &&
         succeeded(
             verifyCompatibleShape(scores.getShape().take_front(), chosen.getShape().take_front()));
}

/// 0, 1, … in a row, as many as there are modules.
static Value buildNumbers(GraphBuilder &b, int64_t modules) {
  SmallVector<int64_t> all(modules);
  std::iota(all.begin(), all.end(), 0);
  return b.integers(all);
}

/// Scores against a result that has a slot for each module.
static LogicalResult verifySlotForEach(Operation *op, StringRef constraint, RankedTensorType scores,
                                       RankedTensorType chosen) {
  if (areScoresAndChosen(scores, chosen) && chosen.getDimSize(1) == scores.getDimSize(1))
    return success();
  return op->emitOpError() << constraint
                           << " expects scores and a result of (rows, modules), found " << scores
                           << " and " << chosen;
}

//===----------------------------------------------------------------------===//
// Capacities
//===----------------------------------------------------------------------===//

/// Factors are taken to six decimals.
static constexpr double kFactorUnit = 1e6;

/// What a capacity of rows may be counted to: it makes tensors of so many.
static constexpr int64_t kLargestCount = int64_t(1) << 24;

/// Whether there is either a count from 1 to the largest or a factor from the unit to `most`.
static bool isCapacity(std::optional<int64_t> count, std::optional<APFloat> factor, double most) {
  if (count.has_value() == factor.has_value())
    return false;
  if (count)
    return *count >= 1 && *count <= kLargestCount;
  double value = factor->convertToDouble();
  return std::isfinite(value) && value * kFactorUnit >= 1 && value <= most;
}

/// ⌈factor · rows · slots / modules⌉ of a number of rows, in integers.
static Value buildShare(GraphBuilder &b, Value rows, const APFloat &factor, int64_t slots,
                        int64_t modules) {
  const int64_t numerator = std::llround(factor.convertToDouble() * kFactorUnit) * slots;
  const int64_t denominator = int64_t(kFactorUnit) * modules;
  Value product = b.binary<onnx::MulOp>(rows, b.integers(numerator));
  return b.binary<onnx::DivOp>(b.binary<onnx::AddOp>(product, b.integers(denominator - 1)),
                               b.integers(denominator));
}

/// No factor is so large that rows times it leave 64 bits.
static constexpr double kLargestFactor = 1e6;

//===----------------------------------------------------------------------===//
// Row by row
//===----------------------------------------------------------------------===//

LogicalResult SelectTopOp::verify() {
  RankedTensorType scores = getScores().getType(), chosen = getChosen().getType();
  if (!areScoresAndChosen(scores, chosen) || chosen.getDimSize(1) != int64_t(getCount()))
    return emitOpError() << "(select_top-C1) expects scores of (rows, modules) and a result of "
                            "(rows, "
                         << getCount() << "), found " << scores << " and " << chosen;
  if (int64_t(getCount()) < 1 || int64_t(getCount()) > scores.getDimSize(1))
    return emitOpError() << "(select_top-C2) expects a count from 1 to the " << scores.getDimSize(1)
                         << " modules, found " << getCount();
  return success();
}

Value SelectTopOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  return b.topK(b.ordered(operands[0]), getCount()).second;
}

LogicalResult SelectAllOp::verify() {
  return verifySlotForEach(*this, "(select_all-C1)", getScores().getType(), getChosen().getType());
}

Value SelectAllOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  return b.expandTo(buildNumbers(b, getScores().getType().getDimSize(1)), operands[0]);
}

LogicalResult SelectAboveOp::verify() {
  if (getThreshold().isNaN())
    return emitOpError() << "(select_above-C2) expects a threshold that is a number, found NaN";
  return verifySlotForEach(*this, "(select_above-C1)", getScores().getType(),
                           getChosen().getType());
}

Value SelectAboveOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value scores = operands[0];
  Value passes =
      b.predicate<onnx::GreaterOp>(scores, b.number(getThreshold().convertToDouble(), scores));
  Value numbers = buildNumbers(b, getScores().getType().getDimSize(1));
  return b.where(passes, numbers, b.number(-1, numbers));
}

LogicalResult SelectHashOp::verify() {
  RankedTensorType ids = getIds().getType(), chosen = getChosen().getType();
  if (ids.getRank() != 1 || chosen.getRank() != 2 || chosen.getDimSize(1) != 1 ||
      failed(verifyCompatibleShape(ids.getShape(), chosen.getShape().take_front())))
    return emitOpError() << "(select_hash-C1) expects ids of (rows) and a result of (rows, 1), "
                            "found "
                         << ids << " and " << chosen;
  if (int64_t(getModules()) < 1)
    return emitOpError() << "(select_hash-C2) expects at least 1 module, found " << getModules();
  return success();
}

Value SelectHashOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  constexpr int64_t kPrime = (int64_t(1) << 31) - 1, kMultiplier = 48271;
  // onnx.Mod gives the remainder the divisor's sign.
  auto mod = [&](Value x, int64_t divisor) {
    return b.binary<onnx::ModOp>(x, b.number(divisor, x));
  };
  const int64_t remainder = int64_t(getSeed()) % kPrime;
  const int64_t seed = remainder < 0 ? remainder + kPrime : remainder;
  Value product = b.binary<onnx::MulOp>(mod(operands[0], kPrime), b.integers(kMultiplier));
  Value hash = mod(b.binary<onnx::AddOp>(product, b.integers(seed)), kPrime);
  return b.unsqueeze(mod(hash, getModules()), 1);
}

//===----------------------------------------------------------------------===//
// Over all rows
//===----------------------------------------------------------------------===//

LogicalResult SelectRowsOp::verify() {
  if (failed(verifySlotForEach(*this, "(select_rows-C1)", getScores().getType(),
                               getChosen().getType())))
    return failure();
  if (!isCapacity(getCount(), getFactor(), getScores().getType().getDimSize(1)))
    return emitOpError()
           << "(select_rows-C2) expects either a count from 1 to 16777216, or a factor of "
              "at least 0.000001 and at most the "
           << getScores().getType().getDimSize(1) << " modules";
  return success();
}

Value SelectRowsOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value scores = b.ordered(operands[0]);
  const int64_t modules = getScores().getType().getDimSize(1);
  Value count;
  Value candidates = scores;
  if (getFactor()) {
    count = buildShare(b, b.sizeOf(scores, 0), *getFactor(), 1, modules);
  } else {
    // Rows that do not exist stand behind those that do: a module never has too few to choose from.
    count = b.integers(*getCount());
    Value none = b.expand(b.reshape(b.lowest(scores), {1, 1}), {int64_t(*getCount()), modules});
    candidates = b.concat({scores, none}, 0);
  }
  auto any = RankedTensorType::get({ShapedType::kDynamic, modules}, b.getI64Type());
  auto top = onnx::TopKOp::create(b, any.clone(getElementTypeOrSelf(scores.getType())), any,
                                  candidates, count, /*axis=*/int64_t(0));
  Value numbers = buildNumbers(b, modules);
  Value nothing = b.expandTo(b.integers(-1), candidates);
  Value taken =
      b.scatterElements(nothing, top.getIndices(), b.expandTo(numbers, top.getIndices()), 0);
  if (getFactor())
    return taken;
  return b.slice(taken, 0, 0, -int64_t(*getCount()));
}

LogicalResult LimitOp::verify() {
  RankedTensorType chosen = getChosen().getType();
  if (chosen.getRank() != 2 || chosen.isDynamicDim(1) || chosen.getDimSize(1) < 1)
    return emitOpError() << "(limit-C1) expects what is chosen as (rows, slots), found " << chosen;
  if (!isCapacity(getCount(), getFactor(), kLargestFactor))
    return emitOpError()
           << "(limit-C2) expects either a count from 1 to 16777216, or a factor of at "
              "least 0.000001 and at most "
           << int64_t(kLargestFactor);
  if (int64_t(getModules()) < 1)
    return emitOpError() << "(limit-C3) expects at least 1 module, found " << getModules();
  return success();
}

Value LimitOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value chosen = operands[0];
  const int64_t slots = getChosen().getType().getDimSize(1), modules = getModules();
  Value filled = b.isWithin(chosen, modules);
  // All first slots, then all second slots: (slots · rows) places, each with the number of places
  // before it that hold the same module, and itself.
  Value places = b.reshape(b.transpose(chosen, {1, 0}), {-1});
  Value isFilled = b.reshape(b.transpose(filled, {1, 0}), {-1});
  Value safe = b.where(isFilled, places, b.number(0, places));
  Value hot = b.where(b.unsqueeze(isFilled, 1), b.oneHot(safe, modules), b.number(0, places));
  Value before = b.gatherElements(b.cumulativeSum(hot, 0), b.unsqueeze(safe, 1));
  Value rank = b.transpose(b.reshapeTo(before, b.transpose(chosen, {1, 0})), {1, 0});
  Value capacity = getFactor() ? buildShare(b, b.sizeOf(chosen, 0), *getFactor(), slots, modules)
                               : b.integers(*getCount());
  Value keeps = b.predicate<onnx::AndOp>(filled, b.predicate<onnx::LessOrEqualOp>(rank, capacity));
  return b.where(keeps, chosen, b.number(-1, chosen));
}
