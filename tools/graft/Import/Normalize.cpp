//===- Normalize.cpp - Brings a model into the form that is imported -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/ModulePath.h"
#include "graft/Import/OnnxFile.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

#include <functional>

#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/shape_inference/implementation.h"
#include "onnx/version_converter/convert.h"

using namespace graft;
using llvm::Error;
using llvm::StringRef;
using llvm::Twine;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;
using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

namespace {

/// Calls `visit` for each graph of the model's main graph and its bodies, outermost first.
void forEachGraph(GraphProto &graph, llvm::function_ref<void(GraphProto &)> visit) {
  visit(graph);
  for (NodeProto &node : *graph.mutable_node())
    for (auto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        forEachGraph(*attribute.mutable_g(), visit);
      for (auto &body : *attribute.mutable_graphs())
        forEachGraph(body, visit);
    }
}

void forEachNode(Nodes &nodes, llvm::function_ref<void(NodeProto &)> visit) {
  for (NodeProto &node : nodes) {
    visit(node);
    for (auto &attribute : *node.mutable_attribute()) {
      if (attribute.has_g())
        forEachNode(*attribute.mutable_g()->mutable_node(), visit);
      for (auto &body : *attribute.mutable_graphs())
        forEachNode(*body.mutable_node(), visit);
    }
  }
}

/// Runs ONNX's checker. Tensors whose payload was moved out look empty to it meanwhile.
void checkModel(OnnxModel &model) {
  std::vector<std::pair<TensorProto *, TensorProto>> saved;
  auto hide = [&](TensorProto &tensor) {
    if (!model.payloadOf(tensor))
      return;
    saved.emplace_back(&tensor, tensor);
    tensor.clear_external_data();
    tensor.clear_data_location();
    tensor.clear_dims();
    tensor.add_dims(0);
  };
  auto hideIn = [&](NodeProto &node) {
    for (auto &attribute : *node.mutable_attribute())
      if (attribute.has_t())
        hide(*attribute.mutable_t());
  };
  forEachGraph(*model.proto.mutable_graph(), [&](GraphProto &graph) {
    for (TensorProto &tensor : *graph.mutable_initializer())
      hide(tensor);
    // The checker wants a shape where exporters give none.
    for (auto &output : *graph.mutable_output())
      if (output.type().has_tensor_type())
        output.mutable_type()->mutable_tensor_type()->mutable_shape();
  });
  forEachNode(*model.proto.mutable_graph()->mutable_node(), hideIn);
  for (auto &function : *model.proto.mutable_functions())
    forEachNode(*function.mutable_node(), hideIn);
  ::onnx::checker::check_model(model.proto);
  for (auto &[tensor, original] : saved)
    *tensor = std::move(original);
}

/// Gives every node a name that no other node of `scope` has.
void nameNodes(Nodes &nodes, llvm::StringSet<> &scope) {
  forEachNode(nodes, [&](NodeProto &node) {
    std::string stem = node.name().empty() ? node.op_type() : node.name(), name = stem;
    for (unsigned count = 1; !scope.insert(name).second; ++count)
      name = stem + "_" + std::to_string(count);
    node.set_name(name);
  });
}

std::string joinPaths(const std::string &outer, const std::string &inner) {
  return outer.empty() ? inner : inner.empty() ? outer : outer + "." + inner;
}

/// The module paths of the calls of model-local functions, by the number that the inliner gives to
/// each call: it counts them depth first, and appends `__NUMBER` to the names of a body's nodes.
class CallPaths {
public:
  explicit CallPaths(const ModelProto &model) {
    for (const auto &function : model.functions())
      functions[key(function.domain(), function.name(), function.overload())] = &function;
    if (!functions.empty())
      walk(model.graph().node(), "");
  }

  /// The path of the call that a node of this name was inlined from, or null.
  const std::string *find(StringRef name) const {
    // The name generator adds another `_N` if the name is taken.
    for (size_t at = name.rfind("__"); at != StringRef::npos;
         at = name.take_front(at).rfind("__")) {
      size_t number;
      StringRef digits = name.drop_front(at + 2).take_while(llvm::isDigit);
      if (!digits.getAsInteger(10, number) && number >= 1 && number <= paths.size())
        return &paths[number - 1];
    }
    return nullptr;
  }

private:
  static std::string key(StringRef domain, StringRef name, StringRef overload) {
    return (domain + "\n" + name + "\n" + overload).str();
  }

  void walk(const Nodes &nodes, const std::string &outer) {
    for (const NodeProto &node : nodes) {
      auto callee = functions.find(key(node.domain(), node.op_type(), node.overload()));
      if (callee != functions.end()) {
        paths.push_back(joinPaths(outer, modulePathOf(node)));
        walk(callee->second->node(), std::string(paths.back()));
        continue;
      }
      for (const auto &attribute : node.attribute()) {
        if (attribute.has_g())
          walk(attribute.g().node(), outer);
        for (const auto &body : attribute.graphs())
          walk(body.node(), outer);
      }
    }
  }

  llvm::StringMap<const ::onnx::FunctionProto *> functions;
  std::vector<std::string> paths;
};

/// Notes the path of every node by its name and by its results' names: version conversion drops all
/// metadata, and may replace a node.
void recordPaths(OnnxModel &model, const CallPaths &calls) {
  forEachNode(*model.proto.mutable_graph()->mutable_node(), [&](NodeProto &node) {
    std::string path = modulePathOf(node);
    if (const std::string *call = calls.find(node.name()))
      if (!StringRef(path).starts_with(*call))
        path = joinPaths(*call, path);
    model.nodePaths[node.name()] = path;
    for (const std::string &output : node.output())
      if (!output.empty())
        model.valuePaths[output] = path;
  });
}

/// Names the nodes that conversion has inserted, and lets them inherit their neighbour's path: that
/// of the node they feed, as a rule.
void pathsOfInserted(OnnxModel &model) {
  llvm::StringSet<> names;
  nameNodes(*model.proto.mutable_graph()->mutable_node(), names);
  forEachGraph(*model.proto.mutable_graph(), [&](GraphProto &graph) {
    const std::string *next = nullptr;
    auto known = [&](const NodeProto &node) -> const std::string * {
      for (const std::string &output : node.output())
        if (auto it = model.valuePaths.find(output); it != model.valuePaths.end())
          return &it->second;
      auto it = model.nodePaths.find(node.name());
      return it == model.nodePaths.end() ? nullptr : &it->second;
    };
    std::vector<const NodeProto *> last;
    for (int i = graph.node_size() - 1; i >= 0; --i) {
      const NodeProto &node = graph.node(i);
      if (const std::string *path = known(node))
        next = path;
      else if (!next)
        last.push_back(&node);
      if (next)
        model.nodePaths.try_emplace(node.name(), std::string(*next));
    }
    for (const NodeProto *node : last)
      model.nodePaths.try_emplace(node->name(), "");
  });
}

int64_t opsetOf(const ModelProto &model, StringRef domain) {
  for (const auto &import : model.opset_import())
    if (StringRef(import.domain()) == domain || (domain.empty() && import.domain() == "ai.onnx"))
      return import.version();
  return 0;
}

/// Ops that the library has no schema for: nothing is known of their results.
bool hasUnknownOps(ModelProto &model) {
  bool unknown = false;
  forEachNode(*model.mutable_graph()->mutable_node(), [&](NodeProto &node) {
    StringRef domain = node.domain() == "ai.onnx" ? StringRef() : StringRef(node.domain());
    unknown |= !::onnx::OpSchemaRegistry::Schema(
        node.op_type(), static_cast<int>(opsetOf(model, domain)), domain.str());
  });
  return unknown;
}

/// Drops what the exporter claims of types and shapes inside, and of the shapes of outputs. With
/// unknown ops there is nothing better.
void stripHints(ModelProto &model) {
  if (hasUnknownOps(model))
    return;
  forEachGraph(*model.mutable_graph(), [&](GraphProto &graph) {
    graph.clear_value_info();
    for (auto &output : *graph.mutable_output())
      if (output.type().has_tensor_type())
        output.mutable_type()->mutable_tensor_type()->clear_shape();
  });
}

/// Whether the lowering of an op takes this form of it.
bool hasLoweredForm(const NodeProto &node) {
  if (node.op_type() != "Attention")
    return true;
  bool hasLengths = node.input_size() > 6 && !node.input(6).empty();
  bool givesScores = node.output_size() > 3 && !node.output(3).empty();
  return !hasLengths && !givesScores && llvm::none_of(node.attribute(), [](const auto &attribute) {
    StringRef name = attribute.name();
    return name == "softcap" ? attribute.f() != 0
                             : name.ends_with("window_size") && attribute.i() >= 0;
  });
}

/// Replaces the standard's functions that have no lowering by their bodies.
void expandFunctions(OnnxModel &model, llvm::function_ref<bool(StringRef)> knows) {
  ::onnx::inliner::FunctionIdVector unknown;
  Nodes &nodes = *model.proto.mutable_graph()->mutable_node();
  forEachNode(nodes, [&](NodeProto &node) {
    if ((!node.domain().empty() && node.domain() != "ai.onnx") ||
        (knows(node.op_type()) && hasLoweredForm(node)))
      return;
    const auto *schema = ::onnx::OpSchemaRegistry::Schema(
        node.op_type(), static_cast<int>(opsetOf(model.proto, "")));
    if (schema && (schema->HasFunction() || schema->HasContextDependentFunction()))
      unknown.emplace_back(node.domain(), node.op_type());
  });
  if (unknown.empty())
    return;
  ModelProto copy = model.proto;
  // The inliner takes all nodes of an op or none.
  constexpr StringRef hidden = "lowered ";
  forEachNode(*copy.mutable_graph()->mutable_node(), [&](NodeProto &node) {
    if (knows(node.op_type()) && hasLoweredForm(node))
      node.set_op_type((hidden + node.op_type()).str());
  });
  try {
    auto ids = ::onnx::inliner::FunctionIdSet::Create(std::move(unknown));
    ::onnx::inliner::InlineSelectedFunctions(copy, *ids, nullptr);
    forEachNode(*copy.mutable_graph()->mutable_node(), [&](NodeProto &node) {
      StringRef name = node.op_type();
      if (name.consume_front(hidden))
        node.set_op_type(name.str());
    });
    model.proto = std::move(copy);
  } catch (const std::exception &) {
    // Then the op stays, imports, and is refused by name when it is lowered.
  }
}

/// Dimensions of inputs: names become identifiers, and those without one get one of their own.
void nameDimensions(OnnxModel &model) {
  GraphProto &graph = *model.proto.mutable_graph();
  llvm::StringSet<> taken;
  llvm::StringMap<std::string> renamed;
  auto isName = [](StringRef text) {
    return !text.empty() && (llvm::isAlpha(text[0]) || text[0] == '_') &&
           llvm::all_of(text, [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; });
  };
  auto fresh = [&](std::string stem) {
    for (char &c : stem)
      if (!llvm::isAlnum(c) && c != '_' && c != '.')
        c = '_';
    if (!isName(stem))
      stem = "d_" + stem;
    std::string name = stem;
    for (unsigned count = 1; !taken.insert(name).second; ++count)
      name = stem + "_" + std::to_string(count);
    return name;
  };
  auto forEachDim = [&](auto visit) {
    for (auto &input : *graph.mutable_input())
      if (input.type().has_tensor_type() && input.type().tensor_type().has_shape()) {
        int index = 0;
        for (auto &dim :
             *input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim())
          visit(input.name(), index++, dim);
      }
  };
  forEachDim([&](const std::string &, int, auto &dim) {
    if (isName(dim.dim_param()))
      taken.insert(dim.dim_param());
  });
  forEachDim([&](const std::string &input, int index, auto &dim) {
    if (dim.has_dim_value() && dim.dim_value() >= 0)
      return;
    if (!dim.has_dim_param() || dim.dim_param().empty()) {
      dim.set_dim_param(fresh(input + "_d" + std::to_string(index)));
    } else if (!isName(dim.dim_param())) {
      std::string &name = renamed[dim.dim_param()];
      if (name.empty())
        name = fresh(dim.dim_param());
      dim.set_dim_param(name);
    }
  });
}

/// An initializer that is also an input is the input's default value: a constant here.
void dropDefaultedInputs(ModelProto &model) {
  GraphProto &graph = *model.mutable_graph();
  llvm::StringSet<> initialized;
  for (const TensorProto &tensor : graph.initializer())
    initialized.insert(tensor.name());
  auto *inputs = graph.mutable_input();
  inputs->erase(
      std::remove_if(inputs->begin(), inputs->end(),
                     [&](const auto &input) { return initialized.contains(input.name()); }),
      inputs->end());
  // Before version 4 of the format every initializer had to be an input.
  model.set_ir_version(std::max<int64_t>(model.ir_version(), 8));
}

Error inferTypes(OnnxModel &model) {
  auto infer = [](ModelProto &proto, int strictness) {
    ::onnx::ShapeInferenceOptions options(/*check_type=*/true, strictness, /*data_prop=*/true);
    ::onnx::shape_inference::DataValueMap values;
    ::onnx::shape_inference::InferShapes(proto, ::onnx::OpSchemaRegistry::Instance(), options,
                                         &values);
  };
  infer(model.proto, 0);
  if (hasUnknownOps(model.proto))
    return Error::success();
  // Without a shape: either nothing is wrong, or strict inference says what.
  llvm::StringSet<> shaped;
  auto note = [&](const auto &values) {
    for (const auto &value : values)
      if (!value.type().has_tensor_type() || value.type().tensor_type().has_shape())
        shaped.insert(value.name());
  };
  bool complete = true;
  forEachGraph(*model.proto.mutable_graph(), [&](GraphProto &graph) {
    note(graph.value_info());
    note(graph.output());
    for (const NodeProto &node : graph.node())
      for (const std::string &output : node.output())
        complete &= output.empty() || shaped.contains(output);
  });
  if (!complete) { // again, for the words
    ModelProto copy = model.proto;
    infer(copy, 1);
  }
  return Error::success();
}

/// ONNX's messages end in the whole context, over several lines: the first ones say what is wrong.
std::string words(const std::exception &error) {
  StringRef text(error.what());
  text = text.split("\n\n==> Context").first.trim();
  std::string out;
  for (char c : text)
    out += c == '\n' ? ' ' : c;
  return out;
}

} // namespace

Error graft::normalizeModel(OnnxModel &model, llvm::function_ref<bool(StringRef)> knows) {
  int newest =
      ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance().LastReleaseVersionMap().at("");
  model.fileOpset = opsetOf(model.proto, "");
  if (model.fileOpset > newest)
    return unsupportedFault(model.file + ": opset " + Twine(model.fileOpset) +
                            " is not supported; the newest that is known is " + Twine(newest));
  if (model.proto.graph().output_size() == 0)
    return inputFault(model.file + ": expected a graph with at least one output, found none");
  const char *doing = "is not valid";
  try {
    checkModel(model);

    llvm::StringSet<> names;
    nameNodes(*model.proto.mutable_graph()->mutable_node(), names);
    for (auto &function : *model.proto.mutable_functions()) {
      llvm::StringSet<> own;
      nameNodes(*function.mutable_node(), own);
    }
    CallPaths calls(model.proto);
    doing = "functions cannot be inlined";
    dropDefaultedInputs(model.proto);
    if (model.proto.functions_size() > 0)
      ::onnx::inliner::InlineLocalFunctions(model.proto, /*convert_version=*/true);
    recordPaths(model, calls);

    forEachGraph(*model.proto.mutable_graph(), sequencesToSlices);

    for (const auto &output : model.proto.graph().output())
      model.declaredOutputs.push_back(output);
    nameDimensions(model);
    stripHints(model.proto);
    if (model.fileOpset > 0 && model.fileOpset < newest) {
      doing = "cannot be converted to a newer opset";
      ModelProto converted = ::onnx::version_conversion::ConvertVersion(model.proto, newest);
      model.proto = std::move(converted);
      stripHints(model.proto);
    }
    doing = "functions of the standard cannot be expanded";
    expandFunctions(model, knows);
    pathsOfInserted(model);
    doing = "types cannot be inferred";
    return inferTypes(model);
  } catch (const std::exception &error) {
    return inputFault(model.file + ": " + doing + ": " + words(error));
  }
}
