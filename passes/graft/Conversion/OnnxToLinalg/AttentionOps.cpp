//===- AttentionOps.cpp - Attention and rotary embeddings -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Dispatch/Dispatch.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

using B = ImplicitLocOpBuilder;

namespace {
/// A tensor of heads and the order of its dimensions, in letters of `bhsd`.
struct Heads {
  Tensor tensor;
  std::string layout = "bhsd";

  Polynomial dim(char letter) const { return tensor.dims[layout.find(letter)]; }
};
} // namespace

/// The permutation of a Transpose of rank 4, or nothing.
static std::optional<SmallVector<int64_t>> permutationOf4(onnx::TransposeOp op) {
  ArrayAttr perm = op ? op.getPermAttr() : ArrayAttr();
  if (!perm || perm.size() != 4)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (Attribute axis : perm)
    result.push_back(normalizeAxis(cast<IntegerAttr>(axis).getInt(), 4));
  return result;
}

/// Q, K or V: a transpose in front is absorbed into the layout; (B, S, H·D) is split into heads.
static std::optional<Heads> headsOf(Lowering &l, Value value, std::optional<int64_t> heads) {
  Tensor x;
  if (l.dims(value).size() == 3) {
    x = l.get(value);
    if (!heads || *heads < 1)
      return std::nullopt;
    Polynomial size = Polynomial::floorDiv(x.dims[2], *heads);
    return Heads{l.reshape(x, {x.dims[0], x.dims[1], *heads, size}), "bshd"};
  }
  if (l.dims(value).size() != 4)
    return std::nullopt;
  auto transpose = value.getDefiningOp<onnx::TransposeOp>();
  if (auto perm = permutationOf4(transpose)) {
    Heads result{l.get(transpose.getData()), "????"};
    for (int64_t i = 0; i < 4; ++i)
      result.layout[(*perm)[i]] = "bhsd"[i];
    return result;
  }
  return Heads{l.get(value)};
}

/// The past in front of new keys or values, as (B, H, S, D).
static Heads withPast(Lowering &l, Heads x, Value past) {
  SmallVector<int64_t> perm;
  for (char letter : StringRef("bhsd"))
    perm.push_back(x.layout.find(letter));
  return {l.concat({l.get(past), l.transpose(x.tensor, perm)}, 2)};
}

static LogicalResult lowerAttention(Lowering &l, onnx::AttentionOp op) {
  if (op.getSoftcap().convertToFloat() != 0)
    return l.unsupported(op, "softcap");
  if (op.getNonpadKvSeqlen() || op.getLeftWindowSize() >= 0 || op.getRightWindowSize() >= 0)
    return l.unsupported(op, "windows and padded keys");
  if (op.getQkMatmulOutput() && !op.getQkMatmulOutput().use_empty())
    return l.unsupported(op, "qk_matmul_output");
  auto q = headsOf(l, op.getQ(), op.getQNumHeads());
  auto k = headsOf(l, op.getK(), op.getKvNumHeads());
  auto v = headsOf(l, op.getV(), op.getKvNumHeads());
  if (!q || !k || !v)
    return l.unsupported(op, "operands of a rank other than 4, or 3 with numbers of heads");
  if (op.getPastKey())
    k = withPast(l, *k, op.getPastKey());
  if (op.getPastValue())
    v = withPast(l, *v, op.getPastValue());
  if (op.getPresentKey() && !op.getPresentKey().use_empty())
    l.set(op.getPresentKey(),
          k->layout == "bhsd" ? k->tensor : l.transpose(k->tensor, {0, 2, 1, 3}));
  if (op.getPresentValue() && !op.getPresentValue().use_empty())
    l.set(op.getPresentValue(),
          v->layout == "bhsd" ? v->tensor : l.transpose(v->tensor, {0, 2, 1, 3}));
  auto size = q->dim('d').asConstant();
  auto queryHeads = q->dim('h').asConstant(), keyHeads = k->dim('h').asConstant();
  if (!size || *size < 1 || !queryHeads || !keyHeads || *keyHeads < 1 ||
      *queryHeads % *keyHeads != 0)
    return l.unsupported(op, "a number or size of heads that is not constant");
  float scale = op.getScale() ? op.getScale()->convertToFloat() : 1.0f / std::sqrt(float(*size));
  Polynomial queries = q->dim('s'), keys = k->dim('s');
  Tensor mask;
  if (op.getAttnMask()) {
    mask = l.get(op.getAttnMask());
    if (mask.rank() > 4 || (!mask.element().isInteger(1) && mask.element() != q->tensor.element()))
      return l.unsupported(op, "a mask of another type or of rank above 4");
    // The kernel takes dimensions that are 1 or whole, and is told which at compile time.
    Dims whole{q->dim('b'), q->dim('h'), queries, keys}, wanted;
    bool isLoose = false;
    for (int64_t d = 0; d < mask.rank(); ++d) {
      const Polynomial &dim = whole[4 - mask.rank() + d];
      isLoose |= !mask.dims[d].isConstant(1) && mask.dims[d] != dim;
      wanted.push_back(mask.dims[d].isConstant(1) ? Polynomial(1) : dim);
    }
    if (isLoose)
      mask = l.broadcast(mask, wanted);
  }
  bool causal = op.getIsCausal() != 0;
  if (causal && queries != keys && !op.getPastKey()) {
    // Without a past, query s sees the keys up to s; the kernel would align the last ones.
    Tensor triangle =
        l.generate({queries, keys}, l.b.getI1Type(), [](B &b, ValueRange at) -> Value {
          return arith::CmpIOp::create(b, arith::CmpIPredicate::sle, at[1], at[0]);
        });
    causal = false;
    if (!mask.value) {
      mask = triangle;
    } else {
      Type type = mask.element();
      mask = l.map({mask, triangle}, broadcastDims(mask.dims, triangle.dims), type,
                   [&](B &b, ValueRange v) -> Value {
                     Type at = v[0].getType(); // f32 where the mask is of half precision
                     Value none = arith::ConstantOp::create(
                         b, at.isInteger(1) ? zeroOf(at) : lowestOf(at, false));
                     return arith::SelectOp::create(b, v[1], v[0], none);
                   });
    }
  }
  // The order of the result: as it is used.
  Heads out{{}, "bhsd"};
  Value result = op.getY();
  bool merged = l.dims(result).size() == 3;
  if (merged) {
    out.layout = "bshd";
  } else if (result.hasOneUse()) {
    auto transpose = dyn_cast<onnx::TransposeOp>(*result.user_begin());
    if (auto perm = permutationOf4(transpose)) {
      for (int64_t i = 0; i < 4; ++i)
        out.layout[i] = "bhsd"[(*perm)[i]];
      result = transpose.getTransposed();
    }
  }
  Dims dims;
  for (char letter : out.layout)
    dims.push_back(letter == 'd' ? v->dim('d') : q->dim(letter));
  Tensor init = l.empty(dims, q->tensor.element());
  auto attention = dispatch::AttentionOp::create(
      l.b, q->tensor.value, k->tensor.value, v->tensor.value, mask.value, init.value, scale, causal,
      q->layout, k->layout, v->layout, out.layout);
  out.tensor = {attention->getResult(0), dims};
  l.set(result, l.reshape(out.tensor, l.dims(result)));
  return success();
}

static LogicalResult lowerRotaryEmbedding(Lowering &l, onnx::RotaryEmbeddingOp op) {
  Tensor x = l.get(op.getX());
  bool merged = x.rank() == 3;
  std::string layout = "bhsd";
  if (merged) {
    auto heads = op.getNumHeads();
    if (!heads || *heads < 1)
      return l.unsupported(op, "a rank of 3 without num_heads");
    x = l.reshape(x, {x.dims[0], x.dims[1], *heads, Polynomial::floorDiv(x.dims[2], *heads)});
    layout = "bshd";
  }
  auto size = x.dims[3].asConstant();
  int64_t rotated = op.getRotaryEmbeddingDim();
  if (!size || (rotated == 0 ? *size : rotated) % 2 != 0 || rotated > *size)
    return l.unsupported(op, "a head size that is not constant and even");
  int64_t half = (rotated == 0 ? *size : rotated) / 2;
  bool interleaved = op.getInterleaved() != 0;
  Tensor cosines = l.get(op.getCosCache()), sines = l.get(op.getSinCache()), positions;
  if (op.getPositionIds())
    positions = l.get(op.getPositionIds());
  Value rows = positions.value ? l.index(cosines.dims[0]) : Value();
  // (positions, pairs) looked up, or (batch, sequence, pairs), whose batch exporters leave at 1.
  if (cosines.rank() != (positions.value ? 2 : 3) || sines.rank() != cosines.rank())
    return l.unsupported(op, "caches of another rank");
  const Polynomial &steps = x.dims[layout.find('s')];
  bool sharesRotation = false;
  for (const Tensor &cache : {cosines, sines}) {
    l.checkEqual(cache.dims.back(), half, "a cache has another number of pairs");
    if (positions.value)
      continue;
    l.checkEqual(cache.dims[1], steps, "a cache has another length");
    if (!cache.dims[0].isConstant(1))
      l.checkEqual(cache.dims[0], x.dims[0], "a cache has another batch");
    sharesRotation |= cache.dims[0].isConstant(1);
  }
  auto lastOf = [&](const Tensor &t, int64_t dim) { return l.index(t.dims[dim] - 1); };
  Tensor result = l.generate(x.dims, x.element(), [&](B &b, ValueRange at) -> Value {
    auto constant = [&](int64_t i) -> Value { return arith::ConstantIndexOp::create(b, i); };
    auto less = [&](Value i, Value j) -> Value {
      return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, j);
    };
    Value batch = at[0], step = at[layout.find('s')], d = at[3];
    // Channel d belongs to pair `pair`, as its first or its second member.
    Value pair, isFirst, other;
    if (interleaved) {
      pair = arith::DivSIOp::create(b, d, constant(2));
      Value member = arith::RemSIOp::create(b, d, constant(2));
      isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, member, constant(0));
      Value next = arith::AddIOp::create(b, d, constant(1));
      other = arith::SelectOp::create(b, isFirst, next, arith::SubIOp::create(b, d, constant(1)));
    } else {
      isFirst = less(d, constant(half));
      Value up = arith::AddIOp::create(b, d, constant(half));
      Value down = arith::SubIOp::create(b, d, constant(half));
      pair = arith::SelectOp::create(b, isFirst, d, down);
      other = arith::SelectOp::create(b, isFirst, up, down);
    }
    Value isRotated = less(d, constant(2 * half));
    pair = arith::MinSIOp::create(b, pair, constant(half - 1));
    other = arith::SelectOp::create(b, isRotated, other, d);
    // Within the cache, whatever the checks found.
    auto within = [&](Value i, int64_t dim, const Polynomial &proven) -> Value {
      if (cosines.dims[dim] == proven && sines.dims[dim] == proven)
        return i;
      Value least = arith::MinSIOp::create(b, lastOf(cosines, dim), lastOf(sines, dim));
      return arith::MinSIOp::create(b, i, least);
    };
    SmallVector<Value> from{pair};
    if (!positions.value)
      from = {sharesRotation ? constant(0) : within(batch, 0, x.dims[0]), within(step, 1, steps),
              pair};
    if (positions.value) {
      Value raw = tensor::ExtractOp::create(b, positions.value, ValueRange{batch, step});
      Value i = arith::IndexCastOp::create(b, b.getIndexType(), raw);
      Value last = arith::SubIOp::create(b, rows, constant(1));
      Value safe = arith::MaxSIOp::create(b, arith::MinSIOp::create(b, i, last), constant(0));
      from = {safe, pair};
    }
    Value cosine = tensor::ExtractOp::create(b, cosines.value, from);
    Value sine = tensor::ExtractOp::create(b, sines.value, from);
    Value here = tensor::ExtractOp::create(b, x.value, at);
    SmallVector<Value> there(at);
    there[3] = other;
    Value partner = tensor::ExtractOp::create(b, x.value, there);
    Value direct = mul(b, here, cosine), crossed = mul(b, partner, sine);
    Value turned =
        arith::SelectOp::create(b, isFirst, sub(b, direct, crossed), add(b, direct, crossed));
    return arith::SelectOp::create(b, isRotated, turned, here);
  });
  l.set(op.getY(), l.reshape(result, l.dims(op.getY())));
  return success();
}

void graft::lowering::addAttention(Table &table) {
  table.add(lowerAttention);
  table.add(lowerRotaryEmbedding);
}
