//===- FoldRoutes.cpp - Routes that a task's parameters decide are evaluated -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A body that several stages run is copied where their routes differ; copies that differ in nothing
// but which parameters they read are one body again.
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Exposure.h"
#include "graft/Modular/ParameterValues.h"
#include "graft/Onnx/GraphBuilder.h"
#include "graft/Reference/ConstantRoutes.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StagePlan.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

namespace graft {
#define GEN_PASS_DEF_FOLDROUTESPASS
#include "graft/Transforms/Passes.h.inc"
} // namespace graft

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using reference::ConstantRoute;

namespace {
/// The routes of a body that are the same for all rows of one stage.
struct Routes {
  std::vector<std::optional<ConstantRoute>> applied; ///< of each inlined apply, in order
  std::vector<std::optional<ConstantRoute>> shown;   ///< of each expose with weights, in order

  bool operator==(const Routes &other) const {
    return applied == other.applied && shown == other.shown;
  }
  bool any() const {
    return llvm::any_of(applied, [](const auto &route) { return route.has_value(); });
  }
};

class RouteFolder {
public:
  explicit RouteFolder(mlir::ModuleOp module) : module(module) {}
  void run();

private:
  Routes evaluate(func::FuncOp body, StageOp stage);
  std::optional<reference::Tensor> read(func::FuncOp body, StageOp stage, BlockArgument argument);
  void foldBody(func::FuncOp body);
  void mergeBodies();

  mlir::ModuleOp module;
};
} // namespace

/// What is applied and shown, in order.
static std::pair<SmallVector<ApplyOp>, SmallVector<ExposeOp>> findRoutes(func::FuncOp body) {
  std::pair<SmallVector<ApplyOp>, SmallVector<ExposeOp>> found;
  body.walk([&](Operation *op) {
    if (auto apply = dyn_cast<ApplyOp>(op); apply && apply.isInlined())
      found.first.push_back(apply);
    else if (auto expose = dyn_cast<ExposeOp>(op); expose && expose.getWeights())
      found.second.push_back(expose);
  });
  return found;
}

/// Whether what is made of the parts can be made of the results of single modules.
static bool canFold(ApplyOp apply) {
  auto type = apply.getParts().getType().getType();
  const bool knowsZeros = llvm::none_of(type.getShape().drop_front(), ShapedType::isDynamic);
  return knowsZeros && !apply->hasAttr("modular.dense") &&
         llvm::all_of(apply->getUsers(), [](Operation *user) {
           auto aggregate = dyn_cast<AggregateOp>(user);
           return isa<CollectOp>(user) ||
                  (aggregate && aggregate.getAggregation() == Aggregation::WeightedSum);
         });
}

std::optional<reference::Tensor> RouteFolder::read(func::FuncOp body, StageOp stage,
                                                   BlockArgument argument) {
  if (argument.getOwner()->getParentOp() != body)
    return std::nullopt;
  auto slot = body.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "modular.slot");
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  constexpr int64_t kMost = 1 << 20; // routes are decided by few numbers
  if (!slot || !type || !isa<FloatType>(type.getElementType()) || type.getNumElements() > kMost)
    return std::nullopt;
  auto parameter = module.lookupSymbol<ParameterOp>(
      cast<FlatSymbolRefAttr>(stage.getParameters()[slot.getInt()]));
  auto values = readElements(parameter, parameter.getValue());
  if (failed(values))
    return std::nullopt;
  return reference::Tensor(reference::Tensor::Float, type.getShape(), std::move(*values));
}

Routes RouteFolder::evaluate(func::FuncOp body, StageOp stage) {
  reference::ConstantRows rows([&](BlockArgument argument) { return read(body, stage, argument); });
  auto [applies, exposed] = findRoutes(body);
  Routes routes;
  for (ApplyOp apply : applies) {
    auto route = apply.getRoute().getDefiningOp<RouteOfOp>();
    routes.applied.push_back(
        route && canFold(apply)
            ? rows.get(route.getChosen(), route.getWeights(), route.getType().getModules())
            : std::nullopt);
  }
  for (ExposeOp expose : exposed)
    routes.shown.push_back(
        rows.get(expose.getChosen(), expose.getWeights(), std::numeric_limits<int64_t>::max()));
  return routes;
}

//===----------------------------------------------------------------------===//
// One body
//===----------------------------------------------------------------------===//

/// What module `number` makes of all rows, computed at `builder`.
static Value applyModule(OpBuilder &builder, ApplyOp apply, int64_t number) {
  Block &from = apply.getBodies()[unsigned(number)].front();
  IRMapping mapping;
  mapping.map(from.getArguments(), apply.getInputs());
  for (Operation &op : from.without_terminator())
    builder.clone(op, mapping);
  return mapping.lookupOrDefault(from.getTerminator()->getOperand(0));
}

/// Zeros in the form of what the modules make.
static Value buildZeros(onnx::GraphBuilder &b, ApplyOp apply) {
  auto type = apply.getParts().getType().getType();
  Value rows = b.sizeOf(apply.getInputs().front(), 0);
  SmallVector<Value> sizes = {rows};
  if (type.getRank() > 1)
    sizes.push_back(b.integers(type.getShape().drop_front()));
  Value scalar = onnx::ConstantOp::create(
      b, RankedTensorType::get({}, type.getElementType()),
      cast<DenseElementsAttr>(b.getZeroAttr(RankedTensorType::get({}, type.getElementType()))));
  return onnx::ExpandOp::create(b, type, scalar, b.concat(sizes, 0));
}

namespace {
/// A body, and the stages that run it, all with the same routes.
struct Body {
  func::FuncOp function;
  ArrayRef<StageOp> stages;

  /// Numbers as a parameter: bodies that differ in nothing else are one.
  Value addSlot(Location loc, const Twine &name, ArrayRef<double> values, Type element) {
    Builder builder(function.getContext());
    OpBuilder before(function);
    auto parameter = createParameter(before, loc, name.str(),
                                     RankedTensorType::get(int64_t(values.size()), element),
                                     roundElements(values, element));
    const int64_t slot = int64_t(StageOp(stages.front()).getParameters().size());
    for (StageOp stage : stages) {
      SmallVector<Attribute> parameters(stage.getParameters().getValue());
      parameters.push_back(FlatSymbolRefAttr::get(parameter.getSymNameAttr()));
      stage.setParametersAttr(builder.getArrayAttr(parameters));
    }
    const unsigned index = function.getNumArguments();
    (void)function.insertArgument(index, parameter.getType(),
                                  builder.getDictionaryAttr(builder.getNamedAttr(
                                      "modular.slot", builder.getI64IntegerAttr(slot))),
                                  loc);
    return function.getArgument(index);
  }
};
} // namespace

static void foldApply(Body body, ApplyOp apply, const ConstantRoute &route) {
  OpBuilder builder(apply);
  onnx::GraphBuilder b(apply.getLoc(), builder);
  llvm::DenseMap<int64_t, Value> made;
  SmallVector<Value> parts; // by slot, null where it is empty
  bool isWeighted = false;
  for (auto [number, weight] : llvm::zip(route.chosen, route.weights)) {
    Value &part = made[number];
    if (!part && number >= 0)
      part = applyModule(b, apply, number);
    parts.push_back(part);
    isWeighted |= part && weight != 1;
  }
  Value zeros, factors;
  if (llvm::is_contained(parts, Value()))
    zeros = buildZeros(b, apply);
  if (isWeighted)
    factors = body.addSlot(apply.getLoc(), "route.weights", route.weights,
                           getElementTypeOrSelf(apply.getParts().getType().getType()));
  for (Operation *user : llvm::make_early_inc_range(apply->getUsers())) {
    Value result;
    if (isa<CollectOp>(user)) {
      SmallVector<Value> slots;
      for (Value part : parts)
        slots.push_back(b.unsqueeze(part ? part : zeros, 1));
      result = slots.size() == 1 ? slots.front() : b.concat(slots, 1);
    } else {
      for (auto [slot, part] : llvm::enumerate(parts)) {
        if (!part)
          continue;
        Value weighted = part;
        if (route.weights[slot] != 1) {
          Value factor = b.slice(factors, 0, int64_t(slot), int64_t(slot) + 1);
          weighted = onnx::MulOp::create(b, part.getType(), part, factor);
        }
        result = result ? b.binary<onnx::AddOp>(result, weighted) : weighted;
      }
      result = result ? result : zeros;
    }
    user->getResult(0).replaceAllUsesWith(result);
    user->erase();
  }
  apply.erase();
}

/// The number of rows as it was known before the first row was computed, (1).
static Value buildRowCount(onnx::GraphBuilder &b, Value rows) {
  if (int64_t count = cast<RankedTensorType>(rows.getType()).getDimSize(0);
      !ShapedType::isDynamic(count))
    return b.integers(count);
  llvm::SetVector<Operation *> cone;
  onnx::ExpandOp first;
  for (cone.insert(rows.getDefiningOp()); !cone.empty();) {
    Operation *op = cone.pop_back_val();
    if (auto expand = dyn_cast<onnx::ExpandOp>(op);
        expand && (!first || expand->isBeforeInBlock(first)))
      first = expand;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand ? operand.getDefiningOp() : nullptr)
        cone.insert(producer);
  }
  return first ? b.slice(first.getShape(), 0, 0, 1) : b.sizeOf(rows, 0);
}

/// What is shown is a parameter, which no host changes.
static void fixShown(Body body, ExposeOp expose, const ConstantRoute &route) {
  OpBuilder builder(expose);
  onnx::GraphBuilder b(expose.getLoc(), builder);
  Value rows = buildRowCount(b, expose.getChosen());
  Value shape = b.concat({rows, b.integers(int64_t(route.chosen.size()))}, 0);
  auto add = [&](StringRef name, ArrayRef<double> values, Type element) {
    return body.addSlot(expose.getLoc(), expose.getRouter() + name, values, element);
  };
  SmallVector<double> numbers(route.chosen.begin(), route.chosen.end());
  Value chosen = b.cast(add(".chosen", numbers, b.getF32Type()), b.getI64Type());
  Value weights =
      add(".weights", route.weights, getElementTypeOrSelf(expose.getWeights().getType()));
  chosen = onnx::ExpandOp::create(b, expose.getChosen().getType(), chosen, shape);
  weights = onnx::ExpandOp::create(b, expose.getWeights().getType(), weights, shape);
  expose.getChosenMutable().assign(chosen);
  expose.getWeightsMutable().assign(weights);
  expose.setFixed(true);
}

/// Whether an apply takes what the host leaves of this route.
static bool isApplied(ExposeOp expose) {
  llvm::SetVector<Operation *> users;
  users.insert(expose);
  for (size_t i = 0; i < users.size(); ++i) {
    if (isa<ApplyOp>(users[i]))
      return true;
    users.insert(users[i]->user_begin(), users[i]->user_end());
  }
  return false;
}

static void eraseDead(func::FuncOp body) {
  body.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
}

static void foldRoutes(Body body, const Routes &routes) {
  auto [applies, exposed] = findRoutes(body.function);
  // What is within an apply comes before it.
  for (auto [apply, route] : llvm::zip(applies, routes.applied))
    if (route)
      foldApply(body, apply, *route);
  for (auto [expose, route] : llvm::zip(exposed, routes.shown))
    if (route && !isApplied(expose))
      fixShown(body, expose, *route);
  eraseDead(body.function);
  // Other stages know the results by the sizes that they had.
  SmallVector<Attribute> dims;
  for (unsigned i = 0; i < body.function.getNumResults(); ++i)
    dims.push_back(body.function.getResultAttr(i, "modular.dims"));
  inferShapes(body.function);
  for (auto [i, before] : llvm::enumerate(dims))
    if (before)
      body.function.setResultAttr(i, "modular.dims", before);
}

/// Leaves out the slots that the body does not read, for all stages that run it.
static void dropSlots(Body body) {
  Builder builder(body.function.getContext());
  llvm::BitVector unused(body.function.getNumArguments());
  SmallVector<int64_t> kept;
  for (BlockArgument argument : body.function.getArguments()) {
    const unsigned i = argument.getArgNumber();
    auto slot = body.function.getArgAttrOfType<IntegerAttr>(i, "modular.slot");
    if (!slot)
      continue;
    unused[i] = argument.use_empty();
    if (unused[i])
      continue;
    body.function.setArgAttr(i, "modular.slot", builder.getI64IntegerAttr(int64_t(kept.size())));
    kept.push_back(slot.getInt());
  }
  (void)body.function.eraseArguments(unused);
  for (StageOp stage : body.stages)
    stage.setParametersAttr(builder.getArrayAttr(
        llvm::map_to_vector(kept, [&](int64_t slot) { return stage.getParameters()[slot]; })));
}

//===----------------------------------------------------------------------===//
// All bodies
//===----------------------------------------------------------------------===//

void RouteFolder::foldBody(func::FuncOp body) {
  std::vector<std::pair<Routes, SmallVector<StageOp>>> groups;
  for (auto stage : module.getOps<StageOp>()) {
    if (stage.getBody() != body.getSymName())
      continue;
    Routes routes = evaluate(body, stage);
    auto same = llvm::find_if(groups, [&](auto &group) { return group.first == routes; });
    if (same == groups.end())
      groups.push_back({std::move(routes), {stage}});
    else
      same->second.push_back(stage);
  }
  if (llvm::none_of(groups, [](auto &group) { return group.first.any(); }))
    return;
  SymbolTable symbols(module);
  OpBuilder builder(body);
  builder.setInsertionPointAfter(body);
  SmallVector<func::FuncOp> copies = {body};
  for (size_t i = 1; i < groups.size(); ++i) {
    copies.push_back(cast<func::FuncOp>(builder.clone(*body)));
    symbols.insert(copies.back());
  }
  for (auto [copy, group] : llvm::zip(copies, groups)) {
    for (StageOp stage : group.second)
      stage.setBody(copy.getSymName());
    if (!group.first.any())
      continue;
    foldRoutes({copy, group.second}, group.first);
    dropSlots({copy, group.second});
    // What was within an apply may have a constant route as well.
    foldBody(copy);
  }
}

void RouteFolder::mergeBodies() {
  llvm::StringMap<func::FuncOp> bodies;
  llvm::DenseMap<StringAttr, StringAttr> standsFor;
  for (auto body : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    if (!body->hasAttr("modular.stage"))
      continue;
    func::FuncOp &first = bodies[getStageIdentity(body)];
    if (!first) {
      first = body;
      continue;
    }
    standsFor[body.getSymNameAttr()] = first.getSymNameAttr();
    body.erase();
  }
  for (auto stage : module.getOps<StageOp>())
    if (StringAttr name = standsFor.lookup(stage.getBodyAttr().getAttr()))
      stage.setBody(name.getValue());
}

void RouteFolder::run() {
  for (auto body : llvm::to_vector(module.getOps<func::FuncOp>()))
    if (body->hasAttr("modular.stage"))
      foldBody(body);
  mergeBodies();
  eraseUnusedParameters(module);
}

namespace {
struct FoldRoutesPass : graft::impl::FoldRoutesPassBase<FoldRoutesPass> {
  void runOnOperation() override { RouteFolder(getOperation()).run(); }
};
} // namespace
