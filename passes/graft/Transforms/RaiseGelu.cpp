//===- RaiseGelu.cpp - Recognising GELU -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/Raise.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;

namespace {
/// A product taken apart: its constant and the rest.
struct Product {
  double constant = 1;
  SmallVector<Value> factors;
};
} // namespace

static void collect(const Matcher &m, Value value, Product &product, unsigned depth) {
  if (auto constant = m.scalar(value)) {
    product.constant *= *constant;
    return;
  }
  Operation *op = value.getDefiningOp();
  if (depth > 0 && isa_and_nonnull<onnx::MulOp>(op)) {
    collect(m, op->getOperand(0), product, depth - 1);
    collect(m, op->getOperand(1), product, depth - 1);
    return;
  }
  auto divisor = isa_and_nonnull<onnx::DivOp>(op) ? m.scalar(op->getOperand(1)) : std::nullopt;
  if (depth > 0 && divisor && *divisor != 0) {
    product.constant /= *divisor;
    collect(m, op->getOperand(0), product, depth - 1);
    return;
  }
  product.factors.push_back(value);
}

static bool near(double a, double b) { return std::abs(a - b) <= 1e-4 * std::abs(b); }

/// c·x for an `x` that is given: the constant.
static std::optional<double> multipleOf(const Matcher &m, Value value, Value x) {
  if (value == x)
    return 1;
  Product product;
  collect(m, value, product, 2);
  if (product.factors.size() != 1 || product.factors[0] != x)
    return std::nullopt;
  return product.constant;
}

static bool isCube(const Matcher &m, Value value, Value x) {
  if (auto power = value.getDefiningOp<onnx::PowOp>())
    return power.getX() == x && m.isScalar(power.getY(), 3);
  Product product;
  collect(m, value, product, 2);
  unsigned degree = 0;
  for (Value factor : product.factors) {
    auto power = factor.getDefiningOp<onnx::PowOp>();
    if (factor == x)
      degree += 1;
    else if (power && power.getX() == x && m.isScalar(power.getY(), 2))
      degree += 2;
    else
      return false;
  }
  return degree == 3 && near(product.constant, 1);
}

/// √(2/π)·(x + 0.044715·x³), in any order of the factors.
static bool isTanhArgument(const Matcher &m, Value value, Value x) {
  Product outer;
  collect(m, value, outer, 1);
  if (outer.factors.size() != 1 || !near(outer.constant, 0.7978845608))
    return false;
  auto sum = outer.factors[0].getDefiningOp<onnx::AddOp>();
  return sum && eitherOrder(sum, [&](Value first, Value second) {
           if (first != x)
             return false;
           Product inner;
           collect(m, second, inner, 1);
           if (inner.factors.size() == 1)
             return near(inner.constant, 0.044715) && isCube(m, inner.factors[0], x);
           return false;
         });
}

/// Before: Mul(Mul(x, Add(Erf(Div(x, √2)), 1)), 0.5), or with Tanh; after: Gelu(x).
bool graft::raise::raiseGelu(const Matcher &m, Operation *op) {
  if (!isa<onnx::MulOp>(op))
    return false;
  Product product;
  collect(m, op->getResult(0), product, 3);
  if (product.factors.size() != 2 || !near(product.constant, 0.5))
    return false;
  for (unsigned i : {0, 1}) {
    Value x = product.factors[i];
    auto sum = product.factors[1 - i].getDefiningOp<onnx::AddOp>();
    if (!sum || !m.sameDims(x, op->getResult(0)))
      continue;
    StringRef approximate;
    eitherOrder(sum, [&](Value function, Value one) {
      if (!m.isScalar(one, 1))
        return false;
      if (auto erf = function.getDefiningOp<onnx::ErfOp>()) {
        auto factor = multipleOf(m, erf.getInput(), x);
        if (factor && near(*factor, 0.70710678))
          approximate = "none";
      } else if (auto tanh = function.getDefiningOp<onnx::TanhOp>()) {
        if (isTanhArgument(m, tanh.getInput(), x))
          approximate = "tanh";
      }
      return !approximate.empty();
    });
    if (approximate.empty())
      continue;
    OpBuilder builder(op);
    m.replace(op, onnx::GeluOp::create(builder, op->getLoc(), op->getResult(0).getType(), x,
                                       builder.getStringAttr(approximate)));
    return true;
  }
  return false;
}
