//===- PoolingOps.cpp - Pooling -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Windows.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

namespace {
/// What the body of a pool sees at one position of a window.
struct Position {
  Value element; // clamped into the tensor where the window reaches outside
  Value inside;  // of the tensor; null if it always is
  Value counted; // inside the tensor or its explicit padding
  Value linear;  // the element's row-major position in the whole tensor
};
} // namespace

/// Accumulates over the windows of `x`. The body takes a position and the accumulators.
static SmallVector<Tensor>
overWindows(Lowering &l, Tensor x, ArrayRef<Window> windows, ArrayRef<Polynomial> dims,
            ArrayRef<Value> inits,
            llvm::function_ref<SmallVector<Value>(B &, const Position &, ValueRange)> body) {
  unsigned spatial = windows.size(), rank = 2 + spatial;
  Dims kernel;
  SmallVector<Value> pads, sizes, ends;
  for (const Window &w : windows) {
    kernel.push_back(w.kernel);
    pads.push_back(l.index(w.padBegin));
    sizes.push_back(l.index(w.input));
    ends.push_back(l.index(w.input + w.padEnd));
  }
  SmallVector<Value> strides;
  for (const Polynomial &dim : x.dims)
    strides.push_back(l.index(dim));
  // A tensor that is never read tells the loops over the window.
  Tensor shape = l.empty(kernel, x.element());
  SmallVector<AffineExpr> window, out;
  for (unsigned d = 0; d < rank; ++d)
    out.push_back(l.b.getAffineDimExpr(d));
  for (unsigned i = 0; i < spatial; ++i)
    window.push_back(l.b.getAffineDimExpr(rank + i));
  SmallVector<AffineMap> maps{AffineMap::get(rank + spatial, 0, window, l.b.getContext())};
  SmallVector<Value> outputs;
  SmallVector<Type> types;
  for (Value init : inits) {
    outputs.push_back(l.filled(dims, init).value);
    types.push_back(outputs.back().getType());
    maps.push_back(AffineMap::get(rank + spatial, 0, out, l.b.getContext()));
  }
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.append(spatial, utils::IteratorType::reduction);
  auto generic = linalg::GenericOp::create(
      l.b, types, ValueRange{shape.value}, outputs, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        B b(loc, nested);
        auto constant = [&](int64_t i) -> Value { return arith::ConstantIndexOp::create(b, i); };
        auto compare = [&](arith::CmpIPredicate predicate, Value i, Value j) -> Value {
          return arith::CmpIOp::create(b, predicate, i, j);
        };
        auto both = [&](Value &so, Value condition) {
          so = so ? arith::AndIOp::create(b, so, condition).getResult() : condition;
        };
        SmallVector<Value> from{linalg::IndexOp::create(b, 0), linalg::IndexOp::create(b, 1)};
        Position at;
        for (unsigned i = 0; i < spatial; ++i) {
          const Window &w = windows[i];
          Value o = linalg::IndexOp::create(b, 2 + i), k = linalg::IndexOp::create(b, rank + i);
          Value start = arith::MulIOp::create(b, o, constant(w.stride));
          Value reach = arith::MulIOp::create(b, k, constant(w.dilation));
          Value sum = arith::AddIOp::create(b, start, reach);
          Value position = arith::SubIOp::create(b, sum, pads[i]);
          Value last = arith::MaxSIOp::create(b, arith::SubIOp::create(b, sizes[i], constant(1)),
                                              constant(0));
          Value safe =
              arith::MinSIOp::create(b, arith::MaxSIOp::create(b, position, constant(0)), last);
          both(at.inside, compare(arith::CmpIPredicate::eq, safe, position));
          both(at.counted, compare(arith::CmpIPredicate::slt, position, ends[i]));
          from.push_back(safe);
        }
        at.element = tensor::ExtractOp::create(b, x.value, from);
        at.linear = from[0];
        for (unsigned d = 1; d < rank; ++d) {
          Value scaled = arith::MulIOp::create(b, at.linear, strides[d]);
          at.linear = arith::AddIOp::create(b, scaled, from[d]);
        }
        linalg::YieldOp::create(b, body(b, at, arguments.drop_front()));
      });
  SmallVector<Tensor> results;
  for (Value result : generic.getResults())
    results.push_back({result, Dims(dims)});
  return results;
}

static LogicalResult lowerMaxPool(Lowering &l, onnx::MaxPoolOp op) {
  Tensor x = l.get(op.getX());
  auto windows = windowsOf(l.shapes, op);
  if (!windows)
    return l.unsupported(op, "attributes that do not fit the operand's rank");
  bool wantsIndices = op.getIndices() && !op.getIndices().use_empty();
  if (wantsIndices && op.getStorageOrder() != 0)
    return l.unsupported(op, "indices in column-major order");
  bool isUnsigned = l.isUnsigned(op.getX());
  Type type = x.element(), i64 = l.b.getI64Type();
  SmallVector<Value> inits{l.scalar(lowestOf(type, isUnsigned))};
  if (wantsIndices)
    inits.push_back(l.scalar(i64, -1));
  auto results = overWindows(
      l, x, *windows, l.dims(op.getY()), inits,
      [&](B &b, const Position &at, ValueRange so) -> SmallVector<Value> {
        Value greatest = maximum(b, so[0], at.element, isUnsigned);
        SmallVector<Value> next{arith::SelectOp::create(b, at.inside, greatest, so[0])};
        if (wantsIndices) {
          Value none =
              arith::CmpIOp::create(b, arith::CmpIPredicate::slt, so[1], number(b, so[1], 0));
          Value above = isa<FloatType>(type)
                            ? arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, at.element, so[0])
                                  .getResult()
                            : arith::CmpIOp::create(b,
                                                    isUnsigned ? arith::CmpIPredicate::ugt
                                                               : arith::CmpIPredicate::sgt,
                                                    at.element, so[0])
                                  .getResult();
          Value better = arith::AndIOp::create(b, at.inside, arith::OrIOp::create(b, none, above));
          Value here = arith::IndexCastOp::create(b, i64, at.linear);
          next.push_back(arith::SelectOp::create(b, better, here, so[1]));
        }
        return next;
      });
  l.set(op.getY(), results[0]);
  if (wantsIndices)
    l.set(op.getIndices(), results[1]);
  return success();
}

static LogicalResult lowerAveragePool(Lowering &l, onnx::AveragePoolOp op) {
  Tensor x = l.get(op.getX());
  auto windows = windowsOf(l.shapes, op);
  if (!windows)
    return l.unsupported(op, "attributes that do not fit the operand's rank");
  bool withPadding = op.getCountIncludePad() != 0;
  Type type = x.element().getIntOrFloatBitWidth() < 32 ? Type(l.b.getF32Type()) : x.element();
  auto results = overWindows(
      l, x, *windows, l.dims(op.getY()), {l.scalar(type, 0), l.scalar(type, 0)},
      [&](B &b, const Position &at, ValueRange so) -> SmallVector<Value> {
        Value element = convert(b, at.element, type, false, false);
        Value sum = add(b, so[0], element), count = add(b, so[1], number(b, so[1], 1));
        return {arith::SelectOp::create(b, at.inside, sum, so[0]),
                arith::SelectOp::create(b, withPadding ? at.counted : at.inside, count, so[1])};
      });
  l.set(op.getY(), l.map(results, results[0].dims, x.element(), [](B &b, ValueRange v) -> Value {
    return arith::DivFOp::create(b, v[0], v[1]);
  }));
  return success();
}

static LogicalResult lowerLpPool(Lowering &l, onnx::LpPoolOp op) {
  Tensor x = l.get(op.getX());
  auto windows = windowsOf(l.shapes, op);
  if (!windows || op.getP() < 1)
    return l.unsupported(op, "attributes that do not fit the operand's rank, or p below 1");
  double p = double(op.getP());
  auto results = overWindows(
      l, x, *windows, l.dims(op.getY()), {l.scalar(x.element(), 0)},
      [&](B &b, const Position &at, ValueRange so) -> SmallVector<Value> {
        Value magnitude = math::AbsFOp::create(b, at.element);
        Value power = p == 1 ? magnitude
                      : p == 2
                          ? mul(b, magnitude, magnitude)
                          : math::PowFOp::create(b, magnitude, number(b, magnitude, p)).getResult();
        return {arith::SelectOp::create(b, at.inside, add(b, so[0], power), so[0])};
      });
  l.set(op.getY(),
        l.map({results[0]}, results[0].dims, x.element(), [&](B &b, ValueRange v) -> Value {
          if (p == 1)
            return v[0];
          if (p == 2)
            return math::SqrtOp::create(b, v[0]);
          return math::PowFOp::create(b, v[0], number(b, v[0], 1 / p));
        }));
  return success();
}

static LogicalResult lowerGlobalPool(Lowering &l, Operation *op) {
  Tensor x = l.get(op->getOperand(0));
  Value result = op->getResult(0);
  if (x.rank() < 3)
    return l.unsupported(op, "a rank below 3");
  SmallVector<bool> axes(x.rank(), true);
  axes[0] = axes[1] = false;
  if (isa<onnx::GlobalMaxPoolOp>(op)) {
    Tensor most = l.reduce(x, axes, l.scalar(lowestOf(x.element(), false)),
                           [](B &b, ValueRange v) { return maximum(b, v[0], v[1], false); });
    l.set(result, l.reshape(most, l.dims(result)));
    return success();
  }
  Type type = x.element().getIntOrFloatBitWidth() < 32 ? Type(l.b.getF32Type()) : x.element();
  Tensor sum =
      l.reduce(x, axes, l.scalar(type, 0), [](B &b, ValueRange v) { return add(b, v[1], v[0]); });
  Value count = l.index(product(ArrayRef<Polynomial>(x.dims).drop_front(2)));
  Value integer = arith::IndexCastOp::create(l.b, l.b.getI64Type(), count);
  Value n = arith::SIToFPOp::create(l.b, type, integer);
  Tensor mean = l.map({sum}, sum.dims, x.element(), [&](B &b, ValueRange v) -> Value {
    return convert(b, arith::DivFOp::create(b, v[0], n), x.element(), false, false);
  });
  l.set(result, l.reshape(mean, l.dims(result)));
  return success();
}

void graft::lowering::addPooling(Table &table) {
  table.add(lowerMaxPool);
  table.add(lowerAveragePool);
  table.add(lowerLpPool);
  table.addAll<onnx::GlobalAveragePoolOp, onnx::GlobalMaxPoolOp>(lowerGlobalPool);
}
