//===- ActivationOps.cpp - Activation functions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

static Value divide(B &b, Value x, Value y) { return arith::DivFOp::create(b, x, y); }
static Value exponential(B &b, Value x) { return math::ExpOp::create(b, x); }

/// `positive` where x is above 0, or NaN with it, `negative` elsewhere.
static Value bySign(B &b, Value x, Value positive, Value negative) {
  Value below = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, number(b, x, 0));
  return arith::SelectOp::create(b, below, negative, positive);
}

Value graft::lowering::sigmoid(B &b, Value x) {
  Value one = number(b, x, 1);
  Value e = exponential(b, arith::NegFOp::create(b, x));
  return divide(b, one, add(b, one, e));
}

/// log(1 + exp(x)) without overflow: max(x, 0) + log1p(exp(-|x|)).
static Value softplus(B &b, Value x) {
  Value magnitude = math::AbsFOp::create(b, x);
  Value e = exponential(b, arith::NegFOp::create(b, magnitude));
  return add(b, maximum(b, x, number(b, x, 0), false), math::Log1pOp::create(b, e));
}

/// x·Φ(x), exact or by the approximation with tanh.
static Value gelu(B &b, Value x, bool byTanh) {
  Value half = number(b, x, 0.5), one = number(b, x, 1);
  if (!byTanh) {
    Value erf = math::ErfOp::create(b, mul(b, x, number(b, x, 0.70710678118654752440)));
    return mul(b, mul(b, half, x), add(b, one, erf));
  }
  Value cube = mul(b, mul(b, x, x), x);
  Value inner = add(b, x, mul(b, number(b, x, 0.044715), cube));
  Value tanh = math::TanhOp::create(b, mul(b, number(b, x, 0.79788456080286535588), inner));
  return mul(b, mul(b, half, x), add(b, one, tanh));
}

static Value hardSigmoid(B &b, Value x, double alpha, double beta) {
  Value y = add(b, mul(b, x, number(b, x, alpha)), number(b, x, beta));
  return minimum(b, maximum(b, y, number(b, x, 0), false), number(b, x, 1), false);
}

static Value shrink(B &b, Value x, double lambda, double bias) {
  using F = arith::CmpFPredicate;
  Value below = arith::CmpFOp::create(b, F::OLT, x, number(b, x, -lambda));
  Value above = arith::CmpFOp::create(b, F::OGT, x, number(b, x, lambda));
  Value down = arith::SelectOp::create(b, above, sub(b, x, number(b, x, bias)), number(b, x, 0));
  return arith::SelectOp::create(b, below, add(b, x, number(b, x, bias)), down);
}

static LogicalResult lowerActivation(Lowering &l, Operation *op) {
  auto toDouble = [](const APFloat &value) { return double(value.convertToFloat()); };
  auto body = [&](B &b, ValueRange v) -> Value {
    Value x = v[0], zero = number(b, x, 0), one = number(b, x, 1);
    auto minusOne = [&](Value y) -> Value { return math::ExpM1Op::create(b, y); };
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case([&](onnx::TanhOp) -> Value { return math::TanhOp::create(b, x); })
        .Case([&](onnx::SigmoidOp) { return sigmoid(b, x); })
        .Case([&](onnx::ReluOp) { return maximum(b, x, zero, false); })
        .Case([&](onnx::LeakyReluOp leaky) {
          return bySign(b, x, x, mul(b, x, number(b, x, toDouble(leaky.getAlpha()))));
        })
        .Case([&](onnx::PReluOp) { return bySign(b, x, x, mul(b, x, v[1])); })
        .Case([&](onnx::EluOp elu) {
          return bySign(b, x, x, mul(b, number(b, x, toDouble(elu.getAlpha())), minusOne(x)));
        })
        .Case([&](onnx::SeluOp selu) {
          Value low = mul(b, number(b, x, toDouble(selu.getAlpha())), minusOne(x));
          return mul(b, number(b, x, toDouble(selu.getGamma())), bySign(b, x, x, low));
        })
        .Case([&](onnx::CeluOp celu) {
          Value alpha = number(b, x, toDouble(celu.getAlpha()));
          return bySign(b, x, x, mul(b, alpha, minusOne(divide(b, x, alpha))));
        })
        .Case([&](onnx::HardSigmoidOp hard) {
          return hardSigmoid(b, x, toDouble(hard.getAlpha()), toDouble(hard.getBeta()));
        })
        .Case([&](onnx::HardSwishOp) { return mul(b, x, hardSigmoid(b, x, 1.0 / 6, 0.5)); })
        .Case([&](onnx::MishOp) -> Value {
          return mul(b, x, math::TanhOp::create(b, softplus(b, x)));
        })
        .Case([&](onnx::SoftplusOp) { return softplus(b, x); })
        .Case(
            [&](onnx::SoftsignOp) { return divide(b, x, add(b, one, math::AbsFOp::create(b, x))); })
        .Case([&](onnx::GeluOp op) { return gelu(b, x, op.getApproximate() == "tanh"); })
        .Case([&](onnx::SwishOp swish) {
          return mul(b, x, sigmoid(b, mul(b, number(b, x, toDouble(swish.getAlpha())), x)));
        })
        .Case([&](onnx::ThresholdedReluOp threshold) -> Value {
          Value above = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x,
                                              number(b, x, toDouble(threshold.getAlpha())));
          return arith::SelectOp::create(b, above, x, zero);
        })
        .Case([&](onnx::ShrinkOp op) {
          return shrink(b, x, toDouble(op.getLambd()), toDouble(op.getBias()));
        })
        .Default([](Operation *) { return Value(); });
  };
  SmallVector<Tensor> operands;
  for (Value operand : op->getOperands())
    operands.push_back(l.get(operand));
  if (!isa<FloatType>(operands[0].element()) && !isa<onnx::ReluOp>(op))
    return l.unsupported(op, "elements that are not floats");
  Value result = op->getResult(0);
  l.set(result, l.map(operands, l.dims(result), l.element(result), body));
  return success();
}

void graft::lowering::addActivations(Table &table) {
  table.addAll<onnx::TanhOp, onnx::SigmoidOp, onnx::ReluOp, onnx::LeakyReluOp, onnx::PReluOp,
               onnx::EluOp, onnx::SeluOp, onnx::CeluOp, onnx::HardSigmoidOp, onnx::HardSwishOp,
               onnx::MishOp, onnx::SoftplusOp, onnx::SoftsignOp, onnx::GeluOp, onnx::SwishOp,
               onnx::ThresholdedReluOp, onnx::ShrinkOp>(lowerActivation);
}
