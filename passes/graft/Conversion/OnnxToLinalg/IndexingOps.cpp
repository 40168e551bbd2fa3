//===- IndexingOps.cpp - Gathering by index -*- C++ -*-===//
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

Value graft::lowering::safeIndex(B &b, Value raw, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
  Value i = arith::IndexCastOp::create(b, b.getIndexType(), raw);
  Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, zero);
  Value fromEnd = arith::AddIOp::create(b, i, size);
  Value position = arith::SelectOp::create(b, negative, fromEnd, i);
  Value last = arith::MaxSIOp::create(b, arith::SubIOp::create(b, size, one), zero);
  return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, position, zero), last);
}

void graft::lowering::checkIndices(Lowering &l, Value onnxIndices, Tensor indices, Value size) {
  if (l.shapes.get(onnxIndices).elements) {
    auto constants = l.shapes.constantElements(onnxIndices);
    APInt bound;
    if (constants && matchPattern(size, m_ConstantInt(&bound)) &&
        llvm::all_of(*constants, [&](int64_t i) {
          return i >= -bound.getSExtValue() && i < bound.getSExtValue();
        }))
      return;
  }
  Value allInside = l.scalar(l.b.getBoolAttr(true));
  SmallVector<bool> axes(indices.rank(), true);
  Tensor inside = l.reduce(indices, axes, allInside, [&](B &b, ValueRange v) -> Value {
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value i = arith::IndexCastOp::create(b, b.getIndexType(), v[0]);
    Value least = arith::SubIOp::create(b, zero, size);
    Value above = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, least);
    Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, size);
    Value is = arith::AndIOp::create(b, above, below);
    return arith::AndIOp::create(b, v[1], is);
  });
  l.check(tensor::ExtractOp::create(l.b, inside.value, ValueRange{}), "index out of range");
}

/// A table of rank 2 that a Transpose turns: it is read in place, not turned whenever the model
/// runs.
static Value transposedTable(Lowering &l, Value data) {
  auto op = data.getDefiningOp<onnx::TransposeOp>();
  if (!op || l.dims(data).size() != 2 || !l.isParameter(op.getData()))
    return {};
  if (ArrayAttr perm = op.getPermAttr(); perm && cast<IntegerAttr>(perm[0]).getInt() == 0)
    return {};
  return op.getData();
}

static LogicalResult lowerGather(Lowering &l, onnx::GatherOp op) {
  Dims dataDims = l.dims(op.getData());
  Value table = transposedTable(l, op.getData());
  Tensor data = l.get(table ? table : op.getData()), indices = l.get(op.getIndices());
  int64_t rank = dataDims.size(), axis = normalizeAxis(op.getAxis(), rank);
  if (axis < 0 || axis >= rank)
    return l.unsupported(op, "an axis out of range");
  Value size = l.index(dataDims[axis]);
  checkIndices(l, op.getIndices(), indices, size);
  const Dims &dims = l.dims(op.getOutput());
  unsigned picked = indices.rank();
  // One index for all: a slice. Otherwise each element is read where its index says.
  Tensor result = l.generate(dims, data.element(), [&](B &b, ValueRange at) -> Value {
    SmallVector<Value> from;
    for (int64_t d = 0; d < rank; ++d) {
      if (d != axis) {
        from.push_back(at[d < axis ? d : d - 1 + picked]);
        continue;
      }
      Value raw = tensor::ExtractOp::create(b, indices.value, at.slice(axis, picked));
      from.push_back(safeIndex(b, raw, size));
    }
    if (table)
      std::swap(from[0], from[1]);
    return tensor::ExtractOp::create(b, data.value, from);
  });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerGatherElements(Lowering &l, onnx::GatherElementsOp op) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t axis = normalizeAxis(op.getAxis(), data.rank());
  if (axis < 0 || axis >= data.rank() || data.rank() != indices.rank())
    return l.unsupported(op, "an axis out of range");
  SmallVector<Value> sizes;
  for (auto [d, dim] : llvm::enumerate(data.dims)) {
    sizes.push_back(l.index(dim));
    if (int64_t(d) != axis && indices.dims[d] != dim) {
      Value fits = arith::CmpIOp::create(l.b, arith::CmpIPredicate::sle, l.index(indices.dims[d]),
                                         sizes.back());
      l.check(fits, "more indices than data along dimension " + Twine(d));
    }
  }
  checkIndices(l, op.getIndices(), indices, sizes[axis]);
  Tensor result = l.generate(indices.dims, data.element(), [&](B &b, ValueRange at) -> Value {
    Value raw = tensor::ExtractOp::create(b, indices.value, at);
    SmallVector<Value> from(at);
    for (int64_t d = 0; d < data.rank(); ++d)
      if (d == axis)
        from[d] = safeIndex(b, raw, sizes[d]);
      else if (indices.dims[d] != data.dims[d])
        from[d] = arith::MinSIOp::create(
            b, from[d], arith::SubIOp::create(b, sizes[d], arith::ConstantIndexOp::create(b, 1)));
    return tensor::ExtractOp::create(b, data.value, from);
  });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerGatherND(Lowering &l, onnx::GatherNDOp op) {
  Tensor data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t batch = op.getBatchDims();
  auto depth = indices.dims.back().asConstant();
  if (!depth || batch + *depth > data.rank())
    return l.unsupported(op, "indices whose last dimension is not constant");
  int64_t lookups = indices.rank() - 1;
  SmallVector<Value> sizes;
  for (const Polynomial &dim : data.dims)
    sizes.push_back(l.index(dim));
  checkCoordinates(l, indices, ArrayRef(sizes).slice(batch, *depth));
  Tensor result =
      l.generate(l.dims(op.getOutput()), data.element(), [&](B &b, ValueRange at) -> Value {
        SmallVector<Value> from(at.take_front(batch));
        SmallVector<Value> where(at.take_front(lookups));
        where.push_back({});
        for (int64_t d = 0; d < *depth; ++d) {
          where.back() = arith::ConstantIndexOp::create(b, d);
          Value raw = tensor::ExtractOp::create(b, indices.value, where);
          from.push_back(safeIndex(b, raw, sizes[batch + d]));
        }
        from.append(at.begin() + lookups, at.end());
        return tensor::ExtractOp::create(b, data.value, from);
      });
  l.set(op.getOutput(), result);
  return success();
}

void graft::lowering::checkCoordinates(Lowering &l, Tensor indices, ArrayRef<Value> sizes) {
  Value allInside = l.scalar(l.b.getBoolAttr(true));
  SmallVector<bool> axes(indices.rank(), true);
  auto inside =
      l.reduceMany(indices, axes, {allInside},
                   [&](B &b, Value raw, ValueRange at, ValueRange so) -> SmallVector<Value> {
                     Value zero = arith::ConstantIndexOp::create(b, 0);
                     Value i = arith::IndexCastOp::create(b, b.getIndexType(), raw);
                     Value size = sizes.empty() ? zero : sizes[0];
                     for (size_t d = 1; d < sizes.size(); ++d) {
                       Value which = arith::ConstantIndexOp::create(b, d);
                       Value isIt =
                           arith::CmpIOp::create(b, arith::CmpIPredicate::eq, at.back(), which);
                       size = arith::SelectOp::create(b, isIt, sizes[d], size);
                     }
                     Value least = arith::SubIOp::create(b, zero, size);
                     Value above = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, least);
                     Value below = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, size);
                     Value is = arith::AndIOp::create(b, above, below);
                     return {arith::AndIOp::create(b, so[0], is)};
                   })[0];
  l.check(tensor::ExtractOp::create(l.b, inside.value, ValueRange{}), "index out of range");
}

static LogicalResult lowerTrilu(Lowering &l, onnx::TriluOp op) {
  Tensor x = l.get(op.getInput());
  if (x.rank() < 2)
    return l.unsupported(op, "a rank below 2");
  Value k = l.index(0);
  if (op.getK()) {
    auto elements = l.shapes.elements(op.getK());
    if (!elements || elements->size() != 1)
      return l.unsupported(op, "k that is not one integer");
    k = l.index(elements->front());
  }
  bool upper = op.getUpper() != 0;
  Tensor result = l.map({x}, x.dims, x.element(), [&](B &b, ValueRange v) -> Value {
    Value row = linalg::IndexOp::create(b, x.rank() - 2);
    Value column = linalg::IndexOp::create(b, x.rank() - 1);
    Value diagonal = arith::AddIOp::create(b, row, k);
    auto predicate = upper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
    Value keep = arith::CmpIOp::create(b, predicate, column, diagonal);
    return arith::SelectOp::create(b, keep, v[0], number(b, v[0], 0));
  });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerOneHot(Lowering &l, onnx::OneHotOp op) {
  Tensor indices = l.get(op.getIndices()), values = l.get(op.getValues());
  if (!l.shapes.elements(op.getDepth()))
    return l.unsupported(op, "a depth that is not one integer");
  const Dims &dims = l.dims(op.getOutput());
  int64_t axis = normalizeAxis(op.getAxis(), dims.size());
  Value depth = l.index(dims[axis]);
  Tensor result = l.generate(dims, values.element(), [&](B &b, ValueRange at) -> Value {
    SmallVector<Value> where(at);
    where.erase(where.begin() + axis);
    Value raw = tensor::ExtractOp::create(b, indices.value, where);
    Value integer = convert(b, raw, b.getI64Type(), l.isUnsigned(op.getIndices()), false);
    Value i = arith::IndexCastOp::create(b, b.getIndexType(), integer);
    Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
    Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, zero);
    Value fromEnd = arith::AddIOp::create(b, i, depth);
    Value position = arith::SelectOp::create(b, negative, fromEnd, i);
    Value isOn = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, position, at[axis]);
    Value which = arith::SelectOp::create(b, isOn, one, zero);
    return tensor::ExtractOp::create(b, values.value, ValueRange{which});
  });
  l.set(op.getOutput(), result);
  return success();
}

static LogicalResult lowerReverseSequence(Lowering &l, onnx::ReverseSequenceOp op) {
  Tensor x = l.get(op.getInput()), lengths = l.get(op.getSequenceLens());
  int64_t batch = op.getBatchAxis(), time = op.getTimeAxis();
  if (batch == time || batch >= x.rank() || time >= x.rank())
    return l.unsupported(op, "axes that do not fit");
  Value steps = l.index(x.dims[time]);
  Tensor result = l.generate(x.dims, x.element(), [&](B &b, ValueRange at) -> Value {
    Value raw = tensor::ExtractOp::create(b, lengths.value, ValueRange{at[batch]});
    Value length = arith::IndexCastOp::create(b, b.getIndexType(), raw);
    length = arith::MinSIOp::create(b, length, steps);
    Value last = arith::SubIOp::create(b, length, arith::ConstantIndexOp::create(b, 1));
    Value mirrored = arith::SubIOp::create(b, last, at[time]);
    Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, at[time], length);
    SmallVector<Value> from(at);
    from[time] = arith::SelectOp::create(b, inside, mirrored, at[time]);
    return tensor::ExtractOp::create(b, x.value, from);
  });
  l.set(op.getY(), result);
  return success();
}

void graft::lowering::addIndexing(Table &table) {
  table.add(lowerGather);
  table.add(lowerGatherElements);
  table.add(lowerGatherND);
  table.add(lowerTrilu);
  table.add(lowerOneHot);
  table.add(lowerReverseSequence);
}
