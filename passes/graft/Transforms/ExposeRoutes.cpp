//===- ExposeRoutes.cpp - Routes that the host sees as they run -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ExposeRoutes.h"

#include "graft/Modular/Exposure.h"
#include "graft/Onnx/GraphBuilder.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"

#include <numeric>

using namespace mlir;
using namespace graft;
using namespace graft::modular;

/// Whether `value` is computed from `from`, within the body of a router.
static bool dependsOn(Value value, Value from) {
  SmallVector<Value> worklist = {value};
  llvm::DenseSet<Value> seen;
  while (!worklist.empty()) {
    Value next = worklist.pop_back_val();
    if (next == from)
      return true;
    Operation *op = next.getDefiningOp();
    // What one op makes of the scores together with what it chooses, it made before.
    if (!op || op == from.getDefiningOp())
      continue;
    for (Value operand : op->getOperands())
      if (seen.insert(operand).second)
        worklist.push_back(operand);
  }
  return false;
}

/// What is chosen as the body of a router weighs it: what it yields, or what that is made of, as
/// where a capacity empties slots afterwards. Null where the weights are of something else.
static Value findWeighed(Value chosen, Value weights) {
  SmallVector<Value> worklist = {chosen};
  for (size_t i = 0; i < worklist.size(); ++i) {
    if (dependsOn(weights, worklist[i]))
      return worklist[i];
    if (Operation *op = worklist[i].getDefiningOp())
      for (Value operand : op->getOperands())
        if (operand.getType() == chosen.getType() && !llvm::is_contained(worklist, operand))
          worklist.push_back(operand);
  }
  return Value();
}

void RouteExposer::begin(OpBuilder &builder, RouteOp route, RouterOpInterface router,
                         IRMapping &mapping) {
  current = RouteOp();
  Operation *parent = route->getParentOp();
  while (isa<ApplyOp>(parent))
    parent = parent->getParentOp();
  auto apply = dyn_cast<ApplyOp>(route->getParentOp());
  if (!isa<func::FuncOp>(parent) || (apply && !numbers.contains(apply.getRoute()))) {
    hidden.insert(route.getRouterAttr().getAttr());
    return;
  }
  current = route;
  Operation *yield = router.getRouteBody()->front().getTerminator();
  weighed = findWeighed(yield->getOperand(0), yield->getOperand(1));
  std::string name = freshName(route.getRouter());
  number = routers.size();
  Router &described = routers.emplace_back();
  described.name = std::move(name);
  described.slots = router.getSlots();
  if (apply) {
    described.within = numbers.lookup(apply.getRoute());
    described.module = route->getParentRegion()->getRegionNumber();
  }
  described.weighs = weighed == yield->getOperand(0);
  described.weights = getElementTypeOrSelf(yield->getOperand(1).getType());
  described.modules = router.getModuleNames();
  described.parameters.resize(described.modules.size());
  if (isa_and_nonnull<BlockArgument>(weighed))
    mapping.map(weighed, expose(builder, mapping.lookup(weighed)));
  tokens = Value();
  Block &body = router.getRouteBody()->front();
  if (!router->hasAttr(kTokenWeightsAttr) || body.getNumArguments() == 0)
    return;
  auto type = dyn_cast<RankedTensorType>(body.getArgument(0).getType());
  if (type && type.getRank() > 2 && !type.isDynamicDim(type.getRank() - 1))
    tokens = mapping.lookup(body.getArgument(0));
}

std::string RouteExposer::freshName(StringRef name) const {
  auto isTaken = [&](StringRef name) {
    return llvm::any_of(routers, [&](const Router &other) { return other.name == name; });
  };
  std::string fresh = name.str();
  for (unsigned times = 2; isTaken(fresh); ++times)
    fresh = (name + "#" + Twine(times)).str();
  return fresh;
}

Value RouteExposer::expose(OpBuilder &builder, Value chosen) {
  auto op = ExposeOp::create(builder, current.getLoc(), chosen.getType(), number,
                             routers[number].name, chosen, Value());
  return op.getResult(0);
}

/// Shows what each token gives the modules beside what its row does: what is made of that is made
/// elsewhere, so that no host changes it.
void RouteExposer::showTokens(OpBuilder &builder) {
  onnx::GraphBuilder b(current.getLoc(), builder);
  Value weights = b.rowsOf(tokens);
  SmallVector<int64_t> all(cast<RankedTensorType>(weights.getType()).getDimSize(1));
  std::iota(all.begin(), all.end(), 0);
  Value numbers = b.integers(all);
  Value unused = b.predicate<onnx::EqualOp>(weights, b.number(0, weights));
  Value chosen = b.where(unused, b.number(-1, numbers), numbers);
  Router described = routers[number];
  described.name = freshName(described.name + ".tokens");
  described.slots = all.size();
  described.weighs = true;
  described.tokensOf = number;
  ExposeOp::create(b, TypeRange{chosen.getType(), weights.getType()}, routers.size(),
                   described.name, chosen, weights, /*fixed=*/true);
  routers.push_back(std::move(described));
}

void RouteExposer::inlined(OpBuilder &builder, Operation *op, IRMapping &mapping) {
  if (current && weighed && weighed.getDefiningOp() == op)
    mapping.map(weighed, expose(builder, mapping.lookup(weighed)));
}

std::pair<Value, Value> RouteExposer::end(OpBuilder &builder, Value chosen, Value weights) {
  if (!current)
    return {chosen, weights};
  auto op =
      ExposeOp::create(builder, current.getLoc(), TypeRange{chosen.getType(), weights.getType()},
                       number, routers[number].name, chosen, weights);
  if (tokens)
    showTokens(builder);
  return {op.getResult(0), op.getResult(1)};
}

void RouteExposer::setRoute(Value route) {
  if (current)
    numbers[route] = number;
}

void RouteExposer::collectParameters(FunctionOpInterface function,
                                     llvm::SetVector<Attribute> &parameters) {
  // What it applies in turn counts too; a module within itself is refused when it is inlined.
  llvm::SetVector<Operation *> functions;
  functions.insert(function);
  auto visit = [&](Operation *op) {
    if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
      if (isa<FloatType>(getElementTypeOrSelf(constant.getType())))
        parameters.insert(constant.getValue());
    } else if (auto site = dyn_cast<SiteOp>(op)) {
      if (auto parameter =
              symbols.lookupNearestSymbolFrom<ParameterOp>(module, site.getParameterAttr()))
        parameters.insert(parameter.getValue());
    } else if (auto apply = dyn_cast<ApplyOp>(op)) {
      for (auto symbol : apply.getModules().getAsRange<FlatSymbolRefAttr>())
        if (auto inner = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(module, symbol))
          functions.insert(inner);
    }
  };
  for (size_t i = 0; i < functions.size(); ++i)
    cast<FunctionOpInterface>(functions[i]).getFunctionBody().walk(visit);
}

void RouteExposer::addModule(Value route, unsigned index, FunctionOpInterface function) {
  auto found = numbers.find(route);
  if (found != numbers.end())
    collectParameters(function, routers[found->second].parameters[index]);
}

/// Whether two parameters have the same bytes. Those of two layers differ in the first few.
static bool areEqual(WeightStore &store, Attribute first, Attribute second) {
  auto a = dyn_cast<WeightAttr>(first), b = dyn_cast<WeightAttr>(second);
  if (first == second || !a || !b || a.getType() != b.getType())
    return first == second;
  auto x = store.lookup(a.getKey()), y = store.lookup(b.getKey());
  return x && y && *x == *y;
}

bool RouteExposer::haveSameModules(const Router &first, const Router &second) {
  auto &store = module.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  if (first.tokensOf >= 0 || second.tokensOf >= 0 || first.slots != second.slots ||
      first.modules != second.modules)
    return false;
  for (auto [a, b] : llvm::zip(first.parameters, second.parameters))
    if (a.empty() || a.size() != b.size() || !llvm::all_of(llvm::zip(a, b), [&](auto pair) {
          return areEqual(store, std::get<0>(pair), std::get<1>(pair));
        }))
      return false;
  return true;
}

void RouteExposer::record() {
  Builder builder(module.getContext());
  SmallVector<Attribute> described;
  for (const Router &router : routers) {
    SmallVector<int64_t> bytes;
    for (const auto &parameters : router.parameters) {
      int64_t sum = 0;
      for (Attribute parameter : parameters)
        sum += WeightStore::byteSize(cast<RankedTensorType>(cast<TypedAttr>(parameter).getType()))
                   .value_or(0);
      bytes.push_back(sum);
    }
    NamedAttrList facts;
    facts.set("name", builder.getStringAttr(router.name));
    facts.set("slots", builder.getI64IntegerAttr(router.slots));
    facts.set("weighs", builder.getBoolAttr(router.weighs));
    facts.set("weights", TypeAttr::get(router.weights));
    facts.set("modules", router.modules);
    facts.set("bytes", builder.getDenseI64ArrayAttr(bytes));
    auto same =
        llvm::find_if(routers, [&](const Router &other) { return haveSameModules(other, router); });
    if (same != routers.end() && &*same < &router)
      facts.set("same_modules_as", builder.getI64IntegerAttr(same - routers.begin()));
    if (router.within >= 0)
      facts.set("within", builder.getDenseI64ArrayAttr({router.within, router.module}));
    if (router.tokensOf >= 0)
      facts.set("tokens_of", builder.getI64IntegerAttr(router.tokensOf));
    described.push_back(facts.getDictionary(module.getContext()));
  }
  if (!described.empty())
    module->setAttr(kRoutersAttr, builder.getArrayAttr(described));
  if (!hidden.empty())
    module->setAttr(kHiddenRoutersAttr, builder.getArrayAttr(hidden.getArrayRef()));
}
