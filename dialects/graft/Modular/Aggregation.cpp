//===- Aggregation.cpp - Aggregators: verification, and as onnx ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Modular.h"
#include "graft/Modular/RoutingTypes.h"
#include "graft/Modular/SymbolLookup.h"
#include "graft/Onnx/GraphBuilder.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::modular::detail;
using onnx::GraphBuilder;

static LogicalResult verifyParts(Operation *op, StringRef constraint, Value parts) {
  if (parts.getDefiningOp<ApplyOp>())
    return success();
  return op->emitOpError() << constraint << " expects the parts of a 'modular.apply'";
}

/// The slots of the route that the parts follow.
static int64_t slotsOf(Value parts) {
  return parts.getDefiningOp<ApplyOp>().getRoute().getType().getSlots();
}

//===----------------------------------------------------------------------===//
// Sums and concatenation
//===----------------------------------------------------------------------===//

LogicalResult AggregateOp::verify() {
  if (failed(verifyParts(*this, "(aggregate-C1)", getParts())))
    return failure();
  RankedTensorType expected = getParts().getType().getType();
  if (getAggregation() == Aggregation::Concatenation) {
    SmallVector<int64_t> shape(expected.getShape());
    std::optional<int64_t> width;
    if (shape.size() >= 2 && !ShapedType::isDynamic(shape.back()))
      width = llvm::checkedMul(shape.back(), slotsOf(getParts()));
    if (!width)
      return emitOpError()
             << "(aggregate-C2) expects parts of rank 2 and more whose last dimension "
                "is known, found "
             << expected;
    shape.back() = *width;
    expected = expected.clone(shape);
  }
  if (expected != getResult().getType())
    return emitOpError() << "(aggregate-C2) expects a result of type " << expected << ", found "
                         << getResult().getType();
  return success();
}

Value AggregateOp::buildSlotWeights(OpBuilder &builder, Value chosen, Value weights) {
  if (getAggregation() == Aggregation::Concatenation)
    return {};
  if (getAggregation() == Aggregation::WeightedSum)
    return weights;
  GraphBuilder b(getLoc(), builder);
  int64_t modules = cast<ApplyOp>(getParts().getDefiningOp()).getRoute().getType().getModules();
  Value filled = b.isWithin(chosen, modules);
  Value ones = b.where(filled, b.number(1, weights), b.number(0, weights));
  if (getAggregation() == Aggregation::Sum)
    return ones;
  return b.where(filled, b.binary<onnx::DivOp>(ones, b.sumOfRows(ones)), b.number(0, weights));
}

/// Side by side along the last dimension: of (rows, slots, …, n) the slots go before n.
Value AggregateOp::buildResult(OpBuilder &builder, Value slots, Value chosen, Value weights,
                               ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  auto type = cast<RankedTensorType>(slots.getType());
  const int64_t rank = type.getRank();
  SmallVector<int64_t> order = {0}, dims = {0};
  for (int64_t d = 2; d + 1 < rank; ++d) {
    order.push_back(d);
    dims.push_back(0);
  }
  llvm::append_values(order, int64_t(1), rank - 1);
  dims.push_back(type.getDimSize(1) * type.getDimSize(rank - 1));
  return b.reshape(rank == 3 ? slots : b.transpose(slots, order), dims);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult AggregateAttentionOp::verify() {
  if (failed(verifyParts(*this, "(aggregate_attention-C1)", getParts())))
    return failure();
  RankedTensorType part = getParts().getType().getType(), result = getResult().getType(),
                   query = getQuery().getType();
  auto agrees = [](int64_t a, int64_t b) {
    return a == b || ShapedType::isDynamic(a) || ShapedType::isDynamic(b);
  };
  if (part.getRank() != 2 || result.getRank() != 2 || query.getRank() != 2 ||
      !agrees(part.getDimSize(0), result.getDimSize(0)) ||
      !agrees(part.getDimSize(0), query.getDimSize(0)))
    return emitOpError()
           << "(aggregate_attention-C1) expects parts, query and result of rank 2 and "
              "as many rows, found "
           << part << ", " << query << " and " << result;
  auto isMatrix = [](Type type, int64_t in) {
    auto matrix = cast<RankedTensorType>(type);
    return matrix.getRank() == 2 && matrix.hasStaticShape() && matrix.getDimSize(1) == in;
  };
  RankedTensorType q = getQ().getType(), k = getK().getType();
  const int64_t width = part.getDimSize(1);
  if (!isMatrix(q, query.getDimSize(1)) || !isMatrix(k, width) ||
      q.getDimSize(0) != k.getDimSize(0))
    return emitOpError() << "(aggregate_attention-C2) expects Q and K of (k, "
                         << query.getDimSize(1) << ") and (k, " << width << "), found " << q
                         << " and " << k;
  const int64_t wide = result.getDimSize(1);
  if (!getV() && wide != width)
    return emitOpError() << "(aggregate_attention-C2) expects a V, or a result of width " << width
                         << ", found " << result;
  if (getV() && (!isMatrix(getV().getType(), width) ||
                 cast<RankedTensorType>(getV().getType()).getDimSize(0) != wide))
    return emitOpError() << "(aggregate_attention-C2) expects a V of (" << wide << ", " << width
                         << "), found " << getV().getType();
  return success();
}

Value AggregateAttentionOp::buildResult(OpBuilder &builder, Value slots, Value chosen,
                                        Value weights, ValueRange operands) {
  GraphBuilder b(getLoc(), builder);
  const int64_t count = slotsOf(getParts());
  const int64_t width = getParts().getType().getType().getDimSize(1);
  Value query = operands[0], q = operands[1], k = operands[2];
  Value places = b.reshape(slots, {-1, width}); // a slot a row
  auto perSlot = [&](Value rows) {
    return b.reshape(rows, {-1, count, cast<RankedTensorType>(rows.getType()).getDimSize(1)});
  };
  Value keys = perSlot(b.linear(places, k, Value()));
  Value asked = b.unsqueeze(b.linear(query, q, Value()), 1);
  Value scores = b.sumAlong(b.binary<onnx::MulOp>(keys, asked), 2);
  scores = b.binary<onnx::MulOp>(scores, b.number(getScale().convertToDouble(), scores));
  Value filled = b.predicate<onnx::GreaterOrEqualOp>(chosen, b.number(0, chosen));
  Value none = b.number(0, scores);
  Value shares = b.softmax(b.where(filled, scores, b.lowest(scores)));
  shares = b.unsqueeze(b.where(filled, shares, none), 2);
  Value values = operands.size() > 3 ? perSlot(b.linear(places, operands[3], Value())) : slots;
  return b.sumAlong(b.binary<onnx::MulOp>(values, shares), 1);
}

//===----------------------------------------------------------------------===//
// A body of one's own
//===----------------------------------------------------------------------===//

ParseResult AggregatorOp::parse(OpAsmParser &parser, OperationState &result) {
  auto build = [](Builder &builder, ArrayRef<Type> arguments, ArrayRef<Type> results,
                  function_interface_impl::VariadicFlag,
                  std::string &) { return builder.getFunctionType(arguments, results); };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false, getFunctionTypeAttrName(result.name), build,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void AggregatorOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false,
                                           getFunctionTypeAttrName(), getArgAttrsAttrName(),
                                           getResAttrsAttrName());
}

LogicalResult AggregatorOp::verifyRegions() {
  ArrayRef<Type> types = getArgumentTypes();
  auto slots = types.size() >= 3 ? dyn_cast<RankedTensorType>(types[0]) : nullptr;
  if (!slots || slots.getRank() < 2 || !areRoute(types[1], types[2]) ||
      slots.getDimSize(1) != cast<RankedTensorType>(types[1]).getDimSize(1))
    return emitOpError() << "(aggregator-C1) expects arguments of (rows, slots, …), of (rows, "
                            "slots) in i64 and of (rows, slots) in floats, found ("
                         << types << ")";
  auto yield = dyn_cast<YieldOp>(getBody().front().back());
  if (getResultTypes().size() != 1 || !yield ||
      yield.getOperandTypes() != TypeRange(getResultTypes()))
    return emitOpError() << "(aggregator-C2) expects one result, and a body that ends in a "
                            "'modular.yield' of it";
  return success();
}

LogicalResult AggregateByOp::verify() {
  return verifyParts(*this, "(aggregate_by-C1)", getParts());
}

LogicalResult AggregateByOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto aggregator = symbols.lookupNearestSymbolFrom<AggregatorOp>(*this, getAggregatorAttr());
  if (!aggregator)
    return emitOpError() << "(aggregate_by-C2) expects " << getAggregatorAttr()
                         << " to name an aggregator";
  // Of what it is given first, the parts tell the rows and the width, the route the slots.
  ArrayRef<Type> types = aggregator.getArgumentTypes();
  RankedTensorType slots = withSlots(getParts().getType().getType(), slotsOf(getParts()));
  bool ok = types.size() == 3 + getInputs().size() && fits(types[0], slots) &&
            fits(aggregator.getResultTypes().front(), getResult().getType());
  if (ok)
    for (auto [type, input] : llvm::zip(types.drop_front(3), getInputs()))
      ok = ok && fits(type, input.getType());
  if (!ok)
    return emitOpError() << "(aggregate_by-C2) expects " << getAggregatorAttr() << " to make "
                         << getResult().getType() << " of " << slots << ", the route and ("
                         << getInputs().getTypes() << "), found " << aggregator.getFunctionType();
  return success();
}

LogicalResult CollectOp::verify() {
  if (failed(verifyParts(*this, "(collect-C1)", getParts())))
    return failure();
  RankedTensorType expected = withSlots(getParts().getType().getType(), slotsOf(getParts()));
  if (getResult().getType() != expected)
    return emitOpError() << "(collect-C2) expects a result of type " << expected << ", found "
                         << getResult().getType();
  return success();
}
