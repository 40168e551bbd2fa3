//===- NamedOps.cpp - Ops that a spec names: a plugin's, or Graft's own -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Builder.h"
#include "graft/Spec/Fields.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include <cmath>

using namespace mlir;
using namespace graft;
using namespace graft::spec;

/// What a value may be as an attribute, the likeliest first: the op says which it takes.
static SmallVector<Attribute> readings(mlir::Builder &b, const Node &node) {
  SmallVector<Attribute> found;
  StringRef text = node.text;
  if (node.kind == Node::List) {
    SmallVector<int64_t> integers;
    SmallVector<double> numbers;
    SmallVector<Attribute> items;
    for (const NodeRef &item : node.items) {
      int64_t integer;
      double number;
      if (item->kind == Node::Scalar && !item->quoted &&
          !StringRef(item->text).getAsInteger(10, integer))
        integers.push_back(integer);
      if (item->kind == Node::Scalar && !item->quoted &&
          !StringRef(item->text).getAsDouble(number) && std::isfinite(number))
        numbers.push_back(number);
      if (SmallVector<Attribute> each = readings(b, *item); !each.empty())
        items.push_back(each.front());
    }
    if (integers.size() == node.items.size())
      llvm::append_values(found, Attribute(b.getDenseI64ArrayAttr(integers)),
                          Attribute(b.getI64ArrayAttr(integers)));
    if (numbers.size() == node.items.size())
      llvm::append_values(found, Attribute(b.getDenseF64ArrayAttr(numbers)),
                          Attribute(b.getF64ArrayAttr(numbers)));
    if (items.size() == node.items.size())
      found.push_back(b.getArrayAttr(items));
    return found;
  }
  if (node.kind != Node::Scalar)
    return found;
  if (!node.quoted) {
    if (text == "true" || text == "false") {
      found.push_back(b.getBoolAttr(text == "true"));
      if (text == "true")
        found.push_back(b.getUnitAttr());
    }
    int64_t integer;
    if (!text.getAsInteger(10, integer)) {
      found.push_back(b.getI64IntegerAttr(integer));
      if (llvm::isInt<32>(integer))
        found.push_back(b.getI32IntegerAttr(int32_t(integer)));
      found.push_back(b.getIndexAttr(integer));
    }
    double number;
    if (!text.getAsDouble(number) && std::isfinite(number))
      llvm::append_values(found, Attribute(b.getF64FloatAttr(number)),
                          Attribute(b.getF32FloatAttr(float(number))));
  }
  found.push_back(b.getStringAttr(text));
  return found;
}

/// The attribute that the op takes under this name, or null.
static Attribute choose(RegisteredOperationName op, StringRef name, ArrayRef<Attribute> readings) {
  MLIRContext *context = op.getContext();
  ScopedDiagnosticHandler quiet(context, [](Diagnostic &) { return success(); });
  for (Attribute reading : readings) {
    NamedAttrList one;
    one.append(name, reading);
    if (succeeded(op.verifyInherentAttrs(one, [&] { return emitError(UnknownLoc::get(context)); })))
      return reading;
  }
  return Attribute();
}

/// Whether the attributes and operands are there that the op requires; `words` says which aren't.
/// Types are inferred of them, so they are verified first, on an op whose result is anything.
static bool hasWhatItReads(RegisteredOperationName op, Location loc, ValueRange operands,
                           const NamedAttrList &attributes, std::string &words) {
  OperationState state(loc, op);
  state.addOperands(operands);
  state.addAttributes(attributes.getAttrs());
  state.addTypes(operands.front().getType());
  Operation *made = Operation::create(state);
  (void)verify(made, /*verifyRecursively=*/false);
  made->destroy();
  // Attributes come first, operands next, and then the result, whose words don't matter yet.
  StringRef said = words;
  if (said.contains("requires attribute") || said.contains("operand"))
    return false;
  words.clear();
  return true;
}

/// The result types that the op infers.
static LogicalResult inferTypes(RegisteredOperationName op, Location loc, ValueRange operands,
                                DictionaryAttr attributes, SmallVectorImpl<Type> &types) {
  const auto *infer = op.getInterface<InferTypeOpInterface>();
  if (!infer)
    return failure();
  std::unique_ptr<char[]> storage;
  OpaqueProperties properties(nullptr);
  if (const int size = op.getOpPropertyByteSize()) {
    storage = std::make_unique<char[]>(size);
    properties = OpaqueProperties(storage.get());
    op.initOpProperties(properties, OpaqueProperties(nullptr));
    if (failed(op.setOpPropertiesFromAttribute(op, properties, attributes,
                                               [&] { return emitError(loc); }))) {
      op.destroyOpProperties(properties);
      return failure();
    }
  }
  LogicalResult result = infer->inferReturnTypes(op.getContext(), loc, operands, attributes,
                                                 properties, RegionRange(), types);
  if (storage)
    op.destroyOpProperties(properties);
  return result;
}

Operation *graft::spec::createNamed(onnx::GraphBuilder &b, Errors &errors, const OpRef &ref,
                                    ValueRange operands, StringRef what,
                                    llvm::function_ref<bool(RegisteredOperationName)> wanted) {
  MLIRContext *context = b.getContext();
  auto fail = [&](Mark mark, const Twine &message) -> Operation * {
    errors.fail(mark, message);
    return nullptr;
  };
  StringRef name = ref.name.text;
  context->getOrLoadDialect(name.split('.').first); // one that a plugin has registered
  auto op = RegisteredOperationName::lookup(name, context);
  if (!op || !wanted(*op)) {
    std::vector<std::string> known;
    for (RegisteredOperationName each : context->getRegisteredOperations())
      if (wanted(each) && each.hasInterface<InferTypeOpInterface>())
        known.push_back(each.getStringRef().str());
    return fail(ref.name.mark, "expected the name of an op that is " + what + ", found '" + name +
                                   "'" + nearestNames(name, known));
  }
  NamedAttrList attributes;
  for (const OpAttribute &attribute : ref.attributes) {
    std::vector<std::string> names;
    for (StringAttr each : op->getAttributeNames())
      names.push_back(each.str());
    if (!llvm::is_contained(names, attribute.name))
      return fail(attribute.mark, "expected an attribute of " + name + ", found '" +
                                      attribute.name + "'" + nearestNames(attribute.name, names));
    Attribute value = choose(*op, attribute.name, readings(b, *attribute.value));
    if (!value)
      return fail(attribute.value->mark, attribute.name + ": expected a value that " + name +
                                             " takes, found " + describe(*attribute.value));
    attributes.append(attribute.name, value);
  }

  // What the op says against it is the spec's fault.
  std::string words;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    if (words.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error)
      words = diagnostic.str();
    return success();
  });
  if (!hasWhatItReads(*op, b.getLoc(), operands, attributes, words))
    return fail(ref.name.mark, words);
  SmallVector<Type> types;
  if (failed(inferTypes(*op, b.getLoc(), operands, attributes.getDictionary(context), types)) ||
      types.size() != 1)
    return fail(ref.name.mark, name + ": expected an op that infers the type of its one result" +
                                   (words.empty() ? "" : ": " + words));
  OperationState state(b.getLoc(), *op);
  state.addOperands(operands);
  state.addAttributes(attributes.getAttrs());
  state.addTypes(types);
  Operation *made = b.create(state);
  if (failed(verify(made, /*verifyRecursively=*/false)))
    return fail(ref.name.mark, words.empty() ? name + ": not valid" : words);
  return made;
}
