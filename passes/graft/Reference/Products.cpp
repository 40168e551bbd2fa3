//===- Products.cpp - Products, reductions and norms, on numbers -*- C++ -*-===//
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

/// out[r, c] += Σ_k a[r, k] · b[k, c] for b whose columns lie side by side.
template <typename T>
static void multiplyRows(const Tensor::Matrix &a, const T *b, int64_t stride, int64_t rows,
                         int64_t inner, int64_t columns, double *out) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < inner; ++k) {
      const double factor = a.at(r, k);
      const T *row = b + k * stride;
      for (int64_t c = 0; c < columns; ++c)
        out[r * columns + c] += factor * double(row[c]);
    }
}

/// The same for b whose rows lie side by side.
template <typename T>
static void multiplyColumns(const Tensor::Matrix &a, const T *b, int64_t stride, int64_t rows,
                            int64_t inner, int64_t columns, double *out) {
  std::vector<double> left(inner);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < inner; ++k)
      left[k] = a.at(r, k);
    for (int64_t c = 0; c < columns; ++c) {
      const T *column = b + c * stride;
      double sums[4] = {0, 0, 0, 0};
      int64_t k = 0;
      for (; k + 4 <= inner; k += 4)
        for (int64_t i = 0; i < 4; ++i)
          sums[i] += left[k + i] * double(column[k + i]);
      for (; k < inner; ++k)
        sums[0] += left[k] * double(column[k]);
      out[r * columns + c] += sums[0] + sums[1] + (sums[2] + sums[3]);
    }
  }
}

/// out[r, c] += Σ_k a[r, k] · b[k, c], for sizes that fit.
static void multiply(const Tensor::Matrix &a, const Tensor::Matrix &b, int64_t rows, int64_t inner,
                     int64_t columns, double *out) {
  auto with = [&](const auto *elements) {
    if (b.columnStride == 1)
      multiplyRows(a, elements, b.rowStride, rows, inner, columns, out);
    else
      multiplyColumns(a, elements, b.columnStride, rows, inner, columns, out);
  };
  if (b.columnStride == 1 || b.rowStride == 1) {
    if (b.doubles)
      return with(b.doubles);
    if (b.type.isF32() && reinterpret_cast<uintptr_t>(b.bytes) % alignof(float) == 0)
      return with(reinterpret_cast<const float *>(b.bytes));
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < inner; ++k)
      for (int64_t c = 0; c < columns; ++c)
        out[r * columns + c] += a.at(r, k) * b.at(k, c);
}

static bool evaluateMatMul(Evaluator &at, onnx::MatMulOp op) {
  const Tensor *a = at.lookup(op.getA()), *b = at.lookup(op.getB());
  Tensor first, second;
  if (a->rank() == 0 || b->rank() == 0)
    return at.fail(op, "an operand without dimensions");
  if (a->rank() == 1) {
    first = Tensor(a->kind, {1, a->shape[0]}, a->values().vec());
    a = &first;
  }
  if (b->rank() == 1) {
    second = Tensor(b->kind, {b->shape[0], 1}, b->values().vec());
    b = &second;
  }
  const int64_t rows = a->shape[a->rank() - 2], inner = a->shape.back(), columns = b->shape.back();
  if (b->shape[b->rank() - 2] != inner)
    return at.fail(op, "sizes that do not fit");
  ArrayRef<int64_t> left = ArrayRef(a->shape).drop_back(2), right = ArrayRef(b->shape).drop_back(2);
  Shape batch(std::max(left.size(), right.size()), 1);
  for (ArrayRef<int64_t> dims : {left, right})
    for (auto [have, dim] : llvm::zip(MutableArrayRef(batch).take_back(dims.size()), dims)) {
      if (have != 1 && dim != 1 && have != dim)
        return at.fail(op, "shapes that do not broadcast");
      have = have == 1 ? dim : have;
    }
  const int64_t count = *elementCount(batch);
  auto placeOf = [&](int64_t number, ArrayRef<int64_t> dims) {
    int64_t place = 0, step = 1;
    for (size_t i = batch.size(); i-- > 0;) {
      const int64_t index = number % batch[i];
      number /= batch[i];
      if (i + dims.size() < batch.size())
        continue;
      const int64_t dim = dims[i + dims.size() - batch.size()];
      place += dim == 1 ? 0 : index * step;
      step *= dim;
    }
    return place;
  };
  Shape shape(batch);
  if (at.lookup(op.getA())->rank() > 1)
    shape.push_back(rows);
  if (at.lookup(op.getB())->rank() > 1)
    shape.push_back(columns);
  std::vector<double> out(count * rows * columns, 0.0);
  for (int64_t i = 0; i < count; ++i)
    multiply(a->matrix(placeOf(i, left)), b->matrix(placeOf(i, right)), rows, inner, columns,
             out.data() + i * rows * columns);
  return at.result(op, shape, std::move(out));
}

static bool evaluateGemm(Evaluator &at, onnx::GemmOp op) {
  const Tensor &a = *at.lookup(op.getA()), &b = *at.lookup(op.getB());
  if (a.rank() != 2 || b.rank() != 2)
    return at.fail(op, "operands that are no matrices");
  auto view = [](const Tensor &tensor, bool isTransposed, int64_t &rows, int64_t &columns) {
    Tensor::Matrix matrix = tensor.matrix(0);
    rows = tensor.shape[isTransposed];
    columns = tensor.shape[!isTransposed];
    if (isTransposed)
      std::swap(matrix.rowStride, matrix.columnStride);
    return matrix;
  };
  int64_t rows, inner, other, columns;
  Tensor::Matrix left = view(a, op.getTransA() != 0, rows, inner),
                 right = view(b, op.getTransB() != 0, other, columns);
  if (inner != other)
    return at.fail(op, "sizes that do not fit");
  std::vector<double> out(rows * columns, 0.0);
  multiply(left, right, rows, inner, columns, out.data());
  const double alpha = op.getAlpha().convertToDouble(), beta = op.getBeta().convertToDouble();
  const Tensor *c = op.getC() ? at.lookup(op.getC()) : nullptr;
  const int64_t height = c && c->rank() == 2 ? c->shape[0] : 1,
                width = c && c->rank() >= 1 ? c->shape.back() : 1;
  if (c && (c->rank() > 2 || (height != 1 && height != rows) || (width != 1 && width != columns)))
    return at.fail(op, "shapes that do not broadcast");
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k) {
      double &element = out[r * columns + k];
      element *= alpha;
      if (c)
        element += beta * c->values()[(height == 1 ? 0 : r) * width + (width == 1 ? 0 : k)];
    }
  return at.result(op, {rows, columns}, std::move(out));
}

/// Brings each line over `axes` to one element.
static bool reduce(Evaluator &at, Operation *op, Value axesOf, bool keeps, bool isNoop,
                   llvm::function_ref<double(ArrayRef<double>)> f) {
  const Tensor &data = *at.lookup(op->getOperand(0));
  SmallVector<int64_t> axes;
  if (axesOf)
    axes = *at.integers(axesOf);
  if (axes.empty() && isNoop) {
    at.set(op->getResult(0), data);
    return true;
  }
  SmallVector<bool> isReduced(data.rank(), axes.empty());
  for (int64_t axis : axes) {
    axis = axis < 0 ? axis + data.rank() : axis;
    if (axis < 0 || axis >= data.rank())
      return at.fail(op, "an axis that does not fit");
    isReduced[axis] = true;
  }
  Shape full(data.shape), shape;
  for (int64_t i = 0; i < data.rank(); ++i) {
    if (isReduced[i])
      full[i] = 1;
    if (!isReduced[i] || keeps)
      shape.push_back(full[i]);
  }
  Shape strides = rowMajor(full), from = rowMajor(data.shape);
  std::vector<SmallVector<double>> lines(*elementCount(full));
  for (auto [i, value] : llvm::enumerate(data.values())) {
    int64_t place = 0;
    for (int64_t dim = 0; dim < data.rank(); ++dim)
      place += isReduced[dim] ? 0 : int64_t(i) / from[dim] % data.shape[dim] * strides[dim];
    lines[place].push_back(value);
  }
  std::vector<double> out;
  for (const SmallVector<double> &line : lines)
    out.push_back(f(line));
  return at.result(op->getResult(0), shape, std::move(out));
}

/// Applies `f` to each line of the dimensions from `axis` on, or of that dimension alone.
static bool mapLines(Evaluator &at, Operation *op, int64_t axis, bool toTheEnd,
                     llvm::function_ref<void(MutableArrayRef<double>)> f) {
  const Tensor &data = *at.lookup(op->getOperand(0));
  axis = axis < 0 ? axis + data.rank() : axis;
  if (axis < 0 || axis >= data.rank())
    return at.fail(op, "an axis that does not fit");
  int64_t outer = 1, size = data.shape[axis], inner = 1;
  for (int64_t i = 0; i < data.rank(); ++i)
    if (i != axis)
      (i < axis ? outer : inner) *= data.shape[i];
  if (toTheEnd) {
    size *= inner;
    inner = 1;
  }
  std::vector<double> out = data.values().vec(), line(size);
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t j = 0; j < inner; ++j) {
      for (int64_t k = 0; k < size; ++k)
        line[k] = out[(i * size + k) * inner + j];
      f(line);
      for (int64_t k = 0; k < size; ++k)
        out[(i * size + k) * inner + j] = line[k];
    }
  return at.result(op->getResult(0), data.shape, std::move(out));
}

static double sumOf(ArrayRef<double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

static Known evaluateReduction(Evaluator &at, Operation *op) {
  auto with = [&](auto reduction, auto f) -> Known {
    return reduce(at, op, reduction.getAxes(), reduction.getKeepdims() != 0,
                  reduction.getNoopWithEmptyAxes() != 0, f);
  };
  if (auto sum = dyn_cast<onnx::ReduceSumOp>(op))
    return with(sum, sumOf);
  if (auto mean = dyn_cast<onnx::ReduceMeanOp>(op))
    return with(mean, [](ArrayRef<double> x) { return sumOf(x) / double(x.size()); });
  if (auto most = dyn_cast<onnx::ReduceMaxOp>(op))
    return with(most, [](ArrayRef<double> x) {
      return x.empty() ? -INFINITY : *std::max_element(x.begin(), x.end());
    });
  if (auto least = dyn_cast<onnx::ReduceMinOp>(op))
    return with(least, [](ArrayRef<double> x) {
      return x.empty() ? INFINITY : *std::min_element(x.begin(), x.end());
    });
  if (auto all = dyn_cast<onnx::ReduceProdOp>(op))
    return with(all, [](ArrayRef<double> x) {
      return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>());
    });
  if (auto norm = dyn_cast<onnx::ReduceL2Op>(op))
    return with(norm, [](ArrayRef<double> x) {
      return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
    });
  return std::nullopt;
}

static void softmax(MutableArrayRef<double> line, bool isLog) {
  double most = line.empty() ? 0 : *std::max_element(line.begin(), line.end()), sum = 0;
  for (double x : line)
    sum += std::exp(x - most);
  for (double &x : line)
    x = isLog ? x - most - std::log(sum) : std::exp(x - most) / sum;
}

static bool evaluateNorm(Evaluator &at, Operation *op, int64_t axis, double epsilon, bool isCentred,
                         Value scale, Value shift) {
  ArrayRef<double> scales = at.lookup(scale)->values(), shifts;
  if (shift)
    shifts = at.lookup(shift)->values();
  const Tensor &data = *at.lookup(op->getOperand(0));
  axis = axis < 0 ? axis + data.rank() : axis;
  int64_t size = 1;
  for (int64_t i = std::max<int64_t>(axis, 0); i < data.rank(); ++i)
    size *= data.shape[i];
  if (int64_t(scales.size()) != size || (shift && int64_t(shifts.size()) != size))
    return at.fail(op, "a scale of another size");
  return mapLines(at, op, axis, true, [&](MutableArrayRef<double> line) {
    const double mean = isCentred ? sumOf(line) / double(line.size()) : 0;
    double square = 0;
    for (double x : line)
      square += (x - mean) * (x - mean);
    const double scale = 1 / std::sqrt(square / double(line.size()) + epsilon);
    for (auto [i, x] : llvm::enumerate(line))
      x = (x - mean) * scale * scales[i] + (shift ? shifts[i] : 0);
  });
}

Known graft::reference::evaluateProducts(Evaluator &at, Operation *op) {
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
    return evaluateMatMul(at, matmul);
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return evaluateGemm(at, gemm);
  if (auto f = dyn_cast<onnx::SoftmaxOp>(op))
    return mapLines(at, op, f.getAxis(), false, [](auto line) { softmax(line, false); });
  if (auto f = dyn_cast<onnx::LogSoftmaxOp>(op))
    return mapLines(at, op, f.getAxis(), false, [](auto line) { softmax(line, true); });
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op); norm && op->getNumResults() == 1)
    return evaluateNorm(at, op, norm.getAxis(), norm.getEpsilon().convertToDouble(), true,
                        norm.getScale(), norm.getB());
  if (auto norm = dyn_cast<onnx::RMSNormalizationOp>(op))
    return evaluateNorm(at, op, norm.getAxis(), norm.getEpsilon().convertToDouble(), false,
                        norm.getScale(), Value());
  return evaluateReduction(at, op);
}
