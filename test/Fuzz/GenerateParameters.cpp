//===- GenerateParameters.cpp - Weights, sites, adapters and tasks -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Generate.h"

#include <cmath>
#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

TypedAttr Generator::contents(ArrayRef<int64_t> shape, llvm::function_ref<double()> element,
                              bool inStore) {
  auto type = RankedTensorType::get(shape, Float32Type::get(&context));
  std::vector<float> elements(size_t(type.getNumElements()));
  for (float &each : elements)
    each = float(element());
  if (!inStore)
    return DenseElementsAttr::get(type, ArrayRef<float>(elements));
  std::vector<char> bytes(elements.size() * sizeof(float));
  std::memcpy(bytes.data(), elements.data(), bytes.size());
  auto &store = context.getLoadedDialect<ModularDialect>()->getWeightStore();
  return cast<TypedAttr>(
      Attribute(WeightAttr::get(&context, store.addProduced(unique("w"), type, bytes), type)));
}

FlatSymbolRefAttr Generator::parameter(ArrayRef<int64_t> shape,
                                       llvm::function_ref<double()> element) {
  OpBuilder top(module->getBodyRegion());
  auto op = ParameterOp::create(top, loc, unique("p"), contents(shape, element, random.chance(30)));
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

/// Where a weight comes from: of one `key`, the same parameter each time.
Value Generator::use(Builder &b, RankedTensorType type, TypedAttr value, bool transposed,
                     uint64_t key) {
  auto &[symbol, kept] = shared[key];
  const bool known = key != 0 && kept && kept.getType() == type;
  if (known)
    value = kept;
  if (known ? !symbol : random.chance(key ? 85 : 40)) {
    kept = value;
    symbol = {};
    return onnx::ConstantOp::create(b, type, value);
  }
  if (!known) {
    OpBuilder top(module->getBodyRegion());
    symbol =
        FlatSymbolRefAttr::get(ParameterOp::create(top, loc, unique("p"), value).getSymNameAttr());
    kept = value;
  }
  return SiteOp::create(b, type, b.getStringAttr(unique("site")), symbol,
                        transposed ? b.getUnitAttr() : UnitAttr());
}

Value Generator::matrix(Builder &b, int64_t in, int64_t out, bool inFirst, uint64_t key) {
  SmallVector<int64_t> shape{inFirst ? in : out, inFirst ? out : in};
  const double scale = 1.2 / std::sqrt(double(in));
  TypedAttr value = contents(shape, [&] { return random.real() * scale; }, random.chance(30));
  Value used = use(b, cast<RankedTensorType>(value.getType()), value, inFirst, key);
  return used.getDefiningOp<SiteOp>() && random.chance(60) ? adapted(b, used, inFirst) : used;
}

Value Generator::gate(Builder &b, int64_t in, int64_t out, bool inFirst) {
  SmallVector<int64_t> shape{inFirst ? in : out, inFirst ? out : in};
  TypedAttr value = contents(shape, [&] { return random.grid() / 2; }, random.chance(30));
  return use(b, cast<RankedTensorType>(value.getType()), value, inFirst, 0);
}

Value Generator::vector(Builder &b, int64_t size, double around, uint64_t key) {
  TypedAttr value = contents({size}, [&] { return around + random.real() / 2; }, random.chance(20));
  Value used = use(b, cast<RankedTensorType>(value.getType()), value, false, key);
  return used.getDefiningOp<SiteOp>() && random.chance(25) ? adapted(b, used, false) : used;
}

//===----------------------------------------------------------------------===//
// Adapters and tasks
//===----------------------------------------------------------------------===//

void Generator::declareTasks() {
  OpBuilder top(&context);
  top.setInsertionPointToEnd(module->getBody());
  for (int64_t i = random.pick({0, 1, 2, 3}); i > 0; --i)
    adapters.push_back("a" + std::to_string(i));
  SmallVector<StringRef> all(adapters.begin(), adapters.end());
  RouterOp::create(top, loc, "adapters", top.getStrArrayAttr(all));
  auto task = [&](StringRef name, ArrayRef<StringRef> taken) {
    TaskOp::create(top, loc, name, "adapters", top.getStrArrayAttr(taken));
  };
  task("base", {});
  for (StringRef adapter : all)
    if (random.chance(80))
      task(adapter, {adapter});
  if (all.size() > 1 && random.chance(60)) {
    SmallVector<StringRef> some;
    for (StringRef adapter : all)
      if (random.chance(70))
        some.push_back(adapter);
    task("some", some);
  }
}

/// A module that adapts a parameter of that canonical type.
FlatSymbolRefAttr Generator::adapter(RankedTensorType type, bool mayReplace, bool &replaces) {
  auto small = [&](double scale) { return [this, scale] { return random.real() * scale; }; };
  // The body's parameters first: they are symbols of the same table.
  struct Step {
    int64_t kind;
    FlatSymbolRefAttr first, second, third;
    SmallVector<int64_t> columns;
  };
  SmallVector<Step> steps;
  const bool isMatrix = type.getRank() == 2;
  const int64_t out = type.getDimSize(0), in = isMatrix ? type.getDimSize(1) : 1;
  for (int64_t i = random.pick({1, 1, 1, 2}); i > 0; --i) {
    Step step;
    step.kind = isMatrix ? random.pick({0, 0, 0, 0, 1, 2, 3, 4}) : random.pick({1, 1, 2});
    if (step.kind >= 2 && (!mayReplace || !steps.empty()))
      step.kind = isMatrix ? 0 : 1;
    replaces |= step.kind >= 2;
    const int64_t low = random.pick({1, 2, 3, 4, 8});
    switch (step.kind) {
    case 0:
    case 4: // with a magnitude
      step.first = parameter({low, in}, small(0.6));
      step.second = parameter({out, low}, small(0.6));
      if (step.kind == 4)
        step.third = parameter({out}, [&] { return 1 + random.real() / 2; });
      break;
    case 1:
      step.first = parameter(type.getShape(), small(0.4));
      break;
    case 2:
      step.first = parameter(type.getShape(), small(0.7));
      break;
    case 3:
      for (int64_t c = 0; c < in; ++c)
        if (step.columns.empty() || random.chance(30))
          step.columns.push_back(c);
      step.first = parameter({int64_t(step.columns.size()), out}, small(0.7));
      break;
    }
    steps.push_back(std::move(step));
  }
  OpBuilder top(module->getBodyRegion());
  top.setInsertionPointToEnd(module->getBody());
  auto op = modular::ModuleOp::create(top, loc, top.getStringAttr(unique("m")),
                                      CompositionAttr::get(&context, Composition::Parameter),
                                      TypeAttr::get(top.getFunctionType(type, type)), StringAttr(),
                                      ArrayAttr(), ArrayAttr());
  Block &block = op.getBody().emplaceBlock();
  Value value = block.addArgument(type, loc);
  top.setInsertionPointToEnd(&block);
  for (Step &step : steps) {
    auto scale = top.getF64FloatAttr(random.pick({1.0, 2.0, 0.5, -1.5}));
    if (step.kind == 0 || step.kind == 4)
      value = LowRankOp::create(top, loc, type, value, step.first, step.second, scale, step.third);
    else if (step.kind == 1)
      value = DeltaOp::create(top, loc, type, value, step.first, scale);
    else if (step.kind == 2)
      value = ReplaceOp::create(top, loc, type, value, step.first);
    else
      value = ReplaceColumnsOp::create(top, loc, type, value, step.first,
                                       top.getDenseI64ArrayAttr(step.columns));
  }
  YieldOp::create(top, loc, value);
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

Value Generator::adapted(Builder &b, Value site, bool inFirst) {
  if (adapters.empty())
    return site;
  auto op = site.getDefiningOp<SiteOp>();
  bool replaces = false;
  SmallVector<NamedAttribute> entries;
  for (StringRef name : adapters)
    if (random.chance(60))
      entries.push_back(b.getNamedAttr(name, adapter(op.getCanonicalType(), !replaces, replaces)));
  if (entries.empty())
    return site;
  auto route = RouteOp::create(b, RouteType::get(&context, int64_t(adapters.size()), 0),
                               FlatSymbolRefAttr::get(&context, "adapters"), ValueRange());
  return AdaptOp::create(b, site.getType(), site, route, b.getDictionaryAttr(entries));
}
