//===- ReadModules.cpp - Modules and aggregators of a spec -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Fields.h"

#include "llvm/ADT/STLExtras.h"

using namespace graft;
using namespace graft::spec;
using llvm::StringRef;
using llvm::Twine;

namespace {
/// The kinds of bodies and the keys of their maps. A tensor whose key ends in '!' is needed.
struct BodySchema {
  StringRef key;
  Module::Kind kind;
  std::vector<StringRef> tensors, others;
};
} // namespace

static const std::vector<BodySchema> &bodies() {
  static const std::vector<BodySchema> list = {
      {"identity", Module::Identity, {}, {}},
      {"zero", Module::Zero, {}, {}},
      {"layer", Module::Layer, {}, {}},
      {"linear", Module::Linear, {"weight!", "bias"}, {"activation"}},
      {"mlp", Module::Mlp, {"up!", "up_bias", "down!", "down_bias"}, {"activation"}},
      {"glu",
       Module::Glu,
       {"gate!", "gate_bias", "up!", "up_bias", "down!", "down_bias"},
       {"activation"}},
      {"swiglu", Module::Glu, {"gate!", "gate_bias", "up!", "up_bias", "down!", "down_bias"}, {}},
      {"geglu", Module::Glu, {"gate!", "gate_bias", "up!", "up_bias", "down!", "down_bias"}, {}},
      {"bottleneck", Module::Bottleneck, {"down!", "down_bias", "up!", "up_bias"}, {"activation"}},
      {"lora", Module::Lora, {"down!", "up!"}, {"alpha", "scale"}},
      {"peft", Module::Peft, {}, {"folder!", "module!", "scale"}},
      {"layer_norm", Module::LayerNorm, {"weight!", "bias"}, {"epsilon"}},
      {"rms_norm", Module::RmsNorm, {"weight!"}, {"epsilon"}},
      {"onnx", Module::Onnx, {}, {}},
      {"stack", Module::Stack, {}, {}},
      {"sum", Module::Sum, {}, {}},
      {"parallel", Module::Parallel, {}, {"modules!", "axis"}},
      {"split", Module::Split, {}, {"modules!", "sizes!", "axis"}},
      {"mixture", Module::Mixture, {}, {"router!", "modules!", "aggregate", "shared"}},
  };
  return list;
}

static const StringRef activations[] = {"none", "relu",    "gelu",       "gelu_tanh", "silu",
                                        "tanh", "sigmoid", "leaky_relu", "elu",       "softplus"};

static void readModules(Errors &errors, const NodeRef &node, StringRef what,
                        std::vector<Ref<Module>> &modules) {
  for (const NodeRef &item : readList(errors, node, what))
    modules.push_back(readRef(errors, item, "a module", readModule));
  if (modules.empty())
    errors.fail(node->mark, what + ": expected a module, found none");
}

/// The keys of a body that are no tensors.
static void readOther(Errors &errors, StringRef key, const NodeRef &value, Module &module) {
  if (key == "activation") {
    module.activation = Activation::Kind(readChoice(errors, value, key, activations));
  } else if (key == "alpha") {
    module.alpha = readNumber(errors, value, key);
  } else if (key == "scale") {
    module.factor = readNumber(errors, value, key);
  } else if (key == "epsilon") {
    module.epsilon = readNumber(errors, value, key);
    if (module.epsilon < 0)
      errors.fail(value->mark, "epsilon: expected a number that is not negative");
  } else if (key == "folder") {
    module.file = readText(errors, value, key);
  } else if (key == "module") {
    module.path = readText(errors, value, key);
  } else if (key == "modules") {
    readModules(errors, value, key, module.modules);
  } else if (key == "shared") {
    readModules(errors, value, key, module.shared);
  } else if (key == "axis") {
    module.axis = readInteger(errors, value, key, -8, 7);
  } else if (key == "sizes") {
    for (const NodeRef &item : readList(errors, value, key))
      module.sizes.push_back(item->kind == Node::Scalar && item->text == "rest"
                                 ? std::optional<int64_t>()
                                 : readInteger(errors, item, key, 1));
    if (llvm::count(module.sizes, std::optional<int64_t>()) > 1)
      errors.fail(value->mark, "sizes: expected 'rest' once at most");
  } else if (key == "router") {
    module.router = readRef(errors, value, "router", readRouter);
  } else if (key == "aggregate") {
    module.aggregator = readRef(errors, value, "aggregate", readAggregator);
  }
}

static void readBody(Errors &errors, const BodySchema &schema, const NodeRef &value,
                     Module &module) {
  module.kind = schema.kind;
  if (schema.key == "swiglu" || schema.key == "glu")
    module.activation = schema.key == "glu" ? Activation::Sigmoid : Activation::Silu;
  if (schema.key == "geglu")
    module.activation = Activation::Gelu;
  if (schema.kind == Module::Mlp || schema.kind == Module::Bottleneck)
    module.activation = Activation::Relu;
  if (schema.kind == Module::Onnx)
    module.file = readText(errors, value, schema.key);
  else if (schema.kind == Module::Stack || schema.kind == Module::Sum)
    readModules(errors, value, schema.key, module.modules);
  else if (schema.tensors.empty() && schema.others.empty() && value->kind == Node::Null)
    return;
  else {
    std::vector<StringRef> keys;
    for (StringRef key : schema.tensors)
      keys.push_back(key.take_until([](char c) { return c == '!'; }));
    for (StringRef key : schema.others)
      keys.push_back(key.take_until([](char c) { return c == '!'; }));
    if (!schema.tensors.empty())
      keys.push_back("layout");
    Fields fields(errors, value, schema.key, keys);
    for (StringRef key : schema.tensors) {
      const bool isNeeded = key.consume_back("!");
      if (const NodeRef *tensor = isNeeded ? fields.need(key) : fields.get(key))
        module.tensors[key.str()] = readTensor(errors, *tensor, key);
    }
    for (StringRef key : schema.others) {
      const bool isNeeded = key.consume_back("!");
      if (const NodeRef *other = isNeeded ? fields.need(key) : fields.get(key))
        readOther(errors, key, *other, module);
    }
    // For all matrices that say nothing themselves.
    if (const NodeRef *layout = fields.get("layout")) {
      const bool isInOut = readChoice(errors, *layout, "layout", {"out,in", "in,out"}) == 1;
      for (auto &[key, tensor] : module.tensors)
        tensor.isInOut = tensor.isInOut.value_or(isInOut);
    }
    if (module.kind == Module::Lora && fields.has("alpha") == fields.has("scale"))
      errors.fail(value->mark, "expected lora with one of alpha, scale, found " +
                                   StringRef(fields.has("alpha") ? "both" : "none"));
    if (module.kind == Module::Split && module.sizes.size() != module.modules.size())
      errors.fail(value->mark, "expected split with a size for each module, found " +
                                   Twine(module.sizes.size()) + " sizes and " +
                                   Twine(module.modules.size()) + " modules");
  }
}

std::shared_ptr<Module> graft::spec::readModule(Errors &errors, const NodeRef &node,
                                                StringRef what) {
  auto module = std::make_shared<Module>();
  module->mark = node->mark;
  std::vector<StringRef> keys = {"count", "residual", "scale"}, kinds;
  for (const BodySchema &schema : bodies())
    kinds.push_back(schema.key);
  keys.insert(keys.begin(), kinds.begin(), kinds.end());
  Fields fields(errors, node, what, keys);
  if (errors.any())
    return module;
  if (const Node::Entry *body = fields.choose(kinds)) {
    module->mark = body->mark;
    readBody(errors, *llvm::find_if(bodies(), [&](auto &each) { return each.key == body->key; }),
             body->value, *module);
  }
  constexpr int64_t mostModules = 1 << 16;
  if (const NodeRef *count = fields.get("count"))
    module->count = readInteger(errors, *count, "count", 1, mostModules);
  if (const NodeRef *residual = fields.get("residual"))
    module->residual = readBool(errors, *residual, "residual");
  if (const NodeRef *scale = fields.get("scale"))
    module->scale = readNumber(errors, *scale, "scale");
  return module;
}

std::shared_ptr<Aggregator> graft::spec::readAggregator(Errors &errors, const NodeRef &node,
                                                        StringRef what) {
  auto aggregator = std::make_shared<Aggregator>();
  aggregator->mark = node->mark;
  if (node->kind == Node::Map && node->find("op")) {
    aggregator->kind = Aggregator::Op;
    aggregator->op = readOp(errors, node, "op");
    return aggregator;
  }
  static const StringRef simple[] = {"weighted_sum", "sum", "mean", "concat"};
  if (node->kind == Node::Scalar) {
    aggregator->kind = Aggregator::Kind(readChoice(errors, node, what, simple));
    return aggregator;
  }
  Fields fields(errors, node, "an aggregator", {"attention", "onnx"});
  const Node::Entry *chosen = fields.choose({"attention", "onnx", "op"});
  if (chosen && chosen->key == "onnx") {
    aggregator->kind = Aggregator::Onnx;
    aggregator->file = readText(errors, chosen->value, "onnx");
  } else if (chosen) {
    aggregator->kind = Aggregator::Attention;
    Fields attention(errors, chosen->value, "attention",
                     {"query", "query_bias", "key", "key_bias", "value", "scale", "layout"});
    for (StringRef key : {"query", "query_bias", "key", "key_bias", "value"})
      if (const NodeRef *tensor =
              key == "query" || key == "key" ? attention.need(key) : attention.get(key))
        aggregator->tensors[key.str()] = readTensor(errors, *tensor, key);
    if (const NodeRef *scale = attention.get("scale"))
      aggregator->scale = readNumber(errors, *scale, "scale");
    if (const NodeRef *layout = attention.get("layout"))
      for (auto &[key, tensor] : aggregator->tensors)
        tensor.isInOut = tensor.isInOut.value_or(
            readChoice(errors, *layout, "layout", {"out,in", "in,out"}) == 1);
  }
  return aggregator;
}
