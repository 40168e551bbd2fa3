//===- InlineModules.cpp - Routers and modules become part of the backbone -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"

#include "graft/Analysis/Segments.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"

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
  Inliner(mlir::ModuleOp module, bool dense) : module(module), dense(dense) {}

  LogicalResult run(func::FuncOp main);

private:
  LogicalResult inlineRoute(RouteOp route);
  LogicalResult inlineApply(ApplyOp apply);
  void aggregateBySum(AggregateOp aggregate);
  /// Clones `op`, which stands in the body of a router or a module.
  void cloneInto(OpBuilder &builder, OpBuilder &outside, Operation &op, IRMapping &mapping);

  mlir::ModuleOp module;
  const bool dense;
  SymbolTableCollection symbols;
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
  } else if (auto selection = dyn_cast<SelectionOpInterface>(op)) {
    mapping.map(op.getResult(0),
                selection.buildSelection(builder, mapping.lookup(op.getOperand(0))));
  } else if (auto weigh = dyn_cast<WeighOp>(op)) {
    mapping.map(op.getResult(0), weigh.buildWeights(builder, mapping.lookup(weigh.getChosen()),
                                                    mapping.lookup(weigh.getScores())));
  } else {
    builder.clone(op, mapping);
  }
}

LogicalResult Inliner::inlineRoute(RouteOp route) {
  auto router = symbols.lookupNearestSymbolFrom<RouterOp>(module, route.getRouterAttr());
  if (!router)
    return route.emitError() << "expected " << route.getRouterAttr()
                             << " to name a 'modular.router', whose body can be inlined";
  OpBuilder builder(route);
  IRMapping mapping;
  mapping.map(router.getBody().getArguments(), route.getInputs());
  Block &body = router.getBody().front();
  for (Operation &op : body.without_terminator())
    cloneInto(builder, builder, op, mapping);
  auto routeOf = RouteOfOp::create(builder, route.getLoc(), route.getType(),
                                   mapping.lookupOrDefault(body.getTerminator()->getOperand(0)),
                                   mapping.lookupOrDefault(body.getTerminator()->getOperand(1)));
  route.replaceAllUsesWith(routeOf.getResult());
  route.erase();
  return success();
}

/// The ops of a block of the backbone that stand around `op`: where what no row changes is put.
static Operation *getOutermost(Operation *op) {
  while (!isa<func::FuncOp>(op->getParentOp()))
    op = op->getParentOp();
  return op;
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
    Block &from = function.getFunctionBody().front();
    Block &to = inlined.getBodies()[index].emplaceBlock();
    IRMapping mapping;
    for (BlockArgument argument : from.getArguments())
      mapping.map(argument, to.addArgument(argument.getType(), argument.getLoc()));
    auto inside = OpBuilder::atBlockEnd(&to);
    for (Operation &op : from)
      cloneInto(inside, outside, op, mapping);
    to.walk([&](ApplyOp nested) {
      within[nested] = chain;
      within[nested].push_back(symbol.getAttr());
    });
  }
  within.erase(apply);
  apply.replaceAllUsesWith(inlined.getParts());
  apply.erase();
  return success();
}

/// Any aggregator becomes a weighted sum: its weights take the place of the route's.
void Inliner::aggregateBySum(AggregateOp aggregate) {
  if (aggregate.getAggregation() == Aggregation::WeightedSum)
    return;
  auto apply = cast<ApplyOp>(aggregate.getParts().getDefiningOp());
  auto route = cast<RouteOfOp>(apply.getRoute().getDefiningOp());
  OpBuilder builder(apply);
  Value weights = cast<AggregatorOpInterface>(*aggregate)
                      .buildSlotWeights(builder, route.getChosen(), route.getWeights());
  Value weighted =
      RouteOfOp::create(builder, aggregate.getLoc(), route.getType(), route.getChosen(), weights);
  // Another aggregate may read the same parts with other weights.
  auto own = cast<ApplyOp>(builder.clone(*apply));
  own.getRouteMutable().assign(weighted);
  aggregate.getPartsMutable().assign(own.getParts());
  aggregate.setAggregation(Aggregation::WeightedSum);
  if (apply->use_empty())
    apply.erase();
  if (route->use_empty())
    route.erase();
}

LogicalResult Inliner::run(func::FuncOp main) {
  // What is inlined may route in turn.
  for (;;) {
    SmallVector<RouteOp> routes;
    SmallVector<ApplyOp> applies;
    main.walk([&](Operation *op) {
      if (auto route = dyn_cast<RouteOp>(op); route && route.getType().isPerRow())
        routes.push_back(route);
      if (auto apply = dyn_cast<ApplyOp>(op); apply && !apply.isInlined())
        applies.push_back(apply);
    });
    if (routes.empty() && applies.empty())
      break;
    for (RouteOp route : routes)
      if (failed(inlineRoute(route)))
        return failure();
    for (ApplyOp apply : applies)
      if (failed(inlineApply(apply)))
        return failure();
  }
  SmallVector<AggregateOp> aggregates;
  main.walk([&](AggregateOp aggregate) { aggregates.push_back(aggregate); });
  for (AggregateOp aggregate : aggregates)
    aggregateBySum(aggregate);
  if (aggregates.empty())
    return success();
  // What a dense body sees is all rows, what a segmented one sees the slots: shapes tell.
  main.walk([&](ApplyOp apply) {
    if (dense || !segmentBodies(apply))
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
      auto router = dyn_cast<RouterOp>(op);
      auto inlined = dyn_cast<ModuleOpInterface>(op);
      if ((router && !router.isFixedByTask()) ||
          (inlined && inlined.getComposition() == Composition::Function))
        op.erase();
    }
  }
};
} // namespace
