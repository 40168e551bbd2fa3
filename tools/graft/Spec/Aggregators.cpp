//===- Aggregators.cpp - How what the modules give becomes one tensor -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using namespace graft::modular;
using onnx::GraphBuilder;

/// An aggregator of the user's own, by what it is used for.
FlatSymbolRefAttr SpecBuilder::aggregatorFor(Frame &frame, const Aggregator &aggregator,
                                             StringRef name, RankedTensorType part, int64_t slots,
                                             RankedTensorType &result) {
  mlir::Builder types(module.getContext());
  auto rows = [&](Type element) {
    return RankedTensorType::get({ShapedType::kDynamic, slots}, element);
  };
  SmallVector<Type> arguments = {withSlots(withAnyRows(part), slots), rows(types.getI64Type()),
                                 rows(part.getElementType())};
  const Uses &uses = known.of(aggregator);
  std::string key =
      keyOf(&aggregator, uses, frame, frame.captures) + "|" + typeText(arguments.front());
  if (auto it = aggregators.find(key); it != aggregators.end()) {
    result = it->second.second;
    return it->second.first;
  }
  func::FuncOp graph = importBody(frame, aggregator.file, arguments);
  if (!graph)
    return {};
  OpBuilder builder(main);
  Location loc = frame.b.getLoc();
  std::string symbol = symbolFor(frame, name, uses);
  auto made = AggregatorOp::create(builder, loc, builder.getStringAttr(symbol),
                                   TypeAttr::get(builder.getFunctionType(arguments, {})),
                                   StringAttr(), ArrayAttr(), ArrayAttr());
  Block &block = made.getBody().emplaceBlock();
  for (Type type : arguments)
    block.addArgument(type, loc);
  builder.setInsertionPointToEnd(&block);
  GraphBuilder b(loc, builder);
  Frame inside{b, frame.layer, frame.level, name.str(), frame.captures, {}, true};
  Value value = splice(inside, aggregator.file.mark, aggregator.file.text, graph,
                       block.getArguments().take_front(graph.getNumArguments()));
  if (!value)
    return {};
  YieldOp::create(b, value);
  result = spec::typeOf(value);
  made.setFunctionTypeAttr(TypeAttr::get(builder.getFunctionType(arguments, result)));
  auto reference = FlatSymbolRefAttr::get(made.getSymNameAttr());
  aggregators[key] = {reference, result};
  return reference;
}

/// Of (rows, …): what the aggregator makes of the modules' results.
Value SpecBuilder::buildAggregate(Frame &frame, const Aggregator &aggregator, StringRef name,
                                  Value parts, int64_t slots, Value rows) {
  GraphBuilder &b = frame.b;
  RankedTensorType part = cast<PartsType>(parts.getType()).getType();
  auto withRows = [&](RankedTensorType type) {
    SmallVector<int64_t> shape(type.getShape());
    shape.front() = part.getDimSize(0);
    return type.clone(shape);
  };
  switch (aggregator.kind) {
  case Aggregator::WeightedSum:
    return AggregateOp::create(b, part, Aggregation::WeightedSum, parts);
  case Aggregator::SimpleSum:
    return AggregateOp::create(b, part, Aggregation::Sum, parts);
  case Aggregator::Mean:
    return AggregateOp::create(b, part, Aggregation::Mean, parts);
  case Aggregator::Concat: {
    SmallVector<int64_t> shape(part.getShape());
    if (ShapedType::isDynamic(shape.back()) || llvm::MulOverflow(shape.back(), slots, shape.back()))
      return fail(aggregator.mark,
                  "concat: expected modules that give a last dimension that is known, found " +
                      typeText(part));
    return AggregateOp::create(b, part.clone(shape), Aggregation::Concatenation, parts);
  }
  case Aggregator::Attention: {
    if (part.getRank() != 2 || spec::typeOf(rows).getRank() != 2)
      return fail(aggregator.mark, "attention: expected a router per token");
    Type element = part.getElementType();
    const int64_t in = spec::typeOf(rows).getDimSize(1), width = part.getDimSize(1);
    auto constant = [&](StringRef key, ArrayRef<int64_t> shape, StringRef form) {
      auto it = aggregator.tensors.find(key.str());
      return it == aggregator.tensors.end()
                 ? Value()
                 : tensors.constant(b, it->second, frame.captures, shape, element, key, form);
    };
    Value query = constant("query", {-1, in}, "(size, in)");
    if (!query)
      return query;
    const int64_t size = spec::typeOf(query).getDimSize(0);
    Value key = constant("key", {size, width}, "(size, width of what modules give)");
    Value value = constant("value", {-1, width}, "(out, width of what modules give)");
    Value shift = constant("query_bias", {size}, "(size)");
    // One of the keys adds the same number to all scores of a row, which a softmax does not see.
    if (Value unseen = constant("key_bias", {size}, "(size)"))
      unseen.getDefiningOp()->erase();
    if (errors.any())
      return Value();
    if (shift) {
      // The op's query has no bias: the product is made before it.
      rows = b.linear(rows, query, shift);
      std::vector<double> identity(size * size);
      for (int64_t i = 0; i < size; ++i)
        identity[i * size + i] = 1;
      TensorRef unit;
      unit.isLiteral = true;
      unit.mark = aggregator.mark;
      unit.values = std::move(identity);
      unit.shape = {size, size};
      query =
          tensors.constant(b, unit, frame.captures, {size, size}, element, "query", "(size, size)");
    }
    auto type = RankedTensorType::get(
        {part.getDimSize(0), value ? spec::typeOf(value).getDimSize(0) : width}, element);
    return AggregateAttentionOp::create(b, type, parts, rows, query, key, value,
                                        b.getF64FloatAttr(aggregator.scale));
  }
  case Aggregator::Onnx: {
    RankedTensorType result;
    FlatSymbolRefAttr symbol = aggregatorFor(frame, aggregator, name, part, slots, result);
    return symbol
               ? AggregateByOp::create(b, withRows(result), symbol, parts, ValueRange()).getResult()
               : Value();
  }
  case Aggregator::Op: {
    Operation *op = createNamed(
        b, errors, aggregator.op, parts, "an aggregator",
        [](RegisteredOperationName name) { return name.hasInterface<AggregatorOpInterface>(); });
    if (!op)
      return Value();
    if (!isa<RankedTensorType>(op->getResult(0).getType()))
      return fail(aggregator.op.name.mark,
                  aggregator.op.name.text + ": expected an aggregator that gives a ranked tensor");
    return op->getResult(0);
  }
  }
  llvm_unreachable("an aggregator");
}
