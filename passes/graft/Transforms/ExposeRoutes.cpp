//===- ExposeRoutes.cpp - Routes that the host sees as they run -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Transforms/ExposeRoutes.h"

#include "graft/Modular/Exposure.h"
#include "graft/Onnx/Onnx.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/TypeUtilities.h"

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
  current = isa<func::FuncOp>(route->getParentOp()) ? route : RouteOp();
  if (!current)
    return;
  Operation *yield = router.getRouteBody()->front().getTerminator();
  weighed = findWeighed(yield->getOperand(0), yield->getOperand(1));
  Router &described = routers.emplace_back();
  auto isTaken = [&](StringRef name) {
    return llvm::any_of(ArrayRef(routers).drop_back(),
                        [&](const Router &other) { return other.name == name; });
  };
  described.name = route.getRouter().str();
  for (unsigned times = 2; isTaken(described.name); ++times)
    described.name = (route.getRouter() + "#" + Twine(times)).str();
  described.slots = router.getSlots();
  described.weighs = weighed == yield->getOperand(0);
  described.weights = getElementTypeOrSelf(yield->getOperand(1).getType());
  described.modules = router.getModuleNames();
  described.parameters.resize(described.modules.size());
  if (isa_and_nonnull<BlockArgument>(weighed))
    mapping.map(weighed, expose(builder, mapping.lookup(weighed)));
}

Value RouteExposer::expose(OpBuilder &builder, Value chosen) {
  auto op = ExposeOp::create(builder, current.getLoc(), chosen.getType(), routers.size() - 1,
                             routers.back().name, chosen, Value());
  return op.getResult(0);
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
                       routers.size() - 1, routers.back().name, chosen, weights);
  return {op.getResult(0), op.getResult(1)};
}

void RouteExposer::setRoute(Value route) {
  if (current)
    numbers[route] = routers.size() - 1;
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
    described.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("name", builder.getStringAttr(router.name)),
         builder.getNamedAttr("slots", builder.getI64IntegerAttr(router.slots)),
         builder.getNamedAttr("weighs", builder.getBoolAttr(router.weighs)),
         builder.getNamedAttr("weights", TypeAttr::get(router.weights)),
         builder.getNamedAttr("modules", router.modules),
         builder.getNamedAttr("bytes", builder.getDenseI64ArrayAttr(bytes))}));
  }
  if (!described.empty())
    module->setAttr(kRoutersAttr, builder.getArrayAttr(described));
}
