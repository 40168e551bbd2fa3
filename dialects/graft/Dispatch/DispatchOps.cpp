//===- DispatchOps.cpp - Builders and verifiers of the dispatch ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Verify.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft::dispatch;
using namespace graft::dispatch::detail;

#define GET_OP_CLASSES
#include "graft/Dispatch/DispatchOps.cpp.inc"

//===----------------------------------------------------------------------===//
// What all destination ops share
//===----------------------------------------------------------------------===//

void graft::dispatch::detail::getDestinationEffects(
    Operation *op, SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  auto destination = cast<DestinationStyleOpInterface>(op);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (destination.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand,
                           SideEffects::DefaultResource::get());
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand,
                           SideEffects::DefaultResource::get());
  }
}

LogicalResult graft::dispatch::detail::reifyFromInit(Operation *op, OpBuilder &builder,
                                                     ReifiedRankedShapedTypeDims &dims) {
  for (Value init : cast<DestinationStyleOpInterface>(op).getDpsInits())
    if (isa<RankedTensorType>(init.getType()))
      dims.push_back(tensor::getMixedSizes(builder, op->getLoc(), init));
  return success();
}

LogicalResult graft::dispatch::detail::differ(Operation *op, const Twine &what, int64_t expected,
                                              int64_t actual) {
  InFlightDiagnostic diagnostic = op->emitOpError() << what << ": expected " << expected;
  return diagnostic << ", got " << actual;
}

LogicalResult
graft::dispatch::detail::verifyMatrices(Operation *op,
                                        ArrayRef<std::pair<StringRef, ShapedType>> types) {
  for (auto [what, type] : types)
    if (type.getRank() != 2)
      return differ(op, what + Twine(" rank"), 2, type.getRank());
  return success();
}

LogicalResult graft::dispatch::detail::verifyElement(Operation *op, const Twine &what,
                                                     ShapedType type, Type element) {
  if (type.getElementType() == element)
    return success();
  InFlightDiagnostic diagnostic = op->emitOpError() << what << ": expected element type ";
  return diagnostic << element << ", got " << type.getElementType();
}

LogicalResult graft::dispatch::detail::verifySameShape(Operation *op, StringRef what,
                                                       ShapedType type, ShapedType expected) {
  if (failed(verifyElement(op, what, type, expected.getElementType())))
    return failure();
  if (type.getRank() != expected.getRank())
    return differ(op, what + Twine(" rank"), expected.getRank(), type.getRank());
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!agree(type.getDimSize(i), expected.getDimSize(i)))
      return differ(op, what + Twine(" dimension ") + Twine(i), expected.getDimSize(i),
                    type.getDimSize(i));
  return success();
}

void graft::dispatch::detail::addInitResult(OperationState &state, Value init) {
  if (isa<RankedTensorType>(init.getType()))
    state.addTypes(init.getType());
}

/// Checks that `from` broadcasts to `to` in the manner of NumPy.
static LogicalResult verifyBroadcast(Operation *op, StringRef what, ArrayRef<int64_t> from,
                                     ArrayRef<int64_t> to) {
  if (from.size() > to.size())
    return op->emitOpError() << what << ": expected a rank of at most " << to.size() << ", got "
                             << from.size();
  for (auto [index, size] : llvm::enumerate(from)) {
    int64_t target = to[to.size() - from.size() + index];
    if (size != 1 && !agree(size, target))
      return differ(op, what + " dimension " + Twine(index), target, size);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// attention and softmax
//===----------------------------------------------------------------------===//

void AttentionOp::build(OpBuilder &builder, OperationState &state, Value q, Value k, Value v,
                        Value mask, Value init, float scale, bool causal, StringRef qLayout,
                        StringRef kLayout, StringRef vLayout, StringRef outLayout) {
  state.addOperands({q, k, v});
  if (mask)
    state.addOperands(mask);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.scale = builder.getF32FloatAttr(scale);
  if (causal)
    properties.causal = builder.getUnitAttr();
  properties.q_layout = builder.getStringAttr(qLayout);
  properties.k_layout = builder.getStringAttr(kLayout);
  properties.v_layout = builder.getStringAttr(vLayout);
  properties.out_layout = builder.getStringAttr(outLayout);
  addInitResult(state, init);
}

LogicalResult AttentionOp::verify() {
  Type element = getInitType().getElementType();
  // Sizes in the order b, h, s, d.
  auto sizes = [&](StringRef what, Value value, StringRef layout,
                   std::array<int64_t, 4> &result) -> LogicalResult {
    ShapedType type = shaped(value);
    if (type.getRank() != 4)
      return differ(*this, what + Twine(" rank"), 4, type.getRank());
    if (type.getElementType() != element)
      return emitOpError() << what << ": expected element type " << element << ", got "
                           << type.getElementType();
    for (auto [index, letter] : llvm::enumerate(StringRef("bhsd"))) {
      size_t place = layout.find(letter);
      if (layout.size() != 4 || place == StringRef::npos)
        return emitOpError() << what << " layout: expected a permutation of \"bhsd\", got \""
                             << layout << '"';
      result[index] = type.getDimSize(place);
    }
    return success();
  };
  std::array<int64_t, 4> q, k, v, out;
  if (failed(sizes("q", getQ(), getQLayout(), q)) || failed(sizes("k", getK(), getKLayout(), k)) ||
      failed(sizes("v", getV(), getVLayout(), v)) ||
      failed(sizes("out", getInit(), getOutLayout(), out)))
    return failure();
  struct Pair {
    const char *what;
    int64_t expected, actual;
  };
  for (Pair pair :
       {Pair{"k batch", q[0], k[0]}, Pair{"v batch", q[0], v[0]}, Pair{"out batch", q[0], out[0]},
        Pair{"v heads", k[1], v[1]}, Pair{"out heads", q[1], out[1]}, Pair{"v length", k[2], v[2]},
        Pair{"out length", q[2], out[2]}, Pair{"k head size", q[3], k[3]},
        Pair{"out head size", v[3], out[3]}})
    if (!agree(pair.expected, pair.actual))
      return differ(*this, pair.what, pair.expected, pair.actual);
  if (ShapedType::isStatic(q[1]) && ShapedType::isStatic(k[1]) && (k[1] == 0 || q[1] % k[1] != 0))
    return emitOpError() << "heads of k: expected a divisor of " << q[1] << ", got " << k[1];
  if (!getMask())
    return success();
  ShapedType mask = shaped(getMask());
  if (!mask.getElementType().isInteger(1) && mask.getElementType() != element)
    return emitOpError() << "mask: expected element type i1 or " << element << ", got "
                         << mask.getElementType();
  return verifyBroadcast(*this, "mask", mask.getShape(), {q[0], q[1], q[2], k[2]});
}

void SoftmaxOp::build(OpBuilder &builder, OperationState &state, Value input, Value mask,
                      Value init, float scale) {
  state.addOperands(input);
  if (mask)
    state.addOperands(mask);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.scale = builder.getF32FloatAttr(scale);
  addInitResult(state, init);
}

LogicalResult SoftmaxOp::verify() {
  ShapedType out = getInitType();
  if (out.getRank() < 1)
    return emitOpError() << "out: expected a rank of at least 1, got 0";
  if (failed(verifySameShape(*this, "input", shaped(getInput()), out)))
    return failure();
  if (!getMask())
    return success();
  ShapedType mask = shaped(getMask());
  if (mask.getElementType() != out.getElementType())
    return emitOpError() << "mask: expected element type " << out.getElementType() << ", got "
                         << mask.getElementType();
  return verifyBroadcast(*this, "mask", mask.getShape(), out.getShape());
}

//===----------------------------------------------------------------------===//
// layer_norm
//===----------------------------------------------------------------------===//

void LayerNormOp::build(OpBuilder &builder, OperationState &state, Value input, Value residual,
                        Value weight, Value bias, Value init, float epsilon, bool rms) {
  state.addOperands(input);
  for (Value value : {residual, weight, bias})
    if (value)
      state.addOperands(value);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {1, residual ? 1 : 0, weight ? 1 : 0, bias ? 1 : 0, 1};
  properties.epsilon = builder.getF32FloatAttr(epsilon);
  if (rms)
    properties.rms = builder.getUnitAttr();
  addInitResult(state, init);
}

LogicalResult LayerNormOp::verify() {
  ShapedType out = getInitType();
  if (out.getRank() < 1)
    return emitOpError() << "out: expected a rank of at least 1, got 0";
  if (failed(verifySameShape(*this, "input", shaped(getInput()), out)))
    return failure();
  if (getResidual() && failed(verifySameShape(*this, "residual", shaped(getResidual()), out)))
    return failure();
  for (auto [what, value] : {std::pair{"weight", getWeight()}, std::pair{"bias", getBias()}}) {
    if (!value)
      continue;
    ShapedType type = shaped(value);
    if (type.getElementType() != out.getElementType())
      return emitOpError() << what << ": expected element type " << out.getElementType() << ", got "
                           << type.getElementType();
    if (type.getRank() != 1)
      return differ(*this, what + Twine(" rank"), 1, type.getRank());
    if (!agree(type.getDimSize(0), out.getShape().back()))
      return differ(*this, what + Twine(" dimension 0"), out.getShape().back(), type.getDimSize(0));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// check
//===----------------------------------------------------------------------===//

namespace {
/// The host's record of the first failure.
struct HostResource : SideEffects::Resource::Base<HostResource> {
  StringRef getName() final { return "GraftHost"; }
};
} // namespace

void CheckOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  // Keeps it from being erased, and hinders no rewrite of loads and stores.
  effects.emplace_back(MemoryEffects::Write::get(), HostResource::get());
}

LogicalResult CheckOp::verify() {
  if (getMessage().empty())
    return emitOpError() << "expected a message that is not empty";
  return success();
}

LogicalResult CheckOp::canonicalize(CheckOp op, PatternRewriter &rewriter) {
  if (!matchPattern(op.getCondition(), m_NonZero()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
