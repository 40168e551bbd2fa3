//===- NormKernels.cpp - Softmax and layer norm ------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A row at a time, several passes over it while it is in the first-level cache. A sum has a chain
// for each lane, and a tree over the lanes at the end: the same for a row whatever is beside it.
//
//===----------------------------------------------------------------------===//

#include "graft/Codegen/Cpu/Kernels/RowSteps.h"
#include "graft/Codegen/Cpu/Kernels/VectorMath.h"

using namespace mlir;
using namespace graft;
using namespace graft::dispatch;

using Values = KernelBuilder::Values;

/// Lanes that don't count hold `otherwise`.
static Value masked(KernelBuilder &b, Value mask, Value value, float otherwise) {
  return mask ? b.select(mask, value, b.splat(otherwise)) : value;
}

static void buildLayerNorm(KernelBuilder &b, LayerNormOp op, ValueRange arguments, Value i) {
  size_t next = 0;
  Value x = arguments[next++];
  Value residual = op.getResidual() ? arguments[next++] : Value();
  Value weight = op.getWeight() ? arguments[next++] : Value();
  Value bias = op.getBias() ? arguments[next++] : Value();
  Value out = arguments[next];
  Value size = rowSize(b, out);
  RowSteps row(b, size);
  Value n = arith::SIToFPOp::create(b, b.getF32Type(),
                                    arith::IndexCastOp::create(b, b.getI64Type(), size));
  Value inverse = b.divf(b.scalar(1.0f), n);
  Value epsilon = b.scalar(op.getEpsilon().convertToFloat());
  // The sum with the residual is kept in out.
  Value source = residual ? out : x;
  auto input = [&](Value j, Value mask) {
    if (!residual)
      return b.loadVector(x, {i, j}, mask);
    Value h = b.addf(b.loadVector(x, {i, j}, mask), b.loadVector(residual, {i, j}, mask));
    b.storeVector(h, out, {i, j}, mask);
    return h;
  };
  Value mean;
  if (!op.getRms()) {
    Value sum = row.each({b.splat(0.0f)}, [&](Value j, ValueRange sums, Value mask) -> Values {
      return {b.addf(sums[0], input(j, mask))};
    })[0];
    mean = b.broadcast(b.mulf(b.sum(sum), inverse));
  }
  Value squares = row.each({b.splat(0.0f)}, [&](Value j, ValueRange sums, Value mask) -> Values {
    Value h = op.getRms() ? input(j, mask) : b.loadVector(source, {i, j}, mask);
    if (mean)
      h = masked(b, mask, b.subf(h, mean), 0.0f);
    return {b.fma(h, h, sums[0])};
  })[0];
  Value variance = b.mulf(b.sum(squares), inverse);
  Value root = math::SqrtOp::create(b, b.addf(variance, epsilon));
  Value factor = b.broadcast(b.divf(b.scalar(1.0f), root));
  row.each({}, [&](Value j, ValueRange, Value mask) -> Values {
    Value h = b.loadVector(source, {i, j}, mask);
    if (mean)
      h = b.subf(h, mean);
    h = b.mulf(h, factor);
    Value w = weight ? b.loadVector(weight, {j}, mask) : Value();
    Value c = bias ? b.loadVector(bias, {j}, mask) : Value();
    h = w && c ? b.fma(h, w, c) : w ? b.mulf(h, w) : c ? b.addf(h, c) : h;
    b.storeVector(h, out, {i, j}, mask);
    return {};
  });
}

std::optional<KernelCall> graft::prepareLayerNorm(LayerNormOp op, KernelBuilder &b) {
  for (Value operand : op->getOperands())
    if (!isRows(operand))
      return std::nullopt;
  KernelCall call;
  call.name = op.getRms() ? "rms_norm" : "layer_norm";
  for (Value operand : op->getOperands())
    call.operands.push_back(operand == op.getWeight() || operand == op.getBias()
                                ? withDynamicOffset(b, operand)
                                : viewAsRows(b, operand));
  call.plan = [](KernelBuilder &b, ValueRange operands) -> KernelCall::Work {
    return planRows(b, operands.back(), 4);
  };
  call.build = [op](KernelBuilder &b, ValueRange arguments, Value task) {
    buildLayerNorm(b, op, arguments, task);
  };
  return call;
}

static void buildSoftmax(KernelBuilder &b, SoftmaxOp op, ValueRange arguments, Value i) {
  Value x = arguments.front(), out = arguments.back();
  Value size = rowSize(b, out);
  RowSteps row(b, size);
  float scale = op.getScale().convertToFloat();
  float infinity = std::numeric_limits<float>::infinity();
  // Half precision would be rounded twice: it computes twice instead.
  bool keeps = cast<MemRefType>(out.getType()).getElementType().isF32();
  auto score = [&](Value j, Value mask) {
    Value s = b.loadVector(x, {i, j}, mask);
    return masked(b, mask, scale == 1.0f ? s : b.mulf(s, b.splat(scale)), -infinity);
  };
  Value greatest =
      row.each({b.splat(-infinity)}, [&](Value j, ValueRange best, Value mask) -> Values {
        return {b.maxOrSecond(best[0], score(j, mask))};
      })[0];
  Value shift = b.broadcast(b.greatest(greatest));
  Value sum = row.each({b.splat(0.0f)}, [&](Value j, ValueRange sums, Value mask) -> Values {
    Value e = buildExpNonPositive(b, b.subf(score(j, mask), shift), b.target.fma);
    if (keeps)
      b.storeVector(e, out, {i, j}, mask);
    return {b.addf(sums[0], masked(b, mask, e, 0.0f))};
  })[0];
  Value inverse = b.broadcast(b.divf(b.scalar(1.0f), b.sum(sum)));
  row.each({}, [&](Value j, ValueRange, Value mask) -> Values {
    Value e = keeps ? b.loadVector(out, {i, j}, mask)
                    : buildExpNonPositive(b, b.subf(score(j, mask), shift), b.target.fma);
    b.storeVector(b.mulf(e, inverse), out, {i, j}, mask);
    return {};
  });
}

std::optional<KernelCall> graft::prepareSoftmax(SoftmaxOp op, KernelBuilder &b) {
  if (op.getMask() || !isRows(op.getInput()) || !isRows(op.getInit()))
    return std::nullopt;
  KernelCall call;
  call.name = "softmax";
  call.operands = {viewAsRows(b, op.getInput()), viewAsRows(b, op.getInit())};
  call.plan = [](KernelBuilder &b, ValueRange operands) -> KernelCall::Work {
    return planRows(b, operands.back(), 2);
  };
  call.build = [op](KernelBuilder &b, ValueRange arguments, Value task) {
    buildSoftmax(b, op, arguments, task);
  };
  return call;
}
