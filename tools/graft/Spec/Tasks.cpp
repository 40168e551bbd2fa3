//===- Tasks.cpp - Routers that are fixed by the task -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which modules a task takes is a parameter, 1 for those that it takes and 0 for the others, and
// each task's own is what it composes with: tasks share the code, whatever bodies the modules have.
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/SymbolLookup.h"
#include "graft/Spec/Builder.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using namespace graft::modular;
using onnx::GraphBuilder;

/// The router that linking has made, which the tasks route.
static RouterOp routerOfTasks(mlir::ModuleOp module) {
  for (auto router : module.getOps<RouterOp>())
    if (router.isFixedByTask())
      return router;
  return {};
}

/// The name under which what the spec says of a task enters: the task's own, unless an adapter has
/// it, which other tasks may take too.
static StringAttr enter(mlir::ModuleOp module, RouterOp router, TaskOp task, StringRef suffix) {
  mlir::Builder b(module.getContext());
  SmallVector<Attribute> names(router.getModules().begin(), router.getModules().end()),
      taken(task.getModules().begin(), task.getModules().end());
  auto own = b.getStringAttr((task.getSymName() + suffix).str());
  if (!llvm::is_contained(names, own))
    names.push_back(own);
  if (!llvm::is_contained(taken, own))
    taken.push_back(own);
  router.setModulesAttr(b.getArrayAttr(names));
  task.setModulesAttr(b.getArrayAttr(taken));
  return own;
}

static TypedAttr taken(ArrayRef<int64_t> numbers, int64_t modules, MLIRContext *context) {
  std::vector<float> values(modules);
  for (int64_t number : numbers)
    values[number] = 1;
  return DenseElementsAttr::get(RankedTensorType::get(modules, Float32Type::get(context)),
                                ArrayRef(values));
}

Value SpecBuilder::buildTaskChoice(Frame &frame, const Router &router,
                                   const std::vector<Member> &members, Value x) {
  GraphBuilder &b = frame.b;
  const int64_t modules = members.size();
  RouterOp tasks = routerOfTasks(module);
  auto type = RankedTensorType::get(modules, b.getF32Type());
  auto numbersOf = [&](ArrayRef<Text> names) {
    SmallVector<int64_t> numbers;
    for (const Text &name : names)
      numbers.push_back(numberOf(errors, members, name));
    return numbers;
  };
  OpBuilder builder(main);
  Location loc = b.getLoc();
  auto parameter = [&](const Twine &name, ArrayRef<int64_t> numbers) {
    std::string symbol = freshSymbol(module, name.str());
    ParameterOp::create(builder, loc, symbol, taken(numbers, modules, b.getContext()));
    return FlatSymbolRefAttr::get(b.getContext(), symbol);
  };
  SmallVector<int64_t> base;
  SmallVector<NamedAttribute> entries;
  for (const auto &[task, names] : router.select.tasks) {
    SmallVector<int64_t> numbers = numbersOf(names);
    if (errors.any())
      return Value();
    if (task.text == "base") {
      base = numbers;
      continue;
    }
    auto op = module.lookupSymbol<TaskOp>(task.text);
    if (!op || !tasks)
      return fail(task.mark, "expected the name of a task, found '" + task.text + "'");
    StringAttr own = enter(module, tasks, op, adapterNames.count(task.text) ? ".route" : "");
    FlatSymbolRefAttr value = parameter(frame.name + "." + task.text, numbers);
    auto made = modular::ModuleOp::create(
        builder, loc, builder.getStringAttr(freshSymbol(module, task.text + "." + frame.name)),
        CompositionAttr::get(b.getContext(), Composition::Parameter),
        TypeAttr::get(builder.getFunctionType(type, type)), StringAttr(), ArrayAttr(), ArrayAttr());
    Block &block = made.getBody().emplaceBlock();
    auto inside = OpBuilder::atBlockEnd(&block);
    Value replaced = ReplaceOp::create(inside, loc, type, block.addArgument(type, loc), value);
    YieldOp::create(inside, loc, replaced);
    entries.push_back(b.getNamedAttr(own, FlatSymbolRefAttr::get(made.getSymNameAttr())));
  }
  FlatSymbolRefAttr theta = parameter(frame.name + ".modules", base);
  Value site = SiteOp::create(b, type, b.getStringAttr(theta.getValue()), theta, UnitAttr());
  Value route =
      RouteOp::create(b, RouteType::get(b.getContext(), tasks.getModules().size(), /*slots=*/0),
                      FlatSymbolRefAttr::get(tasks.getSymNameAttr()), ValueRange());
  Value chosen = AdaptOp::create(b, type, site, route, b.getDictionaryAttr(entries));
  // No adapter, though it enters as one: residency has nothing to say of it.
  chosen.getDefiningOp()->setAttr("modular.decides_route", b.getUnitAttr());
  Value rows = repeat(b, chosen, x);
  return SelectAboveOp::create(
      b, RankedTensorType::get({typeOf(rows).getDimSize(0), modules}, b.getI64Type()),
      b.getF64FloatAttr(0.5), rows);
}

/// Tasks have entered one after the other: routes among them are of as many modules now.
void SpecBuilder::finishTasks() {
  RouterOp tasks = routerOfTasks(module);
  if (!tasks)
    return;
  auto type = RouteType::get(module.getContext(), tasks.getModules().size(), /*slots=*/0);
  module.walk([&](RouteOp route) {
    if (route.getRouterAttr().getAttr() == tasks.getSymNameAttr())
      route.getResult().setType(type);
  });
}
