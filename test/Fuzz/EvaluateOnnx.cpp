//===- EvaluateOnnx.cpp - The ops of ONNX that generated graphs have -*- C++ -*-===//
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

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

using Binary = double (*)(double, double);

/// Where element `i` of `shape` is in an array that broadcasts to it.
static size_t broadcastIndex(size_t i, ArrayRef<int64_t> shape, const Array &from) {
  size_t index = 0, stride = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    const size_t dim = size_t(shape[shape.size() - 1 - d]), at = i % dim;
    i /= dim;
    if (d >= from.shape.size())
      continue;
    const size_t own = size_t(from.shape[from.shape.size() - 1 - d]);
    index += own == 1 ? 0 : at * stride;
    stride *= own;
  }
  return index;
}

static SmallVector<int64_t> broadcastShape(ArrayRef<const Array *> arrays) {
  SmallVector<int64_t> shape;
  for (const Array *array : arrays) {
    if (array->shape.size() > shape.size())
      shape.insert(shape.begin(), array->shape.size() - shape.size(), 1);
    for (auto [have, dim] :
         llvm::zip(MutableArrayRef(shape).take_back(array->shape.size()), array->shape))
      have = have == 1 ? dim : have;
  }
  return shape;
}

static Array map(ArrayRef<const Array *> inputs, llvm::function_ref<double(ArrayRef<double>)> f) {
  Array result(broadcastShape(inputs));
  SmallVector<double> elements(inputs.size());
  for (size_t i = 0; i < result.data.size(); ++i) {
    for (auto [element, input] : llvm::zip_equal(elements, inputs))
      element = input->data[broadcastIndex(i, result.shape, *input)];
    result.data[i] = f(elements);
  }
  return result;
}

/// NaN wherever one of the two is, which std::max does not promise.
static double greater(double a, double b) { return std::isnan(a) || a > b ? a : b; }
static double lesser(double a, double b) { return std::isnan(a) || a < b ? a : b; }

static double softplus(double x) { return greater(x, 0) + std::log1p(std::exp(-std::abs(x))); }

static std::function<double(double)> unaryOf(Operation *op) {
  using F = std::function<double(double)>;
  return llvm::TypeSwitch<Operation *, F>(op)
      .Case<onnx::IdentityOp>([](auto) -> F { return [](double x) { return x; }; })
      .Case<onnx::ReluOp>([](auto) -> F { return [](double x) { return greater(x, 0); }; })
      .Case<onnx::TanhOp>([](auto) -> F { return [](double x) { return std::tanh(x); }; })
      .Case<onnx::SigmoidOp>(
          [](auto) -> F { return [](double x) { return 1 / (1 + std::exp(-x)); }; })
      .Case<onnx::ExpOp>([](auto) -> F { return [](double x) { return std::exp(x); }; })
      .Case<onnx::NegOp>([](auto) -> F { return [](double x) { return -x; }; })
      .Case<onnx::AbsOp>([](auto) -> F { return [](double x) { return std::abs(x); }; })
      .Case<onnx::SoftplusOp>([](auto) -> F { return softplus; })
      .Case<onnx::MishOp>(
          [](auto) -> F { return [](double x) { return x * std::tanh(softplus(x)); }; })
      .Case<onnx::HardSwishOp>(
          [](auto) -> F { return [](double x) { return x * lesser(greater(x / 6 + 0.5, 0), 1); }; })
      .Case<onnx::IsNaNOp>([](auto) -> F { return [](double x) { return double(std::isnan(x)); }; })
      .Case([](onnx::GeluOp gelu) -> F {
        if (gelu.getApproximate() == "tanh")
          return [](double x) {
            return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
          };
        return [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); };
      })
      .Case([](onnx::LeakyReluOp leaky) -> F {
        double alpha = leaky.getAlpha().convertToFloat();
        return [=](double x) { return x < 0 ? alpha * x : x; };
      })
      .Case([](onnx::EluOp elu) -> F {
        double alpha = elu.getAlpha().convertToFloat();
        return [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; };
      })
      .Case([](onnx::CastOp) -> F { return [](double x) { return x; }; })
      .Default([](Operation *) -> F { return nullptr; });
}

static Binary binaryOf(Operation *op) {
  return llvm::TypeSwitch<Operation *, Binary>(op)
      .Case<onnx::AddOp>([](auto) -> Binary { return [](double a, double b) { return a + b; }; })
      .Case<onnx::SubOp>([](auto) -> Binary { return [](double a, double b) { return a - b; }; })
      .Case<onnx::MulOp>([](auto) -> Binary { return [](double a, double b) { return a * b; }; })
      .Case<onnx::DivOp>([](auto) -> Binary { return [](double a, double b) { return a / b; }; })
      .Case<onnx::MinOp>([](auto) -> Binary { return lesser; })
      .Case<onnx::MaxOp>([](auto) -> Binary { return greater; })
      .Default([](Operation *) -> Binary { return nullptr; });
}

//===----------------------------------------------------------------------===//
// Products, sums and norms
//===----------------------------------------------------------------------===//

/// numpy's matmul where the second is a matrix, or both have the same dimensions before the last
/// two.
static Array matmul(const Array &a, const Array &b) {
  const int64_t m = a.shape[a.shape.size() - 2], k = a.last(), n = b.last();
  SmallVector<int64_t> shape(a.shape);
  shape.back() = n;
  Array result(shape);
  const int64_t batches = Array::count(ArrayRef(a.shape).drop_back(2));
  const int64_t step = b.shape.size() == 2 ? 0 : k * n;
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t c = 0; c < k; ++c)
          sum += a.data[size_t((batch * m + i) * k + c)] * b.data[size_t(batch * step + c * n + j)];
        result.data[size_t((batch * m + i) * n + j)] = sum;
      }
  return result;
}

static Array swapLast(const Array &x) {
  Array result({x.shape[1], x.shape[0]});
  for (int64_t i = 0; i < x.shape[0]; ++i)
    for (int64_t j = 0; j < x.shape[1]; ++j)
      result.data[size_t(j * x.shape[0] + i)] = x.data[size_t(i * x.shape[1] + j)];
  return result;
}

/// Calls `body` with each vector along the last dimension.
static Array byVector(const Array &x, llvm::function_ref<void(MutableArrayRef<double>)> body) {
  Array result = x;
  for (int64_t at = 0; x.last() && at < int64_t(x.data.size()); at += x.last())
    body(MutableArrayRef(result.data).slice(size_t(at), size_t(x.last())));
  return result;
}

static void softmax(MutableArrayRef<double> x) {
  double most = x.front(), sum = 0;
  for (double e : x)
    most = greater(most, e);
  for (double &e : x)
    sum += e = std::exp(e - most);
  for (double &e : x)
    e /= sum;
}

static void normalize(MutableArrayRef<double> x, double epsilon, bool centred) {
  double mean = 0, squares = 0;
  for (double e : x)
    mean += centred ? e / double(x.size()) : 0;
  for (double e : x)
    squares += (e - mean) * (e - mean) / double(x.size());
  for (double &e : x)
    e = (e - mean) / std::sqrt(squares + epsilon);
}

/// Brings together what is along one axis; the dimension stays as 1.
static Array reduce(const Array &x, int64_t axis, double init, Binary f) {
  SmallVector<int64_t> shape(x.shape);
  const int64_t count = shape[size_t(axis)];
  shape[size_t(axis)] = 1;
  Array result(shape);
  const int64_t inner = Array::count(ArrayRef(shape).drop_front(size_t(axis) + 1));
  for (size_t i = 0; i < result.data.size(); ++i) {
    result.data[i] = init;
    for (int64_t c = 0; c < count; ++c)
      result.data[i] =
          f(result.data[i], x.data[(i / size_t(inner) * size_t(count) + size_t(c)) * size_t(inner) +
                                   i % size_t(inner)]);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

bool Evaluator::runOnnx(Operation *op, Values &values) {
  auto in = [&](unsigned i) -> const Array & {
    return values.find(op->getOperand(i))->second.array;
  };
  auto set = [&](Array result) {
    values[op->getResult(0)].array = std::move(result);
    return true;
  };
  if (auto constant = dyn_cast<onnx::ConstantOp>(op))
    return set(read(constant.getValue()));
  if (auto unary = unaryOf(op)) {
    Array result = in(0);
    for (double &element : result.data)
      element = unary(element);
    return set(std::move(result));
  }
  if (Binary binary = binaryOf(op)) {
    const Array *operands[] = {&in(0), &in(1)};
    return set(map(operands, [&](ArrayRef<double> v) { return binary(v[0], v[1]); }));
  }
  if (isa<onnx::WhereOp>(op)) {
    const Array *operands[] = {&in(0), &in(1), &in(2)};
    return set(map(operands, [](ArrayRef<double> v) { return v[0] != 0 ? v[1] : v[2]; }));
  }
  if (auto clip = dyn_cast<onnx::ClipOp>(op)) {
    Array result = in(0);
    for (double &element : result.data) {
      if (clip.getMin())
        element = greater(element, values[clip.getMin()].array.data[0]);
      if (clip.getMax())
        element = lesser(element, values[clip.getMax()].array.data[0]);
    }
    return set(std::move(result));
  }
  if (isa<onnx::MatMulOp>(op))
    return set(matmul(in(0), in(1)));
  if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    Array product = matmul(in(0), gemm.getTransB() ? swapLast(in(1)) : in(1));
    const double alpha = gemm.getAlpha().convertToFloat(), beta = gemm.getBeta().convertToFloat();
    for (double &element : product.data)
      element *= alpha;
    if (!gemm.getC())
      return set(std::move(product));
    const Array *operands[] = {&product, &in(2)};
    return set(map(operands, [&](ArrayRef<double> v) { return v[0] + beta * v[1]; }));
  }
  if (auto op1 = dyn_cast<onnx::SoftmaxOp>(op))
    return set(byVector(in(0), softmax));
  if (auto norm = dyn_cast<onnx::LayerNormalizationOp>(op)) {
    Array x = byVector(in(0), [&](MutableArrayRef<double> v) {
      normalize(v, norm.getEpsilon().convertToFloat(), /*centred=*/true);
    });
    const bool shifts = bool(norm.getB());
    const Array zero(ArrayRef<int64_t>{});
    const Array *operands[] = {&x, &in(1), shifts ? &in(2) : &zero};
    return set(map(operands, [](ArrayRef<double> v) { return v[0] * v[1] + v[2]; }));
  }
  if (auto norm = dyn_cast<onnx::RMSNormalizationOp>(op)) {
    Array x = byVector(in(0), [&](MutableArrayRef<double> v) {
      normalize(v, norm.getEpsilon().convertToFloat(), /*centred=*/false);
    });
    const Array *operands[] = {&x, &in(1)};
    return set(map(operands, [](ArrayRef<double> v) { return v[0] * v[1]; }));
  }
  return false;
}

bool Evaluator::runArranging(Operation *op, Values &values) {
  auto in = [&](unsigned i) -> const Array & {
    return values.find(op->getOperand(i))->second.array;
  };
  auto set = [&](Array result) {
    values[op->getResult(0)].array = std::move(result);
    return true;
  };
  auto wrap = [&](double axis, const Array &x) {
    return axis < 0 ? int64_t(axis) + int64_t(x.shape.size()) : int64_t(axis);
  };
  if (isa<onnx::ReduceSumOp, onnx::ReduceMaxOp>(op) && in(1).data.size() == 1) {
    const int64_t axis = wrap(in(1).data.front(), in(0));
    Array x = isa<onnx::ReduceMaxOp>(op)
                  ? reduce(in(0), axis, -std::numeric_limits<double>::infinity(), greater)
                  : reduce(in(0), axis, 0, [](double a, double b) { return a + b; });
    if (auto keeps = op->getAttrOfType<IntegerAttr>("keepdims"); keeps && keeps.getInt() == 0)
      x.shape.erase(x.shape.begin() + axis);
    return set(std::move(x));
  }
  if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
    const Array &x = in(0);
    const int64_t end = shape.getEnd() ? int64_t(*shape.getEnd()) : int64_t(x.shape.size());
    Array result({end - int64_t(shape.getStart())});
    for (auto [i, element] : llvm::enumerate(result.data))
      element = double(x.shape[i + size_t(shape.getStart())]);
    return set(std::move(result));
  }
  if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
    const int64_t axis = wrap(double(concat.getAxis()), in(0));
    SmallVector<int64_t> shape(in(0).shape);
    shape[size_t(axis)] = 0;
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      shape[size_t(axis)] += in(i).shape[size_t(axis)];
    Array result(shape);
    const int64_t outer = Array::count(ArrayRef(shape).take_front(size_t(axis)));
    auto to = result.data.begin();
    for (int64_t o = 0; o < outer; ++o)
      for (unsigned i = 0; i < op->getNumOperands(); ++i) {
        const int64_t size = int64_t(in(i).data.size()) / outer;
        to = std::copy_n(in(i).data.begin() + o * size, size, to);
      }
    return set(std::move(result));
  }
  if (isa<onnx::SplitOp>(op)) { // the last axis, in equal parts
    const Array x = in(0);
    const int64_t parts = op->getNumResults(), size = x.last() / parts;
    for (auto [number, value] : llvm::enumerate(op->getResults())) {
      SmallVector<int64_t> shape(x.shape);
      shape.back() = size;
      Array part(shape);
      for (size_t i = 0; i < part.data.size(); ++i)
        part.data[i] =
            x.data[i / size_t(size) * size_t(x.last()) + number * size_t(size) + i % size_t(size)];
      values[value].array = std::move(part);
    }
    return true;
  }
  if (isa<onnx::ReshapeOp>(op)) {
    Array x = in(0);
    SmallVector<int64_t> shape;
    int64_t known = 1;
    for (auto [i, dim] : llvm::enumerate(in(1).data)) {
      shape.push_back(dim == 0 ? x.shape[i] : int64_t(dim));
      known *= dim < 0 ? 1 : shape.back();
    }
    for (int64_t &dim : shape)
      if (dim < 0)
        dim = known ? int64_t(x.data.size()) / known : 0;
    x.shape = shape;
    return set(std::move(x));
  }
  if (isa<onnx::ExpandOp>(op)) {
    Array like(llvm::map_to_vector(in(1).data, [](double dim) { return int64_t(dim); }));
    const Array *operands[] = {&in(0), &like};
    return set(map(operands, [](ArrayRef<double> v) { return v[0]; }));
  }
  if (isa<onnx::TransposeOp>(op) && in(0).shape.size() == 2)
    return set(swapLast(in(0)));
  if (auto gather = dyn_cast<onnx::GatherOp>(op); gather && gather.getAxis() == 0) {
    const Array &table = in(0), &indices = in(1);
    SmallVector<int64_t> shape(indices.shape);
    shape.append(table.shape.begin() + 1, table.shape.end());
    Array result(shape);
    for (auto [i, index] : llvm::enumerate(indices.data)) {
      const int64_t at = index < 0 ? int64_t(index) + table.rows() : int64_t(index);
      std::copy_n(table.data.begin() + at * table.rowSize(), table.rowSize(),
                  result.data.begin() + int64_t(i) * table.rowSize());
    }
    return set(std::move(result));
  }
  return false;
}
