//===- MixtureBuilder.cpp - Builds routers, experts and their sum -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/SymbolLookup.h"
#include "graft/Onnx/Origin.h"
#include "graft/Transforms/ExposeRoutes.h"
#include "graft/Transforms/RaiseRouting.h"

#include <cstring>

using namespace mlir;
using namespace graft;
using namespace graft::modular;
using namespace graft::raise;

/// The types with any number of rows.
static SmallVector<Type> anyRows(ValueRange inputs) {
  return llvm::map_to_vector(inputs,
                             [](Value input) -> Type { return withAnyRows(typeOf(input)); });
}

MixtureBuilder::MixtureBuilder(mlir::ModuleOp module, Operation *op, int64_t experts)
    : MixtureBuilder(module, op, experts, op->getPrevNode()) {}

MixtureBuilder::MixtureBuilder(mlir::ModuleOp module, Operation *op, int64_t experts,
                               Operation *begin)
    : module(module), op(op), begin(begin), experts(experts) {
  Origin origin = originOf(op->getLoc());
  name = (origin.module.empty() ? origin.node : origin.module).str();
  if (name.empty())
    name = "mixture";
}

void MixtureBuilder::route(
    ValueRange inputs,
    llvm::function_ref<std::pair<Value, Value>(onnx::GraphBuilder &, ValueRange)> body) {
  OpBuilder builder(module.getBodyRegion());
  SmallVector<Attribute> names;
  for (int64_t i = 0; i < experts; ++i)
    names.push_back(builder.getStringAttr("expert." + std::to_string(i)));
  router = RouterOp::create(builder, op->getLoc(), freshSymbol(module, name + ".router"),
                            builder.getArrayAttr(names));
  Block &block = router.getBody().emplaceBlock();
  for (Type type : anyRows(inputs))
    block.addArgument(type, op->getLoc());
  builder.setInsertionPointToEnd(&block);
  onnx::GraphBuilder b(op->getLoc(), builder);
  auto [chosen, weights] = body(b, block.getArguments());
  YieldOp::create(b, ValueRange{chosen, weights});
}

void MixtureBuilder::weighTokens() {
  router->setAttr(kTokenWeightsAttr, UnitAttr::get(router.getContext()));
}

modular::ModuleOp
MixtureBuilder::addModule(StringRef name, ValueRange inputs,
                          llvm::function_ref<Value(onnx::GraphBuilder &, ValueRange)> body) {
  OpBuilder builder(op->getContext());
  builder.setInsertionPoint(op->getParentOfType<func::FuncOp>());
  SmallVector<Type> types = anyRows(inputs);
  std::string symbol = freshSymbol(module, name);
  auto added = modular::ModuleOp::create(
      builder, op->getLoc(), builder.getStringAttr(symbol),
      CompositionAttr::get(builder.getContext(), Composition::Function),
      TypeAttr::get(builder.getFunctionType(types, {})), StringAttr(), ArrayAttr(), ArrayAttr());
  Block &block = added.getBody().emplaceBlock();
  for (Type type : types)
    block.addArgument(type, op->getLoc());
  builder.setInsertionPointToEnd(&block);
  onnx::GraphBuilder b(op->getLoc(), builder);
  Value value = body(b, block.getArguments());
  YieldOp::create(b, value);
  added.setFunctionTypeAttr(TypeAttr::get(builder.getFunctionType(types, value.getType())));
  return added;
}

void MixtureBuilder::addExpert(ValueRange inputs,
                               llvm::function_ref<Value(onnx::GraphBuilder &, ValueRange)> body) {
  auto expert = addModule(name + ".expert." + std::to_string(modules.size()), inputs, body);
  result = expert.getResultTypes().front();
  modules.push_back(FlatSymbolRefAttr::get(expert.getSymNameAttr()));
}

FlatSymbolRefAttr
MixtureBuilder::addInner(ValueRange inputs,
                         llvm::function_ref<Value(onnx::GraphBuilder &, ValueRange)> body) {
  auto added = addModule(name + ".expert." + std::to_string(inner.size()) + ".rows", inputs, body);
  return inner.emplace_back(FlatSymbolRefAttr::get(added.getSymNameAttr()));
}

Value MixtureBuilder::build(ValueRange routed, ValueRange inputs, Aggregation how) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  auto route = RouteOp::create(builder, loc,
                               RouteType::get(builder.getContext(), experts, router.getSlots()),
                               FlatSymbolRefAttr::get(router.getSymNameAttr()), routed);
  auto apply = ApplyOp::create(builder, loc,
                               PartsType::get(builder.getContext(), cast<RankedTensorType>(result)),
                               route, inputs, builder.getArrayAttr(modules), /*bodiesCount=*/0u);
  return AggregateOp::create(builder, loc, result, how, apply.getParts());
}

void MixtureBuilder::discard() {
  llvm::append_range(modules, inner);
  for (Attribute symbol : modules)
    SymbolTable::lookupSymbolIn(module, cast<FlatSymbolRefAttr>(symbol))->erase();
  // What is built stands between two ops; the last of it first, so that nothing uses it.
  while (op->getPrevNode() != begin)
    op->getPrevNode()->erase();
  router.erase();
}

Value graft::raise::buildPart(onnx::GraphBuilder &b, Value value, int64_t index, Rows rows) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape().drop_front());
  if (rows.count < 0)
    rows.count = shape.front();
  const int64_t all = shape.front();
  shape.front() = rows.count;
  auto part = RankedTensorType::get(shape, type.getElementType());
  auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (dense && dense.isSplat())
    return onnx::ConstantOp::create(b, part, dense.resizeSplat(part));

  auto &store = b.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  auto weight = dyn_cast<WeightAttr>(constant.getValue());
  const int64_t row = *WeightStore::byteSize(part) / std::max<int64_t>(rows.count, 1);
  const int64_t start = (index * all + rows.first) * row;
  if (weight && rows.step == 1) {
    std::string name = (weight.getKey() + "." + Twine(index)).str();
    if (rows.count != all)
      name += (":" + Twine(rows.first)).str();
    StringRef key = store.addView(name, part, weight.getKey(), start);
    return onnx::ConstantOp::create(b, part,
                                    cast<TypedAttr>(WeightAttr::get(b.getContext(), key, part)));
  }
  ArrayRef<char> from = weight ? *store.lookup(weight.getKey()) : dense.getRawData();
  std::vector<char> bytes(rows.count * row);
  for (int64_t i = 0; i < rows.count; ++i)
    std::memcpy(bytes.data() + i * row, from.data() + start + i * rows.step * row, row);
  if (dense)
    return onnx::ConstantOp::create(b, part, DenseElementsAttr::getFromRawBuffer(part, bytes));
  std::string name =
      (weight.getKey() + "." + Twine(index) + ":" + Twine(rows.first) + ":" + Twine(rows.step))
          .str();
  StringRef key = store.addProduced(name, part, std::move(bytes));
  return onnx::ConstantOp::create(b, part,
                                  cast<TypedAttr>(WeightAttr::get(b.getContext(), key, part)));
}

bool graft::raise::isStacked(Value value, ArrayRef<int64_t> shape) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!constant || !type || type.getShape() != shape || !isa<FloatType>(type.getElementType()))
    return false;
  auto weight = dyn_cast<WeightAttr>(constant.getValue());
  if (!weight)
    return isa<DenseElementsAttr>(constant.getValue());
  auto &store = value.getContext()->getLoadedDialect<ModularDialect>()->getWeightStore();
  return store.lookup(weight.getKey()).has_value();
}
