//===- Weighing.cpp - How routers mask scores and weigh what they select -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Modular/RoutingTypes.h"
#include "graft/Onnx/GraphBuilder.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::modular::detail;
using onnx::GraphBuilder;

LogicalResult MaskGroupsOp::verify() {
  RankedTensorType scores = getScores().getType();
  const int64_t groups = getGroups(), keep = getKeep(), top = getTop();
  if (scores.getRank() != 2 || scores.isDynamicDim(1) || groups < 1 ||
      scores.getDimSize(1) % groups != 0)
    return emitOpError() << "(mask_groups-C1) expects scores of (rows, modules) whose modules make "
                         << groups << " groups, found " << scores;
  const int64_t size = scores.getDimSize(1) / groups;
  if (keep < 1 || keep > groups || top < 1 || top > size)
    return emitOpError() << "(mask_groups-C2) expects to keep 1 to " << groups
                         << " groups by their top 1 to " << size << " scores, found " << keep
                         << " and " << top;
  return success();
}

Value MaskGroupsOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value scores = operands[0];
  const int64_t modules = getScores().getType().getDimSize(1), groups = getGroups();
  // Each row's groups one below the other.
  Value parted = b.reshape(b.ordered(scores), {-1, modules / groups});
  Value sums = b.reshape(b.sumOfRows(b.topK(parted, getTop()).first), {-1, groups});
  // A sum of −∞ and +∞ is no number.
  sums = b.ordered(sums);
  Value kept = b.topK(sums, getKeep()).second;
  Value zeros = b.expandTo(b.integers(0), sums);
  Value marks = b.scatterElements(zeros, kept, b.expandTo(b.integers(1), kept), 1);
  Value marked = b.expand(b.unsqueeze(marks, 2), {1, 1, modules / groups});
  Value stays = b.predicate<onnx::GreaterOp>(b.reshapeTo(marked, scores), b.integers(0));
  return b.where(stays, scores, b.lowest(scores));
}

LogicalResult WeighOp::verify() {
  RankedTensorType scores = getScores().getType(), chosen = getChosen().getType();
  if (!areScoresAndChosen(scores, chosen) || !areRoute(chosen, getWeights().getType()))
    return emitOpError() << "(weigh-C1) expects scores of (rows, modules) and two tensors of "
                            "(rows, slots), found "
                         << scores << ", " << chosen << " and " << getWeights().getType();
  return success();
}

Value WeighOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value chosen = operands[0], scores = operands[1];
  Value filled = b.isWithin(chosen, getScores().getType().getDimSize(1));
  Value picked = b.gatherElements(scores, b.where(filled, chosen, b.number(0, chosen)));
  Value none = b.number(0, picked);
  switch (getNormalization()) {
  case Normalization::None:
    return b.where(filled, picked, none);
  case Normalization::Sum: {
    Value weights = b.where(filled, picked, none);
    return b.where(filled, b.binary<onnx::DivOp>(weights, b.sumOfRows(weights)), none);
  }
  case Normalization::Softmax:
    return b.where(filled, b.softmax(b.where(filled, picked, b.lowest(picked))), none);
  }
  llvm_unreachable("a normalization");
}

LogicalResult WeighEvenlyOp::verify() {
  if (!areRoute(getChosen().getType(), getWeights().getType()))
    return emitOpError() << "(weigh_evenly-C1) expects two tensors of (rows, slots), found "
                         << getChosen().getType() << " and " << getWeights().getType();
  if (int64_t(getModules()) < 1)
    return emitOpError() << "(weigh_evenly-C2) expects at least 1 module, found " << getModules();
  return success();
}

Value WeighEvenlyOp::buildStep(OpBuilder &builder, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  Value filled = b.isWithin(operands[0], getModules());
  Value weights = b.cast(filled, getElementTypeOrSelf(getWeights().getType()));
  if (!getShared())
    return weights;
  return b.where(filled, b.binary<onnx::DivOp>(weights, b.sumOfRows(weights)),
                 b.number(0, weights));
}
