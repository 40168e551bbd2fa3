//===- SoftmaxOps.cpp - Softmax and its relatives -*- C++ -*-===//
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

/// Moves `axis` to the end, or back when it is there.
static SmallVector<int64_t> swapWithLast(int64_t axis, int64_t rank) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(perm[axis], perm[rank - 1]);
  return perm;
}

static LogicalResult lowerSoftmax(Lowering &l, onnx::SoftmaxOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() == 0)
    return l.unsupported(op, "a scalar operand");
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  auto perm = swapWithLast(axis, x.rank());
  Tensor last = l.transpose(x, perm);
  Tensor init = l.empty(last.dims, x.element());
  auto softmax = dispatch::SoftmaxOp::create(l.b, last.value, Value(), init.value);
  l.set(op.getOutput(), l.transpose({softmax->getResult(0), last.dims}, perm));
  return success();
}

/// The greatest of each row along an axis, with the axis kept as 1.
static Tensor greatest(Lowering &l, Tensor x, int64_t axis) {
  SmallVector<bool> axes(x.rank(), false);
  axes[axis] = true;
  Dims kept = x.dims;
  kept[axis] = 1;
  Tensor result = l.reduce(x, axes, l.scalar(lowestOf(x.element(), false)),
                           [](B &b, ValueRange v) { return maximum(b, v[0], v[1], false); });
  return l.reshape(result, kept);
}

static LogicalResult lowerLogSoftmax(Lowering &l, onnx::LogSoftmaxOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() == 0)
    return l.unsupported(op, "a scalar operand");
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  SmallVector<bool> axes(x.rank(), false);
  axes[axis] = true;
  Type f32 = l.b.getF32Type(), type = x.element().getIntOrFloatBitWidth() < 32 ? f32 : x.element();
  Tensor shifted = l.map({x, greatest(l, x, axis)}, x.dims, type,
                         [](B &b, ValueRange v) { return sub(b, v[0], v[1]); });
  Tensor sum = l.reduce(shifted, axes, l.scalar(type, 0), [](B &b, ValueRange v) -> Value {
    return add(b, v[1], math::ExpOp::create(b, v[0]));
  });
  Dims kept = x.dims;
  kept[axis] = 1;
  Tensor result =
      l.map({shifted, l.reshape(sum, kept)}, x.dims, x.element(),
            [](B &b, ValueRange v) -> Value { return sub(b, v[0], math::LogOp::create(b, v[1])); });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerHardmax(Lowering &l, onnx::HardmaxOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() == 0)
    return l.unsupported(op, "a scalar operand");
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  SmallVector<bool> axes(x.rank(), false);
  axes[axis] = true;
  // The first position of the greatest.
  Value lowest = l.scalar(lowestOf(x.element(), false));
  Value zero = l.index(0);
  Type indexType = l.b.getI64Type();
  Value none = arith::IndexCastOp::create(l.b, indexType, zero);
  auto best =
      l.reduceMany(x, axes, {lowest, none}, [&](B &b, Value element, ValueRange at, ValueRange so) {
        Value better = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, element, so[0]);
        Value here = arith::IndexCastOp::create(b, indexType, at[axis]);
        return SmallVector<Value>{arith::SelectOp::create(b, better, element, so[0]),
                                  arith::SelectOp::create(b, better, here, so[1])};
      });
  Dims kept = x.dims;
  kept[axis] = 1;
  Tensor position = l.reshape(best[1], kept);
  Tensor result = l.map({position}, x.dims, x.element(), [&](B &b, ValueRange v) -> Value {
    Value at = linalg::IndexOp::create(b, axis);
    Value here = arith::IndexCastOp::create(b, indexType, at);
    Value isIt = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, here, v[0]);
    return convert(b, isIt, x.element(), true, false);
  });
  l.set(op.getOutput(), result);
  return success();
}

void graft::lowering::addSoftmax(Table &table) {
  table.add(lowerSoftmax);
  table.add(lowerLogSoftmax);
  table.add(lowerHardmax);
}
