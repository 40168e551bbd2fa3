//===- ReductionOps.cpp - Reductions along axes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// The axes that a reduction takes away, or nothing if they are not constant.
static std::optional<SmallVector<bool>> axesOf(Lowering &l, Operation *op) {
  int64_t rank = l.dims(op->getOperand(0)).size();
  SmallVector<bool> reduced(rank, false);
  SmallVector<int64_t> axes;
  if (op->getNumOperands() > 1) {
    auto given = l.shapes.constantElements(op->getOperand(1));
    if (!given)
      return std::nullopt;
    axes = *given;
  }
  for (int64_t axis : axes) {
    axis = normalizeAxis(axis, rank);
    if (axis < 0 || axis >= rank)
      return std::nullopt;
    reduced[axis] = true;
  }
  auto noop = op->getAttrOfType<IntegerAttr>("noop_with_empty_axes");
  if (axes.empty() && !(noop && noop.getInt()))
    reduced.assign(rank, true);
  return reduced;
}

static LogicalResult lowerReduce(Lowering &l, Operation *op) {
  Tensor x = l.get(op->getOperand(0));
  auto axes = axesOf(l, op);
  if (!axes)
    return l.unsupported(op, "axes that are not constant");
  Value result = op->getResult(0);
  bool isUnsigned = l.isUnsigned(op->getOperand(0));
  Type type = x.element(), wide = type;
  if (type.isF16() || type.isBF16())
    wide = l.b.getF32Type();
  Polynomial count(1);
  for (auto [i, dim] : llvm::enumerate(x.dims))
    if ((*axes)[i])
      count = count * dim;
  Tensor y;
  auto reduce = [&](Value init, ScalarBody body) { return l.reduce(x, *axes, init, body); };
  auto finish = [&](Tensor t, ScalarBody body) { return l.map({t}, t.dims, type, body); };
  auto square = [](B &b, ValueRange v) { return add(b, v[1], mul(b, v[0], v[0])); };
  auto sum = [](B &b, ValueRange v) { return add(b, v[1], v[0]); };
  auto logOf = [](B &b, ValueRange v) -> Value { return math::LogOp::create(b, v[0]); };
  Value zero = l.scalar(wide, 0);
  if (isa<onnx::ReduceMaxOp>(op)) {
    y = reduce(l.scalar(lowestOf(type, isUnsigned)),
               [&](B &b, ValueRange v) { return maximum(b, v[0], v[1], isUnsigned); });
  } else if (isa<onnx::ReduceMinOp>(op)) {
    y = reduce(l.scalar(highestOf(type, isUnsigned)),
               [&](B &b, ValueRange v) { return minimum(b, v[0], v[1], isUnsigned); });
  } else if (isa<onnx::ReduceProdOp>(op)) {
    y = reduce(l.scalar(wide, 1), [](B &b, ValueRange v) { return mul(b, v[1], v[0]); });
  } else if (isa<onnx::ReduceSumSquareOp>(op)) {
    y = reduce(zero, square);
  } else if (isa<onnx::ReduceL2Op>(op)) {
    y = finish(reduce(zero, square),
               [](B &b, ValueRange v) -> Value { return math::SqrtOp::create(b, v[0]); });
  } else if (isa<onnx::ReduceL1Op>(op)) {
    y = reduce(zero, [](B &b, ValueRange v) -> Value {
      if (isa<FloatType>(v[0].getType()))
        return add(b, v[1], math::AbsFOp::create(b, v[0]));
      return add(b, v[1], math::AbsIOp::create(b, v[0]));
    });
  } else if (isa<onnx::ReduceLogSumOp>(op)) {
    y = finish(reduce(zero, sum), logOf);
  } else if (isa<onnx::ReduceLogSumExpOp>(op)) {
    // Relative to the greatest, so that exp does not overflow.
    Tensor most = reduce(l.scalar(lowestOf(type, false)),
                         [](B &b, ValueRange v) { return maximum(b, v[0], v[1], false); });
    Dims kept = x.dims;
    for (auto [i, dim] : llvm::enumerate(kept))
      if ((*axes)[i])
        dim = 1;
    Tensor shifted = l.map({x, l.reshape(most, kept)}, x.dims, wide,
                           [](B &b, ValueRange v) { return sub(b, v[0], v[1]); });
    Tensor total = l.reduce(shifted, *axes, zero, [](B &b, ValueRange v) -> Value {
      return add(b, v[1], math::ExpOp::create(b, v[0]));
    });
    y = l.map({total, most}, total.dims, type, [](B &b, ValueRange v) -> Value {
      return add(b, v[1], math::LogOp::create(b, v[0]));
    });
  } else if (isa<onnx::ReduceMeanOp>(op)) {
    Tensor total = reduce(zero, sum);
    Value n = l.index(count);
    Value asInteger = arith::IndexCastOp::create(l.b, l.b.getI64Type(), n);
    if (isa<FloatType>(wide)) {
      Value divisor = arith::SIToFPOp::create(l.b, wide, asInteger);
      y = finish(total, [&](B &b, ValueRange v) -> Value {
        return arith::DivFOp::create(b, v[0], divisor);
      });
    } else {
      Value one = l.scalar(l.b.getI64Type(), 1);
      Value safe = arith::MaxSIOp::create(l.b, asInteger, one);
      Value divisor = convert(l.b, safe, wide, false, isUnsigned);
      y = finish(total, [&](B &b, ValueRange v) -> Value {
        return arith::DivSIOp::create(b, v[0], divisor);
      });
    }
  } else {
    y = reduce(zero, sum);
  }
  if (y.element() != type)
    y = finish(y, [](B &, ValueRange v) { return v[0]; });
  l.set(result, l.reshape(y, l.dims(result)));
  return success();
}

template <typename OpTy> static LogicalResult lowerArg(Lowering &l, OpTy op) {
  Tensor x = l.get(op.getData());
  int64_t axis = normalizeAxis(op.getAxis(), x.rank());
  if (axis < 0 || axis >= x.rank())
    return l.unsupported(op, "an axis out of range");
  constexpr bool isMax = std::is_same_v<OpTy, onnx::ArgMaxOp>;
  bool isUnsigned = l.isUnsigned(op.getData()), last = op.getSelectLastIndex() != 0;
  SmallVector<bool> axes(x.rank(), false);
  axes[axis] = true;
  Type type = x.element(), i64 = l.b.getI64Type();
  Value worst = l.scalar(isMax ? lowestOf(type, isUnsigned) : highestOf(type, isUnsigned));
  Value none = l.scalar(i64, -1); // so that a first element wins even if it is the worst value
  auto best =
      l.reduceMany(x, axes, {worst, none}, [&](B &b, Value element, ValueRange at, ValueRange so) {
        Value better;
        if (isa<FloatType>(type))
          better = arith::CmpFOp::create(
              b,
              isMax ? (last ? arith::CmpFPredicate::OGE : arith::CmpFPredicate::OGT)
                    : (last ? arith::CmpFPredicate::OLE : arith::CmpFPredicate::OLT),
              element, so[0]);
        else if (isUnsigned)
          better = arith::CmpIOp::create(
              b,
              isMax ? (last ? arith::CmpIPredicate::uge : arith::CmpIPredicate::ugt)
                    : (last ? arith::CmpIPredicate::ule : arith::CmpIPredicate::ult),
              element, so[0]);
        else
          better = arith::CmpIOp::create(
              b,
              isMax ? (last ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sgt)
                    : (last ? arith::CmpIPredicate::sle : arith::CmpIPredicate::slt),
              element, so[0]);
        Value first =
            arith::CmpIOp::create(b, arith::CmpIPredicate::slt, so[1], number(b, so[1], 0));
        better = arith::OrIOp::create(b, better, first);
        Value here = arith::IndexCastOp::create(b, i64, at[axis]);
        return SmallVector<Value>{arith::SelectOp::create(b, better, element, so[0]),
                                  arith::SelectOp::create(b, better, here, so[1])};
      });
  l.set(op.getReduced(), l.reshape(best[1], l.dims(op.getReduced())));
  return success();
}

/// Running sums and products: a loop over the axis, each step on a slice.
template <typename OpTy> static LogicalResult lowerScan(Lowering &l, OpTy op) {
  Tensor x = l.get(op.getX());
  auto axes = l.shapes.constantElements(op.getAxis());
  if (!axes || axes->size() != 1)
    return l.unsupported(op, "an axis that is not constant");
  int64_t axis = normalizeAxis(axes->front(), x.rank());
  if (axis < 0 || axis >= x.rank())
    return l.unsupported(op, "an axis out of range");
  constexpr bool isSum = std::is_same_v<OpTy, onnx::CumSumOp>;
  bool reverse = op.getReverse() != 0, exclusive = op.getExclusive() != 0;
  B &b = l.b;
  Type type = x.element();
  Dims sliceDims = x.dims;
  sliceDims[axis] = 1;
  Tensor init = l.empty(x.dims, type);
  Tensor start = l.filled(sliceDims, l.scalar(type, isSum ? 0 : 1));
  Value zero = l.index(0), one = l.index(1), size = l.index(x.dims[axis]);
  auto ones = SmallVector<OpFoldResult>(x.rank(), b.getIndexAttr(1));
  auto loop = scf::ForOp::create(b, zero, size, one, ValueRange{init.value, start.value});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar(), result = loop.getRegionIterArgs()[0];
    Tensor so{loop.getRegionIterArgs()[1], sliceDims};
    if (reverse)
      i = arith::SubIOp::create(b, arith::SubIOp::create(b, size, one), i);
    SmallVector<OpFoldResult> offsets(x.rank(), b.getIndexAttr(0));
    offsets[axis] = i;
    auto sizes = l.fold(sliceDims);
    Tensor here{
        tensor::ExtractSliceOp::create(b, l.type(sliceDims, type), x.value, offsets, sizes, ones),
        sliceDims};
    Tensor next = l.map({so, here}, sliceDims, type, [](B &b, ValueRange v) {
      return isSum ? add(b, v[0], v[1]) : mul(b, v[0], v[1]);
    });
    Value stored = tensor::InsertSliceOp::create(b, exclusive ? so.value : next.value, result,
                                                 offsets, sizes, ones);
    scf::YieldOp::create(b, ValueRange{stored, next.value});
  }
  l.set(op.getY(), {loop.getResult(0), x.dims});
  return success();
}

void graft::lowering::addReduction(Table &table) {
  table.addAll<onnx::ReduceSumOp, onnx::ReduceMeanOp, onnx::ReduceMaxOp, onnx::ReduceMinOp,
               onnx::ReduceProdOp, onnx::ReduceL1Op, onnx::ReduceL2Op, onnx::ReduceLogSumOp,
               onnx::ReduceLogSumExpOp, onnx::ReduceSumSquareOp>(lowerReduce);
  table.add(lowerArg<onnx::ArgMaxOp>);
  table.add(lowerArg<onnx::ArgMinOp>);
  table.add(lowerScan<onnx::CumSumOp>);
  table.add(lowerScan<onnx::CumProdOp>);
}
