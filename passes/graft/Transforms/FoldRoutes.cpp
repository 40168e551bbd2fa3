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
#include "graft/Transforms/Passes.h"
#include "graft/Transforms/StageBody.h"

#include "mlir/IR/IRMapping.h"
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

/// The value of a parameter in one stage, if it is small: routes are decided by few numbers.
static std::optional<reference::Tensor> read(const StageBody &body, StageOp stage,
                                             BlockArgument argument) {
  constexpr int64_t kMost = 1 << 20;
  std::optional<int64_t> slot = body.slotOf(argument);
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!slot || !type || !isa<FloatType>(type.getElementType()) || type.getNumElements() > kMost)
    return std::nullopt;
  FailureOr<std::vector<double>> values = StageBody::read(stage, *slot);
  if (failed(values))
    return std::nullopt;
  return reference::Tensor(reference::Tensor::Float, type.getShape(), std::move(*values));
}

static Routes evaluate(const StageBody &body, StageOp stage) {
  reference::ConstantRows rows([&](BlockArgument argument) { return read(body, stage, argument); });
  auto [applies, exposed] = findRoutes(body.function);
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

static void foldApply(StageBody &body, ApplyOp apply, const ConstantRoute &route) {
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
    if (isa<onnx::ShapeOp>(op)) // of rows that others have made
      continue;
    for (Value operand : op->getOperands())
      if (Operation *producer = operand ? operand.getDefiningOp() : nullptr)
        cone.insert(producer);
  }
  return first ? b.slice(first.getShape(), 0, 0, 1) : b.sizeOf(rows, 0);
}

/// What is shown is a parameter, which no host changes.
static void fixShown(StageBody &body, ExposeOp expose, const ConstantRoute &route) {
  OpBuilder builder(expose);
  onnx::GraphBuilder b(expose.getLoc(), builder);
  Value rows = buildRowCount(b, expose.getChosen());
  Value shape = b.concat({rows, b.integers(int64_t(route.chosen.size()))}, 0);
  auto add = [&](StringRef name, ArrayRef<double> values, Type element) -> Value {
    return body.addSlot(expose.getLoc(), (expose.getRouter() + name).str(), values, element);
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

static void foldRoutes(StageBody &body, const Routes &routes) {
  auto [applies, exposed] = findRoutes(body.function);
  llvm::DenseSet<Operation *> folded;
  for (auto [apply, route] : llvm::zip(applies, routes.applied))
    if (route)
      folded.insert(apply);
  auto isOfAllRows = [&](Operation *op) {
    for (op = op->getParentOp(); isa<ApplyOp>(op); op = op->getParentOp())
      if (!folded.contains(op))
        return false;
    return true;
  };
  SmallVector<std::pair<ExposeOp, const ConstantRoute *>> left;
  for (auto [expose, route] : llvm::zip(exposed, routes.shown))
    if (route)
      left.push_back({expose, &*route});
  // Of routes that no apply takes any more.
  auto settle = [&] {
    llvm::erase_if(left, [&](auto &each) {
      auto [expose, route] = each;
      if (isApplied(expose))
        return false;
      if (isOfAllRows(expose)) {
        fixShown(body, expose, *route);
      } else {
        // Modules in which there is nothing to see are computed together with others.
        expose->replaceAllUsesWith(expose->getOperands());
        expose->erase();
      }
      return true;
    });
  };
  settle();
  // What is within an apply comes before it.
  for (auto [apply, route] : llvm::zip(applies, routes.applied)) {
    if (!route)
      continue;
    Operation *around = apply;
    llvm::erase_if(left, [&](auto &each) { return around->isProperAncestor(each.first); });
    foldApply(body, apply, *route);
    settle();
  }
  body.clean();
}

//===----------------------------------------------------------------------===//
// All bodies
//===----------------------------------------------------------------------===//

/// True if a route of it was folded.
static bool foldBody(mlir::ModuleOp module, StageBody body) {
  std::vector<std::pair<Routes, StageBody>> groups;
  for (StageOp stage : body.stages) {
    Routes routes = evaluate(body, stage);
    auto same = llvm::find_if(groups, [&](auto &group) { return group.first == routes; });
    if (same == groups.end())
      groups.push_back({std::move(routes), {body.function, {stage}}});
    else
      same->second.stages.push_back(stage);
  }
  if (llvm::none_of(groups, [](auto &group) { return group.first.any(); }))
    return false;
  SymbolTable symbols(module);
  OpBuilder builder(body.function);
  builder.setInsertionPointAfter(body.function);
  for (auto &[routes, copy] : llvm::drop_begin(groups)) {
    copy.function = cast<func::FuncOp>(builder.clone(*body.function));
    symbols.insert(copy.function);
    for (StageOp stage : copy.stages)
      stage.setBody(copy.function.getSymName());
  }
  for (auto &[routes, copy] : groups) {
    if (!routes.any())
      continue;
    foldRoutes(copy, routes);
    // What was within an apply may have a constant route as well.
    foldBody(module, copy);
  }
  return true;
}

namespace {
struct FoldRoutesPass : graft::impl::FoldRoutesPassBase<FoldRoutesPass> {
  void runOnOperation() override {
    mlir::ModuleOp module = getOperation();
    bool any = false;
    for (const StageBody &body : getStageBodies(module))
      any |= foldBody(module, body);
    if (!any)
      return;
    mergeStageBodies(module);
    eraseUnusedParameters(module);
  }
};
} // namespace
