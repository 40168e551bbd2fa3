//===- RaiseAttention.cpp - Recognising attention -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/Raise.h"

using namespace mlir;
using namespace graft;
using namespace graft::raise;

static SmallVector<int64_t> permutationOf(onnx::TransposeOp op) {
  SmallVector<int64_t> perm;
  if (ArrayAttr given = op.getPermAttr())
    for (Attribute axis : given)
      perm.push_back(cast<IntegerAttr>(axis).getInt());
  return perm;
}

/// Takes factors that are constant off a value: `scale` becomes their product.
static Value unscaled(const Matcher &m, Value value, double &scale) {
  while (Operation *op = value.getDefiningOp()) {
    std::optional<double> constant;
    if (auto product = dyn_cast<onnx::MulOp>(op)) {
      if ((constant = m.scalar(product.getB())))
        value = product.getA();
      else if ((constant = m.scalar(product.getA())))
        value = product.getB();
    } else if (auto quotient = dyn_cast<onnx::DivOp>(op)) {
      if ((constant = m.scalar(quotient.getB())) && *constant != 0) {
        value = quotient.getA();
        constant = 1 / *constant;
      } else {
        constant.reset();
      }
    }
    if (!constant)
      break;
    scale *= *constant;
  }
  return value;
}

/// Q·Kᵀ and what is added to it before softmax.
namespace {
struct Scores {
  Value q, k; // k as (batch, heads, keys, size)
  Value mask;
  double scale = 1;
};
} // namespace

/// The keys (batch, heads, keys, size) of which `value` is the transpose (batch, heads, size,
/// keys).
static Value keysOf(const Matcher &m, OpBuilder &b, Value value) {
  if (auto transpose = value.getDefiningOp<onnx::TransposeOp>()) {
    SmallVector<int64_t> perm = permutationOf(transpose);
    if (perm == SmallVector<int64_t>{0, 1, 3, 2})
      return transpose.getData();
    if (perm.size() != 4)
      return {};
    // Any other order, such as heads split from (batch, keys, heads, size): another transpose of
    // the same.
    std::swap(perm[2], perm[3]);
    auto dims = m.shapes.get(value).dims;
    std::swap(dims[2], dims[3]);
    SmallVector<int64_t> shape(cast<RankedTensorType>(value.getType()).getShape());
    std::swap(shape[2], shape[3]);
    auto keys = onnx::TransposeOp::create(b, transpose.getLoc(),
                                          cast<RankedTensorType>(value.getType()).clone(shape),
                                          transpose.getData(), b.getI64ArrayAttr(perm));
    m.shapes.visit(keys);
    return keys;
  }
  // Reshape(Transpose(Reshape(keys, (batch·heads, keys, size)), 0 2 1), (batch, heads, size,
  // keys)).
  auto outer = value.getDefiningOp<onnx::ReshapeOp>();
  auto middle = outer ? outer.getData().getDefiningOp<onnx::TransposeOp>() : nullptr;
  auto inner = middle ? middle.getData().getDefiningOp<onnx::ReshapeOp>() : nullptr;
  if (!inner || permutationOf(middle) != SmallVector<int64_t>{0, 2, 1})
    return {};
  const auto &keys = m.shapes.get(inner.getData()).dims;
  const auto &flat = m.shapes.get(inner.getReshaped()).dims;
  const auto &out = m.shapes.get(value).dims;
  if (keys.size() != 4 || flat.size() != 3 || out.size() != 4 || flat[0] != keys[0] * keys[1] ||
      flat[1] != keys[2] || flat[2] != keys[3] || out[0] != keys[0] || out[1] != keys[1] ||
      out[2] != keys[3] || out[3] != keys[2])
    return {};
  return inner.getData();
}

/// Keys or values that were repeated for groups of query heads: what was repeated.
/// Reshape(Expand(Unsqueeze(x, 2), (batch, heads, repeats, …)), (batch, heads·repeats, …)).
static Value ungrouped(const Matcher &m, Value value) {
  auto reshape = value.getDefiningOp<onnx::ReshapeOp>();
  auto expand = reshape ? reshape.getData().getDefiningOp<onnx::ExpandOp>() : nullptr;
  if (!expand)
    return value;
  Value narrow = expand.getInput();
  const auto &wide = m.shapes.get(expand.getOutput()).dims, &one = m.shapes.get(narrow).dims;
  const auto &out = m.shapes.get(value).dims;
  if (wide.size() != 5 || one.size() != 5 || out.size() != 4 || !one[2].isConstant(1))
    return value;
  for (unsigned d : {0, 1, 3, 4})
    if (one[d] != wide[d])
      return value;
  if (out[0] != one[0] || out[1] != one[1] * wide[2] || out[2] != one[3] || out[3] != one[4])
    return value;
  Operation *op = narrow.getDefiningOp();
  if (!isa_and_nonnull<onnx::UnsqueezeOp, onnx::ReshapeOp>(op))
    return value;
  const auto &inner = m.shapes.get(op->getOperand(0)).dims;
  if (inner.size() != 4 || inner[0] != one[0] || inner[1] != one[1] || inner[2] != one[3] ||
      inner[3] != one[4])
    return value;
  return op->getOperand(0);
}

static std::optional<Scores> scoresOf(const Matcher &m, OpBuilder &b, Value value) {
  Scores scores;
  auto productOf = [&](Value v, Scores &into) {
    double scale = 1;
    auto product = unscaled(m, v, scale).getDefiningOp<onnx::MatMulOp>();
    if (!product)
      return false;
    into.scale = scale;
    into.q = unscaled(m, product.getA(), into.scale);
    Value keys = unscaled(m, product.getB(), into.scale);
    into.k = keysOf(m, b, keys);
    return bool(into.k);
  };
  if (productOf(value, scores))
    return scores;
  if (auto sum = value.getDefiningOp<onnx::AddOp>()) {
    bool found = eitherOrder(sum, [&](Value product, Value mask) {
      if (m.shapes.get(mask).rank() > 4 || !m.sameDims(product, value) ||
          !productOf(product, scores))
        return false;
      scores.mask = mask;
      return true;
    });
    if (found)
      return scores;
  }
  // Where(kept, scores, lowest), or the other way round: a mask that is added says the same, for
  // what is the lowest float or infinite swallows what it is added to.
  auto choice = value.getDefiningOp<onnx::WhereOp>();
  if (!choice)
    return std::nullopt;
  for (bool keepsFirst : {true, false}) {
    Value product = keepsFirst ? choice.getX() : choice.getY();
    Value lowest = keepsFirst ? choice.getY() : choice.getX();
    auto constant = m.scalar(lowest);
    if (!constant || *constant > -1e30 || !m.sameDims(product, value) ||
        m.shapes.get(choice.getCondition()).rank() > 4 || !productOf(product, scores))
      continue;
    auto element = cast<ShapedType>(value.getType()).getElementType();
    auto scalarType = RankedTensorType::get({}, element);
    auto zero =
        onnx::ConstantOp::create(b, choice.getLoc(), scalarType,
                                 DenseElementsAttr::get(scalarType, b.getFloatAttr(element, 0.0)));
    auto low = onnx::ConstantOp::create(
        b, choice.getLoc(), scalarType,
        DenseElementsAttr::get(scalarType, b.getFloatAttr(element, *constant)));
    auto maskType = RankedTensorType::get(
        cast<RankedTensorType>(choice.getCondition().getType()).getShape(), element);
    auto mask = onnx::WhereOp::create(b, choice.getLoc(), maskType, choice.getCondition(),
                                      keepsFirst ? zero : low, keepsFirst ? low : zero);
    for (Operation *made : {zero.getOperation(), low.getOperation(), mask.getOperation()})
      m.shapes.visit(made);
    scores.mask = mask;
    return scores;
  }
  return std::nullopt;
}

/// Before: MatMul(Softmax(Add(Mul(MatMul(q, kᵀ), scale), mask)), v), with scales anywhere and rows
/// without a key guarded against NaN; after: Attention(q, k, v, mask).
bool graft::raise::raiseAttention(const Matcher &m, Operation *op) {
  auto product = dyn_cast<onnx::MatMulOp>(op);
  if (!product)
    return false;
  Value shares = product.getA();
  if (auto guard = shares.getDefiningOp<onnx::WhereOp>()) {
    auto isNaN = guard.getCondition().getDefiningOp<onnx::IsNaNOp>();
    if (isNaN && isNaN.getX() == guard.getY() && m.isScalar(guard.getX(), 0))
      shares = guard.getY();
  }
  if (auto dropout = shares.getDefiningOp<onnx::DropoutOp>())
    shares = dropout.getData();
  auto softmax = shares.getDefiningOp<onnx::SoftmaxOp>();
  if (!softmax || m.shapes.get(shares).rank() != 4 ||
      (softmax.getAxis() != -1 && softmax.getAxis() != 3))
    return false;
  auto element = cast<ShapedType>(op->getResult(0).getType()).getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return false;
  OpBuilder b(op);
  auto scores = scoresOf(m, b, softmax.getInput());
  if (!scores)
    return false;
  Value k = ungrouped(m, scores->k), v = ungrouped(m, product.getB());
  auto dimsOf = [&](Value value) { return m.shapes.get(value).dims; };
  auto q4 = dimsOf(scores->q), k4 = dimsOf(k), v4 = dimsOf(v);
  if (q4.size() != 4 || k4.size() != 4 || v4.size() != 4 || q4[0] != k4[0] || k4[0] != v4[0] ||
      k4[1] != v4[1] || k4[2] != v4[2] || q4[3] != k4[3])
    return false;
  auto size = q4[3].asConstant(), heads = q4[1].asConstant(), keyHeads = k4[1].asConstant();
  if (!size || !heads || !keyHeads || *keyHeads < 1 || *heads % *keyHeads != 0)
    return false;
  if (scores->mask && cast<ShapedType>(scores->mask.getType()).getElementType() != element)
    return false;
  SmallVector<Value> operands{scores->q, k, v};
  if (scores->mask)
    operands.push_back(scores->mask);
  auto attention = onnx::AttentionOp::create(
      b, op->getLoc(), TypeRange{op->getResult(0).getType()}, operands,
      ArrayRef<NamedAttribute>{
          b.getNamedAttr("scale", b.getF32FloatAttr(scores->scale)),
          b.getNamedAttr("operandSegmentSizes",
                         b.getDenseI32ArrayAttr({1, 1, 1, scores->mask ? 1 : 0, 0, 0, 0})),
          b.getNamedAttr("resultSegmentSizes", b.getDenseI32ArrayAttr({1, 0, 0, 0}))});
  m.replace(op, attention);
  return true;
}
