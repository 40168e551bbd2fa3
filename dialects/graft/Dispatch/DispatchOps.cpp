//===- DispatchOps.cpp - Builders and verifiers of the dispatch ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft::dispatch;

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

static ShapedType shaped(Value value) { return cast<ShapedType>(value.getType()); }

/// Equal, or not known to differ.
static bool agree(int64_t a, int64_t b) {
  return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
}

static LogicalResult differ(Operation *op, const Twine &what, int64_t expected, int64_t actual) {
  InFlightDiagnostic diagnostic = op->emitOpError() << what << ": expected " << expected;
  return diagnostic << ", got " << actual;
}

/// The result types of a destination op that fills `init`.
static void addInitResult(OperationState &state, Value init) {
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

static LogicalResult verifySameShape(Operation *op, StringRef what, ShapedType type,
                                     ShapedType expected) {
  if (type.getElementType() != expected.getElementType())
    return op->emitOpError() << what << ": expected element type " << expected.getElementType()
                             << ", got " << type.getElementType();
  if (type.getRank() != expected.getRank())
    return differ(op, what + Twine(" rank"), expected.getRank(), type.getRank());
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!agree(type.getDimSize(i), expected.getDimSize(i)))
      return differ(op, what + Twine(" dimension ") + Twine(i), expected.getDimSize(i),
                    type.getDimSize(i));
  return success();
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

void MatmulOp::build(OpBuilder &builder, OperationState &state, ValueRange inputs,
                     ValueRange weights, ValueRange extras, Value init, ArrayRef<bool> transposed,
                     function_ref<Value(OpBuilder &, Location, ValueRange)> epilogue) {
  state.addOperands(inputs);
  state.addOperands(weights);
  state.addOperands(extras);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {static_cast<int32_t>(inputs.size()),
                                    static_cast<int32_t>(weights.size()),
                                    static_cast<int32_t>(extras.size()), 1};
  if (llvm::is_contained(transposed, true))
    properties.transposed = builder.getDenseBoolArrayAttr(transposed);
  addInitResult(state, init);
  Region *region = state.addRegion();
  if (!epilogue)
    return;
  SmallVector<Type> types{shaped(init).getElementType()};
  for (Value extra : extras)
    types.push_back(getElementTypeOrSelf(extra.getType()));
  OpBuilder::InsertionGuard guard(builder);
  Block *block =
      builder.createBlock(region, {}, types, SmallVector<Location>(types.size(), state.location));
  Value value = epilogue(builder, state.location, block->getArguments());
  YieldOp::create(builder, state.location, value);
}

int64_t MatmulOp::getReductionSize(unsigned i) {
  ShapedType type = shaped(getWeights()[i]);
  return type.getDimSize(isPacked(i) || isTransposed(i) ? 1 : 0);
}

LogicalResult MatmulOp::verify() {
  ShapedType out = getInitType();
  int64_t rank = out.getRank();
  if (rank < 1)
    return emitOpError() << "out: expected a rank of at least 1, got 0";
  if (getInputs().empty() || getInputs().size() != getWeights().size())
    return emitOpError() << "expected as many weights as inputs, at least one, got "
                         << getInputs().size() << " inputs and " << getWeights().size()
                         << " weights";
  if (!getTransposed().empty() && getTransposed().size() != getInputs().size())
    return differ(*this, "transposed: entries", getInputs().size(), getTransposed().size());
  int64_t n = out.getShape().back();
  for (unsigned i = 0; i < getInputs().size(); ++i) {
    ShapedType x = shaped(getInputs()[i]), w = shaped(getWeights()[i]);
    for (ShapedType type : {x, w})
      if (type.getElementType() != out.getElementType())
        return emitOpError() << "pair " << i << ": expected element type " << out.getElementType()
                             << ", got " << type.getElementType();
    if (x.getRank() != rank)
      return differ(*this, "input " + Twine(i) + " rank", rank, x.getRank());
    for (int64_t d = 0; d + 1 < rank; ++d)
      if (!agree(x.getDimSize(d), out.getDimSize(d)))
        return differ(*this, "input " + Twine(i) + " dimension " + Twine(d), out.getDimSize(d),
                      x.getDimSize(d));
    if (w.getRank() != 2 && w.getRank() != 3)
      return emitOpError() << "weight " << i << " rank: expected 2, or 3 if packed, got "
                           << w.getRank();
    if (!agree(x.getShape().back(), getReductionSize(i)))
      return differ(*this, "weight " + Twine(i) + " K", x.getShape().back(), getReductionSize(i));
    if (!isPacked(i)) {
      int64_t columns = w.getDimSize(isTransposed(i) ? 0 : 1);
      if (!agree(columns, n))
        return differ(*this, "weight " + Twine(i) + " N", n, columns);
      continue;
    }
    if (isTransposed(i))
      return emitOpError() << "weight " << i << ": packed weights are never transposed";
    if (w.isDynamicDim(0) || w.isDynamicDim(2) || w.getDimSize(2) < 1 || ShapedType::isDynamic(n))
      return emitOpError() << "weight " << i
                           << ": a packed weight needs static panels and a static N";
    int64_t panel = w.getDimSize(2), panels = n / panel + (n % panel != 0);
    if (w.getDimSize(0) != panels)
      return differ(*this, "weight " + Twine(i) + " panels", panels, w.getDimSize(0));
  }
  for (auto [index, extra] : llvm::enumerate(getExtras())) {
    auto type = dyn_cast<ShapedType>(extra.getType());
    if (!type || type.getRank() == 0)
      continue;
    if (type.getRank() == 1 && agree(type.getDimSize(0), n))
      continue;
    bool matches = type.getRank() == rank;
    for (int64_t d = 0; matches && d < rank; ++d)
      matches = agree(type.getDimSize(d), out.getDimSize(d));
    if (!matches)
      return emitOpError() << "extra " << index
                           << ": expected a scalar, out's last dimension or out's shape, got "
                           << type;
  }
  if (getEpilogue().empty() && !getExtras().empty())
    return emitOpError() << "extras need an epilogue";
  return success();
}

LogicalResult MatmulOp::verifyRegions() {
  if (getEpilogue().empty())
    return success();
  Type element = getInitType().getElementType();
  Block &block = getEpilogue().front();
  if (block.getNumArguments() != getExtras().size() + 1)
    return differ(*this, "epilogue arguments", getExtras().size() + 1, block.getNumArguments());
  for (auto [index, argument] : llvm::enumerate(block.getArguments())) {
    Type expected = index == 0 ? element : getElementTypeOrSelf(getExtras()[index - 1].getType());
    if (argument.getType() != expected)
      return emitOpError() << "epilogue argument " << index << ": expected " << expected << ", got "
                           << argument.getType();
  }
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValue().getType() != element)
    return emitOpError() << "expected the epilogue to yield one " << element;
  return success();
}

//===----------------------------------------------------------------------===//
// batch_matmul
//===----------------------------------------------------------------------===//

void BatchMatmulOp::build(OpBuilder &builder, OperationState &state, Value a, Value b, Value init,
                          bool transposeA, bool transposeB) {
  state.addOperands({a, b, init});
  auto &properties = state.getOrAddProperties<Properties>();
  if (transposeA)
    properties.transpose_a = builder.getUnitAttr();
  if (transposeB)
    properties.transpose_b = builder.getUnitAttr();
  addInitResult(state, init);
}

LogicalResult BatchMatmulOp::verify() {
  ShapedType out = getInitType();
  int64_t rank = out.getRank();
  if (rank < 2)
    return emitOpError() << "out: expected a rank of at least 2, got " << rank;
  for (auto [what, value] : {std::pair{"a", getA()}, std::pair{"b", getB()}}) {
    ShapedType type = shaped(value);
    if (type.getElementType() != out.getElementType())
      return emitOpError() << what << ": expected element type " << out.getElementType() << ", got "
                           << type.getElementType();
    if (type.getRank() != rank)
      return differ(*this, what + Twine(" rank"), rank, type.getRank());
    for (int64_t d = 0; d + 2 < rank; ++d)
      if (type.getDimSize(d) != 1 && !agree(type.getDimSize(d), out.getDimSize(d)))
        return differ(*this, what + Twine(" dimension ") + Twine(d), out.getDimSize(d),
                      type.getDimSize(d));
  }
  ArrayRef<int64_t> a = shaped(getA()).getShape().take_back(2);
  ArrayRef<int64_t> b = shaped(getB()).getShape().take_back(2);
  ArrayRef<int64_t> c = out.getShape().take_back(2);
  bool ta = getTransposeA(), tb = getTransposeB();
  if (!agree(a[ta ? 1 : 0], c[0]))
    return differ(*this, "a M", c[0], a[ta ? 1 : 0]);
  if (!agree(b[tb ? 0 : 1], c[1]))
    return differ(*this, "b N", c[1], b[tb ? 0 : 1]);
  if (!agree(a[ta ? 0 : 1], b[tb ? 1 : 0]))
    return differ(*this, "b K", a[ta ? 0 : 1], b[tb ? 1 : 0]);
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
