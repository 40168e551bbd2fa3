//===- Selection.cpp - Selecting, weighing and aggregating as onnx ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"

#include <limits>
#include <numeric>

using namespace mlir;
using namespace graft::modular;
using graft::onnx::GraphBuilder;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value SelectTopOp::buildSelection(OpBuilder &builder, Value scores) {
  GraphBuilder b(getLoc(), builder);
  Value numbers = b.where(b.isNaN(scores), b.number(-kInfinity, scores), scores);
  return b.topK(numbers, getCount()).second;
}

Value SelectAllOp::buildSelection(OpBuilder &builder, Value scores) {
  GraphBuilder b(getLoc(), builder);
  SmallVector<int64_t> all(getScores().getType().getDimSize(1));
  std::iota(all.begin(), all.end(), 0);
  return b.expandTo(b.integers(all), scores);
}

/// True in the slots that hold one of `modules` modules.
static Value buildFilled(GraphBuilder &b, Value chosen, int64_t modules) {
  return b.predicate<graft::onnx::AndOp>(
      b.predicate<graft::onnx::GreaterOrEqualOp>(chosen, b.number(0, chosen)),
      b.predicate<graft::onnx::LessOp>(chosen, b.number(modules, chosen)));
}

Value WeighOp::buildWeights(OpBuilder &builder, Value chosen, Value scores) {
  GraphBuilder b(getLoc(), builder);
  Value filled = buildFilled(b, chosen, getScores().getType().getDimSize(1));
  Value picked = b.gatherElements(scores, b.where(filled, chosen, b.number(0, chosen)));
  Value none = b.number(0, picked);
  switch (getNormalization()) {
  case Normalization::None:
    return b.where(filled, picked, none);
  case Normalization::Sum: {
    Value weights = b.where(filled, picked, none);
    return b.where(filled, b.binary<graft::onnx::DivOp>(weights, b.sumOfRows(weights)), none);
  }
  case Normalization::Softmax:
    return b.where(filled, b.softmax(b.where(filled, picked, b.number(-kInfinity, picked))), none);
  }
  llvm_unreachable("a normalization");
}

Value AggregateOp::buildSlotWeights(OpBuilder &builder, Value chosen, Value weights) {
  GraphBuilder b(getLoc(), builder);
  if (getAggregation() == Aggregation::WeightedSum)
    return weights;
  int64_t modules = cast<ApplyOp>(getParts().getDefiningOp()).getRoute().getType().getModules();
  Value filled = buildFilled(b, chosen, modules);
  Value ones = b.where(filled, b.number(1, weights), b.number(0, weights));
  if (getAggregation() == Aggregation::Sum)
    return ones;
  return b.where(filled, b.binary<graft::onnx::DivOp>(ones, b.sumOfRows(ones)),
                 b.number(0, weights));
}
