//===- Graphs.cpp - Bodies that are graphs: ONNX files and the backbone's layers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"

#include "graft/Analysis/RowIndependence.h"
#include "graft/Import/Import.h"
#include "graft/Onnx/Origin.h"
#include "graft/Transforms/OnnxPasses.h"
#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;
using onnx::GraphBuilder;

/// Sets the types of a body's inputs and names their dimensions: equal names are equal sizes.
static void setInputs(func::FuncOp function, ValueRange inputs) {
  mlir::Builder b(function.getContext());
  Block &body = function.getBody().front();
  for (auto [input, argument] : llvm::zip(inputs, body.getArguments())) {
    argument.setType(input.getType());
    SmallVector<Attribute> dims;
    for (auto [d, size] : llvm::enumerate(typeOf(input).getShape()))
      dims.push_back(b.getStringAttr(ShapedType::isDynamic(size) ? "d" + std::to_string(d)
                                                                 : std::to_string(size)));
    function.setArgAttr(argument.getArgNumber(), "modular.dims", b.getArrayAttr(dims));
  }
  function.setType(FunctionType::get(function.getContext(), body.getArgumentTypes(),
                                     body.getTerminator()->getOperandTypes()));
}

/// Puts the ops of a function where the frame builds, and removes it. Shapes are what they are for
/// `inputs`; below Whole a row of the result must depend on its own row alone.
Value SpecBuilder::splice(Frame &frame, Mark mark, StringRef what, func::FuncOp scratch,
                          ValueRange inputs) {
  Block &body = scratch.getBody().front();
  auto type = typeOf(inputs.front());
  setInputs(scratch, inputs);
  inferShapes(scratch);
  Value result = body.getTerminator()->getOperand(0);
  auto given = dyn_cast<RankedTensorType>(result.getType());
  if (!given || given.getElementType() != type.getElementType() || given.getRank() == 0)
    return fail(mark, what + ": expected a result of " + typeText(type.getElementType()) +
                          " of known rank, found " + typeText(result.getType()));
  SymbolicShapes known(scratch);
  auto dims = [&](Value value) { return ArrayRef(known.get(value).dims); };
  const bool keepsRows = dims(result)[0] == dims(body.getArgument(0))[0];
  const bool isAligned = given.getRank() == type.getRank() &&
                         dims(result).drop_back() == dims(body.getArgument(0)).drop_back();
  if (frame.level != Level::Whole) {
    if (!keepsRows)
      return fail(mark, what +
                            ": expected a body that gives a row for each row, since a router "
                            "chooses among rows, found " +
                            typeText(given));
    if (RowIndependence rows(scratch); !rows) {
      std::string where;
      if (Operation *op = rows.getCulprit())
        where = ": " + op->getName().stripDialect().str() + " '" +
                originOf(op->getLoc()).node.str() + "': ";
      return fail(mark,
                  what +
                      ": expected a body whose rows do not depend on each other, since a router "
                      "chooses among rows" +
                      where + rows.getReason(),
                  FaultKind::Unsupported);
    }
  }
  frame.isAligned = frame.isAligned && isAligned;
  for (auto [argument, input] : llvm::zip(body.getArguments(), inputs))
    argument.replaceAllUsesWith(input);
  result = body.getTerminator()->getOperand(0);
  body.getTerminator()->erase();
  Block *into = frame.b.getInsertionBlock();
  into->getOperations().splice(frame.b.getInsertionPoint(), body.getOperations());
  scratch.erase();
  return result;
}

/// The graph of an ONNX file as a function that takes the first of `types`, or all.
func::FuncOp SpecBuilder::importBody(Frame &frame, const Text &file, ArrayRef<Type> types) {
  std::string path = tensors.pathOf(tensors.substitute(file, frame.captures));
  if (errors.any())
    return {};
  ImportOptions options;
  options.allowLinks = tensors.allowLinks;
  auto imported = importOnnx(path, module.getContext(), options);
  if (!imported) {
    FaultKind kind = FaultKind::Input;
    std::string words;
    llvm::handleAllErrors(imported.takeError(), [&](const llvm::ErrorInfoBase &error) {
      words = error.message();
      if (error.isA<Fault>())
        kind = static_cast<const Fault &>(error).getKind();
    });
    errors.fail(file.mark, words, kind);
    return {};
  }
  auto graph = *(**imported).getOps<func::FuncOp>().begin();
  if (graph.getNumArguments() < 1 || graph.getNumArguments() > types.size() ||
      graph.getNumResults() != 1) {
    errors.fail(file.mark, path + ": expected a body of " +
                               (types.size() == 1 ? "one input" : "1 to 3 inputs") +
                               " and one output, found " + Twine(graph.getNumArguments()) +
                               " and " + Twine(graph.getNumResults()));
    return {};
  }
  for (auto [found, wanted] : llvm::zip(graph.getArgumentTypes(), types)) {
    auto declared = dyn_cast<RankedTensorType>(found);
    auto type = cast<RankedTensorType>(wanted);
    if (!declared || declared.getElementType() != type.getElementType() ||
        failed(verifyCompatibleShape(declared, type))) {
      errors.fail(file.mark, path + ": expected a body that takes " + typeText(type) + ", found " +
                                 typeText(found));
      return {};
    }
  }
  graph->remove();
  module.push_back(graph);
  graph.setName("graft.body");
  return graph;
}

Value SpecBuilder::buildOnnx(Frame &frame, const Text &file, Value x) {
  func::FuncOp graph = importBody(frame, file, x.getType());
  return graph ? splice(frame, file.mark, file.text, graph, x) : Value();
}

/// The ops between a layer's input and its output, in order.
Value SpecBuilder::buildLayer(Frame &frame, Mark mark, Value x) {
  const Layer &layer = frame.layer;
  if (!layer.input)
    return fail(mark, "layer: expected a place whose layer reads one tensor of floats");
  Value from = current(layer.input), to = layer.output;
  if (x == from && frame.level == Level::Whole)
    return to;
  llvm::SetVector<Operation *> ops;
  SmallVector<Value> open = {to};
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (value == from || backbone.isConstant(value))
      continue;
    Operation *op = value.getDefiningOp();
    if (!op || op->getNumRegions() != 0)
      return fail(
          mark,
          "layer: expected a layer that reads its input alone to be a module, found that '" +
              layer.name + "' reads " + backbone.nameOf(value) + " too",
          FaultKind::Unsupported);
    if (ops.insert(op))
      llvm::append_range(open, op->getOperands());
  }
  if (to == from)
    return x;
  SmallVector<Operation *> sorted = ops.takeVector();
  llvm::sort(sorted, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });

  const bool isFlat = typeOf(x).getRank() != typeOf(from).getRank();
  if (isFlat)
    for (Operation *op : sorted)
      if (!raise::actsOnVectors(op))
        return fail(mark,
                    "layer: expected a layer that treats each token alone, or a router 'per: "
                    "sequence', found " +
                        op->getName().stripDialect() + " '" + originOf(op->getLoc()).node +
                        "' in '" + layer.name + "'",
                    FaultKind::Unsupported);
  OpBuilder builder(main);
  auto scratch = func::FuncOp::create(builder, main.getLoc(), "graft.body",
                                      builder.getFunctionType(x.getType(), to.getType()));
  Block &body = *scratch.addEntryBlock();
  builder.setInsertionPointToEnd(&body);
  IRMapping mapping;
  mapping.map(from, body.getArgument(0));
  std::function<void(Value)> cloneConstant = [&](Value value) {
    if (mapping.contains(value) || !value.getDefiningOp())
      return;
    for (Value operand : value.getDefiningOp()->getOperands())
      cloneConstant(operand);
    builder.clone(*value.getDefiningOp(), mapping);
  };
  for (Operation *op : sorted) {
    for (Value operand : op->getOperands())
      if (backbone.isConstant(operand))
        cloneConstant(operand);
    Operation *clone = builder.clone(*op, mapping);
    if (isFlat && clone->hasAttr("axis"))
      clone->setAttr("axis", builder.getI64IntegerAttr(-1));
  }
  func::ReturnOp::create(builder, main.getLoc(), mapping.lookup(to));
  return splice(frame, mark, "layer", scratch, x);
}
