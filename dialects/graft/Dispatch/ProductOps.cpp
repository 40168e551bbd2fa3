//===- ProductOps.cpp - Builders and verifiers of products -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Verify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace graft::dispatch;
using namespace graft::dispatch::detail;

#include "graft/Dispatch/DispatchInterfaces.cpp.inc"

//===----------------------------------------------------------------------===//
// What products with weights share
//===----------------------------------------------------------------------===//

bool ProductOpInterface::isPacked(unsigned i) { return shaped(getWeights()[i]).getRank() == 3; }

int64_t ProductOpInterface::getReductionSize(unsigned i) {
  return shaped(getWeights()[i]).getDimSize(isPacked(i) || isTransposed(i) ? 1 : 0);
}

using EpilogueBuilder = function_ref<Value(OpBuilder &, Location, ValueRange)>;

/// The region of an epilogue whose arguments have the given types; empty without a builder.
static void addEpilogue(OpBuilder &builder, OperationState &state, ArrayRef<Type> types,
                        EpilogueBuilder epilogue) {
  Region *region = state.addRegion();
  if (!epilogue)
    return;
  OpBuilder::InsertionGuard guard(builder);
  Block *block =
      builder.createBlock(region, {}, types, SmallVector<Location>(types.size(), state.location));
  Value value = epilogue(builder, state.location, block->getArguments());
  YieldOp::create(builder, state.location, value);
}

/// Checks one weight, which has to be (k, n).
static LogicalResult verifyWeight(ProductOpInterface op, unsigned i, int64_t k, int64_t n) {
  ShapedType weight = shaped(op.getWeights()[i]);
  if (weight.getRank() != 2 && weight.getRank() != 3)
    return op.emitOpError() << "weight " << i << " rank: expected 2, or 3 if packed, got "
                            << weight.getRank();
  if (!agree(k, op.getReductionSize(i)))
    return differ(op, "weight " + Twine(i) + " K", k, op.getReductionSize(i));
  if (!op.isPacked(i)) {
    int64_t columns = weight.getDimSize(op.isTransposed(i) ? 0 : 1);
    return agree(columns, n) ? success() : differ(op, "weight " + Twine(i) + " N", n, columns);
  }
  if (op.isTransposed(i))
    return op.emitOpError() << "weight " << i << ": packed weights are never transposed";
  if (weight.isDynamicDim(0) || weight.isDynamicDim(2) || weight.getDimSize(2) < 1 ||
      ShapedType::isDynamic(n))
    return op.emitOpError() << "weight " << i
                            << ": a packed weight needs static panels and a static N";
  int64_t panel = weight.getDimSize(2), panels = n / panel + (n % panel != 0);
  if (weight.getDimSize(0) != panels)
    return differ(op, "weight " + Twine(i) + " panels", panels, weight.getDimSize(0));
  return success();
}

/// Checks what the epilogue reads by column and by element.
static LogicalResult verifyExtras(ProductOpInterface op) {
  ShapedType out = op.getInitType();
  for (auto [index, extra] : llvm::enumerate(op.getExtras())) {
    auto type = dyn_cast<ShapedType>(extra.getType());
    if (!type || type.getRank() == 0)
      continue;
    if (type.getRank() == 1 && agree(type.getDimSize(0), out.getShape().back()))
      continue;
    bool matches = type.getRank() == out.getRank();
    for (int64_t d = 0; matches && d < out.getRank(); ++d)
      matches = agree(type.getDimSize(d), out.getDimSize(d));
    if (!matches)
      return op.emitOpError() << "extra " << index
                              << ": expected a scalar, out's last dimension or out's shape, got "
                              << type;
  }
  if (op.getEpilogue().empty() && !op.getExtras().empty())
    return op.emitOpError() << "extras need an epilogue";
  return success();
}

/// Checks that the epilogue takes the sum and the given types, and yields what out holds.
static LogicalResult verifyEpilogue(ProductOpInterface op, ArrayRef<Type> types) {
  if (op.getEpilogue().empty())
    return success();
  Block &block = op.getEpilogue().front();
  if (block.getNumArguments() != types.size())
    return differ(op, "epilogue arguments", types.size(), block.getNumArguments());
  for (auto [index, argument] : llvm::enumerate(block.getArguments()))
    if (argument.getType() != types[index])
      return op.emitOpError() << "epilogue argument " << index << ": expected " << types[index]
                              << ", got " << argument.getType();
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValue().getType() != types[0])
    return op.emitOpError() << "expected the epilogue to yield one " << types[0];
  return success();
}

/// The types of the epilogue's arguments: the sum's, the extras'.
static SmallVector<Type> epilogueTypes(Value init, ValueRange extras) {
  SmallVector<Type> types{shaped(init).getElementType()};
  for (Value extra : extras)
    types.push_back(getElementTypeOrSelf(extra.getType()));
  return types;
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

void MatmulOp::build(OpBuilder &builder, OperationState &state, ValueRange inputs,
                     ValueRange weights, ValueRange extras, Value init, ArrayRef<bool> transposed,
                     EpilogueBuilder epilogue) {
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
  addEpilogue(builder, state, epilogueTypes(init, extras), epilogue);
}

void MatmulOp::dropTransposed(unsigned i) {
  if (!isTransposed(i))
    return;
  SmallVector<bool> flags(getTransposed());
  flags[i] = false;
  setTransposed(llvm::is_contained(flags, true) ? ArrayRef<bool>(flags) : ArrayRef<bool>());
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
  for (unsigned i = 0; i < getInputs().size(); ++i) {
    ShapedType x = shaped(getInputs()[i]);
    for (ShapedType type : {x, shaped(getWeights()[i])})
      if (failed(verifyElement(*this, "pair " + Twine(i), type, out.getElementType())))
        return failure();
    if (x.getRank() != rank)
      return differ(*this, "input " + Twine(i) + " rank", rank, x.getRank());
    for (int64_t d = 0; d + 1 < rank; ++d)
      if (!agree(x.getDimSize(d), out.getDimSize(d)))
        return differ(*this, "input " + Twine(i) + " dimension " + Twine(d), out.getDimSize(d),
                      x.getDimSize(d));
    if (failed(verifyWeight(*this, i, x.getShape().back(), out.getShape().back())))
      return failure();
  }
  return verifyExtras(*this);
}

LogicalResult MatmulOp::verifyRegions() {
  return verifyEpilogue(*this, epilogueTypes(getInit(), getExtras()));
}

//===----------------------------------------------------------------------===//
// segmented_matmul
//===----------------------------------------------------------------------===//

/// The types of the epilogue's arguments.
static SmallVector<Type> segmentedEpilogueTypes(Value init, ValueRange extras,
                                                ValueRange segmentExtras, size_t modules) {
  SmallVector<Type> types = epilogueTypes(init, extras);
  for (size_t i = 0; modules && i < segmentExtras.size(); i += modules)
    types.push_back(shaped(segmentExtras[i]).getElementType());
  return types;
}

void SegmentedMatmulOp::build(OpBuilder &builder, OperationState &state, Value input, Value order,
                              int64_t slots, Value offsets, ValueRange weights, ValueRange extras,
                              ValueRange segmentExtras, Value init, bool transposed,
                              EpilogueBuilder epilogue) {
  state.addOperands(input);
  if (order)
    state.addOperands(order);
  state.addOperands(offsets);
  state.addOperands(weights);
  state.addOperands(extras);
  state.addOperands(segmentExtras);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {1,
                                    order ? 1 : 0,
                                    1,
                                    static_cast<int32_t>(weights.size()),
                                    0,
                                    static_cast<int32_t>(extras.size()),
                                    static_cast<int32_t>(segmentExtras.size()),
                                    1};
  properties.slots = builder.getI64IntegerAttr(slots);
  if (transposed)
    properties.transposed = builder.getUnitAttr();
  addInitResult(state, init);
  addEpilogue(builder, state, segmentedEpilogueTypes(init, extras, segmentExtras, weights.size()),
              epilogue);
}

void SegmentedMatmulOp::build(OpBuilder &builder, OperationState &state, Value input, Value offsets,
                              ValueRange weights, Value sharedInput, Value init,
                              ArrayRef<int64_t> modules, ArrayRef<int64_t> columns,
                              ArrayRef<int64_t> starts, bool transposed, bool sharedTransposed) {
  state.addOperands({input, offsets});
  state.addOperands(weights);
  if (sharedInput)
    state.addOperands(sharedInput);
  state.addOperands(init);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {
      1, 0, 1, static_cast<int32_t>(weights.size()), sharedInput ? 1 : 0, 0, 0, 1};
  properties.slots = builder.getI64IntegerAttr(1);
  properties.modules = builder.getDenseI64ArrayAttr(modules);
  if (!columns.empty())
    properties.columns = builder.getDenseI64ArrayAttr(columns);
  if (!starts.empty())
    properties.starts = builder.getDenseI64ArrayAttr(starts);
  if (transposed)
    properties.transposed = builder.getUnitAttr();
  if (sharedTransposed)
    properties.shared_transposed = builder.getUnitAttr();
  addInitResult(state, init);
  addEpilogue(builder, state, {}, nullptr);
}

/// Checks that `x` has out's dimensions but for the last.
static LogicalResult verifyRowsOf(Operation *op, StringRef what, ShapedType x, ShapedType out) {
  if (x.getRank() != out.getRank())
    return differ(op, what + " rank", out.getRank(), x.getRank());
  for (int64_t d = 0; d + 1 < out.getRank(); ++d)
    if (!agree(x.getDimSize(d), out.getDimSize(d)))
      return differ(op, what + " dimension " + Twine(d), out.getDimSize(d), x.getDimSize(d));
  return success();
}

/// Checks a product whose modules' weights have sizes of their own.
static LogicalResult verifyRagged(SegmentedMatmulOp op) {
  ShapedType x = shaped(op.getInput()), out = op.getInitType();
  if (out.getRank() < 2)
    return op.emitOpError() << "out: expected a rank of at least 2, got " << out.getRank();
  if (failed(verifyElement(op, "input", x, out.getElementType())) ||
      failed(verifyRowsOf(op, "input", x, out)) || failed(verifyOffsets(op, op.getOffsets(), 0)))
    return failure();
  if (op.getOrder() || op.getSlots() != 1 || !op.getSegmentExtras().empty())
    return op.emitOpError("under modules: expected no order and no segment extras");
  if (op.getWeights().empty())
    return op.emitOpError() << "expected at least one weight, got none";
  const int64_t count = op.countOfModules(), first = op.firstOfModules();
  const int64_t all = shaped(op.getOffsets()).getDimSize(0) - 1;
  ArrayRef<int64_t> modules = *op.getModules();
  if (int64_t(modules.size()) != count)
    return differ(op, "modules: entries", count, modules.size());
  for (int64_t i = 0; i < count; ++i)
    if (modules[i] >= all || modules[i] < (i == 0 ? 0 : modules[i - 1] + 1))
      return op.emitOpError() << "modules: expected ascending numbers below " << all;
  if (op.getColumns() && int64_t(op.getColumns()->size()) != count)
    return differ(op, "columns: entries", count, op.getColumns()->size());
  if (op.getStarts() && int64_t(op.getStarts()->size()) != count)
    return differ(op, "starts: entries", count, op.getStarts()->size());
  if (op.getColumns() && op.getSharedInput())
    return op.emitOpError("columns: expected no shared input");
  if (op.getSharedTransposed() && !op.getSharedInput())
    return op.emitOpError("shared_transposed: expected a shared input");
  const int64_t most = x.getShape().back(), width = out.getShape().back();
  for (int64_t i = 0; i < first + count; ++i) {
    if (failed(verifyElement(op, "weight " + Twine(i), shaped(op.getWeights()[i]),
                             out.getElementType())))
      return failure();
    int64_t k = op.getReductionSize(i), n = width;
    if (i >= first && op.getColumns())
      n = (*op.getColumns())[i - first];
    if (n < 0 || (n > width && !ShapedType::isDynamic(width)))
      return op.emitOpError() << "columns: expected at most " << width << ", got " << n;
    if (i < first)
      k = shaped(op.getSharedInput()).getShape().back();
    else if (k > most && !ShapedType::isDynamic(most))
      return op.emitOpError() << "weight " << i << " K: expected at most " << most << ", got " << k;
    else if (int64_t start = op.startOf(i - first);
             start < 0 || (start > most - k && !ShapedType::isDynamic(most)))
      return op.emitOpError() << "starts: expected 0 to " << most - k << ", got " << start;
    if (failed(verifyWeight(op, i, k, n)))
      return failure();
    if (op.isPacked(i) != op.isPacked(0))
      return op.emitOpError() << "weight " << i << ": expected "
                              << (op.isPacked(0) ? "a packed one" : "one that is not packed")
                              << ", as weight 0";
  }
  if (op.getSharedInput() &&
      (failed(
           verifyElement(op, "shared input", shaped(op.getSharedInput()), out.getElementType())) ||
       failed(verifyRowsOf(op, "shared input", shaped(op.getSharedInput()), out))))
    return failure();
  return verifyExtras(op);
}

LogicalResult SegmentedMatmulOp::verify() {
  if (getModules())
    return verifyRagged(*this);
  if (getColumns() || getStarts() || getSharedInput() || getSharedTransposed())
    return emitOpError("expected modules with columns, starts and a shared input");
  ShapedType x = shaped(getInput()), out = getInitType();
  if (failed(verifyMatrices(*this, {{"input", x}, {"out", out}})) ||
      failed(verifyElement(*this, "input", x, out.getElementType())))
    return failure();
  int64_t modules = getWeights().size();
  if (modules == 0)
    return emitOpError() << "expected at least one weight, got none";
  if (failed(verifyOffsets(*this, getOffsets(), modules)))
    return failure();
  if (getSlots() < 1 || (!getOrder() && getSlots() != 1))
    return emitOpError() << "slots: expected " << (getOrder() ? "at least 1" : "1 without order")
                         << ", got " << getSlots();
  if (failed(verifyOrder(*this, getOrder(), getSlots(), x.getDimSize(0), out.getDimSize(0))))
    return failure();
  for (int64_t e = 0; e < modules; ++e) {
    if (failed(verifyElement(*this, "weight " + Twine(e), shaped(getWeights()[e]),
                             out.getElementType())) ||
        failed(verifyWeight(*this, e, x.getDimSize(1), out.getDimSize(1))))
      return failure();
    if (isPacked(e) != isPacked(0))
      return emitOpError() << "weight " << e << ": expected "
                           << (isPacked(0) ? "a packed one" : "one that is not packed")
                           << ", as weight 0";
  }
  if (failed(verifyExtras(*this)))
    return failure();
  if (getSegmentExtras().size() % modules != 0)
    return emitOpError() << "segment extras: expected groups of " << modules << ", got "
                         << getSegmentExtras().size() << " in all";
  for (auto [index, extra] : llvm::enumerate(getSegmentExtras())) {
    ShapedType type = shaped(extra);
    Type element = shaped(getSegmentExtra(index / modules, 0)).getElementType();
    if (failed(verifyElement(*this, "segment extra " + Twine(index), type, element)))
      return failure();
    if (type.getRank() != 1)
      return differ(*this, "segment extra " + Twine(index) + " rank", 1, type.getRank());
    if (!agree(type.getDimSize(0), out.getDimSize(1)))
      return differ(*this, "segment extra " + Twine(index) + " dimension 0", out.getDimSize(1),
                    type.getDimSize(0));
  }
  if (getEpilogue().empty() && !getSegmentExtras().empty())
    return emitOpError() << "extras need an epilogue";
  return success();
}

LogicalResult SegmentedMatmulOp::verifyRegions() {
  return verifyEpilogue(*this, segmentedEpilogueTypes(getInit(), getExtras(), getSegmentExtras(),
                                                      getWeights().size()));
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
