//===- Products.cpp - Products, reductions and norms, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Analysis/Einsum.h"
#include "graft/Onnx/Onnx.h"

#include <cmath>
#include <numeric>
#include <set>

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
  std::optional<int64_t> all = computedCount(shape);
  if (!all)
    return at.fail(op, "a shape that overflows");
  const int64_t count = *elementCount(batch);
  std::vector<double> out(*all, 0.0);
  for (int64_t i = 0; i < count; ++i)
    multiply(a->matrix(placeOf(i, left)), b->matrix(placeOf(i, right)), rows, inner, columns,
             out.data() + i * rows * columns);
  return at.result(op, shape, std::move(out));
}

namespace {
struct Labelled {
  Tensor tensor;
  EinsumEquation::Labels labels;
};
} // namespace

/// The dimensions in the order of `labels`; those that are missing are 1.
static Tensor arranged(const Labelled &x, ArrayRef<int> labels) {
  SmallVector<int64_t> order;
  Shape shape, strides = rowMajor(x.tensor.shape), steps;
  for (int label : labels) {
    auto it = llvm::find(x.labels, label);
    const bool isMissing = it == x.labels.end();
    const int64_t dim = it - x.labels.begin();
    if (!isMissing)
      order.push_back(dim);
    shape.push_back(isMissing ? 1 : x.tensor.shape[dim]);
    steps.push_back(isMissing ? 0 : strides[dim]);
  }
  if (auto turned = order.empty() ? std::nullopt : x.tensor.transposed(order))
    if (auto view = turned->reshaped(shape))
      return *view;
  std::vector<double> values(*elementCount(shape));
  Shape index(shape.size(), 0);
  for (double &value : values) {
    int64_t from = 0;
    for (auto [i, step] : llvm::zip(index, steps))
      from += i * step;
    value = x.tensor.values()[from];
    for (size_t dim = index.size(); dim-- > 0 && ++index[dim] == shape[dim];)
      index[dim] = 0;
  }
  return Tensor(x.tensor.kind, shape, std::move(values));
}

/// The sum over the labels that are not wanted of the products. One label each of rows, of columns
/// and of what is summed make products of matrices, the others number them.
static Labelled multiply(const Labelled &a, const Labelled &b,
                         llvm::function_ref<bool(int)> isWanted) {
  auto sizeIn = [](const Labelled &x, int label) {
    auto it = llvm::find(x.labels, label);
    return it == x.labels.end() ? int64_t(1) : x.tensor.shape[it - x.labels.begin()];
  };
  int row = 0, inner = 0, column = 0; // no label is 0
  for (int label : a.labels)
    if (!llvm::is_contained(b.labels, label))
      row = isWanted(label) ? label : row;
    else if (!isWanted(label) && sizeIn(a, label) == sizeIn(b, label))
      inner = label;
  for (int label : b.labels)
    if (!llvm::is_contained(a.labels, label) && isWanted(label))
      column = label;
  EinsumEquation::Labels outer;
  Labelled result;
  for (int label : llvm::concat<const int>(a.labels, b.labels))
    if (label != row && label != inner && label != column && !llvm::is_contained(outer, label))
      outer.push_back(label);
  auto with = [&](int first, int second) {
    EinsumEquation::Labels labels(outer);
    labels.append({first, second});
    return labels;
  };
  const Tensor left = arranged(a, with(row, inner)), right = arranged(b, with(inner, column));
  const int64_t rows = sizeIn(a, row), columns = sizeIn(b, column);
  Shape counts, shape;
  for (int label : outer) {
    counts.push_back(std::max(sizeIn(a, label), sizeIn(b, label)));
    if (isWanted(label)) {
      result.labels.push_back(label);
      shape.push_back(counts.back());
    }
  }
  for (auto [label, size] : {std::pair(row, rows), std::pair(column, columns)})
    if (label != 0) {
      result.labels.push_back(label);
      shape.push_back(size);
    }
  std::vector<double> out(*elementCount(shape), 0.0);
  Shape index(outer.size(), 0);
  for (int64_t turn = *elementCount(counts); turn-- > 0;) {
    int64_t ofLeft = 0, ofRight = 0, to = 0;
    for (size_t i = 0; i < outer.size(); ++i) {
      auto step = [&](int64_t &place, int64_t size) {
        place = place * size + (size == 1 ? 0 : index[i]);
      };
      step(ofLeft, left.shape[i]);
      step(ofRight, right.shape[i]);
      if (isWanted(outer[i]))
        step(to, counts[i]);
    }
    multiply(left.matrix(ofLeft), right.matrix(ofRight), rows, sizeIn(a, inner), columns,
             out.data() + to * rows * columns);
    for (size_t dim = index.size(); dim-- > 0 && ++index[dim] == counts[dim];)
      index[dim] = 0;
  }
  result.tensor = Tensor(a.tensor.kind, shape, std::move(out));
  return result;
}

static bool evaluateEinsum(Evaluator &at, onnx::EinsumOp op) {
  SmallVector<int64_t> ranks;
  for (Value input : op.getInputs())
    ranks.push_back(at.lookup(input)->rank());
  auto equation = EinsumEquation::parse(op.getEquation(), ranks);
  if (!equation)
    return at.fail(op, "an equation that does not fit");
  std::map<int, int64_t> sizes;
  for (auto [input, labels] : llvm::zip(op.getInputs(), equation->operands)) {
    std::set<int> once;
    for (auto [label, size] : llvm::zip(labels, at.lookup(input)->shape)) {
      if (!once.insert(label).second)
        return at.fail(op, "a diagonal", /*isUnknown=*/true);
      int64_t &known = sizes.try_emplace(label, 1).first->second;
      if (known != size && known != 1 && size != 1)
        return at.fail(op, "sizes that do not fit");
      known = std::max(known, size);
    }
  }
  Labelled sum{Tensor(at.lookup(op.getInputs()[0])->kind, {}, {1.0}), {}};
  for (size_t i = 0; i < ranks.size(); ++i)
    sum = multiply(sum, {*at.lookup(op.getInputs()[i]), equation->operands[i]}, [&](int label) {
      return llvm::is_contained(equation->result, label) ||
             llvm::any_of(ArrayRef(equation->operands).drop_front(i + 1),
                          [&](const auto &labels) { return llvm::is_contained(labels, label); });
    });
  const Tensor result = arranged(sum, equation->result);
  return at.result(op.getOutput(), result.shape, result.values().vec());
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
  std::optional<int64_t> count = computedCount({rows, columns});
  if (inner != other || !count)
    return at.fail(op, "sizes that do not fit");
  std::vector<double> out(*count, 0.0);
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
  if (axis < 0 || axis >= data.rank())
    return at.fail(op, "an axis that does not fit");
  for (int64_t i = axis; i < data.rank(); ++i)
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
  if (auto einsum = dyn_cast<onnx::EinsumOp>(op))
    return evaluateEinsum(at, einsum);
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
