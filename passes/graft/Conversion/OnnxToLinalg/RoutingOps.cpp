//===- RoutingOps.cpp - What the modules of a route give, brought together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Routing.h"

#include "graft/Dispatch/Exchange.h"
#include "graft/Modular/Exposure.h"

#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

FailureOr<Tensor> graft::lowering::lowerBody(Lowering &l, Block &body) {
  Location loc = l.b.getLoc();
  // What an earlier use of the parts made of the body may stand in a branch.
  const bool isAgain = llvm::any_of(body.without_terminator(), [&](Operation &op) {
    return op.getNumResults() != 0 && l.isLowered(op.getResult(0));
  });
  if (!isAgain && failed(l.lowerBlock(body)))
    return failure();
  if (isAgain)
    for (Operation &op : body.without_terminator())
      if (!isa<modular::RouteOfOp, modular::ApplyOp>(op) && failed(l.lower(&op)))
        return failure();
  l.b.setLoc(loc);
  return l.get(body.getTerminator()->getOperand(0));
}

/// The weight with which each row takes module `number`, and whether it does: both of (rows).
static std::pair<Tensor, Tensor> weightsOf(Lowering &l, Tensor chosen, Tensor weights,
                                           int64_t number) {
  Type boolean = l.b.getI1Type();
  auto isIt = [&](ImplicitLocOpBuilder &b, Value slot) -> Value {
    Value wanted = arith::ConstantOp::create(b, b.getI64IntegerAttr(number));
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, slot, wanted);
  };
  Tensor taken = l.map({chosen}, chosen.dims, boolean,
                       [&](ImplicitLocOpBuilder &b, ValueRange v) { return isIt(b, v[0]); });
  Tensor weight =
      l.map({chosen, weights}, chosen.dims, weights.element(),
            [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
              return arith::SelectOp::create(b, isIt(b, v[0]), v[1], lowering::number(b, v[1], 0));
            });
  Value no = arith::ConstantOp::create(l.b, l.b.getBoolAttr(false));
  return {l.reduce(weight, {false, true}, l.scalar(weights.element(), 0),
                   [](ImplicitLocOpBuilder &b, ValueRange v) { return add(b, v[0], v[1]); }),
          l.reduce(taken, {false, true}, no, [](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
            return arith::OrIOp::create(b, v[0], v[1]);
          })};
}

bool graft::lowering::showsRoutes(Region &body) {
  return body.walk([](modular::ExposeOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

Lowering::Places
graft::lowering::placesWithin(Lowering &l, modular::ApplyOp apply, const Polynomial &count,
                              function_ref<Value(ImplicitLocOpBuilder &, Value)> rowOf) {
  auto route = apply.getRoute().getDefiningOp<modular::RouteOfOp>();
  const Polynomial routed = l.get(route.getChosen()).dims[0];
  const std::optional<Lowering::Places> around = l.places;
  if (!around)
    return {l.generate({count}, l.b.getI64Type(),
                       [&](ImplicitLocOpBuilder &b, ValueRange at) { return rowOf(b, at[0]); }),
            routed};
  // As many rows for each of the route around it, as tokens are of a sequence.
  const Polynomial some = around->rows.dims[0];
  const Polynomial each = some.isConstant(0) ? Polynomial(0) : Polynomial::floorDiv(routed, some);
  const bool isKnown = each * some == routed;
  Value inner = l.index(isKnown ? each : Polynomial(1));
  Tensor rows =
      l.generate({count}, l.b.getI64Type(), [&](ImplicitLocOpBuilder &b, ValueRange at) -> Value {
        Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(-1));
        if (!isKnown) // nor is whose rows these are
          return none;
        Value zero = arith::ConstantOp::create(b, b.getI64IntegerAttr(0));
        Value row = rowOf(b, at[0]);
        Value is = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, row, none);
        Value factor = arith::IndexCastOp::create(b, b.getI64Type(), inner);
        Value safe = arith::SelectOp::create(b, is, row, zero);
        Value outer = arith::DivUIOp::create(b, safe, factor);
        Value rest = arith::RemUIOp::create(b, safe, factor);
        outer = arith::IndexCastOp::create(b, b.getIndexType(), outer);
        Value place = tensor::ExtractOp::create(b, around->rows.value, outer);
        Value came = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, place, none);
        place = arith::AddIOp::create(b, arith::MulIOp::create(b, place, factor), rest);
        is = arith::AndIOp::create(b, is, came);
        return arith::SelectOp::create(b, is, place, none);
      });
  return {rows, around->total * each};
}

/// Where the rows that take module `number` are among all, which a dense module sees.
static Lowering::Places placesOfTaken(Lowering &l, modular::ApplyOp apply, int64_t number) {
  auto route = apply.getRoute().getDefiningOp<modular::RouteOfOp>();
  Tensor taken = weightsOf(l, l.get(route.getChosen()), l.get(route.getWeights()), number).second;
  return placesWithin(l, apply, taken.dims[0], [&](ImplicitLocOpBuilder &b, Value at) -> Value {
    Value row = arith::IndexCastOp::create(b, b.getI64Type(), at);
    Value none = arith::ConstantOp::create(b, b.getI64IntegerAttr(-1));
    Value takes = tensor::ExtractOp::create(b, taken.value, at);
    return arith::SelectOp::create(b, takes, row, none);
  });
}

/// What each module makes of all rows.
static FailureOr<SmallVector<Tensor>> lowerBodies(Lowering &l, modular::ApplyOp apply) {
  SmallVector<Tensor> parts;
  for (auto [number, body] : llvm::enumerate(apply.getBodies())) {
    for (auto [argument, input] : llvm::zip(body.getArguments(), apply.getInputs()))
      l.set(argument, l.get(input));
    std::optional<Lowering::Places> own;
    if (showsRoutes(body))
      own = placesOfTaken(l, apply, number);
    llvm::SaveAndRestore places(l.places, own);
    FailureOr<Tensor> part = lowerBody(l, body.front());
    if (failed(part))
      return failure();
    parts.push_back(*part);
  }
  return parts;
}

/// The oracle: every module on every row, summed where the row takes it (the survey's
/// Algorithm 1).
static LogicalResult sumDense(Lowering &l, Value result, modular::ApplyOp apply,
                              modular::RouteOfOp route) {
  Tensor chosen = l.get(route.getChosen()), weights = l.get(route.getWeights());
  FailureOr<SmallVector<Tensor>> parts = lowerBodies(l, apply);
  if (failed(parts))
    return failure();
  const Dims &dims = l.dims(result);
  Tensor sum = l.filled(dims, l.scalar(l.element(result), 0));
  // A row's weight counts for all that follows the row.
  auto perRow = [&](Tensor x) {
    Dims padded = {x.dims[0]};
    padded.append(dims.size() - 1, Polynomial(1));
    return l.reshape(x, padded);
  };
  for (auto [number, part] : llvm::enumerate(*parts)) {
    auto [weight, taken] = weightsOf(l, chosen, weights, number);
    sum = l.map({sum, part, perRow(weight), perRow(taken)}, dims, sum.element(),
                [](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                  Value more =
                      add(b, v[0], mul(b, v[1], convert(b, v[2], v[1].getType(), false, false)));
                  return arith::SelectOp::create(b, v[3], more, v[0]);
                });
  }
  l.set(result, sum);
  return success();
}

/// The oracle of what is in the slots: every module on every row, kept in the slots that hold it.
static LogicalResult collectDense(Lowering &l, Value result, modular::ApplyOp apply,
                                  modular::RouteOfOp route) {
  FailureOr<SmallVector<Tensor>> parts = lowerBodies(l, apply);
  if (failed(parts))
    return failure();
  const Dims &dims = l.dims(result);
  Dims perSlot(dims.size(), Polynomial(1)), perRow = dims;
  perSlot[0] = dims[0];
  perSlot[1] = dims[1];
  perRow[1] = Polynomial(1);
  Tensor chosen = l.reshape(l.get(route.getChosen()), perSlot);
  Tensor slots = l.filled(dims, l.scalar(l.element(result), 0));
  for (auto [index, part] : llvm::enumerate(*parts)) {
    const int64_t number = index;
    slots = l.map({slots, l.reshape(part, perRow), chosen}, dims, slots.element(),
                  [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                    Value wanted = arith::ConstantOp::create(b, b.getI64IntegerAttr(number));
                    Value is = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, v[2], wanted);
                    return arith::SelectOp::create(
                        b, is, convert(b, v[1], v[0].getType(), false, false), v[0]);
                  });
  }
  l.set(result, slots);
  return success();
}

/// The parts of each row, summed in the order of its slots.
static void sumParts(Lowering &l, Value result, const Parts &parts, Tensor weights) {
  Type element = parts.values.element(), wide = l.b.getF32Type();
  if (weights.element() != element && weights.element() != wide)
    weights =
        l.map({weights}, weights.dims, wide, [&](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
          return convert(b, v[0], wide, false, false);
        });
  const Dims &dims = l.dims(result);
  Tensor init = l.empty({dims[0], parts.values.dims[1]}, element);
  auto combine = dispatch::CombineOp::create(l.b, parts.values.value, parts.position.value,
                                             weights.value, init.value);
  l.set(result, l.reshape({combine.getResult(0), init.dims}, dims));
}

/// Each slot is a row of its own, with one slot and no weight.
static void collectParts(Lowering &l, Value result, const Parts &parts) {
  const Dims &dims = l.dims(result);
  const Polynomial places = dims[0] * dims[1];
  Tensor position = l.reshape(parts.position, {places, Polynomial(1)});
  Tensor init = l.empty({places, parts.values.dims[1]}, parts.values.element());
  auto combine =
      dispatch::CombineOp::create(l.b, parts.values.value, position.value, Value(), init.value);
  l.set(result, l.reshape({combine.getResult(0), init.dims}, dims));
}

/// A weighted sum of parts, or the parts as a tensor.
static LogicalResult lowerUse(Lowering &l, Operation *op) {
  auto apply = op->getOperand(0).getDefiningOp<modular::ApplyOp>();
  auto route = apply ? apply.getRoute().getDefiningOp<modular::RouteOfOp>() : nullptr;
  auto aggregate = dyn_cast<modular::AggregateOp>(op);
  if (!route || !apply.isInlined() ||
      (aggregate && aggregate.getAggregation() != modular::Aggregation::WeightedSum))
    return l.unsupported(op, "it is not inlined (graft-inline-modules)");
  Value result = op->getResult(0);
  l.checkEqual(l.get(route.getWeights()).dims[0], l.get(route.getChosen()).dims[0],
               "weights have another number of rows than what is chosen");
  if (apply->hasAttr("modular.dense"))
    return aggregate ? sumDense(l, result, apply, route) : collectDense(l, result, apply, route);
  std::optional<Segmentation> segmentation = segmentModules(apply, l.shapes);
  if (!segmentation)
    return l.unsupported(op, "a module may let rows see each other, and it is not marked "
                             "modular.dense");
  FailureOr<Parts> parts = lowerParts(l, apply, *segmentation);
  if (failed(parts))
    return failure();
  if (aggregate)
    sumParts(l, result, *parts, l.get(route.getWeights()));
  else
    collectParts(l, result, *parts);
  return success();
}

static LogicalResult lowerExpose(Lowering &l, modular::ExposeOp op) {
  SmallVector<Value> operands;
  for (Value operand : op.getOperands())
    operands.push_back(l.get(operand).value);
  auto exchange = dispatch::ExchangeOp::create(
      l.b, TypeRange(ValueRange(operands)), op.getNumber(), operands.front(),
      operands.size() > 1 ? operands.back() : Value(), l.places ? l.places->rows.value : Value(),
      l.places ? l.index(l.places->total) : Value(), op.getFixed());
  for (auto [operand, from, to] :
       llvm::zip(op.getOperands(), op.getResults(), exchange.getResults()))
    l.set(from, {to, l.get(operand).dims});
  return success();
}

void graft::lowering::addRouting(Table &table) {
  table.addAll<modular::AggregateOp, modular::CollectOp>(lowerUse);
  table.add(lowerExpose);
}
