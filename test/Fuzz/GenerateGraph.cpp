//===- GenerateGraph.cpp - The backbone around the mixtures --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Generate.h"

using namespace mlir;
using namespace graft;
using namespace graft::fuzz;
using namespace graft::modular;

Generator::Generator(MLIRContext &context, uint64_t seed)
    : context(context), random(seed), loc(UnknownLoc::get(&context)) {
  module = mlir::ModuleOp::create(loc);
}

bool Generator::isInMain(Builder &b) { return b.getInsertionBlock()->getParentOp() == main; }

Value Generator::input(StringRef name, ArrayRef<std::string> dims, Type element) {
  Value &value = inputs[name.str()];
  if (value)
    return value;
  SmallVector<int64_t> shape;
  SmallVector<Attribute> texts;
  OpBuilder builder(&context);
  for (const std::string &dim : dims) {
    int64_t number;
    shape.push_back(StringRef(dim).getAsInteger(10, number) ? ShapedType::kDynamic : number);
    texts.push_back(builder.getStringAttr(dim));
  }
  value = main.getBody().front().addArgument(RankedTensorType::get(shape, element), loc);
  NamedAttribute attributes[] = {builder.getNamedAttr("modular.name", builder.getStringAttr(name)),
                                 builder.getNamedAttr("modular.dims", builder.getArrayAttr(texts))};
  SmallVector<Attribute> all;
  if (ArrayAttr known = main.getArgAttrsAttr())
    llvm::append_range(all, known);
  all.push_back(builder.getDictionaryAttr(attributes));
  main.setArgAttrsAttr(builder.getArrayAttr(all));
  return value;
}

/// What the first layer starts from: numbers, or rows of a table.
Value Generator::start() {
  OpBuilder body = OpBuilder::atBlockEnd(&main.getBody().front());
  Builder b(loc, body);
  const int64_t first = anyWidth(random);
  const bool hasSequence = random.chance(20);
  SmallVector<std::string> dims{rowDim};
  if (hasSequence)
    dims.push_back(sequenceDim);
  if (!random.chance(12)) {
    dims.push_back(std::to_string(first));
    return input("x", dims, b.getF32Type());
  }
  const int64_t entries = random.pick({1, 3, 10, 40});
  Value ids = input("ids." + std::to_string(entries), dims, b.getI64Type());
  // Rows of numbers that sum exactly, so that routers may follow at once.
  TypedAttr table = contents({entries, first}, [&] { return random.grid(); }, false);
  Value weight = use(b, cast<RankedTensorType>(table.getType()), table, true, 0);
  if (weight.getDefiningOp<SiteOp>() && random.chance(50))
    weight = adapted(b, weight, true);
  SmallVector<int64_t> shape(cast<RankedTensorType>(ids.getType()).getShape());
  shape.push_back(first);
  return onnx::GatherOp::create(b, RankedTensorType::get(shape, b.getF32Type()), weight, ids,
                                b.getI64IntegerAttr(0));
}

/// A mixture of tokens where rows are sequences.
Value Generator::tokens(Builder &b, Value x, int64_t out) {
  ofTokens = true;
  Value rows = mixture(b, b.rowsOf(x), out, random, /*depth=*/1);
  ofTokens = false;
  return b.vectorsLike(rows, x);
}

Value Generator::layer(Builder &b, Value x) {
  const int64_t out = random.chance(40) ? width(x) : anyWidth(random);
  switch (random.below(8)) {
  case 0:
    return activation(b, product(b, x, out, random), random);
  case 1:
    return step(b, x, random, /*depth=*/0);
  case 2: // beside an expert that all rows share
    return b.binary<onnx::AddOp>(mixture(b, x, out, random, 1), product(b, x, out, random));
  case 3:
    return b.binary<onnx::AddOp>(x, mixture(b, x, width(x), random, 1));
  default:
    if (rank(x) == 3 && random.chance(60))
      return tokens(b, x, out);
    return mixture(b, x, out, random, random.pick({0, 0, 0, 1, 1, 2}));
  }
}

void Generator::finish(Builder &b, ArrayRef<Value> results) {
  func::ReturnOp::create(b, results);
  SmallVector<Attribute> attributes;
  SmallVector<Type> types;
  for (auto [i, value] : llvm::enumerate(results)) {
    types.push_back(value.getType());
    attributes.push_back(b.getDictionaryAttr(
        b.getNamedAttr("modular.name", b.getStringAttr("y" + std::to_string(i)))));
  }
  main.setFunctionType(b.getFunctionType(main.getBody().front().getArgumentTypes(), types));
  main.setResAttrsAttr(b.getArrayAttr(attributes));
}

OwningOpRef<mlir::ModuleOp> Generator::run() {
  declareTasks();
  rowDim = random.chance(85) ? "n" : std::to_string(random.pick({1, 2, 6}));
  sequenceDim = random.chance(70) ? "s" : std::to_string(random.pick({1, 3}));
  OpBuilder top(&context);
  top.setInsertionPointToEnd(module->getBody());
  main = func::FuncOp::create(top, loc, "main", top.getFunctionType({}, {}));
  main.addEntryBlock();
  Value x = start();
  OpBuilder body = OpBuilder::atBlockEnd(&main.getBody().front());
  Builder b(loc, body);
  SmallVector<Value> results;
  for (int64_t layers = random.pick({1, 1, 1, 2, 2, 3}); layers > 0; --layers) {
    x = layer(b, x);
    if (layers > 1 && random.chance(15))
      results.push_back(x);
  }
  results.push_back(x);
  finish(b, results);
  return std::move(module);
}

OwningOpRef<mlir::ModuleOp> graft::fuzz::generate(MLIRContext &context, uint64_t seed) {
  return Generator(context, seed).run();
}
