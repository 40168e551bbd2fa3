//===- ScatterOps.cpp - Scattering, and sizes that data decides -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Indexing.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// A loop over all positions of `dims` in row-major order that carries values. The body takes the
/// position and the carried.
static SmallVector<Value>
overPositions(Lowering &l, ArrayRef<Polynomial> dims, ValueRange carried,
              llvm::function_ref<SmallVector<Value>(B &, ValueRange, ValueRange)> body) {
  SmallVector<Value> sizes;
  for (const Polynomial &dim : dims)
    sizes.push_back(l.index(dim));
  Value zero = l.index(0), one = l.index(1), count = l.index(product(dims));
  auto loop = scf::ForOp::create(l.b, zero, count, one, carried);
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar();
  SmallVector<Value> at(dims.size());
  for (int64_t d = int64_t(dims.size()) - 1; d >= 0; --d) {
    // No dimension is 0 inside the loop.
    at[d] = d == 0 ? rest : arith::RemUIOp::create(l.b, rest, sizes[d]).getResult();
    if (d != 0)
      rest = arith::DivUIOp::create(l.b, rest, sizes[d]);
  }
  auto next = body(l.b, at, loop.getRegionIterArgs());
  scf::YieldOp::create(l.b, next);
  return SmallVector<Value>(loop.getResults());
}

static Value combine(B &b, StringRef reduction, Value old, Value update, bool isUnsigned) {
  if (reduction == "add")
    return add(b, old, update);
  if (reduction == "mul")
    return mul(b, old, update);
  if (reduction == "max")
    return maximum(b, old, update, isUnsigned);
  if (reduction == "min")
    return minimum(b, old, update, isUnsigned);
  return update;
}

/// `result` with `update` at `to`, combined with what is there.
static Value scatterOne(B &b, Value result, Value update, ValueRange to, StringRef reduction,
                        bool isUnsigned) {
  if (reduction != "none") {
    Value old = tensor::ExtractOp::create(b, result, to);
    update = combine(b, reduction, old, update, isUnsigned);
  }
  return tensor::InsertOp::create(b, update, result, to);
}

static LogicalResult lowerScatterElements(Lowering &l, onnx::ScatterElementsOp op) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices()),
         updates = l.get(op.getUpdates());
  int64_t axis = normalizeAxis(op.getAxis(), data.rank());
  if (axis < 0 || axis >= data.rank() || indices.rank() != data.rank() ||
      updates.rank() != data.rank())
    return l.unsupported(op, "an axis or ranks that do not fit");
  SmallVector<Value> sizes;
  for (int64_t d = 0; d < data.rank(); ++d) {
    sizes.push_back(l.index(data.dims[d]));
    l.checkEqual(indices.dims[d], updates.dims[d], "indices and updates differ in shape");
    if (d != axis && indices.dims[d] != data.dims[d])
      l.check(
          arith::CmpIOp::create(l.b, arith::CmpIPredicate::sle, l.index(indices.dims[d]), sizes[d]),
          "more indices than data along dimension " + Twine(d));
  }
  checkIndices(l, op.getIndices(), indices, sizes[axis]);
  bool isUnsigned = l.isUnsigned(op.getData());
  Dims common;
  for (auto [a, b] : llvm::zip(indices.dims, updates.dims))
    common.push_back(a == b ? a : Polynomial::min(a, b));
  auto results =
      overPositions(l, common, ValueRange{data.value},
                    [&](B &b, ValueRange at, ValueRange so) -> SmallVector<Value> {
                      Value raw = tensor::ExtractOp::create(b, indices.value, at);
                      Value update = tensor::ExtractOp::create(b, updates.value, at);
                      SmallVector<Value> to(at);
                      for (int64_t d = 0; d < data.rank(); ++d)
                        if (d == axis)
                          to[d] = safeIndex(b, raw, sizes[d]);
                        else if (common[d] != data.dims[d])
                          to[d] = arith::MinSIOp::create(
                              b, to[d], arith::SubIOp::create(b, sizes[d], l.index(1)));
                      return {scatterOne(b, so[0], update, to, op.getReduction(), isUnsigned)};
                    });
  l.set(op.getOutput(), {results[0], data.dims});
  return success();
}

static LogicalResult lowerScatterND(Lowering &l, onnx::ScatterNDOp op) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices()),
         updates = l.get(op.getUpdates());
  auto depth = indices.dims.empty() ? std::nullopt : indices.dims.back().asConstant();
  if (!depth || *depth > data.rank() || updates.rank() != indices.rank() - 1 + data.rank() - *depth)
    return l.unsupported(op, "ranks that do not fit");
  int64_t lookups = indices.rank() - 1;
  SmallVector<Value> sizes;
  for (const Polynomial &dim : data.dims)
    sizes.push_back(l.index(dim));
  for (int64_t d = 0; d < updates.rank(); ++d)
    l.checkEqual(updates.dims[d], d < lookups ? indices.dims[d] : data.dims[d - lookups + *depth],
                 "updates do not fit indices and data");
  checkCoordinates(l, indices, ArrayRef(sizes).take_front(*depth));
  bool isUnsigned = l.isUnsigned(op.getData());
  auto results = overPositions(
      l, updates.dims, ValueRange{data.value},
      [&](B &b, ValueRange at, ValueRange so) -> SmallVector<Value> {
        SmallVector<Value> to, where;
        for (int64_t d = 0; d < lookups; ++d) {
          Value last = arith::SubIOp::create(b, l.index(indices.dims[d]), l.index(1));
          where.push_back(indices.dims[d] == updates.dims[d]
                              ? at[d]
                              : arith::MinSIOp::create(b, at[d], last).getResult());
        }
        where.push_back({});
        for (int64_t d = 0; d < *depth; ++d) {
          where.back() = l.index(d);
          to.push_back(safeIndex(b, tensor::ExtractOp::create(b, indices.value, where), sizes[d]));
        }
        for (int64_t d = lookups; d < updates.rank(); ++d) {
          Value last = arith::SubIOp::create(b, sizes[d - lookups + *depth], l.index(1));
          to.push_back(updates.dims[d] == data.dims[d - lookups + *depth]
                           ? at[d]
                           : arith::MinSIOp::create(b, at[d], last).getResult());
        }
        Value update = tensor::ExtractOp::create(b, updates.value, at);
        return {scatterOne(b, so[0], update, to, op.getReduction(), isUnsigned)};
      });
  l.set(op.getOutput(), {results[0], data.dims});
  return success();
}

/// How many elements are not zero, as an index.
static Value countTrue(Lowering &l, Tensor x) {
  SmallVector<bool> axes(x.rank(), true);
  Type i64 = l.b.getI64Type();
  Tensor count = l.reduce(x, axes, l.scalar(i64, 0), [&](B &b, ValueRange v) {
    Value is = convert(b, v[0], b.getI1Type(), false, true);
    return add(b, v[1], convert(b, is, i64, true, false));
  });
  Value total = tensor::ExtractOp::create(l.b, count.value, ValueRange{});
  return arith::IndexCastOp::create(l.b, l.b.getIndexType(), total);
}

static LogicalResult lowerNonZero(Lowering &l, onnx::NonZeroOp op) {
  Tensor x = l.get(op.getX());
  if (x.rank() == 0)
    x = l.reshape(x, {1});
  Value count = countTrue(l, x);
  Type i64 = l.b.getI64Type();
  auto type = RankedTensorType::get({x.rank(), ShapedType::kDynamic}, i64);
  Value init = tensor::EmptyOp::create(l.b, type, ValueRange{count});
  auto results = overPositions(
      l, x.dims, ValueRange{init, l.index(0)},
      [&](B &b, ValueRange at, ValueRange so) -> SmallVector<Value> {
        Value element = tensor::ExtractOp::create(b, x.value, at);
        Value is = convert(b, element, b.getI1Type(), false, true);
        auto branch = scf::IfOp::create(b, TypeRange{type, b.getIndexType()}, is, true);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(branch.thenBlock());
        Value result = so[0];
        for (auto [d, i] : llvm::enumerate(at)) {
          Value coordinate = arith::IndexCastOp::create(b, i64, i);
          result = tensor::InsertOp::create(b, coordinate, result, ValueRange{l.index(d), so[1]});
        }
        scf::YieldOp::create(b, ValueRange{result, arith::AddIOp::create(b, so[1], l.index(1))});
        b.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(b, ValueRange{so[0], so[1]});
        return SmallVector<Value>(branch.getResults());
      });
  l.set(op.getY(), {results[0], l.dims(op.getY())});
  return success();
}

static LogicalResult lowerCompress(Lowering &l, onnx::CompressOp op) {
  Tensor x = l.get(op.getInput()), condition = l.get(op.getCondition());
  int64_t axis = 0;
  if (op.getAxis())
    axis = normalizeAxis(*op.getAxis(), x.rank());
  else
    x = l.reshape(x, {product(x.dims)});
  if (axis < 0 || axis >= x.rank() || condition.rank() != 1)
    return l.unsupported(op, "an axis out of range");
  // A condition may be shorter than the axis; what it does not name is dropped.
  Polynomial length = Polynomial::min(condition.dims[0], x.dims[axis]);
  condition = l.slice(condition, {0}, {length}, {1});
  Value count = countTrue(l, condition);
  Type i64 = l.b.getI64Type();
  auto listType = RankedTensorType::get({ShapedType::kDynamic}, i64);
  Value list = tensor::EmptyOp::create(l.b, listType, ValueRange{count});
  auto kept = overPositions(
      l, condition.dims, ValueRange{list, l.index(0)},
      [&](B &b, ValueRange at, ValueRange so) -> SmallVector<Value> {
        Value is = tensor::ExtractOp::create(b, condition.value, at);
        auto branch = scf::IfOp::create(b, TypeRange{listType, b.getIndexType()}, is, true);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(branch.thenBlock());
        Value here = arith::IndexCastOp::create(b, i64, at[0]);
        Value result = tensor::InsertOp::create(b, here, so[0], ValueRange{so[1]});
        scf::YieldOp::create(b, ValueRange{result, arith::AddIOp::create(b, so[1], l.index(1))});
        b.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(b, ValueRange{so[0], so[1]});
        return SmallVector<Value>(branch.getResults());
      });
  // The number of kept slices is known by this value only: the result is built by hand.
  SmallVector<int64_t> shape(l.type(x.dims, x.element()).getShape());
  shape[axis] = ShapedType::kDynamic;
  auto type = RankedTensorType::get(shape, x.element());
  SmallVector<Value> dynamic;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d == axis)
      dynamic.push_back(count);
    else if (type.isDynamicDim(d))
      dynamic.push_back(l.index(x.dims[d]));
  Value init = tensor::EmptyOp::create(l.b, type, dynamic);
  Value size = l.index(x.dims[axis]);
  SmallVector<utils::IteratorType> iterators(x.rank(), utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      l.b, TypeRange{type}, ValueRange{}, ValueRange{init},
      ArrayRef<AffineMap>{l.b.getMultiDimIdentityMap(x.rank())}, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange) {
        B b(loc, nested);
        SmallVector<Value> from;
        for (int64_t d = 0; d < x.rank(); ++d)
          from.push_back(linalg::IndexOp::create(b, d));
        Value raw = tensor::ExtractOp::create(b, kept[0], ValueRange{from[axis]});
        from[axis] = safeIndex(b, raw, size);
        linalg::YieldOp::create(
            b, ValueRange{tensor::ExtractOp::create(b, x.value, from).getResult()});
      });
  l.set(op.getOutput(), {generic.getResult(0), l.dims(op.getOutput())});
  return success();
}

void graft::lowering::addScatter(Table &table) {
  table.add(lowerScatterElements);
  table.add(lowerScatterND);
  table.add(lowerNonZero);
  table.add(lowerCompress);
}
