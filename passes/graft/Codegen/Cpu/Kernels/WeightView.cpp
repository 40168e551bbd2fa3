//===- WeightView.cpp - Matrices that are views of weights -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/WeightView.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace graft;

using Dimension = WeightView::Dimension;

/// Steps over nothing are left out, and steps that continue each other are joined.
static Dimension simplified(ArrayRef<WeightView::Step> steps) {
  Dimension result;
  for (const WeightView::Step &step : steps) {
    if (step.size == 1)
      continue;
    if (!result.empty() && result.back().stride == step.size * step.stride)
      result.back() = {result.back().size * step.size, step.stride};
    else
      result.push_back(step);
  }
  return result;
}

/// Takes `size` elements off the inner end of a dimension.
static std::optional<Dimension> takeInner(Dimension &from, int64_t size) {
  Dimension taken; // innermost first
  while (size > 1) {
    if (from.empty())
      return std::nullopt;
    WeightView::Step &step = from.back();
    if (size % step.size == 0) {
      size /= step.size;
      taken.push_back(step);
      from.pop_back();
    } else if (step.size % size == 0) {
      taken.push_back({size, step.stride});
      step = {step.size / size, step.stride * size};
      size = 1;
    } else {
      return std::nullopt;
    }
  }
  std::reverse(taken.begin(), taken.end());
  return simplified(taken);
}

static std::optional<WeightView> collapsed(tensor::CollapseShapeOp op, WeightView view) {
  SmallVector<Dimension, 4> dimensions;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    Dimension steps;
    for (int64_t d : group)
      llvm::append_range(steps, view.dimensions[d]);
    dimensions.push_back(simplified(steps));
  }
  view.dimensions = std::move(dimensions);
  return view;
}

static std::optional<WeightView> expanded(tensor::ExpandShapeOp op, WeightView view) {
  ArrayRef<int64_t> shape = op.getResultType().getShape();
  SmallVector<Dimension, 4> dimensions(shape.size());
  for (auto [group, dimension] : llvm::zip(op.getReassociationIndices(), view.dimensions))
    for (int64_t d : llvm::reverse(group)) {
      std::optional<Dimension> taken = takeInner(dimension, shape[d]);
      if (!taken)
        return std::nullopt;
      dimensions[d] = std::move(*taken);
    }
  view.dimensions = std::move(dimensions);
  return view;
}

static std::optional<WeightView> sliced(tensor::ExtractSliceOp op, WeightView view) {
  if (ShapedType::isDynamicShape(op.getStaticOffsets()) ||
      ShapedType::isDynamicShape(op.getStaticStrides()))
    return std::nullopt;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  SmallVector<Dimension, 4> dimensions;
  for (auto [d, dimension] : llvm::enumerate(view.dimensions)) {
    int64_t size = op.getStaticSizes()[d], start = op.getStaticOffsets()[d];
    int64_t step = op.getStaticStrides()[d];
    if (size != op.getSourceType().getDimSize(d) || start != 0 || step != 1) {
      if (dimension.size() > 1)
        return std::nullopt;
      if (!dimension.empty()) {
        view.offset += start * dimension[0].stride;
        dimension = simplified(WeightView::Step{size, dimension[0].stride * step});
      }
    }
    if (!dropped[d])
      dimensions.push_back(dimension);
  }
  view.dimensions = std::move(dimensions);
  return view;
}

std::optional<WeightView> graft::viewOfWeight(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() == 0)
    return std::nullopt;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    WeightView view{argument, 0, {}};
    int64_t stride = type.getNumElements();
    for (int64_t size : type.getShape()) {
      stride /= size;
      view.dimensions.push_back(simplified(WeightView::Step{size, stride}));
    }
    return view;
  }
  Operation *op = value.getDefiningOp();
  if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::ExtractSliceOp,
           linalg::TransposeOp>(op))
    return std::nullopt;
  std::optional<WeightView> view = viewOfWeight(op->getOperand(0));
  if (!view)
    return std::nullopt;
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return collapsed(collapse, std::move(*view));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expanded(expand, std::move(*view));
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return sliced(slice, std::move(*view));
  SmallVector<Dimension, 4> dimensions;
  for (int64_t from : cast<linalg::TransposeOp>(op).getPermutation())
    dimensions.push_back(view->dimensions[from]);
  view->dimensions = std::move(dimensions);
  return view;
}
