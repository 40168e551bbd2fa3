//===- SegmentedOps.cpp - Builders and verifiers of plans and of what follows them -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Verify.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;
using namespace graft::dispatch;
using namespace graft::dispatch::detail;

LogicalResult graft::dispatch::detail::verifyOffsets(Operation *op, Value offsets,
                                                     int64_t modules) {
  ShapedType type = shaped(offsets);
  if (type.getRank() != 1)
    return differ(op, "offsets rank", 1, type.getRank());
  if (modules && type.getDimSize(0) != modules + 1)
    return op->emitOpError() << "offsets: expected a static size of " << modules + 1 << ", got "
                             << type;
  if (type.isDynamicDim(0) || type.getDimSize(0) < 2)
    return op->emitOpError() << "offsets: expected a static size of at least 2, got " << type;
  return success();
}

/// slots · rows, or kDynamic if that is not known.
static std::optional<int64_t> slotsOf(int64_t rows, int64_t slots) {
  if (ShapedType::isDynamic(rows) || ShapedType::isDynamic(slots))
    return ShapedType::kDynamic;
  return llvm::checkedMul(rows, slots);
}

LogicalResult graft::dispatch::detail::verifyOrder(Operation *op, Value order, int64_t slots,
                                                   int64_t from, int64_t rows) {
  std::optional<int64_t> expected = slotsOf(from, slots);
  if (!expected)
    return op->emitOpError() << slots << " slots for each of " << from
                             << " rows: expected less than 2^63 in all";
  if (!agree(*expected, rows))
    return differ(op, "out dimension 0", *expected, rows);
  if (!order)
    return success();
  ShapedType type = shaped(order);
  if (type.getRank() != 1)
    return differ(op, "order rank", 1, type.getRank());
  if (!agree(type.getDimSize(0), rows))
    return differ(op, "order dimension 0", rows, type.getDimSize(0));
  return success();
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

void PlanOp::build(OpBuilder &builder, OperationState &state, Value keys, Value order,
                   Value offsets, Value position) {
  state.addOperands({keys, order, offsets, position});
  for (Value init : {order, offsets, position})
    addInitResult(state, init);
}

LogicalResult PlanOp::verify() {
  ShapedType keys = shaped(getKeys()), order = shaped(getOrder()), position = shaped(getPosition());
  for (auto [what, type] : {std::pair{"keys", keys}, std::pair{"position", position}})
    if (type.getRank() != 2)
      return differ(*this, what + Twine(" rank"), 2, type.getRank());
  for (int64_t d = 0; d < 2; ++d)
    if (!agree(keys.getDimSize(d), position.getDimSize(d)))
      return differ(*this, "position dimension " + Twine(d), keys.getDimSize(d),
                    position.getDimSize(d));
  if (order.getRank() != 1)
    return differ(*this, "order rank", 1, order.getRank());
  std::optional<int64_t> slots = slotsOf(keys.getDimSize(0), keys.getDimSize(1));
  if (!slots)
    return emitOpError() << "keys: expected less than 2^63 in all, got " << keys;
  if (!agree(*slots, order.getDimSize(0)))
    return differ(*this, "order dimension 0", *slots, order.getDimSize(0));
  return verifyOffsets(*this, getOffsets(), 0);
}

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

void GatherOp::build(OpBuilder &builder, OperationState &state, Value input, Value order,
                     Value offsets, Value init, int64_t slots) {
  state.addOperands({input, order, offsets, init});
  state.getOrAddProperties<Properties>().slots = builder.getI64IntegerAttr(slots);
  addInitResult(state, init);
}

LogicalResult GatherOp::verify() {
  ShapedType x = shaped(getInput()), out = getInitType();
  if (failed(verifyMatrices(*this, {{"input", x}, {"out", out}})) ||
      failed(verifyElement(*this, "input", x, out.getElementType())))
    return failure();
  if (!agree(x.getDimSize(1), out.getDimSize(1)))
    return differ(*this, "input dimension 1", out.getDimSize(1), x.getDimSize(1));
  int64_t slots = getSlots();
  if (slots < 1)
    return emitOpError() << "slots: expected at least 1, got " << slots;
  if (failed(verifyOrder(*this, getOrder(), slots, x.getDimSize(0), out.getDimSize(0))))
    return failure();
  return verifyOffsets(*this, getOffsets(), 0);
}

//===----------------------------------------------------------------------===//
// combine
//===----------------------------------------------------------------------===//

void CombineOp::build(OpBuilder &builder, OperationState &state, Value parts, Value position,
                      Value weights, Value init) {
  state.addOperands({parts, position});
  if (weights)
    state.addOperands(weights);
  state.addOperands(init);
  addInitResult(state, init);
}

LogicalResult CombineOp::verify() {
  ShapedType parts = shaped(getParts()), position = shaped(getPosition()), out = getInitType();
  if (failed(verifyMatrices(*this, {{"parts", parts}, {"position", position}, {"out", out}})) ||
      failed(verifyElement(*this, "parts", parts, out.getElementType())))
    return failure();
  if (!agree(parts.getDimSize(1), out.getDimSize(1)))
    return differ(*this, "parts dimension 1", out.getDimSize(1), parts.getDimSize(1));
  if (!agree(position.getDimSize(0), out.getDimSize(0)))
    return differ(*this, "position dimension 0", out.getDimSize(0), position.getDimSize(0));
  if (!getWeights())
    return success();
  ShapedType weights = shaped(getWeights());
  if (!weights.getElementType().isF32() && weights.getElementType() != out.getElementType())
    return emitOpError() << "weights: expected element type 'f32' or " << out.getElementType()
                         << ", got " << weights.getElementType();
  if (weights.getRank() != 2)
    return differ(*this, "weights rank", 2, weights.getRank());
  for (int64_t d = 0; d < 2; ++d)
    if (!agree(weights.getDimSize(d), position.getDimSize(d)))
      return differ(*this, "weights dimension " + Twine(d), position.getDimSize(d),
                    weights.getDimSize(d));
  return success();
}
