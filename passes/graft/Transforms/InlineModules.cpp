//===- InlineModules.cpp - Routers and modules become part of the backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ExposeRoutes.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "graft/Analysis/Segments.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/GraphBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace graft {
#define GEN_PASS_DEF_INLINEMODULESPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;

namespace {
class Inliner {
public:
  Inliner(mlir::ModuleOp module, bool dense) : module(module), dense(dense), exposer(module) {}

  LogicalResult run(func::FuncOp main);

private:
  LogicalResult inlineRoute(RouteOp route);
  LogicalResult inlineApply(ApplyOp apply);
  LogicalResult inlineAggregator(AggregateByOp aggregate);
  void expandAggregator(AggregatorOpInterface aggregate);
  /// Clones `op`, which stands in the body of a router, a module or an aggregator.
  void cloneInto(OpBuilder &builder, OpBuilder &outside, Operation &op, IRMapping &mapping);

  mlir::ModuleOp module;
  const bool dense;
  SymbolTableCollection symbols;
  RouteExposer exposer;
  /// The modules that an apply has come out of, outermost first.
  llvm::DenseMap<Operation *, SmallVector<StringAttr>> within;
};
} // namespace

/// Whether the op reads nothing that differs from row to row: it moves out of a module's body, so
/// that parameters are bound for each task where all others are.
static bool isOfParameters(Operation &op, const IRMapping &hoisted) {
  if (!isa<onnx::ConstantOp, SiteOp, AdaptOp>(op) &&
      !(isa<RouteOp>(op) && op.getNumOperands() == 0))
    return false;
  return llvm::all_of(op.getOperands(), [&](Value value) { return hoisted.contains(value); });
}

void Inliner::cloneInto(OpBuilder &builder, OpBuilder &outside, Operation &op, IRMapping &mapping) {
  if (isOfParameters(op, mapping)) {
    outside.clone(op, mapping);
  } else if (auto step = dyn_cast<RouterStepOpInterface>(op)) {
    auto operands = llvm::map_to_vector(
        op.getOperands(), [&](Value value) { return mapping.lookupOrDefault(value); });
    mapping.map(op.getResult(0), step.buildStep(builder, operands));
  } else {
    builder.clone(op, mapping);
  }
}

/// The ops of a block of the backbone that stand around `op`: where what no row changes is put.
static Operation *getOutermost(Operation *op) {
  while (!isa<func::FuncOp>(op->getParentOp()))
    op = op->getParentOp();
  return op;
}

LogicalResult Inliner::inlineRoute(RouteOp route) {
  auto router = symbols.lookupNearestSymbolFrom<RouterOpInterface>(module, route.getRouterAttr());
  Region *body = router ? router.getRouteBody() : nullptr;
  if (!body)
    return route.emitError() << "expected " << route.getRouterAttr()
                             << " to name a router with a body, which can be inlined";
  OpBuilder builder(route), outside(getOutermost(route));
  IRMapping mapping;
  mapping.map(body->getArguments(), route.getInputs());
  Operation *yield = body->front().getTerminator();
  exposer.begin(builder, route, router, mapping);
  for (Operation &op : body->front().without_terminator()) {
    cloneInto(builder, outside, op, mapping);
    exposer.inlined(builder, &op, mapping);
  }
  auto [chosen, weights] = exposer.end(builder, mapping.lookupOrDefault(yield->getOperand(0)),
                                       mapping.lookupOrDefault(yield->getOperand(1)));
  auto routeOf = RouteOfOp::create(builder, route.getLoc(), route.getType(), chosen, weights);
  exposer.setRoute(routeOf.getResult());
  route.replaceAllUsesWith(routeOf.getResult());
  route.erase();
  return success();
}

LogicalResult Inliner::inlineApply(ApplyOp apply) {
  SmallVector<StringAttr> chain = within.lookup(apply);
  OpBuilder builder(apply);
  auto inlined =
      ApplyOp::create(builder, apply.getLoc(), apply.getType(), apply.getRoute(), apply.getInputs(),
                      builder.getArrayAttr({}), apply.getModules().size());
  OpBuilder outside(getOutermost(inlined));
  for (auto [index, symbol] : llvm::enumerate(apply.getModules().getAsRange<FlatSymbolRefAttr>())) {
    if (llvm::is_contained(chain, symbol.getAttr()))
      return apply.emitError() << "expected modules that do not contain themselves, found "
                               << symbol << " within itself";
    auto function = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(module, symbol);
    exposer.addModule(apply.getRoute(), index, function);
    Block &from = function.getFunctionBody().front();
    Block &to = inlined.getBodies()[index].emplaceBlock();
    IRMapping mapping;
    for (BlockArgument argument : from.getArguments())
      mapping.map(argument, to.addArgument(argument.getType(), argument.getLoc()));
    auto inside = OpBuilder::atBlockEnd(&to);
    for (Operation &op : from)
      cloneInto(inside, outside, op, mapping);
    to.walk([&, symbol = symbol](ApplyOp nested) {
      within[nested] = chain;
      within[nested].push_back(symbol.getAttr());
    });
  }
  within.erase(apply);
  apply.replaceAllUsesWith(inlined.getParts());
  apply.erase();
  return success();
}

/// What is chosen with −1 in every slot that is empty, as aggregators see it.
static Value buildChosen(OpBuilder &builder, RouteOfOp route) {
  onnx::GraphBuilder b(route.getLoc(), builder);
  Value chosen = route.getChosen();
  Value filled = b.isWithin(chosen, route.getType().getModules());
  return b.where(filled, chosen, b.number(-1, chosen));
}

/// What the parts hold as a tensor: (rows, slots, …).
static Value buildSlots(OpBuilder &builder, Location loc, TypedValue<PartsType> parts) {
  const int64_t slots = parts.getDefiningOp<ApplyOp>().getRoute().getType().getSlots();
  return CollectOp::create(builder, loc, withSlots(parts.getType().getType(), slots), parts);
}

LogicalResult Inliner::inlineAggregator(AggregateByOp aggregate) {
  auto aggregator =
      symbols.lookupNearestSymbolFrom<AggregatorOp>(module, aggregate.getAggregatorAttr());
  auto apply = aggregate.getParts().getDefiningOp<ApplyOp>();
  auto route = apply.getRoute().getDefiningOp<RouteOfOp>();
  if (!route)
    return aggregate.emitError() << "expected parts of a route for each row";
  OpBuilder builder(aggregate), outside(getOutermost(aggregate));
  SmallVector<Value> given = {buildSlots(builder, aggregate.getLoc(), aggregate.getParts()),
                              buildChosen(builder, route), route.getWeights()};
  llvm::append_range(given, aggregate.getInputs());
  Block &body = aggregator.getBody().front();
  IRMapping mapping;
  mapping.map(body.getArguments(), given);
  for (Operation &op : body.without_terminator())
    cloneInto(builder, outside, op, mapping);
  aggregate.replaceAllUsesWith(mapping.lookupOrDefault(body.getTerminator()->getOperand(0)));
  aggregate.erase();
  return success();
}

/// A sum's weights take the place of the route's; any other aggregator becomes ops on the slots.
void Inliner::expandAggregator(AggregatorOpInterface aggregate) {
  if (auto op = dyn_cast<AggregateOp>(*aggregate);
      op && op.getAggregation() == Aggregation::WeightedSum)
    return;
  auto apply = aggregate->getOperand(0).getDefiningOp<ApplyOp>();
  auto route = apply.getRoute().getDefiningOp<RouteOfOp>();
  OpBuilder builder(apply);
  Value result;
  if (Value weights = aggregate.buildSlotWeights(builder, route.getChosen(), route.getWeights())) {
    Value weighted =
        RouteOfOp::create(builder, aggregate.getLoc(), route.getType(), route.getChosen(), weights);
    // Another aggregate may read the same parts with other weights.
    auto own = cast<ApplyOp>(builder.clone(*apply));
    own.getRouteMutable().assign(weighted);
    builder.setInsertionPoint(aggregate);
    result = AggregateOp::create(builder, aggregate.getLoc(), aggregate->getResult(0).getType(),
                                 Aggregation::WeightedSum, own.getParts());
  } else {
    builder.setInsertionPoint(aggregate);
    Value slots = buildSlots(builder, aggregate.getLoc(), apply.getParts());
    result = aggregate.buildResult(builder, slots, buildChosen(builder, route), route.getWeights(),
                                   aggregate->getOperands().drop_front());
  }
  aggregate->getResult(0).replaceAllUsesWith(result);
  aggregate->erase();
  if (apply->use_empty())
    apply.erase();
  if (route->use_empty())
    route.erase();
}

LogicalResult Inliner::run(func::FuncOp main) {
  bool anyMixture = false;
  // What is inlined may route in turn.
  for (;;) {
    SmallVector<RouteOp> routes;
    SmallVector<ApplyOp> applies;
    SmallVector<AggregateByOp> aggregates;
    main.walk([&](Operation *op) {
      if (auto route = dyn_cast<RouteOp>(op); route && route.getType().isPerRow())
        routes.push_back(route);
      else if (auto apply = dyn_cast<ApplyOp>(op); apply && !apply.isInlined())
        applies.push_back(apply);
      else if (auto aggregate = dyn_cast<AggregateByOp>(op))
        aggregates.push_back(aggregate);
      anyMixture |= isa<ApplyOp>(op);
    });
    if (routes.empty() && applies.empty() && aggregates.empty())
      break;
    for (RouteOp route : routes)
      if (failed(inlineRoute(route)))
        return failure();
    for (ApplyOp apply : applies)
      if (failed(inlineApply(apply)))
        return failure();
    for (AggregateByOp aggregate : aggregates)
      if (failed(inlineAggregator(aggregate)))
        return failure();
  }
  exposer.record();
  SmallVector<AggregatorOpInterface> aggregates;
  main.walk([&](AggregatorOpInterface aggregate) { aggregates.push_back(aggregate); });
  for (AggregatorOpInterface aggregate : aggregates)
    expandAggregator(aggregate);
  if (!anyMixture)
    return success();
  // What a dense body sees is all rows, what a segmented one sees the slots: shapes tell.
  const SymbolicShapes shapes(main);
  main.walk([&](ApplyOp apply) {
    if (dense || !segmentModules(apply, shapes))
      apply->setAttr("modular.dense", UnitAttr::get(apply.getContext()));
  });
  inferShapes(main);
  return success();
}

namespace {
struct InlineModulesPass : graft::impl::InlineModulesPassBase<InlineModulesPass> {
  using InlineModulesPassBase::InlineModulesPassBase;

  void runOnOperation() override {
    mlir::ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal())
      return;
    if (failed(Inliner(module, dense).run(main)))
      return signalPassFailure();
    // Nothing refers to the bodies any more.
    for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
      auto router = dyn_cast<RouterOpInterface>(op);
      auto inlined = dyn_cast<ModuleOpInterface>(op);
      if ((router && router.getRouteBody()) || isa<AggregatorOp>(op) ||
          (inlined && inlined.getComposition() == Composition::Function))
        op.erase();
    }
  }
};
} // namespace
