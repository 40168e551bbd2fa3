//===- TensorBuilders.cpp - Tensors with symbolic dims -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using Iterator = utils::IteratorType;

RankedTensorType Lowering::type(ArrayRef<Polynomial> dims, Type element) {
  SmallVector<int64_t> shape;
  for (const Polynomial &dim : dims) {
    auto constant = dim.asConstant();
    shape.push_back(constant && *constant >= 0 ? *constant : ShapedType::kDynamic);
  }
  return RankedTensorType::get(shape, element);
}

Tensor Lowering::empty(ArrayRef<Polynomial> dims, Type element) {
  SmallVector<Value> dynamic;
  RankedTensorType result = type(dims, element);
  for (auto [i, dim] : llvm::enumerate(dims))
    if (result.isDynamicDim(i))
      dynamic.push_back(index(dim));
  return {tensor::EmptyOp::create(b, result, dynamic), Dims(dims)};
}

Tensor Lowering::filled(ArrayRef<Polynomial> dims, Value scalar) {
  Tensor init = empty(dims, scalar.getType());
  return {linalg::FillOp::create(b, ValueRange{scalar}, ValueRange{init.value}).getResult(0),
          init.dims};
}

Tensor Lowering::constant(DenseElementsAttr value) {
  if (auto integer = dyn_cast<IntegerType>(value.getElementType());
      integer && !integer.isSignless())
    value = value.bitcast(IntegerType::get(b.getContext(), integer.getWidth()));
  Dims dims;
  for (int64_t dim : value.getType().getShape())
    dims.push_back(dim);
  return {arith::ConstantOp::create(b, value), dims};
}

Value Lowering::scalar(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, b.getFloatAttr(type, value));
  return arith::ConstantOp::create(b, b.getIntegerAttr(type, int64_t(value)));
}

Value Lowering::scalar(Attribute value) {
  return arith::ConstantOp::create(b, cast<TypedAttr>(value));
}

Tensor Lowering::fromIndices(ArrayRef<Polynomial> values, ArrayRef<Polynomial> dims, Type element) {
  RankedTensorType result = type(dims, element);
  bool isConstant = llvm::all_of(values, [](const Polynomial &p) { return p.asConstant(); });
  if (isConstant) {
    SmallVector<APInt> integers;
    for (const Polynomial &p : values)
      integers.push_back(
          APInt(64, *p.asConstant(), true).sextOrTrunc(element.getIntOrFloatBitWidth()));
    return {arith::ConstantOp::create(b, DenseElementsAttr::get(result, integers)), Dims(dims)};
  }
  SmallVector<Value> scalars;
  for (const Polynomial &p : values)
    scalars.push_back(arith::IndexCastOp::create(b, element, index(p)));
  return {tensor::FromElementsOp::create(b, result, scalars), Dims(dims)};
}

//===----------------------------------------------------------------------===//
// Arranging
//===----------------------------------------------------------------------===//

namespace {
/// A run of dims of one shape that has as many elements as a run of the other.
struct Group {
  SmallVector<int64_t, 2> from, to;
};
} // namespace

/// The finest partition of both shapes into runs of equal size, or nothing if they are not provably
/// equal.
static std::optional<SmallVector<Group>> groupsOf(ArrayRef<Polynomial> from,
                                                  ArrayRef<Polynomial> to) {
  SmallVector<Group> groups;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    std::optional<std::pair<size_t, size_t>> best;
    size_t most = (from.size() - i) + (to.size() - j);
    for (size_t total = 2; total <= most && !best; ++total) {
      for (size_t n = 1; n < total && !best; ++n) {
        size_t m = total - n;
        if (i + n <= from.size() && j + m <= to.size() &&
            product(from.slice(i, n)) == product(to.slice(j, m)))
          best = {n, m};
      }
    }
    if (!best)
      return std::nullopt;
    Group group;
    for (size_t n = 0; n < best->first; ++n)
      group.from.push_back(i++);
    for (size_t m = 0; m < best->second; ++m)
      group.to.push_back(j++);
    groups.push_back(group);
  }
  // What is left over has size 1.
  if (product(from.drop_front(i)) != 1 || product(to.drop_front(j)) != 1)
    return std::nullopt;
  if (groups.empty())
    return groups;
  for (; i < from.size(); ++i)
    groups.back().from.push_back(i);
  for (; j < to.size(); ++j)
    groups.back().to.push_back(j);
  return groups;
}

static SmallVector<ReassociationIndices> reassociation(ArrayRef<Group> groups,
                                                       SmallVector<int64_t, 2> Group::*side) {
  SmallVector<ReassociationIndices> result;
  for (const Group &group : groups)
    result.push_back(ReassociationIndices((group.*side).begin(), (group.*side).end()));
  return result;
}

Tensor Lowering::reshape(Tensor x, ArrayRef<Polynomial> dims) {
  if (ArrayRef<Polynomial>(x.dims) == dims)
    return x;
  auto groups = groupsOf(x.dims, dims);
  if (!groups) {
    // Not provably of the same size. A wrong size fails the run, and nothing is read beyond the
    // end.
    Polynomial total = product(x.dims);
    checkEqual(total, product(dims), "the shapes have different numbers of elements");
    Tensor flat = reshape(x, {total});
    Value last = arith::MaxSIOp::create(b, index(total - 1), index(0));
    SmallVector<Value> sizes;
    for (const Polynomial &dim : dims)
      sizes.push_back(index(dim));
    return generate(dims, x.element(), [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
      Value linear = arith::ConstantIndexOp::create(b, 0);
      for (auto [i, size] : llvm::zip(at, sizes)) {
        Value scaled = arith::MulIOp::create(b, linear, size);
        linear = arith::AddIOp::create(b, scaled, i);
      }
      Value safe = arith::MinSIOp::create(b, linear, last);
      return tensor::ExtractOp::create(b, flat.value, ValueRange{safe});
    });
  }
  bool collapses = groups->size() != x.dims.size(), expands = groups->size() != dims.size();
  if (collapses) {
    Dims middle;
    for (const Group &group : *groups) {
      Polynomial size(1);
      for (int64_t i : group.from)
        size = size * x.dims[i];
      middle.push_back(size);
    }
    x = {tensor::CollapseShapeOp::create(b, type(middle, x.element()), x.value,
                                         reassociation(*groups, &Group::from)),
         middle};
  }
  if (expands)
    x = {tensor::ExpandShapeOp::create(b, type(dims, x.element()), x.value,
                                       reassociation(*groups, &Group::to), fold(dims)),
         Dims(dims)};
  x.dims = Dims(dims);
  return x;
}

Tensor Lowering::transpose(Tensor x, ArrayRef<int64_t> perm) {
  if (llvm::is_sorted(perm))
    return x;
  Dims dims;
  for (int64_t from : perm)
    dims.push_back(x.dims[from]);
  // Only dims of 1 move: the elements stay where they are.
  SmallVector<int64_t> moved;
  for (int64_t from : perm)
    if (!x.dims[from].isConstant(1))
      moved.push_back(from);
  if (llvm::is_sorted(moved))
    return reshape(x, dims);
  Tensor init = empty(dims, x.element());
  auto op = linalg::TransposeOp::create(b, x.value, init.value, perm);
  return {op->getResult(0), dims};
}

Tensor Lowering::slice(Tensor x, ArrayRef<Polynomial> offsets, ArrayRef<Polynomial> sizes,
                       ArrayRef<Polynomial> strides) {
  bool whole = ArrayRef<Polynomial>(x.dims) == sizes &&
               llvm::all_of(strides, [](const Polynomial &p) { return p.isConstant(1); });
  if (whole)
    return x;
  if (llvm::all_of(strides, [](const Polynomial &p) { return p.isPositive(); })) {
    auto op = tensor::ExtractSliceOp::create(b, type(sizes, x.element()), x.value, fold(offsets),
                                             fold(sizes), fold(strides));
    return {op, Dims(sizes)};
  }
  SmallVector<Value> first, step;
  for (auto [offset, stride] : llvm::zip(offsets, strides)) {
    first.push_back(index(offset));
    step.push_back(index(stride));
  }
  return generate(sizes, x.element(), [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
    SmallVector<Value> from;
    for (auto [i, start, stride] : llvm::zip(at, first, step)) {
      Value distance = arith::MulIOp::create(b, i, stride);
      from.push_back(arith::AddIOp::create(b, start, distance));
    }
    return tensor::ExtractOp::create(b, x.value, from);
  });
}

Tensor Lowering::insert(Tensor x, Tensor into, ArrayRef<Polynomial> offsets) {
  SmallVector<OpFoldResult> ones(x.rank(), b.getIndexAttr(1));
  auto op =
      tensor::InsertSliceOp::create(b, x.value, into.value, fold(offsets), fold(x.dims), ones);
  return {op, into.dims};
}

Tensor Lowering::concat(ArrayRef<Tensor> parts, int64_t axis) {
  if (parts.size() == 1)
    return parts.front();
  Dims dims = parts.front().dims;
  for (const Tensor &part : parts.drop_front())
    dims[axis] = dims[axis] + part.dims[axis];
  Tensor result = empty(dims, parts.front().element());
  Dims offsets(dims.size(), 0);
  for (const Tensor &part : parts) {
    result = insert(part, result, offsets);
    offsets[axis] = offsets[axis] + part.dims[axis];
  }
  return result;
}

Tensor Lowering::broadcast(Tensor x, ArrayRef<Polynomial> dims) {
  if (ArrayRef<Polynomial>(x.dims) == dims)
    return x;
  return map({x}, dims, x.element(), [](ImplicitLocOpBuilder &, ValueRange v) { return v[0]; });
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

static bool isHalf(Type type) { return type.isF16() || type.isBF16(); }

static Value widen(ImplicitLocOpBuilder &b, Value x) {
  return isHalf(x.getType()) ? arith::ExtFOp::create(b, b.getF32Type(), x).getResult() : x;
}

static Value narrow(ImplicitLocOpBuilder &b, Value x, Type type) {
  if (isHalf(type) && x.getType() != type)
    return arith::TruncFOp::create(b, type, x);
  return x;
}

static void eraseUnused(ValueRange indices) {
  for (Value index : indices)
    if (index.use_empty())
      index.getDefiningOp()->erase();
}

namespace {
/// How one operand of a map comes to the body.
struct Operand {
  std::optional<unsigned> input; // of the generic
  Value scalar;                  // a constant
  Value loose;                   // a tensor whose dims may be 1 at run time
  // By dimension, where it is loose: whether the dimension is 1, and its last index.
  SmallVector<Value> isOne, last;
  SmallVector<bool> isSame;
};
} // namespace

Tensor Lowering::map(ArrayRef<Tensor> operands, ArrayRef<Polynomial> dims, Type element,
                     ScalarBody body) {
  unsigned rank = dims.size();
  SmallVector<Operand> bound(operands.size());
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (auto [operand, tensor] : llvm::zip(bound, operands)) {
    DenseElementsAttr constant;
    if (matchPattern(tensor.value, m_Constant(&constant)) && constant.isSplat()) {
      operand.scalar = scalar(constant.getSplatValue<Attribute>());
      continue;
    }
    unsigned offset = rank - tensor.dims.size();
    SmallVector<AffineExpr> exprs;
    bool isLoose = false;
    for (auto [d, dim] : llvm::enumerate(tensor.dims)) {
      const Polynomial &out = dims[offset + d];
      if (dim == out)
        exprs.push_back(b.getAffineDimExpr(offset + d));
      else if (dim.isConstant(1))
        exprs.push_back(b.getAffineConstantExpr(0));
      else
        isLoose = true;
    }
    if (!isLoose) {
      operand.input = inputs.size();
      inputs.push_back(tensor.value);
      maps.push_back(AffineMap::get(rank, 0, exprs, b.getContext()));
      continue;
    }
    operand.loose = tensor.value;
    Value one = index(1);
    for (auto [d, dim] : llvm::enumerate(tensor.dims)) {
      const Polynomial &out = dims[offset + d];
      operand.isSame.push_back(dim == out);
      operand.isOne.push_back({});
      operand.last.push_back({});
      if (dim == out || dim.isConstant(1))
        continue;
      Value size = index(dim);
      Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, size, one);
      Value isSame = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, size, index(out));
      check(arith::OrIOp::create(b, isOne, isSame),
            "dimensions " + dim.str() + " and " + out.str() + " do not broadcast");
      operand.isOne.back() = isOne;
      operand.last.back() = arith::MaxSIOp::create(b, index(dim - 1), index(0));
    }
  }
  Tensor init = empty(dims, element);
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<Iterator> iterators(rank, Iterator::parallel);
  auto generic = linalg::GenericOp::create(
      b, TypeRange{init.value.getType()}, inputs, ValueRange{init.value}, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        ImplicitLocOpBuilder at(loc, nested);
        SmallVector<Value> values;
        for (Operand &operand : bound) {
          if (operand.scalar) {
            values.push_back(widen(at, operand.scalar));
          } else if (operand.input) {
            values.push_back(widen(at, arguments[*operand.input]));
          } else {
            SmallVector<Value> from;
            unsigned offset = rank - operand.isOne.size();
            Value zero = arith::ConstantIndexOp::create(at, 0);
            for (unsigned d = 0; d < operand.isOne.size(); ++d) {
              if (!operand.isOne[d]) {
                from.push_back(
                    operand.isSame[d] ? linalg::IndexOp::create(at, offset + d).getResult() : zero);
                continue;
              }
              Value i = linalg::IndexOp::create(at, offset + d);
              Value safe = arith::MinSIOp::create(at, i, operand.last[d]);
              from.push_back(arith::SelectOp::create(at, operand.isOne[d], zero, safe));
            }
            values.push_back(widen(at, tensor::ExtractOp::create(at, operand.loose, from)));
          }
        }
        linalg::YieldOp::create(at, ValueRange{narrow(at, body(at, values), element)});
      });
  return {generic.getResult(0), Dims(dims)};
}

Tensor Lowering::generate(ArrayRef<Polynomial> dims, Type element, IndexBody body) {
  unsigned rank = dims.size();
  Tensor init = empty(dims, element);
  SmallVector<Iterator> iterators(rank, Iterator::parallel);
  auto generic = linalg::GenericOp::create(
      b, TypeRange{init.value.getType()}, ValueRange{}, ValueRange{init.value},
      ArrayRef<AffineMap>{b.getMultiDimIdentityMap(rank)}, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange) {
        ImplicitLocOpBuilder at(loc, nested);
        SmallVector<Value> indices;
        for (unsigned d = 0; d < rank; ++d)
          indices.push_back(linalg::IndexOp::create(at, d));
        linalg::YieldOp::create(at, ValueRange{narrow(at, body(at, indices), element)});
        eraseUnused(indices);
      });
  return {generic.getResult(0), Dims(dims)};
}

SmallVector<Tensor> Lowering::reduceMany(
    Tensor x, ArrayRef<bool> axes, ArrayRef<Value> inits,
    llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, Value, ValueRange, ValueRange)>
        body) {
  unsigned rank = x.rank();
  Dims dims;
  SmallVector<AffineExpr> exprs;
  SmallVector<Iterator> iterators;
  for (unsigned d = 0; d < rank; ++d) {
    iterators.push_back(axes[d] ? Iterator::reduction : Iterator::parallel);
    if (axes[d])
      continue;
    dims.push_back(x.dims[d]);
    exprs.push_back(b.getAffineDimExpr(d));
  }
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank)};
  SmallVector<Value> outputs;
  SmallVector<Type> types;
  for (Value init : inits) {
    outputs.push_back(filled(dims, init).value);
    types.push_back(outputs.back().getType());
    maps.push_back(AffineMap::get(rank, 0, exprs, b.getContext()));
  }
  auto generic = linalg::GenericOp::create(
      b, types, ValueRange{x.value}, outputs, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        ImplicitLocOpBuilder at(loc, nested);
        SmallVector<Value> indices;
        for (unsigned d = 0; d < rank; ++d)
          indices.push_back(linalg::IndexOp::create(at, d));
        Value element = arguments[0];
        if (isHalf(element.getType()) && !isHalf(arguments[1].getType()))
          element = widen(at, element);
        linalg::YieldOp::create(at, body(at, element, indices, arguments.drop_front()));
        eraseUnused(indices);
      });
  SmallVector<Tensor> results;
  for (Value result : generic.getResults())
    results.push_back({result, dims});
  return results;
}

Tensor Lowering::reduce(Tensor x, ArrayRef<bool> axes, Value init, ScalarBody body) {
  return reduceMany(x, axes, {init},
                    [&](ImplicitLocOpBuilder &b, Value element, ValueRange,
                        ValueRange accumulators) -> SmallVector<Value> {
                      return {body(b, ValueRange{element, accumulators[0]})};
                    })[0];
}
