//===- ConvolutionOps.cpp - Convolutions -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Analysis/Windows.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Dispatch/Dispatch.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

/// (batch, positions…, channels · kernel…): the elements of `x` (batch, channels, positions…) under
/// each window, zero where it reaches outside. Convolution is a product of these rows with the
/// weight.
static Tensor columns(Lowering &l, Tensor x, ArrayRef<Window> windows, bool isTransposed) {
  unsigned spatial = windows.size();
  Dims dims{x.dims[0]};
  for (const Window &w : windows)
    dims.push_back(w.output);
  dims.push_back(x.dims[1]);
  for (const Window &w : windows)
    dims.push_back(w.kernel);
  SmallVector<Value> pads, sizes;
  for (const Window &w : windows) {
    pads.push_back(l.index(w.padBegin));
    sizes.push_back(l.index(w.input));
  }
  Tensor result = l.generate(dims, x.element(), [&](B &b, ValueRange at) -> Value {
    auto constant = [&](int64_t i) -> Value { return arith::ConstantIndexOp::create(b, i); };
    auto compare = [&](arith::CmpIPredicate predicate, Value i, Value j) -> Value {
      return arith::CmpIOp::create(b, predicate, i, j);
    };
    using P = arith::CmpIPredicate;
    SmallVector<Value> from{at[0], at[1 + spatial]};
    Value inside;
    auto require = [&](Value condition) {
      inside = inside ? arith::AndIOp::create(b, inside, condition).getResult() : condition;
    };
    for (unsigned i = 0; i < spatial; ++i) {
      const Window &w = windows[i];
      Value o = at[1 + i], k = at[2 + spatial + i];
      Value reach = arith::MulIOp::create(b, k, constant(w.dilation));
      Value position;
      if (isTransposed) {
        // o = i * stride - pad + k * dilation, solved for i.
        Value moved = arith::SubIOp::create(b, arith::AddIOp::create(b, o, pads[i]), reach);
        Value stride = constant(w.stride);
        position = arith::FloorDivSIOp::create(b, moved, stride);
        require(compare(P::eq, arith::MulIOp::create(b, position, stride), moved));
      } else {
        Value start = arith::MulIOp::create(b, o, constant(w.stride));
        position = arith::SubIOp::create(b, arith::AddIOp::create(b, start, reach), pads[i]);
        if (w.padBegin.isConstant(0) && w.padEnd.isConstant(0)) {
          from.push_back(position); // never outside
          continue;
        }
      }
      Value last =
          arith::MaxSIOp::create(b, arith::SubIOp::create(b, sizes[i], constant(1)), constant(0));
      Value safe =
          arith::MinSIOp::create(b, arith::MaxSIOp::create(b, position, constant(0)), last);
      require(compare(P::eq, safe, position));
      from.push_back(safe);
    }
    Value element = tensor::ExtractOp::create(b, x.value, from);
    return inside ? arith::SelectOp::create(b, inside, element, number(b, element, 0)).getResult()
                  : element;
  });
  Dims rows(dims.begin(), dims.begin() + 1 + spatial);
  rows.push_back(product(ArrayRef<Polynomial>(dims).drop_front(1 + spatial)));
  return l.reshape(result, rows);
}

/// (batch, positions…, channels) as (batch, channels, positions…).
static Tensor channelsFirst(Lowering &l, Tensor x) {
  SmallVector<int64_t> perm{0, x.rank() - 1};
  for (int64_t d = 1; d + 1 < x.rank(); ++d)
    perm.push_back(d);
  return l.transpose(x, perm);
}

/// Rows times a matrix, plus a bias by column if there is one.
static Tensor rowsTimes(Lowering &l, Tensor rows, Tensor weight, bool transposed, Tensor bias) {
  Dims dims = rows.dims;
  dims.back() = weight.dims[transposed ? 0 : 1];
  Tensor init = l.empty(dims, rows.element());
  SmallVector<Value> extras;
  if (bias.value)
    extras.push_back(bias.value);
  auto epilogue = [](OpBuilder &nested, Location loc, ValueRange v) -> Value {
    B b(loc, nested);
    return add(b, v[0], v[1]);
  };
  auto op =
      bias.value
          ? dispatch::MatmulOp::create(l.b, ValueRange{rows.value}, ValueRange{weight.value},
                                       extras, init.value, ArrayRef<bool>{transposed}, epilogue)
          : dispatch::MatmulOp::create(l.b, ValueRange{rows.value}, ValueRange{weight.value},
                                       extras, init.value, ArrayRef<bool>{transposed});
  return {op->getResult(0), dims};
}

/// A convolution in groups, by loops: a group's matrix is too small for a kernel of its own.
static Tensor groupedConvolution(Lowering &l, Tensor x, Tensor weight, ArrayRef<Window> windows,
                                 int64_t groups, ArrayRef<Polynomial> dims) {
  unsigned spatial = windows.size();
  Polynomial perGroup = weight.dims[1], out = Polynomial::floorDiv(weight.dims[0], groups);
  // Zeros around, so that every access is affine.
  Dims padded{x.dims[0], x.dims[1]}, offsets{0, 0};
  for (const Window &w : windows) {
    padded.push_back(Polynomial::max(w.input + w.padBegin + w.padEnd,
                                     (w.output - 1) * Polynomial(w.stride) +
                                         Polynomial(w.dilation) * (w.kernel - 1) + 1));
    offsets.push_back(w.padBegin);
  }
  if (ArrayRef<Polynomial>(padded) != ArrayRef<Polynomial>(x.dims))
    x = l.insert(x, l.filled(padded, l.scalar(zeroOf(x.element()))), offsets);
  Dims xDims{padded[0], groups, perGroup}, wDims{groups, out, perGroup},
      yDims{dims[0], groups, out};
  for (unsigned i = 0; i < spatial; ++i) {
    xDims.push_back(padded[2 + i]);
    wDims.push_back(windows[i].kernel);
    yDims.push_back(windows[i].output);
  }
  x = l.reshape(x, xDims);
  weight = l.reshape(weight, wDims);
  Tensor init = l.filled(yDims, l.scalar(zeroOf(x.element())));
  // Loops: batch, group, out channel, positions…, in channel, kernel…
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  unsigned loops = 4 + 2 * spatial;
  SmallVector<AffineExpr> xs{d(0), d(1), d(3 + spatial)}, ws{d(1), d(2), d(3 + spatial)},
      ys{d(0), d(1), d(2)};
  for (unsigned i = 0; i < spatial; ++i) {
    AffineExpr o = d(3 + i), k = d(4 + spatial + i);
    xs.push_back(o * windows[i].stride + k * windows[i].dilation);
    ws.push_back(k);
    ys.push_back(o);
  }
  SmallVector<AffineMap> maps;
  for (ArrayRef<AffineExpr> exprs : {ArrayRef(xs), ArrayRef(ws), ArrayRef(ys)})
    maps.push_back(AffineMap::get(loops, 0, exprs, l.b.getContext()));
  SmallVector<utils::IteratorType> iterators(3 + spatial, utils::IteratorType::parallel);
  iterators.append(1 + spatial, utils::IteratorType::reduction);
  auto op = linalg::GenericOp::create(
      l.b, TypeRange{init.value.getType()}, ValueRange{x.value, weight.value},
      ValueRange{init.value}, maps, iterators, [](OpBuilder &nested, Location loc, ValueRange v) {
        B b(loc, nested);
        linalg::YieldOp::create(b, ValueRange{add(b, v[2], mul(b, v[0], v[1]))});
      });
  return l.reshape({op.getResult(0), yDims}, dims);
}

static Tensor addByChannel(Lowering &l, Tensor y, Tensor bias) {
  Dims dims(y.rank() - 1, 1);
  dims[0] = bias.dims[0];
  return l.map({y, l.reshape(bias, dims)}, y.dims, y.element(),
               [](B &b, ValueRange v) { return add(b, v[0], v[1]); });
}

static LogicalResult lowerConv(Lowering &l, onnx::ConvOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getW()), bias;
  if (op.getB())
    bias = l.get(op.getB());
  auto windows = windowsOf(l.shapes, op);
  if (!windows || weight.rank() != x.rank())
    return l.unsupported(op, "attributes that do not fit the operands' ranks");
  int64_t groups = op.getGroup();
  const Dims &dims = l.dims(op.getY());
  if (groups < 1)
    return l.unsupported(op, "a number of groups below 1");
  l.checkEqual(x.dims[1], weight.dims[1] * Polynomial(groups),
               "the input's channels are not the weight's");
  if (groups != 1) {
    Tensor y = groupedConvolution(l, x, weight, *windows, groups, dims);
    l.set(op.getY(), bias.value ? addByChannel(l, y, bias) : y);
    return success();
  }
  Tensor rows = columns(l, x, *windows, /*isTransposed=*/false);
  Tensor matrix =
      l.reshape(weight, {weight.dims[0], product(ArrayRef<Polynomial>(weight.dims).drop_front(1))});
  l.set(op.getY(), channelsFirst(l, rowsTimes(l, rows, matrix, /*transposed=*/true, bias)));
  return success();
}

static LogicalResult lowerConvTranspose(Lowering &l, onnx::ConvTransposeOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getW()), bias;
  if (op.getB())
    bias = l.get(op.getB());
  auto windows = transposedWindowsOf(l.shapes, op);
  if (!windows)
    return l.unsupported(op, "attributes that do not fit the operands' ranks");
  int64_t groups = op.getGroup();
  if (groups < 1)
    return l.unsupported(op, "a number of groups below 1");
  l.checkEqual(x.dims[1], weight.dims[0], "the input's channels are not the weight's");
  // (in, out, kernel…) as (in, kernel…, out), which a product takes as (K, N).
  SmallVector<int64_t> perm{0};
  for (int64_t d = 2; d < weight.rank(); ++d)
    perm.push_back(d);
  perm.push_back(1);
  Tensor turned = l.transpose(weight, perm);
  Polynomial channels = Polynomial::floorDiv(weight.dims[0], groups);
  Polynomial kernel = product(ArrayRef<Polynomial>(weight.dims).drop_front(2));
  Dims ones(x.rank(), 1), wOnes(weight.rank(), 1);
  SmallVector<Tensor> parts;
  for (int64_t g = 0; g < groups; ++g) {
    Dims xOffsets(x.rank(), 0), xSizes = x.dims, wOffsets(weight.rank(), 0), wSizes = turned.dims;
    xOffsets[1] = wOffsets[0] = Polynomial(g) * channels;
    xSizes[1] = wSizes[0] = channels;
    Tensor rows = columns(l, l.slice(x, xOffsets, xSizes, ones), *windows, /*isTransposed=*/true);
    Tensor matrix =
        l.reshape(l.slice(turned, wOffsets, wSizes, wOnes), {channels * kernel, weight.dims[1]});
    parts.push_back(rowsTimes(l, rows, matrix, /*transposed=*/false, {}));
  }
  Tensor y = channelsFirst(l, l.concat(parts, x.rank() - 1));
  l.set(op.getY(), bias.value ? addByChannel(l, y, bias) : y);
  return success();
}

void graft::lowering::addConvolution(Table &table) {
  table.add(lowerConv);
  table.add(lowerConvTranspose);
}
