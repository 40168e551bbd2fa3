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

/// `x` (batch, channels, positions…) with zeros around, so that a window never reaches outside.
static Tensor padded(Lowering &l, Tensor x, ArrayRef<Window> windows) {
  Dims dims{x.dims[0], x.dims[1]}, offsets{0, 0};
  for (const Window &w : windows) {
    dims.push_back(Polynomial::max(w.input + w.padBegin + w.padEnd,
                                   (w.output - 1) * Polynomial(w.stride) +
                                       Polynomial(w.dilation) * (w.kernel - 1) + 1));
    offsets.push_back(w.padBegin);
  }
  if (ArrayRef<Polynomial>(dims) == ArrayRef<Polynomial>(x.dims))
    return x;
  return l.insert(x, l.filled(dims, l.scalar(zeroOf(x.element()))), offsets);
}

/// (batch, channels, kernel…, outputs…), whose last dimensions are the elements under each window.
static Dims columnDims(Tensor x, ArrayRef<Window> windows) {
  Dims dims{x.dims[0], x.dims[1]};
  for (const Window &w : windows)
    dims.push_back(w.kernel);
  for (const Window &w : windows)
    dims.push_back(w.output);
  return dims;
}

/// The elements of `x` under each window. Convolution is the product of the weight with these
/// columns.
static Tensor columns(Lowering &l, Tensor x, ArrayRef<Window> windows) {
  Dims dims = columnDims(x, windows);
  if (llvm::all_of(windows, [](const Window &w) {
        return w.kernel.isConstant(1) && w.stride == 1 && w.input == w.output &&
               w.padBegin.isConstant(0);
      }))
    return l.reshape(x, dims);
  x = padded(l, x, windows);
  unsigned spatial = windows.size();
  auto d = [&](unsigned i) { return l.b.getAffineDimExpr(i); };
  SmallVector<AffineExpr> from{d(0), d(1)};
  for (auto [i, w] : llvm::enumerate(windows))
    from.push_back(d(2 + spatial + i) * w.stride + d(2 + i) * w.dilation);
  MLIRContext *context = l.b.getContext();
  SmallVector<AffineMap> maps{AffineMap::get(dims.size(), 0, from, context),
                              AffineMap::getMultiDimIdentityMap(dims.size(), context)};
  SmallVector<utils::IteratorType> iterators(dims.size(), utils::IteratorType::parallel);
  Tensor init = l.empty(dims, x.element());
  auto op = linalg::GenericOp::create(l.b, TypeRange{init.value.getType()}, ValueRange{x.value},
                                      ValueRange{init.value}, maps, iterators,
                                      [](OpBuilder &nested, Location loc, ValueRange v) {
                                        linalg::YieldOp::create(nested, loc, v[0]);
                                      });
  return {op.getResult(0), dims};
}

/// The elements of `x` that each output of a transposed convolution takes from, by kernel position.
static Tensor transposedColumns(Lowering &l, Tensor x, ArrayRef<Window> windows) {
  unsigned spatial = windows.size();
  SmallVector<Value> pads, sizes;
  for (const Window &w : windows) {
    pads.push_back(l.index(w.padBegin));
    sizes.push_back(l.index(w.input));
  }
  Dims dims = columnDims(x, windows);
  return {l.generate(dims, x.element(),
                     [&](B &b, ValueRange at) -> Value {
                       using P = arith::CmpIPredicate;
                       Value zero = arith::ConstantIndexOp::create(b, 0);
                       Value one = arith::ConstantIndexOp::create(b, 1);
                       SmallVector<Value> from{at[0], at[1]};
                       Value inside;
                       auto require = [&](P predicate, Value x, Value y) {
                         Value holds = arith::CmpIOp::create(b, predicate, x, y);
                         inside =
                             inside ? arith::AndIOp::create(b, inside, holds).getResult() : holds;
                       };
                       for (unsigned i = 0; i < spatial; ++i) {
                         const Window &w = windows[i];
                         Value k = at[2 + i], o = at[2 + spatial + i];
                         Value stride = arith::ConstantIndexOp::create(b, w.stride);
                         Value dilation = arith::ConstantIndexOp::create(b, w.dilation);
                         // o = i * stride - pad + k * dilation, solved for i.
                         Value reach = arith::MulIOp::create(b, k, dilation);
                         Value moved = arith::AddIOp::create(b, o, pads[i]);
                         moved = arith::SubIOp::create(b, moved, reach);
                         Value position = arith::FloorDivSIOp::create(b, moved, stride);
                         Value back = arith::MulIOp::create(b, position, stride);
                         require(P::eq, back, moved);
                         Value last = arith::SubIOp::create(b, sizes[i], one);
                         last = arith::MaxSIOp::create(b, last, zero);
                         Value safe = arith::MaxSIOp::create(b, position, zero);
                         safe = arith::MinSIOp::create(b, safe, last);
                         require(P::eq, safe, position);
                         from.push_back(safe);
                       }
                       Value element = tensor::ExtractOp::create(b, x.value, from);
                       return arith::SelectOp::create(b, inside, element, number(b, element, 0));
                     })
              .value,
          dims};
}

static Tensor addByChannel(Lowering &l, Tensor y, Tensor bias) {
  Dims dims(y.rank() - 1, 1);
  dims[0] = bias.dims[0];
  return l.map({y, l.reshape(bias, dims)}, y.dims, y.element(),
               [](B &b, ValueRange v) { return add(b, v[0], v[1]); });
}

/// The product, group by group, of `weight` (groups, out, depth), or (groups, depth, out) if
/// transposed, with `columns` (batch, channels, kernel…, outputs…), as (batch, channels, outputs…).
static Tensor timesColumns(Lowering &l, Tensor weight, bool transposed, Tensor columns,
                           ArrayRef<Polynomial> dims) {
  const Polynomial &groups = weight.dims[0], &depth = weight.dims[transposed ? 1 : 2];
  Polynomial positions = product(ArrayRef<Polynomial>(dims).drop_front(2));
  Tensor x = l.reshape(weight, {1, groups, weight.dims[1], weight.dims[2]});
  Tensor y = l.reshape(columns, {dims[0], groups, depth, positions});
  Tensor init = l.empty({dims[0], groups, weight.dims[transposed ? 2 : 1], positions}, x.element());
  auto op = dispatch::BatchMatmulOp::create(l.b, x.value, y.value, init.value, transposed,
                                            /*transposeB=*/false);
  return l.reshape({op->getResult(0), init.dims}, dims);
}

/// `x` seen with the number of channels that its weight has, which may tell more than its shape.
static Tensor withChannels(Lowering &l, Tensor x, const Polynomial &channels) {
  x.dims[1] = channels;
  RankedTensorType type = l.type(x.dims, x.element());
  if (x.value.getType() != type)
    x.value = tensor::CastOp::create(l.b, type, x.value);
  return x;
}

static LogicalResult lowerConv(Lowering &l, onnx::ConvOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getW());
  auto windows = windowsOf(l.shapes, op);
  if (!windows || weight.rank() != x.rank())
    return l.unsupported(op, "attributes that do not fit the operands' ranks");
  int64_t groups = op.getGroup();
  Dims dims = l.dims(op.getY()); // a copy: what shapes are known of may grow
  if (groups < 1)
    return l.unsupported(op, "a number of groups below 1");
  l.checkEqual(x.dims[1], weight.dims[1] * Polynomial(groups),
               "the input's channels are not the weight's");
  Polynomial each = Polynomial::floorDiv(weight.dims[0], groups);
  l.checkEqual(weight.dims[0], each * Polynomial(groups),
               "the weight's outputs do not divide into the groups");
  x = withChannels(l, x, weight.dims[1] * Polynomial(groups));
  Tensor matrices =
      l.reshape(weight, {groups, each, product(ArrayRef<Polynomial>(weight.dims).drop_front(1))});
  Tensor y = timesColumns(l, matrices, /*transposed=*/false, columns(l, x, *windows), dims);
  l.set(op.getY(), op.getB() ? addByChannel(l, y, l.get(op.getB())) : y);
  return success();
}

static LogicalResult lowerConvTranspose(Lowering &l, onnx::ConvTransposeOp op) {
  Tensor x = l.get(op.getX()), weight = l.get(op.getW());
  auto windows = transposedWindowsOf(l.shapes, op);
  if (!windows || weight.rank() != x.rank())
    return l.unsupported(op, "attributes that do not fit the operands' ranks");
  int64_t groups = op.getGroup();
  if (groups < 1)
    return l.unsupported(op, "a number of groups below 1");
  l.checkEqual(x.dims[1], weight.dims[0], "the input's channels are not the weight's");
  Polynomial each = Polynomial::floorDiv(weight.dims[0], groups);
  l.checkEqual(weight.dims[0], each * Polynomial(groups),
               "the weight's inputs do not divide into the groups");
  x = withChannels(l, x, weight.dims[0]);
  // (in, out, kernel…) as (in, kernel…, out): a product takes it transposed.
  SmallVector<int64_t> perm{0};
  for (int64_t d = 2; d < weight.rank(); ++d)
    perm.push_back(d);
  perm.push_back(1);
  Polynomial kernel = product(ArrayRef<Polynomial>(weight.dims).drop_front(2));
  Tensor matrices = l.reshape(l.transpose(weight, perm), {groups, each * kernel, weight.dims[1]});
  Tensor y = timesColumns(l, matrices, /*transposed=*/true, transposedColumns(l, x, *windows),
                          Dims(l.dims(op.getY())));
  l.set(op.getY(), op.getB() ? addByChannel(l, y, l.get(op.getB())) : y);
  return success();
}

void graft::lowering::addConvolution(Table &table) {
  table.add(lowerConv);
  table.add(lowerConvTranspose);
}
