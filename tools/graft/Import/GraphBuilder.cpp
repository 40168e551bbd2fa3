//===- GraphBuilder.cpp - Builds the onnx dialect's ops from a model -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/OnnxFile.h"
#include "graft/Import/TensorData.h"
#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Onnx/Origin.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"

#include "onnx/defs/schema.h"

using namespace mlir;
using namespace graft;
using llvm::Error;
using llvm::Expected;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;
using ::onnx::TensorProto;

namespace {

/// Up to this many elements a constant is written out; small integers tend to be shapes.
constexpr int64_t denseElements = 64, denseIntegers = 1024;

class GraphBuilder {
public:
  GraphBuilder(OnnxModel &model, MLIRContext *context)
      : model(model), context(context), builder(context),
        store(context->getOrLoadDialect<modular::ModularDialect>()->getWeightStore()) {
    for (const auto &import : model.proto.opset_import())
      opsets[import.domain() == "ai.onnx" ? "" : import.domain()] = import.version();
  }

  Expected<OwningOpRef<ModuleOp>> build();

private:
  using Scope = llvm::StringMap<Value>;

  Error buildBody(const GraphProto &graph);
  Error buildNode(const NodeProto &node);
  Error buildConstant(const NodeProto &node);
  Error buildRegion(const GraphProto &graph, Region &region);
  Expected<Attribute> convert(const AttributeProto &attribute, const std::string &where);
  Expected<TypedAttr> convert(const TensorProto &tensor, StringRef name, const std::string &where);
  TypedAttr weight(RankedTensorType type, Payload payload, StringRef name);
  Value constant(TypedAttr value, Location loc);

  void noteTypes(const GraphProto &graph);
  Type typeOf(StringRef value);
  Expected<Type> convert(const ::onnx::TypeProto &type, const std::string &where);
  Expected<Value> lookup(StringRef name, const std::string &where);
  DictionaryAttr describe(StringRef name, const ::onnx::TypeProto &type,
                          const ::onnx::TypeProto *declared);
  const OpSchema *schemaOf(const NodeProto &node) const;
  SmallVector<int32_t> segments(const std::vector<OpSchema::FormalParameter> &formals,
                                const google::protobuf::RepeatedPtrField<std::string> &actuals);
  /// The type of what inference says nothing about, or that is no tensor of numbers.
  Type unknownType() const {
    StringAttr dialect = StringAttr::get(context, "onnx");
    return UnrankedTensorType::get(OpaqueType::get(dialect, "unknown"));
  }
  std::string where(const NodeProto &node) const { return model.file + ": " + node.name(); }
  Location locationOf(const NodeProto &node) const {
    auto path = model.nodePaths.find(node.name());
    return originLocation(context, node.name(),
                          path == model.nodePaths.end() ? StringRef() : StringRef(path->second));
  }

  OnnxModel &model;
  MLIRContext *context;
  OpBuilder builder;
  WeightStore &store;
  llvm::StringMap<int64_t> opsets;
  std::vector<Scope> scopes;
  llvm::StringMap<const ::onnx::TypeProto *> types;
};

Expected<Type> GraphBuilder::convert(const ::onnx::TypeProto &type, const std::string &where) {
  if (!type.has_tensor_type()) {
    if (type.value_case() == ::onnx::TypeProto::VALUE_NOT_SET)
      return unknownType();
    return unsupportedFault(where + ": expected a tensor, found a sequence, map, optional or "
                                    "sparse tensor, which are not supported");
  }
  const auto &tensor = type.tensor_type();
  Type element = elementType(context, tensor.elem_type());
  if (!element) {
    if (tensor.elem_type() == 0)
      return unknownType();
    return unsupportedFault(where + ": tensors of " + elementName(tensor.elem_type()) +
                            " are not supported");
  }
  if (!tensor.has_shape())
    return UnrankedTensorType::get(element);
  SmallVector<int64_t> shape;
  for (const auto &dim : tensor.shape().dim())
    shape.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value()
                                                                : ShapedType::kDynamic);
  return RankedTensorType::get(shape, element);
}

void GraphBuilder::noteTypes(const GraphProto &graph) {
  for (const auto *values : {&graph.value_info(), &graph.input(), &graph.output()})
    for (const auto &value : *values)
      types[value.name()] = &value.type();
}

Expected<Value> GraphBuilder::lookup(StringRef name, const std::string &where) {
  for (Scope &scope : llvm::reverse(scopes))
    if (auto it = scope.find(name); it != scope.end())
      return it->second;
  return inputFault(where + ": expected a value that is computed before, found '" + name + "'");
}

const OpSchema *GraphBuilder::schemaOf(const NodeProto &node) const {
  std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
  auto version = opsets.find(domain);
  return version == opsets.end() ? nullptr
                                 : ::onnx::OpSchemaRegistry::Schema(
                                       node.op_type(), static_cast<int>(version->second), domain);
}

/// How many of the actual values belong to each formal parameter.
SmallVector<int32_t>
GraphBuilder::segments(const std::vector<OpSchema::FormalParameter> &formals,
                       const google::protobuf::RepeatedPtrField<std::string> &actuals) {
  SmallVector<int32_t> sizes;
  int next = 0;
  for (const auto &formal : formals) {
    int end = formal.GetOption() == OpSchema::Variadic ? actuals.size()
                                                       : std::min(next + 1, actuals.size());
    int32_t size = 0;
    for (; next < end; ++next)
      size += !actuals.Get(next).empty();
    sizes.push_back(size);
  }
  return sizes;
}

TypedAttr GraphBuilder::weight(RankedTensorType type, Payload payload, StringRef name) {
  bool isBool = type.getElementType().isInteger(1);
  if (isBool && llvm::any_of(payload.bytes, [](char byte) { return (byte & ~1) != 0; })) {
    std::vector<char> bytes(payload.bytes.begin(), payload.bytes.end());
    for (char &byte : bytes)
      byte = byte != 0;
    return modular::WeightAttr::get(context, store.addProduced(name, type, std::move(bytes)), type);
  }
  StringRef key = store.addMapped(name, type, payload.bytes, std::move(payload.owner));
  return modular::WeightAttr::get(context, key, type);
}

Expected<TypedAttr> GraphBuilder::convert(const TensorProto &tensor, StringRef name,
                                          const std::string &where) {
  Expected<int64_t> bytes = packedBytes(tensor, where);
  if (!bytes)
    return bytes.takeError();
  auto type =
      RankedTensorType::get(SmallVector<int64_t>(tensor.dims().begin(), tensor.dims().end()),
                            elementType(context, tensor.data_type()));
  Payload payload;
  if (const Payload *moved = model.payloadOf(tensor)) {
    payload = *moved;
  } else {
    Expected<std::vector<char>> packed = packElements(tensor, where);
    if (!packed)
      return packed.takeError();
    auto owned = std::make_shared<std::vector<char>>(std::move(*packed));
    payload = Payload{*owned, owned};
  }
  if (static_cast<int64_t>(payload.bytes.size()) != *bytes)
    return inputFault(where + ": expected " + Twine(*bytes) + " bytes, found " +
                      Twine(payload.bytes.size()));
  int64_t count = type.getNumElements();
  bool integers = type.getElementType().isSignlessInteger(64) && type.getRank() <= 1;
  if (count <= (integers ? denseIntegers : denseElements) || !WeightStore::byteSize(type))
    return TypedAttr(denseFromRaw(type, payload.bytes));
  return weight(type, std::move(payload), name);
}

Value GraphBuilder::constant(TypedAttr value, Location loc) {
  OperationState state(loc, "onnx.Constant", ValueRange(), TypeRange(value.getType()),
                       {builder.getNamedAttr("value", value)});
  return builder.create(state)->getResult(0);
}

Expected<Attribute> GraphBuilder::convert(const AttributeProto &attribute,
                                          const std::string &where) {
  auto array = [&](const auto &values, auto make) -> Attribute {
    SmallVector<Attribute> items;
    for (const auto &value : values)
      items.push_back(make(value));
    return builder.getArrayAttr(items);
  };
  switch (attribute.type()) {
  case AttributeProto::FLOAT:
    return builder.getF32FloatAttr(attribute.f());
  case AttributeProto::INT:
    return builder.getI64IntegerAttr(attribute.i());
  case AttributeProto::STRING:
    return builder.getStringAttr(attribute.s());
  case AttributeProto::FLOATS:
    return array(attribute.floats(), [&](float f) { return builder.getF32FloatAttr(f); });
  case AttributeProto::INTS:
    return array(attribute.ints(), [&](int64_t i) { return builder.getI64IntegerAttr(i); });
  case AttributeProto::STRINGS:
    return array(attribute.strings(), [&](const auto &s) { return builder.getStringAttr(s); });
  case AttributeProto::TENSOR:
    return convert(attribute.t(), attribute.t().name(), where);
  case AttributeProto::TYPE_PROTO: {
    Expected<Type> type = convert(attribute.tp(), where);
    if (!type)
      return type.takeError();
    return TypeAttr::get(*type);
  }
  default:
    return unsupportedFault(where + ": the attribute '" + attribute.name() +
                            "' is of a kind that is not supported");
  }
}

/// A Constant node in any of its forms becomes one with a tensor.
Error GraphBuilder::buildConstant(const NodeProto &node) {
  if (node.attribute_size() != 1 || node.output_size() != 1)
    return inputFault(where(node) + ": expected a Constant with one value");
  const AttributeProto &attribute = node.attribute(0);
  TypedAttr value;
  auto tensor = [&](Type element, ArrayRef<int64_t> shape, auto data) {
    using T = typename decltype(data)::value_type;
    value = DenseElementsAttr::get(RankedTensorType::get(shape, element), ArrayRef<T>(data));
  };
  switch (attribute.type()) {
  case AttributeProto::TENSOR: {
    Expected<TypedAttr> converted = convert(attribute.t(), node.output(0), where(node));
    if (!converted)
      return converted.takeError();
    value = *converted;
    break;
  }
  case AttributeProto::FLOAT:
    tensor(builder.getF32Type(), {}, std::vector<float>{attribute.f()});
    break;
  case AttributeProto::INT:
    tensor(builder.getI64Type(), {}, std::vector<int64_t>{attribute.i()});
    break;
  case AttributeProto::FLOATS:
    tensor(builder.getF32Type(), {attribute.floats_size()},
           std::vector<float>(attribute.floats().begin(), attribute.floats().end()));
    break;
  case AttributeProto::INTS:
    tensor(builder.getI64Type(), {attribute.ints_size()},
           std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end()));
    break;
  default:
    return unsupportedFault(where(node) + ": a Constant with '" + attribute.name() +
                            "' is not supported");
  }
  scopes.back()[node.output(0)] = constant(value, locationOf(node));
  return Error::success();
}

Error GraphBuilder::buildRegion(const GraphProto &graph, Region &region) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region);
  scopes.emplace_back();
  noteTypes(graph);
  for (const auto &input : graph.input()) {
    Expected<Type> type = convert(input.type(), model.file + ": " + input.name());
    if (!type)
      return type.takeError();
    Location loc = originLocation(context, input.name(), "");
    scopes.back()[input.name()] = block->addArgument(*type, loc);
  }
  if (Error error = buildBody(graph))
    return error;
  SmallVector<Value> results;
  for (const auto &output : graph.output()) {
    Expected<Value> value = lookup(output.name(), model.file + ": " + graph.name());
    if (!value)
      return value.takeError();
    results.push_back(*value);
  }
  OperationState yield(builder.getUnknownLoc(), "onnx.Yield", results, TypeRange());
  builder.create(yield);
  scopes.pop_back();
  return Error::success();
}

Error GraphBuilder::buildNode(const NodeProto &node) {
  bool standard = node.domain().empty() || node.domain() == "ai.onnx";
  if (standard && node.op_type() == "Constant")
    return buildConstant(node);
  std::string name = "onnx." + (standard ? "" : node.domain() + ".") + node.op_type();
  OperationState state(locationOf(node), name);
  auto known = RegisteredOperationName::lookup(name, context);
  const OpSchema *schema = schemaOf(node);

  bool gap = false; // an absent value that isn't last
  for (int i = 0; i < node.input_size(); ++i) {
    if (node.input(i).empty()) {
      gap |= i + 1 < node.input_size();
      continue;
    }
    Expected<Value> value = lookup(node.input(i), where(node));
    if (!value)
      return value.takeError();
    state.operands.push_back(*value);
  }
  if (known ? known->hasTrait<OpTrait::AttrSizedOperandSegments>() : gap) {
    SmallVector<int32_t> sizes;
    if (schema)
      sizes = segments(schema->inputs(), node.input());
    else
      for (const std::string &input : node.input())
        sizes.push_back(!input.empty());
    state.addAttribute("operandSegmentSizes", builder.getDenseI32ArrayAttr(sizes));
  }

  SmallVector<StringRef> outputs;
  bool sized = known ? known->hasTrait<OpTrait::AttrSizedResultSegments>() : true;
  int last = node.output_size();
  while (last > 0 && node.output(last - 1).empty())
    --last;
  gap = false;
  for (int i = 0; i < last; ++i) {
    if (!node.output(i).empty()) {
      outputs.push_back(node.output(i));
      auto type = types.find(node.output(i));
      Type converted = unknownType();
      if (type != types.end()) {
        // A sequence, map or string inside the graph: lowering refuses the op by name.
        const auto &proto = *type->second;
        if (proto.has_tensor_type() && elementType(context, proto.tensor_type().elem_type())) {
          Expected<Type> result = convert(proto, where(node));
          if (!result)
            return result.takeError();
          converted = *result;
        }
      }
      state.addTypes(converted);
    } else if (!sized) {
      outputs.push_back("");
      state.addTypes(unknownType());
    } else {
      gap = true;
    }
  }
  if (known ? sized : gap) {
    SmallVector<int32_t> sizes;
    if (schema)
      sizes = segments(schema->outputs(), node.output());
    else
      for (const std::string &output : node.output())
        sizes.push_back(!output.empty());
    state.addAttribute("resultSegmentSizes", builder.getDenseI32ArrayAttr(sizes));
  }

  // `then` before `else`, whatever their order in the file.
  SmallVector<const GraphProto *> bodies;
  for (const AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g()) {
      bool first = attribute.name() == "then_branch";
      bodies.insert(first ? bodies.begin() : bodies.end(), &attribute.g());
      continue;
    }
    Expected<Attribute> value = convert(attribute, where(node));
    if (!value)
      return value.takeError();
    state.addAttribute(attribute.name(), *value);
  }
  for (const GraphProto *body : bodies)
    if (Error error = buildRegion(*body, *state.addRegion()))
      return error;

  Operation *op = builder.create(state);
  for (auto [output, result] : llvm::zip(outputs, op->getResults()))
    if (!output.empty())
      scopes.back()[output] = result;
  return Error::success();
}

/// The names that a graph's nodes and bodies read.
void collectUses(const GraphProto &graph, llvm::StringSet<> &used) {
  for (const auto &output : graph.output())
    used.insert(output.name());
  for (const NodeProto &node : graph.node()) {
    for (const std::string &input : node.input())
      used.insert(input);
    for (const AttributeProto &attribute : node.attribute())
      if (attribute.has_g())
        collectUses(attribute.g(), used);
  }
}

Error GraphBuilder::buildBody(const GraphProto &graph) {
  llvm::StringSet<> used;
  collectUses(graph, used);
  for (const TensorProto &tensor : graph.initializer()) {
    if (!used.contains(tensor.name()))
      continue;
    Expected<TypedAttr> value = convert(tensor, tensor.name(), model.file + ": " + tensor.name());
    if (!value)
      return value.takeError();
    scopes.back()[tensor.name()] = constant(*value, originLocation(context, tensor.name(), ""));
  }
  for (const NodeProto &node : graph.node())
    if (Error error = buildNode(node))
      return error;
  return Error::success();
}

/// `modular.name` and `modular.dims` of an argument or a result. Names that inference has made up
/// give way to those that the file declares.
DictionaryAttr GraphBuilder::describe(StringRef name, const ::onnx::TypeProto &type,
                                      const ::onnx::TypeProto *declared) {
  NamedAttrList attributes;
  attributes.set("modular.name", builder.getStringAttr(name));
  const auto &tensor = type.tensor_type();
  if (type.has_tensor_type() && tensor.has_shape()) {
    SmallVector<StringRef> dims;
    SmallVector<std::string> owned;
    owned.reserve(tensor.shape().dim_size());
    for (int i = 0; i < tensor.shape().dim_size(); ++i) {
      const auto &dim = tensor.shape().dim(i);
      std::string text;
      if (dim.has_dim_value() && dim.dim_value() >= 0)
        text = std::to_string(dim.dim_value());
      else if (dim.has_dim_param() && !StringRef(dim.dim_param()).starts_with("unk__"))
        text = dim.dim_param();
      else if (declared && declared->tensor_type().shape().dim_size() == tensor.shape().dim_size())
        text = declared->tensor_type().shape().dim(i).dim_param();
      if (text.empty())
        text = (name + "_d" + Twine(i)).str();
      owned.push_back(std::move(text));
    }
    dims.append(owned.begin(), owned.end());
    attributes.set("modular.dims", builder.getStrArrayAttr(dims));
  }
  return attributes.getDictionary(context);
}

Expected<OwningOpRef<ModuleOp>> GraphBuilder::build() {
  const GraphProto &graph = model.proto.graph();
  // No NameLoc: that is a node.
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(FileLineColLoc::get(builder.getStringAttr(model.file), 0, 0));
  auto attribute = [&](StringRef name, Attribute value) { (*module)->setAttr(name, value); };
  attribute("onnx.opset", builder.getI64IntegerAttr(model.fileOpset));
  std::string producer = model.proto.producer_name();
  if (!model.proto.producer_version().empty())
    producer += " " + model.proto.producer_version();
  if (!producer.empty())
    attribute("onnx.producer", builder.getStringAttr(producer));

  noteTypes(graph);
  scopes.emplace_back();
  builder.setInsertionPointToEnd(module->getBody());
  auto function =
      func::FuncOp::create(builder, module->getLoc(), "main", builder.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToEnd(block);
  SmallVector<Type> inputs, outputs;
  SmallVector<DictionaryAttr> inputAttributes, outputAttributes;
  for (const auto &input : graph.input()) {
    std::string where = model.file + ": " + input.name();
    Expected<Type> type = convert(input.type(), where);
    if (!type)
      return type.takeError();
    scopes.back()[input.name()] =
        block->addArgument(*type, originLocation(context, input.name(), ""));
    inputs.push_back(*type);
    inputAttributes.push_back(describe(input.name(), input.type(), nullptr));
  }
  if (Error error = buildBody(graph))
    return std::move(error);
  SmallVector<Value> results;
  for (int i = 0; i < graph.output_size(); ++i) {
    const auto &output = graph.output(i);
    Expected<Value> value = lookup(output.name(), model.file + ": " + output.name());
    if (!value)
      return value.takeError();
    results.push_back(*value);
    outputs.push_back(value->getType());
    const auto *declared = i < static_cast<int>(model.declaredOutputs.size())
                               ? &model.declaredOutputs[i].type()
                               : nullptr;
    outputAttributes.push_back(describe(output.name(), output.type(), declared));
  }
  func::ReturnOp::create(builder, module->getLoc(), results);
  function.setType(builder.getFunctionType(inputs, outputs));
  function.setAllArgAttrs(inputAttributes);
  function.setAllResultAttrs(outputAttributes);

  // What the dialect refuses was a valid model: ONNX's own checks have passed.
  std::string words;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    if (words.empty() && diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      Origin origin = originOf(diagnostic.getLocation());
      llvm::raw_string_ostream os(words);
      os << origin.node << ": " << diagnostic.str();
      if (!origin.module.empty())
        os << " (in " << origin.module << ")";
    }
    return success();
  });
  if (failed(verify(*module)))
    return unsupportedFault(model.file + ": " + words);
  if (Error error = checkOps(*module, model.file))
    return std::move(error);
  return module;
}

} // namespace

Expected<OwningOpRef<ModuleOp>> graft::buildModule(OnnxModel &model, MLIRContext *context) {
  context->loadDialect<func::FuncDialect, onnx::OnnxDialect, modular::ModularDialect>();
  return GraphBuilder(model, context).build();
}
