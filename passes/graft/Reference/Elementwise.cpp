//===- Elementwise.cpp - Elementwise ops on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Reference/Evaluator.h"

#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::reference;

/// The shape that all broadcast to.
static std::optional<Shape> broadcast(ArrayRef<const Tensor *> inputs) {
  Shape shape;
  for (const Tensor *input : inputs) {
    if (input->rank() > int64_t(shape.size()))
      shape.insert(shape.begin(), input->rank() - shape.size(), 1);
    for (auto [have, dim] :
         llvm::zip(MutableArrayRef(shape).take_back(input->rank()), input->shape)) {
      if (have != dim && have != 1 && dim != 1)
        return std::nullopt;
      if (have == 1)
        have = dim;
    }
  }
  return shape;
}

/// Applies `f` to the operands' elements at each place of the shape that they broadcast to.
static bool map(Evaluator &at, Operation *op, llvm::function_ref<double(ArrayRef<double>)> f) {
  SmallVector<const Tensor *> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(at.lookup(operand));
  std::optional<Shape> shape = broadcast(inputs);
  std::optional<int64_t> count = shape ? computedCount(*shape) : std::nullopt;
  if (!count || inputs.empty())
    return at.fail(op, "shapes that do not broadcast");
  SmallVector<ArrayRef<double>> data;
  SmallVector<Shape> strides;
  for (const Tensor *input : inputs) {
    data.push_back(input->values());
    Shape own = rowMajor(input->shape);
    for (auto [stride, dim] : llvm::zip(own, input->shape))
      stride = dim == 1 ? 0 : stride;
    own.insert(own.begin(), shape->size() - own.size(), 0);
    strides.push_back(std::move(own));
  }
  std::vector<double> out(*count);
  SmallVector<double> elements(inputs.size());
  Shape index(shape->size(), 0);
  SmallVector<int64_t> offsets(inputs.size(), 0);
  for (double &element : out) {
    for (size_t i = 0; i < inputs.size(); ++i)
      elements[i] = data[i][offsets[i]];
    element = f(elements);
    for (int64_t dim = shape->size(); dim-- > 0;) {
      for (size_t i = 0; i < inputs.size(); ++i)
        offsets[i] += strides[i][dim];
      if (++index[dim] < (*shape)[dim])
        break;
      for (size_t i = 0; i < inputs.size(); ++i)
        offsets[i] -= strides[i][dim] * (*shape)[dim];
      index[dim] = 0;
    }
  }
  return at.result(op->getResult(0), *shape, std::move(out));
}

static double softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }
static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
static double gelu(double x, bool isTanh) {
  return isTanh ? x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))
                : x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
}

/// An activation or another function of one number, or null.
static std::function<double(double)> unary(Operation *op) {
  using F = std::function<double(double)>;
  return llvm::TypeSwitch<Operation *, F>(op)
      .Case<onnx::IdentityOp>([](auto) { return [](double x) { return x; }; })
      .Case<onnx::TanhOp>([](auto) { return [](double x) { return std::tanh(x); }; })
      .Case<onnx::SigmoidOp>([](auto) { return sigmoid; })
      .Case<onnx::ReluOp>([](auto) { return [](double x) { return x < 0 ? 0 : x; }; })
      .Case<onnx::SoftplusOp>([](auto) { return softplus; })
      .Case<onnx::MishOp>([](auto) { return [](double x) { return x * std::tanh(softplus(x)); }; })
      .Case<onnx::HardSwishOp>(
          [](auto) { return [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }; })
      .Case<onnx::HardSigmoidOp>([](onnx::HardSigmoidOp f) -> F {
        const double alpha = f.getAlpha().convertToDouble(), beta = f.getBeta().convertToDouble();
        return [=](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); };
      })
      .Case<onnx::LeakyReluOp>([](onnx::LeakyReluOp f) -> F {
        const double alpha = f.getAlpha().convertToDouble();
        return [=](double x) { return x < 0 ? alpha * x : x; };
      })
      .Case<onnx::EluOp>([](onnx::EluOp f) -> F {
        const double alpha = f.getAlpha().convertToDouble();
        return [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; };
      })
      .Case<onnx::SwishOp>([](onnx::SwishOp f) -> F {
        const double alpha = f.getAlpha().convertToDouble();
        return [=](double x) { return x * sigmoid(alpha * x); };
      })
      .Case<onnx::GeluOp>([](onnx::GeluOp f) -> F {
        const bool isTanh = f.getApproximate() == "tanh";
        return [=](double x) { return gelu(x, isTanh); };
      })
      .Case<onnx::ErfOp>([](auto) { return [](double x) { return std::erf(x); }; })
      .Case<onnx::ExpOp>([](auto) { return [](double x) { return std::exp(x); }; })
      .Case<onnx::LogOp>([](auto) { return [](double x) { return std::log(x); }; })
      .Case<onnx::SqrtOp>([](auto) { return [](double x) { return std::sqrt(x); }; })
      .Case<onnx::ReciprocalOp>([](auto) { return [](double x) { return 1 / x; }; })
      .Case<onnx::NegOp>([](auto) { return [](double x) { return -x; }; })
      .Case<onnx::AbsOp>([](auto) { return [](double x) { return std::abs(x); }; })
      .Case<onnx::SignOp>([](auto) { return [](double x) { return double((x > 0) - (x < 0)); }; })
      .Case<onnx::FloorOp>([](auto) { return [](double x) { return std::floor(x); }; })
      .Case<onnx::CeilOp>([](auto) { return [](double x) { return std::ceil(x); }; })
      .Case<onnx::RoundOp>([](auto) { return [](double x) { return std::nearbyint(x); }; })
      .Case<onnx::SinOp>([](auto) { return [](double x) { return std::sin(x); }; })
      .Case<onnx::CosOp>([](auto) { return [](double x) { return std::cos(x); }; })
      .Case<onnx::NotOp>([](auto) { return [](double x) { return double(x == 0); }; })
      .Case<onnx::IsNaNOp>([](auto) { return [](double x) { return double(std::isnan(x)); }; })
      .Default([](auto) { return F(); });
}

/// A function of two numbers, or null. Integers divide towards zero; the sign of a remainder is
/// the divisor's, or the dividend's where `fmod` says so.
static std::function<double(double, double)> binary(Operation *op) {
  using F = std::function<double(double, double)>;
  const bool isFloat = isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()));
  return llvm::TypeSwitch<Operation *, F>(op)
      .Case<onnx::SubOp>([](auto) { return [](double a, double b) { return a - b; }; })
      .Case<onnx::DivOp>([=](auto) -> F {
        return [=](double a, double b) { return isFloat ? a / b : b == 0 ? 0 : std::trunc(a / b); };
      })
      .Case<onnx::PowOp>([](auto) { return [](double a, double b) { return std::pow(a, b); }; })
      .Case<onnx::ModOp>([](onnx::ModOp mod) -> F {
        const bool isFmod = mod.getFmod() != 0;
        return [=](double a, double b) {
          double rest = std::fmod(a, b);
          return !isFmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
        };
      })
      .Case<onnx::AndOp>([](auto) { return [](double a, double b) { return double(a && b); }; })
      .Case<onnx::OrOp>([](auto) { return [](double a, double b) { return double(a || b); }; })
      .Case<onnx::XorOp>([](auto) { return [](double a, double b) { return double(!a != !b); }; })
      .Case<onnx::EqualOp>([](auto) { return [](double a, double b) { return double(a == b); }; })
      .Case<onnx::GreaterOp>([](auto) { return [](double a, double b) { return double(a > b); }; })
      .Case<onnx::GreaterOrEqualOp>(
          [](auto) { return [](double a, double b) { return double(a >= b); }; })
      .Case<onnx::LessOp>([](auto) { return [](double a, double b) { return double(a < b); }; })
      .Case<onnx::LessOrEqualOp>(
          [](auto) { return [](double a, double b) { return double(a <= b); }; })
      .Default([](auto) { return F(); });
}

static Known evaluateCast(Evaluator &at, Operation *op) {
  const bool isFloat = isa<FloatType>(getElementTypeOrSelf(op->getResult(0).getType()));
  const bool isBool = getElementTypeOrSelf(op->getResult(0).getType()).isInteger(1);
  const Tensor *input = at.lookup(op->getOperand(0));
  std::vector<double> out;
  for (double x : input->values())
    out.push_back(isBool ? double(x != 0) : isFloat ? x : std::trunc(x));
  return at.result(op->getResult(0), input->shape, std::move(out));
}

Known graft::reference::evaluateElementwise(Evaluator &at, Operation *op) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  if (isa<onnx::CastOp, onnx::CastLikeOp>(op))
    return evaluateCast(at, op);
  if (auto f = unary(op))
    return map(at, op, [&](ArrayRef<double> x) { return f(x[0]); });
  if (auto f = binary(op))
    return map(at, op, [&](ArrayRef<double> x) { return f(x[0], x[1]); });
  auto reduce = [&](auto f) -> Known {
    return map(at, op, [&](ArrayRef<double> x) {
      double result = x[0];
      for (double other : x.drop_front())
        result = f(result, other);
      return result;
    });
  };
  if (isa<onnx::AddOp, onnx::SumOp>(op))
    return reduce([](double a, double b) { return a + b; });
  if (isa<onnx::MulOp>(op))
    return reduce([](double a, double b) { return a * b; });
  if (isa<onnx::MinOp>(op))
    return reduce([](double a, double b) { return std::isnan(a) || a < b ? a : b; });
  if (isa<onnx::MaxOp>(op))
    return reduce([](double a, double b) { return std::isnan(a) || a > b ? a : b; });
  if (isa<onnx::WhereOp>(op))
    return map(at, op, [](ArrayRef<double> x) { return x[0] != 0 ? x[1] : x[2]; });
  if (auto clip = dyn_cast<onnx::ClipOp>(op)) {
    const bool hasMin = bool(clip.getMin()), hasMax = bool(clip.getMax());
    return map(at, op, [=](ArrayRef<double> x) {
      double value = x[0];
      if (hasMin)
        value = value < x[1] ? x[1] : value;
      if (hasMax)
        value = value > x[1 + hasMin] ? x[1 + hasMin] : value;
      return value;
    });
  }
  return std::nullopt;
}
