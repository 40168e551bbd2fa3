//===- Indexing.cpp - Gathering, scattering and choosing, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Onnx/Onnx.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::reference;

static std::optional<int64_t> axisOf(int64_t axis, int64_t rank) {
  axis = axis < 0 ? axis + rank : axis;
  return axis >= 0 && axis < rank ? std::optional(axis) : std::nullopt;
}

/// Counts negative ones from the end; false if one lies outside.
static bool normalize(MutableArrayRef<int64_t> indices, int64_t size) {
  for (int64_t &index : indices) {
    index = index < 0 ? index + size : index;
    if (index < 0 || index >= size)
      return false;
  }
  return true;
}

static int64_t product(ArrayRef<int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies<>());
}

static bool evaluateGather(Evaluator &at, onnx::GatherOp op) {
  const Tensor &data = *at.lookup(op.getData()), &picked = *at.lookup(op.getIndices());
  std::optional<int64_t> axis = axisOf(op.getAxis(), data.rank());
  SmallVector<int64_t> indices = picked.integers();
  if (!axis || !normalize(indices, data.shape[*axis]))
    return at.fail(op, "an index outside of its axis");
  std::optional<Tensor> view;
  if (*axis == 0 && picked.rank() == 0)
    view = data.part(indices.front());
  else if (*axis == 0 && picked.rank() == 1)
    view = data.picked(indices);
  if (view) {
    at.set(op, std::move(*view));
    return true;
  }
  Shape shape(ArrayRef(data.shape).take_front(*axis));
  llvm::append_range(shape, picked.shape);
  llvm::append_range(shape, ArrayRef(data.shape).drop_front(*axis + 1));
  std::optional<int64_t> count = computedCount(shape);
  if (!count)
    return at.fail(op, "a shape that overflows");
  const int64_t outer = product(ArrayRef(data.shape).take_front(*axis)),
                inner = product(ArrayRef(data.shape).drop_front(*axis + 1));
  ArrayRef<double> from = data.values();
  std::vector<double> out;
  out.reserve(*count);
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t index : indices)
      llvm::append_range(out, from.slice((i * data.shape[*axis] + index) * inner, inner));
  return at.result(op, shape, std::move(out));
}

/// Calls `visit` with the place in data of each element of indices, whose dimension `axis` is
/// replaced by the index.
static bool eachElement(const Tensor &data, const Tensor &indices, int64_t axis,
                        llvm::function_ref<void(int64_t place, int64_t from)> visit) {
  SmallVector<int64_t> numbers = indices.integers();
  if (indices.rank() != data.rank() || !normalize(numbers, data.shape[axis]))
    return false;
  for (int64_t i = 0; i < data.rank(); ++i)
    if (i != axis && indices.shape[i] > data.shape[i])
      return false;
  Shape strides = rowMajor(data.shape), index(data.rank(), 0);
  for (int64_t i = 0, n = numbers.size(); i < n; ++i) {
    int64_t place = 0;
    for (int64_t dim = 0; dim < data.rank(); ++dim)
      place += (dim == axis ? numbers[i] : index[dim]) * strides[dim];
    visit(place, i);
    for (int64_t dim = data.rank(); dim-- > 0 && ++index[dim] == indices.shape[dim];)
      index[dim] = 0;
  }
  return true;
}

static std::function<double(double, double)> reduction(StringRef name) {
  if (name == "none")
    return [](double, double b) { return b; };
  if (name == "add")
    return [](double a, double b) { return a + b; };
  if (name == "mul")
    return [](double a, double b) { return a * b; };
  if (name == "max")
    return [](double a, double b) { return std::max(a, b); };
  if (name == "min")
    return [](double a, double b) { return std::min(a, b); };
  return {};
}

static bool evaluateScatterElements(Evaluator &at, onnx::ScatterElementsOp op) {
  const Tensor &data = *at.lookup(op.getData()), &updates = *at.lookup(op.getUpdates()),
               &indices = *at.lookup(op.getIndices());
  std::optional<int64_t> axis = axisOf(op.getAxis(), data.rank());
  auto combine = reduction(op.getReduction());
  std::vector<double> out = data.values().vec();
  ArrayRef<double> from = updates.values();
  if (!axis || !combine || updates.shape != indices.shape ||
      !eachElement(data, indices, *axis,
                   [&](int64_t to, int64_t i) { out[to] = combine(out[to], from[i]); }))
    return at.fail(op, "indices that do not fit");
  return at.result(op, data.shape, std::move(out));
}

/// Calls `visit` with the number of the slice of data that each tuple of indices names; the sizes
/// of a slice come back. Tuples behind `batch` dimensions name slices within those.
static std::optional<int64_t>
eachSlice(const Tensor &data, const Tensor &indices, int64_t batch,
          llvm::function_ref<void(int64_t slice, int64_t from)> visit) {
  const int64_t width = indices.rank() == 0 ? 0 : indices.shape.back();
  if (width < 1 || batch < 0 || batch >= indices.rank() || batch + width > data.rank())
    return std::nullopt;
  for (int64_t i = 0; i < batch; ++i)
    if (indices.shape[i] != data.shape[i])
      return std::nullopt;
  ArrayRef<int64_t> named = ArrayRef(data.shape).slice(batch, width);
  const int64_t batches = product(ArrayRef(data.shape).take_front(batch));
  SmallVector<int64_t> numbers = indices.integers();
  const int64_t tuples = numbers.size() / width;
  for (int64_t i = 0; i < tuples; ++i) {
    int64_t slice = batches == 0 ? 0 : i / (tuples / batches);
    for (int64_t j = 0; j < width; ++j) {
      if (!normalize(numbers[i * width + j], named[j]))
        return std::nullopt;
      slice = slice * named[j] + numbers[i * width + j];
    }
    visit(slice, i);
  }
  return product(ArrayRef(data.shape).drop_front(batch + width));
}

static bool evaluateGatherND(Evaluator &at, onnx::GatherNDOp op) {
  const Tensor &data = *at.lookup(op.getData()), &indices = *at.lookup(op.getIndices());
  SmallVector<int64_t> slices;
  std::optional<int64_t> size = eachSlice(data, indices, op.getBatchDims(),
                                          [&](int64_t slice, int64_t) { slices.push_back(slice); });
  if (!size)
    return at.fail(op, "indices that do not fit");
  if (indices.rank() == 2 && indices.shape[1] == 1 && op.getBatchDims() == 0)
    if (std::optional<Tensor> view = data.picked(slices)) {
      at.set(op, std::move(*view));
      return true;
    }
  Shape shape(ArrayRef(indices.shape).drop_back());
  llvm::append_range(shape,
                     ArrayRef(data.shape).drop_front(op.getBatchDims() + indices.shape.back()));
  if (!computedCount(shape))
    return at.fail(op, "a shape that overflows");
  ArrayRef<double> from = data.values();
  std::vector<double> out;
  for (int64_t slice : slices)
    llvm::append_range(out, from.slice(slice * *size, *size));
  return at.result(op, shape, std::move(out));
}

static bool evaluateScatterND(Evaluator &at, onnx::ScatterNDOp op) {
  const Tensor &data = *at.lookup(op.getData()), &updates = *at.lookup(op.getUpdates()),
               &indices = *at.lookup(op.getIndices());
  auto combine = reduction(op.getReduction());
  SmallVector<int64_t> slices;
  std::optional<int64_t> size =
      eachSlice(data, indices, 0, [&](int64_t slice, int64_t) { slices.push_back(slice); });
  std::vector<double> out = data.values().vec();
  ArrayRef<double> from = updates.values();
  if (!combine || !size || from.size() != slices.size() * *size)
    return at.fail(op, "indices that do not fit");
  for (auto [i, slice] : llvm::enumerate(slices))
    for (int64_t j = 0; j < *size; ++j)
      out[slice * *size + j] = combine(out[slice * *size + j], from[i * *size + j]);
  return at.result(op, data.shape, std::move(out));
}

static bool evaluateNonZero(Evaluator &at, onnx::NonZeroOp op) {
  const Tensor &data = *at.lookup(op.getX());
  const int64_t rank = std::max<int64_t>(data.rank(), 1);
  SmallVector<std::vector<double>> places(rank);
  Shape strides = rowMajor(data.shape);
  for (auto [i, value] : llvm::enumerate(data.values())) {
    if (value == 0)
      continue;
    for (int64_t dim = 0; dim < rank; ++dim)
      places[dim].push_back(data.rank() == 0 ? 0
                                             : double(int64_t(i) / strides[dim] % data.shape[dim]));
  }
  const int64_t found = places.front().size();
  std::vector<double> out;
  for (const std::vector<double> &row : places)
    llvm::append_range(out, row);
  return at.result(op, {rank, found}, std::move(out));
}

static bool evaluateOneHot(Evaluator &at, onnx::OneHotOp op) {
  const Tensor &indices = *at.lookup(op.getIndices());
  ArrayRef<double> values = at.lookup(op.getValues())->values();
  SmallVector<int64_t> depth = *at.integers(op.getDepth());
  const int64_t rank = indices.rank() + 1;
  std::optional<int64_t> axis = axisOf(op.getAxis(), rank);
  if (!axis || depth.size() != 1 || depth[0] < 1 || depth[0] > (1 << 20) || values.size() != 2)
    return at.fail(op, "operands that do not fit");
  Shape shape(indices.shape);
  shape.insert(shape.begin() + *axis, depth[0]);
  std::optional<int64_t> count = computedCount(shape);
  if (!count)
    return at.fail(op, "a shape that overflows");
  const int64_t inner = product(ArrayRef(indices.shape).drop_front(*axis));
  std::vector<double> out(*count, values[0]);
  for (auto [i, index] : llvm::enumerate(indices.integers())) {
    int64_t place = index < 0 ? index + depth[0] : index;
    if (place >= 0 && place < depth[0])
      out[(int64_t(i) / inner * depth[0] + place) * inner + int64_t(i) % inner] = values[1];
  }
  return at.result(op, shape, std::move(out));
}

/// Calls `visit` with the first element and the stride of each line along `axis`.
static void eachLine(const Tensor &data, int64_t axis,
                     llvm::function_ref<void(int64_t outer, int64_t inner, int64_t stride)> visit) {
  const int64_t outer = product(ArrayRef(data.shape).take_front(axis)),
                inner = product(ArrayRef(data.shape).drop_front(axis + 1));
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < inner; ++j)
      visit(i, j, inner);
}

static bool evaluateTopK(Evaluator &at, onnx::TopKOp op) {
  const Tensor &data = *at.lookup(op.getX());
  SmallVector<int64_t> k = *at.integers(op.getK());
  std::optional<int64_t> axis = axisOf(op.getAxis(), data.rank());
  if (!axis || k.size() != 1 || k[0] < 0 || k[0] > data.shape[*axis])
    return at.fail(op, "a k that does not fit");
  Shape shape(data.shape);
  shape[*axis] = k[0];
  std::vector<double> values(product(shape)), places(product(shape));
  ArrayRef<double> from = data.values();
  const int64_t size = data.shape[*axis];
  const bool isLargest = op.getLargest() != 0;
  eachLine(data, *axis, [&](int64_t outer, int64_t inner, int64_t stride) {
    auto element = [&](int64_t i) { return from[(outer * size + i) * stride + inner]; };
    std::vector<int64_t> order(size);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return isLargest ? element(a) > element(b) : element(a) < element(b);
    });
    for (int64_t i = 0; i < k[0]; ++i) {
      values[(outer * k[0] + i) * stride + inner] = element(order[i]);
      places[(outer * k[0] + i) * stride + inner] = double(order[i]);
    }
  });
  return at.result(op.getValues(), shape, std::move(values)) &&
         at.result(op.getIndices(), shape, std::move(places));
}

static bool evaluateArg(Evaluator &at, Operation *op, int64_t number, bool keeps, bool isMax,
                        bool isLast) {
  const Tensor &data = *at.lookup(op->getOperand(0));
  std::optional<int64_t> axis = axisOf(number, data.rank());
  if (!axis || data.shape[*axis] == 0)
    return at.fail(op, "an axis that does not fit");
  Shape shape(data.shape);
  if (keeps)
    shape[*axis] = 1;
  else
    shape.erase(shape.begin() + *axis);
  std::vector<double> out;
  ArrayRef<double> from = data.values();
  const int64_t size = data.shape[*axis];
  eachLine(data, *axis, [&](int64_t outer, int64_t inner, int64_t stride) {
    int64_t best = 0;
    auto element = [&](int64_t i) { return from[(outer * size + i) * stride + inner]; };
    for (int64_t i = 1; i < size; ++i)
      if (isMax ? element(i) > element(best) : element(i) < element(best))
        best = i;
      else if (isLast && element(i) == element(best))
        best = i;
    out.push_back(double(best));
  });
  return at.result(op->getResult(0), shape, std::move(out));
}

static bool evaluateCumSum(Evaluator &at, onnx::CumSumOp op) {
  const Tensor &data = *at.lookup(op.getX());
  SmallVector<int64_t> which = *at.integers(op.getAxis());
  std::optional<int64_t> axis = which.size() == 1 ? axisOf(which[0], data.rank()) : std::nullopt;
  if (!axis)
    return at.fail(op, "an axis that does not fit");
  std::vector<double> out(data.values().size());
  ArrayRef<double> from = data.values();
  const int64_t size = data.shape[*axis];
  eachLine(data, *axis, [&](int64_t outer, int64_t inner, int64_t stride) {
    double sum = 0;
    for (int64_t step = 0; step < size; ++step) {
      const int64_t i = op.getReverse() != 0 ? size - 1 - step : step;
      const int64_t place = (outer * size + i) * stride + inner;
      out[place] = op.getExclusive() != 0 ? sum : sum + from[place];
      sum += from[place];
    }
  });
  return at.result(op, data.shape, std::move(out));
}

Known graft::reference::evaluateIndexing(Evaluator &at, Operation *op) {
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return evaluateGather(at, gather);
  if (auto gather = dyn_cast<onnx::GatherNDOp>(op))
    return evaluateGatherND(at, gather);
  if (auto gather = dyn_cast<onnx::GatherElementsOp>(op)) {
    const Tensor &data = *at.lookup(gather.getData()), &indices = *at.lookup(gather.getIndices());
    std::optional<int64_t> axis = axisOf(gather.getAxis(), data.rank());
    std::vector<double> out;
    ArrayRef<double> from = data.values();
    if (!axis || !eachElement(data, indices, *axis,
                              [&](int64_t place, int64_t) { out.push_back(from[place]); }))
      return at.fail(op, "indices that do not fit");
    return at.result(gather, indices.shape, std::move(out));
  }
  if (auto scatter = dyn_cast<onnx::ScatterElementsOp>(op))
    return evaluateScatterElements(at, scatter);
  if (auto scatter = dyn_cast<onnx::ScatterNDOp>(op))
    return evaluateScatterND(at, scatter);
  if (auto nonZero = dyn_cast<onnx::NonZeroOp>(op))
    return evaluateNonZero(at, nonZero);
  if (auto oneHot = dyn_cast<onnx::OneHotOp>(op))
    return evaluateOneHot(at, oneHot);
  if (auto top = dyn_cast<onnx::TopKOp>(op))
    return evaluateTopK(at, top);
  if (auto arg = dyn_cast<onnx::ArgMaxOp>(op))
    return evaluateArg(at, op, arg.getAxis(), arg.getKeepdims() != 0, true,
                       arg.getSelectLastIndex() != 0);
  if (auto arg = dyn_cast<onnx::ArgMinOp>(op))
    return evaluateArg(at, op, arg.getAxis(), arg.getKeepdims() != 0, false,
                       arg.getSelectLastIndex() != 0);
  if (auto sum = dyn_cast<onnx::CumSumOp>(op))
    return evaluateCumSum(at, sum);
  return std::nullopt;
}
