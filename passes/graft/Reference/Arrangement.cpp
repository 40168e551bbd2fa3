//===- Arrangement.cpp - Ops that only move elements, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Onnx/Onnx.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::reference;

/// A view where the tensor lets it, else the same elements in another shape.
static bool reshape(Evaluator &at, Operation *op, const Tensor &data, ArrayRef<int64_t> shape) {
  if (elementCount(shape) != data.count())
    return at.fail(op, "a shape of another number of elements");
  if (std::optional<Tensor> view = data.reshaped(shape)) {
    at.set(op->getResult(0), std::move(*view));
    return true;
  }
  return at.result(op->getResult(0), shape, data.values().vec());
}

/// The elements at the places that `source` gives for each index of the result.
static bool rearrange(Evaluator &at, Value value, const Tensor &data, ArrayRef<int64_t> shape,
                      llvm::function_ref<int64_t(ArrayRef<int64_t>)> source) {
  std::optional<int64_t> count = computedCount(shape);
  if (!count)
    return at.fail(value.getDefiningOp(), "a shape that overflows");
  std::vector<double> out(*count);
  ArrayRef<double> from = data.values();
  Shape index(shape.size(), 0);
  for (double &element : out) {
    element = from[source(index)];
    for (int64_t dim = shape.size(); dim-- > 0 && ++index[dim] == shape[dim];)
      index[dim] = 0;
  }
  return at.result(value, shape, std::move(out));
}

static bool evaluateReshape(Evaluator &at, onnx::ReshapeOp op) {
  const Tensor &data = *at.lookup(op.getData());
  Shape shape(*at.integers(op.getShape()));
  int64_t rest = 1, open = -1;
  for (auto [i, dim] : llvm::enumerate(shape)) {
    if (dim == 0 && op.getAllowzero() == 0 && int64_t(i) < data.rank())
      dim = data.shape[i];
    if (dim == -1)
      open = i;
    else if (dim < 0 || llvm::MulOverflow(rest, dim, rest))
      return at.fail(op, "a shape that overflows");
  }
  if (open >= 0)
    shape[open] = rest == 0 ? 0 : data.count() / rest;
  return reshape(at, op, data, shape);
}

static bool evaluateSqueeze(Evaluator &at, Operation *op, const Tensor &data, Value axesOf) {
  std::optional<SmallVector<int64_t>> axes;
  if (axesOf)
    axes = at.integers(axesOf);
  Shape shape;
  for (int64_t i = 0; i < data.rank(); ++i) {
    const bool isNamed =
        axes ? llvm::is_contained(*axes, i) || llvm::is_contained(*axes, i - data.rank())
             : data.shape[i] == 1;
    if (!isNamed)
      shape.push_back(data.shape[i]);
  }
  return reshape(at, op, data, shape);
}

static bool evaluateUnsqueeze(Evaluator &at, onnx::UnsqueezeOp op) {
  const Tensor &data = *at.lookup(op.getData());
  SmallVector<int64_t> axes = *at.integers(op.getAxes());
  const int64_t rank = data.rank() + axes.size();
  Shape shape;
  int64_t next = 0;
  for (int64_t i = 0; i < rank; ++i) {
    if (llvm::is_contained(axes, i) || llvm::is_contained(axes, i - rank))
      shape.push_back(1);
    else if (next < data.rank())
      shape.push_back(data.shape[next++]);
    else
      return at.fail(op, "axes that do not fit");
  }
  return reshape(at, op, data, shape);
}

static bool evaluateTranspose(Evaluator &at, onnx::TransposeOp op) {
  const Tensor &data = *at.lookup(op.getData());
  SmallVector<int64_t> order;
  if (auto perm = op.getPerm())
    for (Attribute dim : *perm)
      order.push_back(cast<IntegerAttr>(dim).getInt());
  else
    for (int64_t i = data.rank(); i-- > 0;)
      order.push_back(i);
  SmallVector<int64_t> sorted = order;
  llvm::sort(sorted);
  SmallVector<int64_t> all(data.rank());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all)
    return at.fail(op, "a permutation that does not fit");
  if (std::optional<Tensor> view = order.empty() ? std::nullopt : data.transposed(order)) {
    at.set(op, std::move(*view));
    return true;
  }
  Shape strides = rowMajor(data.shape), shape;
  for (int64_t dim : order)
    shape.push_back(data.shape[dim]);
  return rearrange(at, op, data, shape, [&](ArrayRef<int64_t> index) {
    int64_t from = 0;
    for (auto [i, dim] : llvm::zip(index, order))
      from += i * strides[dim];
    return from;
  });
}

/// Repeats along dimensions, which wrap around.
static bool repeat(Evaluator &at, Operation *op, const Tensor &data, ArrayRef<int64_t> shape) {
  Shape strides = rowMajor(data.shape);
  const int64_t added = shape.size() - data.rank();
  if (llvm::is_contained(data.shape, 0) != llvm::is_contained(shape, 0))
    return at.fail(op, "a shape that does not fit");
  return rearrange(at, op->getResult(0), data, shape, [&](ArrayRef<int64_t> index) {
    int64_t from = 0;
    for (int64_t i = 0; i < data.rank(); ++i)
      from += index[added + i] % data.shape[i] * strides[i];
    return from;
  });
}

static bool evaluateExpand(Evaluator &at, onnx::ExpandOp op) {
  const Tensor &data = *at.lookup(op.getInput());
  Shape shape(*at.integers(op.getShape()));
  if (int64_t(shape.size()) < data.rank())
    shape.insert(shape.begin(), data.rank() - shape.size(), 1);
  for (auto [dim, own] : llvm::zip(MutableArrayRef(shape).take_back(data.rank()), data.shape)) {
    if (dim != own && dim != 1 && own != 1)
      return at.fail(op, "shapes that do not broadcast");
    if (dim == 1)
      dim = own;
  }
  return repeat(at, op, data, shape);
}

static bool evaluateTile(Evaluator &at, onnx::TileOp op) {
  const Tensor &data = *at.lookup(op.getInput());
  SmallVector<int64_t> repeats = *at.integers(op.getRepeats());
  if (int64_t(repeats.size()) != data.rank())
    return at.fail(op, "repeats that do not fit");
  Shape shape(data.shape);
  for (auto [dim, times] : llvm::zip(shape, repeats))
    if (times < 0 || llvm::MulOverflow(dim, times, dim))
      return at.fail(op, "repeats that do not fit");
  return repeat(at, op, data, shape);
}

static std::optional<int64_t> axisOf(int64_t axis, int64_t rank) {
  axis = axis < 0 ? axis + rank : axis;
  return axis >= 0 && axis < rank ? std::optional(axis) : std::nullopt;
}

static bool evaluateConcat(Evaluator &at, onnx::ConcatOp op) {
  const Tensor &first = *at.lookup(op.getInputs().front());
  std::optional<int64_t> axis = axisOf(op.getAxis(), first.rank());
  if (!axis)
    return at.fail(op, "an axis that does not fit");
  Shape shape(first.shape);
  shape[*axis] = 0;
  for (Value value : op.getInputs()) {
    const Tensor &input = *at.lookup(value);
    for (int64_t i = 0; i < first.rank(); ++i)
      if (input.rank() != first.rank() || (i != *axis && input.shape[i] != first.shape[i]))
        return at.fail(op, "shapes that do not fit");
    shape[*axis] += input.shape[*axis];
  }
  int64_t outer = 1;
  for (int64_t i = 0; i < *axis; ++i)
    outer *= shape[i];
  std::vector<double> out;
  for (int64_t i = 0; i < outer; ++i)
    for (Value value : op.getInputs()) {
      ArrayRef<double> from = at.lookup(value)->values();
      const int64_t part = from.size() / std::max<int64_t>(outer, 1);
      llvm::append_range(out, from.slice(i * part, part));
    }
  return at.result(op, shape, std::move(out));
}

/// From `start` on along `axis`, every `step`th.
static bool cut(Evaluator &at, Value value, const Tensor &data, int64_t axis, int64_t start,
                int64_t step, int64_t length) {
  if (auto view = data.sliced(axis, start, step, length)) {
    at.set(value, std::move(*view));
    return true;
  }
  Shape shape(data.shape), strides = rowMajor(data.shape);
  shape[axis] = length;
  return rearrange(at, value, data, shape, [&](ArrayRef<int64_t> index) {
    int64_t from = 0;
    for (int64_t i = 0; i < data.rank(); ++i)
      from += (i == axis ? start + index[i] * step : index[i]) * strides[i];
    return from;
  });
}

static bool evaluateSplit(Evaluator &at, onnx::SplitOp op) {
  const Tensor &data = *at.lookup(op.getInput());
  std::optional<int64_t> axis = axisOf(op.getAxis(), data.rank());
  if (!axis)
    return at.fail(op, "an axis that does not fit");
  const int64_t size = data.shape[*axis], parts = op.getNumResults();
  SmallVector<int64_t> sizes;
  if (op.getSplit())
    sizes = *at.integers(op.getSplit());
  else
    for (int64_t i = 0, each = (size + parts - 1) / parts, left = size; i < parts; ++i)
      left -= sizes.emplace_back(std::min(each, left));
  int64_t total = 0;
  if (int64_t(sizes.size()) != parts)
    return at.fail(op, Twine(sizes.size()) + " sizes for " + Twine(parts) + " parts");
  for (int64_t length : sizes)
    if (length < 0 || llvm::AddOverflow(total, length, total))
      return at.fail(op, "a size that does not fit");
  if (total != size)
    return at.fail(op, "sizes of " + Twine(total) + " in all for " + Twine(size));
  int64_t start = 0;
  for (auto [result, length] : llvm::zip(op.getOutputs(), sizes)) {
    if (!cut(at, result, data, *axis, start, 1, length))
      return false;
    start += length;
  }
  return true;
}

static bool evaluateSlice(Evaluator &at, onnx::SliceOp op) {
  Tensor data = *at.lookup(op.getData());
  SmallVector<int64_t> starts = *at.integers(op.getStarts()), ends = *at.integers(op.getEnds());
  SmallVector<int64_t> axes, steps(starts.size(), 1);
  if (op.getAxes())
    axes = *at.integers(op.getAxes());
  else
    for (size_t i = 0; i < starts.size(); ++i)
      axes.push_back(i);
  if (op.getSteps())
    steps = *at.integers(op.getSteps());
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return at.fail(op, "bounds that do not fit");
  at.set(op, data);
  for (auto [start, end, number, step] : llvm::zip(starts, ends, axes, steps)) {
    std::optional<int64_t> axis = axisOf(number, data.rank());
    if (!axis || step == 0)
      return at.fail(op, "bounds that do not fit");
    const int64_t size = data.shape[*axis];
    step = std::clamp(step, -size - 1, size + 1); // a greater one takes no other elements
    auto bound = [size, step = step](int64_t place) {
      place = place < 0 ? place + size : place;
      return step > 0 ? std::clamp<int64_t>(place, 0, size)
                      : std::clamp<int64_t>(place, -1, size - 1);
    };
    const int64_t from = bound(start), to = bound(end);
    const int64_t length = std::max<int64_t>(
        step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step, 0);
    if (!cut(at, op, data, *axis, length == 0 ? 0 : from, step, length))
      return false;
    data = *at.lookup(op);
  }
  return true;
}

static bool evaluateRange(Evaluator &at, onnx::RangeOp op) {
  for (Value bound : op->getOperands())
    if (at.lookup(bound)->count() != 1)
      return at.fail(op, "a bound that is not one number");
  const double start = at.lookup(op.getStart())->values()[0],
               limit = at.lookup(op.getLimit())->values()[0],
               delta = at.lookup(op.getDelta())->values()[0];
  std::vector<double> out;
  if (delta == 0 || !((limit - start) / delta < 1e7))
    return at.fail(op, "a range without end");
  for (double x = start; delta > 0 ? x < limit : x > limit; x = start + delta * out.size())
    out.push_back(x);
  const int64_t count = out.size();
  return at.result(op, {count}, std::move(out));
}

static bool evaluateConstantOfShape(Evaluator &at, onnx::ConstantOfShapeOp op) {
  SmallVector<int64_t> shape = *at.integers(op.getInput());
  double value = 0;
  auto dense = op.getValue() ? dyn_cast<DenseElementsAttr>(*op.getValue()) : DenseElementsAttr();
  if (op.getValue() &&
      (!dense || dense.getNumElements() != 1 || !dense.getElementType().isIntOrFloat()))
    return at.fail(op, "a value that is not read here", true);
  if (dense && isa<FloatType>(dense.getElementType()))
    value = dense.getSplatValue<APFloat>().convertToDouble();
  else if (dense)
    value = dense.getElementType().isInteger(1)
                ? double(dense.getSplatValue<APInt>().getZExtValue())
                : double(dense.getSplatValue<APInt>().getSExtValue());
  std::optional<int64_t> count = computedCount(shape);
  if (!count || *count > (1 << 26))
    return at.fail(op, "a shape that overflows");
  return at.result(op, shape, std::vector<double>(*count, value));
}

Known graft::reference::evaluateArrangement(Evaluator &at, Operation *op) {
  if (auto reshapeOp = dyn_cast<onnx::ReshapeOp>(op))
    return evaluateReshape(at, reshapeOp);
  if (auto flatten = dyn_cast<onnx::FlattenOp>(op)) {
    const Tensor &data = *at.lookup(flatten.getInput());
    const int64_t axis =
        flatten.getAxis() < 0 ? flatten.getAxis() + data.rank() : flatten.getAxis();
    if (axis < 0 || axis > data.rank())
      return at.fail(op, "an axis that does not fit");
    int64_t outer = 1, inner = 1;
    for (int64_t i = 0; i < data.rank(); ++i)
      (i < axis ? outer : inner) *= data.shape[i];
    return reshape(at, op, data, {outer, inner});
  }
  if (auto squeeze = dyn_cast<onnx::SqueezeOp>(op))
    return evaluateSqueeze(at, op, *at.lookup(squeeze.getData()), squeeze.getAxes());
  if (auto unsqueeze = dyn_cast<onnx::UnsqueezeOp>(op))
    return evaluateUnsqueeze(at, unsqueeze);
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op))
    return evaluateTranspose(at, transpose);
  if (auto expand = dyn_cast<onnx::ExpandOp>(op))
    return evaluateExpand(at, expand);
  if (auto tile = dyn_cast<onnx::TileOp>(op))
    return evaluateTile(at, tile);
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return evaluateConcat(at, concat);
  if (auto split = dyn_cast<onnx::SplitOp>(op))
    return evaluateSplit(at, split);
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return evaluateSlice(at, slice);
  if (auto range = dyn_cast<onnx::RangeOp>(op))
    return evaluateRange(at, range);
  if (auto fill = dyn_cast<onnx::ConstantOfShapeOp>(op))
    return evaluateConstantOfShape(at, fill);
  return std::nullopt;
}
