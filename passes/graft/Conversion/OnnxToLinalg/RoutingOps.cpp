//===- RoutingOps.cpp - What the modules of a route give, brought together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/Routing.h"

using namespace mlir;
using namespace graft;
using namespace graft::lowering;

/// What a module makes of `inputs`: the body is lowered where the builder stands.
static FailureOr<Tensor> lowerBody(Lowering &l, Block &body, ArrayRef<Tensor> inputs) {
  for (auto [argument, input] : llvm::zip(body.getArguments(), inputs))
    l.set(argument, input);
  Location loc = l.b.getLoc();
  if (failed(l.lowerBlock(body)))
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

/// The oracle: every module on every row, summed where the row takes it (the survey's
/// Algorithm 1).
static LogicalResult lowerDense(Lowering &l, modular::AggregateOp op, modular::ApplyOp apply,
                                modular::RouteOfOp route) {
  Tensor chosen = l.get(route.getChosen()), weights = l.get(route.getWeights());
  SmallVector<Tensor> inputs;
  for (Value input : apply.getInputs())
    inputs.push_back(l.get(input));
  const Dims &dims = l.dims(op.getResult());
  Tensor sum = l.filled(dims, l.scalar(l.element(op.getResult()), 0));
  // A row's weight counts for all that follows the row.
  auto perRow = [&](Tensor x) {
    Dims padded = {x.dims[0]};
    padded.append(dims.size() - 1, Polynomial(1));
    return l.reshape(x, padded);
  };
  for (auto &&[number, body] : llvm::enumerate(apply.getBodies())) {
    FailureOr<Tensor> part = lowerBody(l, body.front(), inputs);
    if (failed(part))
      return failure();
    auto [weight, taken] = weightsOf(l, chosen, weights, number);
    sum = l.map({sum, *part, perRow(weight), perRow(taken)}, dims, sum.element(),
                [](ImplicitLocOpBuilder &b, ValueRange v) -> Value {
                  Value more =
                      add(b, v[0], mul(b, v[1], convert(b, v[2], v[1].getType(), false, false)));
                  return arith::SelectOp::create(b, v[3], more, v[0]);
                });
  }
  l.set(op.getResult(), sum);
  return success();
}

static LogicalResult lowerAggregate(Lowering &l, modular::AggregateOp op) {
  auto apply = op.getParts().getDefiningOp<modular::ApplyOp>();
  auto route = apply ? apply.getRoute().getDefiningOp<modular::RouteOfOp>() : nullptr;
  if (!route || !apply.isInlined() || op.getAggregation() != modular::Aggregation::WeightedSum)
    return l.unsupported(op, "it is not inlined (graft-inline-modules)");
  if (apply->hasAttr("modular.dense"))
    return lowerDense(l, op, apply, route);
  if (auto ops = segmentBodies(apply))
    return lowerSegmented(l, op, apply, route, *ops);
  return l.unsupported(op, "its modules differ, and it is not marked modular.dense");
}

void graft::lowering::addRouting(Table &table) { table.add(lowerAggregate); }
