//===- NormalizationOps.cpp - Normalisation -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Dispatch/Dispatch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

static Type computeType(Lowering &l, Type type) {
  return type.getIntOrFloatBitWidth() < 32 ? Type(l.b.getF32Type()) : type;
}

/// Mean and 1 / sqrt(variance + epsilon) over the marked axes, with these kept as 1.
static std::pair<Tensor, Tensor> statistics(Lowering &l, Tensor x, ArrayRef<bool> axes,
                                            double epsilon) {
  Type type = computeType(l, x.element());
  Dims kept = x.dims;
  Polynomial count(1);
  for (auto [i, dim] : llvm::enumerate(kept)) {
    if (!axes[i])
      continue;
    count = count * dim;
    dim = 1;
  }
  Value integer = arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(count));
  Value n = arith::SIToFPOp::create(l.b, type, integer);
  auto divided = [&](Tensor t) {
    return l.map({t}, t.dims, type,
                 [&](B &b, ValueRange v) -> Value { return arith::DivFOp::create(b, v[0], n); });
  };
  Tensor sum =
      l.reduce(x, axes, l.scalar(type, 0), [](B &b, ValueRange v) { return add(b, v[1], v[0]); });
  Tensor mean = l.reshape(divided(sum), kept);
  // Of the centred values: the difference of squares would lose what matters.
  Tensor centred =
      l.map({x, mean}, x.dims, type, [](B &b, ValueRange v) { return sub(b, v[0], v[1]); });
  Tensor squares = l.reduce(centred, axes, l.scalar(type, 0),
                            [](B &b, ValueRange v) { return add(b, v[1], mul(b, v[0], v[0])); });
  Tensor scale = l.map({squares}, squares.dims, type, [&](B &b, ValueRange v) -> Value {
    Value variance = arith::DivFOp::create(b, v[0], n);
    Value root = math::SqrtOp::create(b, add(b, variance, number(b, variance, epsilon)));
    return arith::DivFOp::create(b, number(b, root, 1), root);
  });
  return {mean, l.reshape(scale, kept)};
}

/// (x - mean) · scale · weight + bias, with what is absent left out.
static Tensor applied(Lowering &l, Tensor x, Tensor mean, Tensor scale, Tensor weight,
                      Tensor bias) {
  SmallVector<Tensor> operands{x, mean, scale};
  if (weight.value)
    operands.push_back(weight);
  if (bias.value)
    operands.push_back(bias);
  return l.map(operands, x.dims, x.element(), [&](B &b, ValueRange v) {
    Value y = mul(b, sub(b, v[0], v[1]), v[2]);
    if (weight.value)
      y = mul(b, y, v[3]);
    if (bias.value)
      y = add(b, y, v.back());
    return y;
  });
}

/// `t` of rank 1 as it broadcasts along dimension 1 of a tensor of rank `rank`.
static Tensor byChannel(Lowering &l, Tensor t, int64_t rank) {
  Dims dims(rank - 1, 1);
  dims[0] = t.dims[0];
  return l.reshape(t, dims);
}

/// LayerNormalization and RMSNormalization through the dispatch op: the normalised dims become one.
static bool lowerToDispatch(Lowering &l, Value result, Tensor x, int64_t axis, Tensor weight,
                            Tensor bias, double epsilon, bool rms) {
  ArrayRef<Polynomial> inner = ArrayRef<Polynomial>(x.dims).drop_front(axis);
  if (inner.empty() || (weight.value && ArrayRef<Polynomial>(weight.dims) != inner) ||
      (bias.value && ArrayRef<Polynomial>(bias.dims) != inner))
    return false;
  Polynomial size = product(inner);
  Dims rows(x.dims.begin(), x.dims.begin() + axis);
  rows.push_back(size);
  Tensor flat = l.reshape(x, rows);
  auto vector = [&](Tensor t) { return t.value ? l.reshape(t, {size}).value : Value(); };
  Value scale = vector(weight), shift = vector(bias);
  Tensor init = l.empty(rows, x.element());
  auto op = dispatch::LayerNormOp::create(l.b, flat.value, Value(), scale, shift, init.value,
                                          float(epsilon), rms);
  l.set(result, l.reshape({op->getResult(0), rows}, l.dims(result)));
  return true;
}

static LogicalResult lowerLayerNormalization(Lowering &l, onnx::LayerNormalizationOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getScale()), bias;
  if (op.getB())
    bias = l.get(op.getB());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  double epsilon = op.getEpsilon().convertToFloat();
  if (axis < 0 || axis >= x.rank())
    return l.unsupported(op, "an axis out of range");
  bool plain = (!op.getMean() || op.getMean().use_empty()) &&
               (!op.getInvStdDev() || op.getInvStdDev().use_empty());
  if (plain && lowerToDispatch(l, op.getY(), x, axis, weight, bias, epsilon, false))
    return success();
  SmallVector<bool> axes(x.rank(), false);
  std::fill(axes.begin() + axis, axes.end(), true);
  auto [mean, scale] = statistics(l, x, axes, epsilon);
  l.set(op.getY(), applied(l, x, mean, scale, weight, bias));
  auto rounded = [&](Tensor t, Value result) {
    l.set(result, l.map({t}, t.dims, l.element(result), [&](B &b, ValueRange v) {
      return convert(b, v[0], l.element(result), false, false);
    }));
  };
  if (op.getMean())
    rounded(mean, op.getMean());
  if (op.getInvStdDev())
    rounded(scale, op.getInvStdDev());
  return success();
}

static LogicalResult lowerRMSNormalization(Lowering &l, onnx::RMSNormalizationOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getScale());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  double epsilon = op.getEpsilon().convertToFloat();
  if (axis < 0 || axis >= x.rank())
    return l.unsupported(op, "an axis out of range");
  if (lowerToDispatch(l, op.getY(), x, axis, weight, {}, epsilon, true))
    return success();
  // A weight that broadcasts: normalise without, then multiply.
  if (!lowerToDispatch(l, op.getY(), x, axis, {}, {}, epsilon, true))
    return l.unsupported(op, "nothing to normalise over");
  Tensor normalised = l.get(op.getY());
  l.set(op.getY(), l.map({normalised, weight}, x.dims, x.element(),
                         [](B &b, ValueRange v) { return mul(b, v[0], v[1]); }));
  return success();
}

static LogicalResult lowerBatchNormalization(Lowering &l, onnx::BatchNormalizationOp op) {
  if (op.getTrainingMode())
    return l.unsupported(op, "training mode");
  Tensor x = l.get(op.getX());
  double epsilon = op.getEpsilon().convertToFloat();
  SmallVector<Tensor> operands{x};
  for (Value v : {op.getScale(), op.getB(), op.getInputMean(), op.getInputVar()})
    operands.push_back(x.rank() < 2 ? l.get(v) : byChannel(l, l.get(v), x.rank()));
  Tensor result = l.map(operands, x.dims, x.element(), [&](B &b, ValueRange v) -> Value {
    Value root = math::SqrtOp::create(b, add(b, v[4], number(b, v[4], epsilon)));
    Value factor = arith::DivFOp::create(b, v[1], root);
    return add(b, mul(b, sub(b, v[0], v[3]), factor), v[2]);
  });
  l.set(op.getY(), result);
  return success();
}

static LogicalResult lowerInstanceNormalization(Lowering &l, onnx::InstanceNormalizationOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() < 3)
    return l.unsupported(op, "a rank below 3");
  SmallVector<bool> axes(x.rank(), true);
  axes[0] = axes[1] = false;
  auto [mean, scale] = statistics(l, x, axes, op.getEpsilon().convertToFloat());
  l.set(op.getOutput(), applied(l, x, mean, scale, byChannel(l, l.get(op.getScale()), x.rank()),
                                byChannel(l, l.get(op.getB()), x.rank())));
  return success();
}

static LogicalResult lowerGroupNormalization(Lowering &l, onnx::GroupNormalizationOp op) {
  Tensor x = l.get(op.getX());
  int64_t groups = op.getNumGroups();
  if (x.rank() < 2 || groups < 1 || Polynomial::mod(x.dims[1], groups) != 0)
    return l.unsupported(op, "groups that do not divide the channels");
  Dims grouped{x.dims[0], groups, Polynomial::floorDiv(x.dims[1], groups)};
  grouped.append(x.dims.begin() + 2, x.dims.end());
  Tensor split = l.reshape(x, grouped);
  SmallVector<bool> axes(split.rank(), true);
  axes[0] = axes[1] = false;
  auto [mean, scale] = statistics(l, split, axes, op.getEpsilon().convertToFloat());
  Tensor normalised = l.reshape(applied(l, split, mean, scale, {}, {}), x.dims);
  Tensor weight = byChannel(l, l.get(op.getScale()), x.rank());
  Tensor bias = byChannel(l, l.get(op.getBias()), x.rank());
  l.set(op.getY(), l.map({normalised, weight, bias}, x.dims, x.element(),
                         [](B &b, ValueRange v) { return add(b, mul(b, v[0], v[1]), v[2]); }));
  return success();
}

static LogicalResult lowerMeanVariance(Lowering &l, onnx::MeanVarianceNormalizationOp op) {
  Tensor x = l.get(op.getX());
  SmallVector<bool> axes(x.rank(), false);
  SmallVector<int64_t> given{0, 2, 3};
  if (ArrayAttr attribute = op.getAxesAttr()) {
    given.clear();
    for (Attribute axis : attribute)
      given.push_back(cast<IntegerAttr>(axis).getInt());
  }
  for (int64_t axis : given) {
    axis = normalizeAxis(axis, x.rank());
    if (axis < 0 || axis >= x.rank())
      return l.unsupported(op, "an axis out of range");
    axes[axis] = true;
  }
  auto [mean, scale] = statistics(l, x, axes, 1e-9);
  l.set(op.getY(), applied(l, x, mean, scale, {}, {}));
  return success();
}

static LogicalResult lowerLRN(Lowering &l, onnx::LRNOp op) {
  Tensor x = l.get(op.getX());
  if (x.rank() < 2)
    return l.unsupported(op, "a rank below 2");
  int64_t size = op.getSize();
  double alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat(),
         bias = op.getBias().convertToFloat();
  Value channels = l.index(x.dims[1]);
  Tensor result = l.generate(x.dims, x.element(), [&](B &b, ValueRange at) -> Value {
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value sum;
    for (int64_t k = -((size - 1) / 2); k <= size / 2; ++k) {
      Value channel = arith::AddIOp::create(b, at[1], arith::ConstantIndexOp::create(b, k));
      Value notBelow = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, channel, zero);
      Value notAbove = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, channel, channels);
      Value inside = arith::AndIOp::create(b, notBelow, notAbove);
      SmallVector<Value> from(at);
      from[1] = arith::SelectOp::create(b, inside, channel, at[1]);
      Value element = tensor::ExtractOp::create(b, x.value, from);
      Value square = mul(b, element, element);
      Value part = arith::SelectOp::create(b, inside, square, number(b, square, 0));
      sum = sum ? add(b, sum, part) : part;
    }
    Value element = tensor::ExtractOp::create(b, x.value, at);
    Value base = add(b, number(b, sum, bias), mul(b, sum, number(b, sum, alpha / double(size))));
    return arith::DivFOp::create(b, element, math::PowFOp::create(b, base, number(b, base, beta)));
  });
  l.set(op.getY(), result);
  return success();
}

static LogicalResult lowerLpNormalization(Lowering &l, onnx::LpNormalizationOp op) {
  Tensor x = l.get(op.getInput());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  if (axis < 0 || axis >= x.rank() || (op.getP() != 1 && op.getP() != 2))
    return l.unsupported(op, "an axis out of range, or p other than 1 and 2");
  SmallVector<bool> axes(x.rank(), false);
  axes[axis] = true;
  bool isSquare = op.getP() == 2;
  Tensor sum =
      l.reduce(x, axes, l.scalar(computeType(l, x.element()), 0), [&](B &b, ValueRange v) -> Value {
        return add(b, v[1],
                   isSquare ? mul(b, v[0], v[0]) : math::AbsFOp::create(b, v[0]).getResult());
      });
  Dims kept = x.dims;
  kept[axis] = 1;
  Tensor result =
      l.map({x, l.reshape(sum, kept)}, x.dims, x.element(), [&](B &b, ValueRange v) -> Value {
        Value norm = isSquare ? math::SqrtOp::create(b, v[1]).getResult() : Value(v[1]);
        return arith::DivFOp::create(b, v[0], norm);
      });
  l.set(op.getOutput(), result);
  return success();
}

void graft::lowering::addNormalization(Table &table) {
  table.add(lowerLayerNormalization);
  table.add(lowerRMSNormalization);
  table.add(lowerBatchNormalization);
  table.add(lowerInstanceNormalization);
  table.add(lowerGroupNormalization);
  table.add(lowerMeanVariance);
  table.add(lowerLRN);
  table.add(lowerLpNormalization);
}
