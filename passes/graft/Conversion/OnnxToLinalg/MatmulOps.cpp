//===- MatmulOps.cpp - Products of matrices -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Conversion/OnnxToLinalg/Products.h"
#include "graft/Dispatch/Dispatch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// The permutation of a Transpose, explicit.
static SmallVector<int64_t> permutation(onnx::TransposeOp op, int64_t rank) {
  SmallVector<int64_t> perm;
  if (ArrayAttr given = op.getPermAttr())
    for (Attribute axis : given)
      perm.push_back(normalizeAxis(cast<IntegerAttr>(axis).getInt(), rank));
  else
    for (int64_t d = rank - 1; d >= 0; --d)
      perm.push_back(d);
  return perm;
}

/// If `value` is a Transpose that swaps the last two dimensions, its operand.
static Value swappedLastTwo(Lowering &l, Value value) {
  auto op = value.getDefiningOp<onnx::TransposeOp>();
  if (!op)
    return {};
  int64_t rank = l.dims(value).size();
  if (rank < 2)
    return {};
  SmallVector<int64_t> perm = permutation(op, rank);
  std::swap(perm[rank - 1], perm[rank - 2]);
  return llvm::equal(perm, llvm::seq<int64_t>(0, rank)) ? op.getData() : Value();
}

Matrix graft::lowering::matrixOf(Lowering &l, Value value) {
  bool transposed = false;
  while (Value inner = swappedLastTwo(l, value)) {
    transposed = !transposed;
    value = inner;
  }
  return {l.get(value), transposed, l.isParameter(value)};
}

/// Rows of `a`, of any rank, times a weight of rank 2.
static Tensor
timesWeight(Lowering &l, Tensor a, Matrix w, ArrayRef<Value> extras = {},
            llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue = {}) {
  Dims dims = a.dims;
  dims.back() = w.tensor.dims[w.transposed ? 0 : 1];
  l.checkEqual(a.dims.back(), w.tensor.dims[w.transposed ? 1 : 0], "the inner dimensions differ");
  Tensor init = l.empty(dims, a.element());
  auto op = dispatch::MatmulOp::create(l.b, ValueRange{a.value}, ValueRange{w.tensor.value}, extras,
                                       init.value, ArrayRef<bool>{w.transposed}, epilogue);
  return {op->getResult(0), dims};
}

/// Sum of products by loops: what has no kernel, such as integers.
static Tensor genericProduct(Lowering &l, Matrix a, Matrix w, ArrayRef<Polynomial> dims) {
  unsigned rank = dims.size();
  AffineExpr m, n, k;
  SmallVector<AffineExpr> batch;
  for (unsigned d = 0; d + 2 < rank; ++d)
    batch.push_back(l.b.getAffineDimExpr(d));
  m = l.b.getAffineDimExpr(rank - 2);
  n = l.b.getAffineDimExpr(rank - 1);
  k = l.b.getAffineDimExpr(rank);
  auto mapOf = [&](const Matrix &x, AffineExpr row, AffineExpr column) {
    SmallVector<AffineExpr> exprs;
    unsigned offset = rank - x.tensor.rank();
    for (int64_t d = 0; d + 2 < x.tensor.rank(); ++d)
      exprs.push_back(x.tensor.dims[d].isConstant(1) ? l.b.getAffineConstantExpr(0)
                                                     : batch[offset + d]);
    exprs.push_back(x.transposed ? column : row);
    exprs.push_back(x.transposed ? row : column);
    return AffineMap::get(rank + 1, 0, exprs, l.b.getContext());
  };
  SmallVector<AffineExpr> outExprs(batch);
  outExprs.append({m, n});
  SmallVector<AffineMap> maps{mapOf(a, m, k), mapOf(w, k, n),
                              AffineMap::get(rank + 1, 0, outExprs, l.b.getContext())};
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Tensor init = l.filled(dims, l.scalar(zeroOf(a.tensor.element())));
  auto op = linalg::GenericOp::create(
      l.b, TypeRange{init.value.getType()}, ValueRange{a.tensor.value, w.tensor.value},
      ValueRange{init.value}, maps, iterators, [](OpBuilder &nested, Location loc, ValueRange v) {
        B at(loc, nested);
        linalg::YieldOp::create(at, ValueRange{add(at, v[2], mul(at, v[0], v[1]))});
      });
  return {op.getResult(0), Dims(dims)};
}

/// Batch dims of `x` as they must be for a product: of the result's rank, each equal to the
/// result's or 1.
static Matrix alignBatch(Lowering &l, Matrix x, ArrayRef<Polynomial> batch) {
  Dims dims(batch.size() + 2, 1), wanted(batch);
  std::copy(x.tensor.dims.begin(), x.tensor.dims.end(),
            dims.begin() + (dims.size() - x.tensor.dims.size()));
  x.tensor = l.reshape(x.tensor, dims);
  bool loose = false;
  for (size_t d = 0; d < batch.size(); ++d) {
    bool isOne = dims[d].isConstant(1);
    loose |= !isOne && dims[d] != batch[d];
    if (isOne)
      wanted[d] = 1;
  }
  wanted.append(dims.end() - 2, dims.end());
  if (loose)
    x.tensor = l.broadcast(x.tensor, wanted);
  return x;
}

/// The product of matrices of ranks from 2, batches before them.
static Tensor matrixProduct(Lowering &l, Matrix a, Matrix w) {
  auto inner = [](const Matrix &x, bool last) {
    return x.tensor.dims[x.tensor.rank() - (last != x.transposed ? 1 : 2)];
  };
  l.checkEqual(inner(a, true), inner(w, false), "the inner dimensions differ");
  Type element = a.tensor.element();
  Dims batch =
      broadcastDims(ArrayRef(a.tensor.dims).drop_back(2), ArrayRef(w.tensor.dims).drop_back(2));
  // Many rows, one matrix: the batch is more rows.
  if (isa<FloatType>(element) && w.tensor.rank() == 2 && !a.transposed)
    return timesWeight(l, a.tensor, w);
  a = alignBatch(l, a, batch);
  w = alignBatch(l, w, batch);
  Dims full(batch);
  full.push_back(inner(a, false));
  full.push_back(inner(w, true));
  if (!isa<FloatType>(element))
    return genericProduct(l, a, w, full);
  Tensor init = l.empty(full, element);
  auto matmul = dispatch::BatchMatmulOp::create(l.b, a.tensor.value, w.tensor.value, init.value,
                                                a.transposed, w.transposed);
  return {matmul->getResult(0), full};
}

Tensor graft::lowering::productOfMatrices(Lowering &l, Tensor a, Tensor w) {
  return matrixProduct(l, Matrix{a}, Matrix{w});
}

static LogicalResult lowerMatMul(Lowering &l, onnx::MatMulOp op) {
  Matrix a{l.get(op.getA())}, w = matrixOf(l, op.getB());
  Value result = op.getY();
  Dims dims = l.dims(result);
  bool isFloat = isa<FloatType>(l.element(result));
  // A weight: rows of any shape.
  if (isFloat && w.isParameter && w.tensor.rank() == 2) {
    bool isVector = a.tensor.rank() == 1;
    if (isVector)
      a.tensor = l.reshape(a.tensor, {1, a.tensor.dims[0]});
    Tensor product = timesWeight(l, a.tensor, w);
    l.set(result, l.reshape(product, dims));
    return success();
  }
  if (a.tensor.rank() != 1)
    a = matrixOf(l, op.getA());
  else
    a.tensor = l.reshape(a.tensor, {1, a.tensor.dims[0]});
  if (w.tensor.rank() == 1)
    w.tensor = l.reshape(w.tensor, {w.tensor.dims[0], 1});
  l.set(result, l.reshape(matrixProduct(l, a, w), dims));
  return success();
}

static LogicalResult lowerGemm(Lowering &l, onnx::GemmOp op) {
  Matrix a = matrixOf(l, op.getA()), w = matrixOf(l, op.getB());
  a.transposed ^= op.getTransA() != 0;
  w.transposed ^= op.getTransB() != 0;
  Value result = op.getY();
  Dims dims = l.dims(result);
  double alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat();
  Tensor bias;
  if (op.getC() && beta != 0)
    bias = l.get(op.getC());
  if (!isa<FloatType>(l.element(result))) {
    Tensor product = genericProduct(l, a, w, dims);
    SmallVector<Tensor> operands{product};
    if (bias.value)
      operands.push_back(bias);
    l.set(result, l.map(operands, dims, l.element(result), [&](B &b, ValueRange v) -> Value {
      Value y = mul(b, v[0], number(b, v[0], alpha));
      return v.size() == 1 ? y : add(b, y, mul(b, v[1], number(b, v[1], beta)));
    }));
    return success();
  }
  if (a.transposed)
    a = {l.transpose(a.tensor, {1, 0}), false, false};
  // A bias by columns goes into the epilogue, any other is added after.
  bool byColumn = bias.value && bias.dims.size() == 1 && bias.dims[0] == dims[1];
  SmallVector<Value> extras;
  if (byColumn)
    extras.push_back(bias.value);
  auto epilogue = [&](OpBuilder &nested, Location loc, ValueRange v) -> Value {
    B b(loc, nested);
    Value y = v[0];
    if (alpha != 1)
      y = mul(b, y, number(b, y, alpha));
    if (byColumn)
      y = add(b, y, beta == 1 ? Value(v[1]) : mul(b, v[1], number(b, y, beta)));
    return y;
  };
  Tensor product = byColumn || alpha != 1 ? timesWeight(l, a.tensor, w, extras, epilogue)
                                          : timesWeight(l, a.tensor, w);
  if (bias.value && !byColumn)
    product = l.map({product, bias}, dims, l.element(result), [&](B &b, ValueRange v) {
      return add(b, v[0], beta == 1 ? Value(v[1]) : mul(b, v[1], number(b, v[1], beta)));
    });
  l.set(result, product);
  return success();
}

void graft::lowering::addMatmul(Table &table) {
  table.add(lowerMatMul);
  table.add(lowerGemm);
}
