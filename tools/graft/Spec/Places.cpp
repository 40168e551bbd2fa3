//===- Places.cpp - Where in a backbone a spec's modules go -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Places.h"

#include "graft/Modular/Modular.h"
#include "graft/Onnx/Onnx.h"
#include "graft/Onnx/Origin.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace graft;
using namespace graft::spec;

/// Tries every length of what stands for a `*`, up to `steps` in all: no pattern of sense takes
/// more.
static bool match(StringRef pattern, StringRef path, Captures &captures, unsigned &steps) {
  if (steps == 0)
    return false;
  --steps;
  if (pattern.empty())
    return path.empty();
  auto tryLengths = [&](StringRef rest, bool crossesDots, std::string *capture) {
    for (size_t length = 0; length <= path.size(); ++length) {
      if (length && !crossesDots && path[length - 1] == '.')
        return false;
      if (capture && length == 0)
        continue;
      if (capture)
        *capture = path.take_front(length).str();
      if (match(rest, path.drop_front(length), captures, steps))
        return true;
    }
    return false;
  };
  if (pattern.consume_front("**"))
    return tryLengths(pattern, true, nullptr);
  if (pattern.consume_front("*"))
    return tryLengths(pattern, false, nullptr);
  if (size_t end = pattern.find('}'); pattern.front() == '{' && end != StringRef::npos) {
    std::string name = pattern.slice(1, end).str();
    if (auto it = captures.find(name); it != captures.end()) // the same again
      return path.consume_front(it->second) &&
             match(pattern.drop_front(end + 1), path, captures, steps);
    std::string value;
    for (size_t length = 1; length <= path.size() && path[length - 1] != '.'; ++length) {
      captures[name] = path.take_front(length).str();
      if (match(pattern.drop_front(end + 1), path.drop_front(length), captures, steps))
        return true;
    }
    captures.erase(name);
    return false;
  }
  return !path.empty() && path.front() == pattern.front() &&
         match(pattern.drop_front(), path.drop_front(), captures, steps);
}

std::optional<Captures> graft::spec::matchPath(StringRef pattern, StringRef path) {
  Captures captures;
  unsigned steps = 100'000;
  return match(pattern, path, captures, steps) ? std::optional(std::move(captures)) : std::nullopt;
}

Backbone::Backbone(func::FuncOp main, const BackboneNames &names, Errors &errors)
    : main(main), names(names), errors(errors) {
  llvm::StringMap<Operation *> nodes;
  for (Operation &op : main.getBody().front())
    if (StringRef node = originOf(op.getLoc()).node; !node.empty())
      nodes[node] = &op; // what linking put before the op has its location too
  for (const auto &entry : names.tensors)
    if (auto it = nodes.find(entry.second.first);
        it != nodes.end() && entry.second.second < it->second->getNumResults())
      tensors[entry.getKey()] = it->second->getResult(entry.second.second);
  for (BlockArgument argument : main.getArguments())
    if (auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "modular.name"))
      tensors[name.getValue()] = argument;
  for (const auto &entry : tensors)
    known[entry.second] = entry.getKey().str();
}

Value Backbone::lookup(StringRef tensor) const { return tensors.lookup(tensor); }

std::vector<std::string> Backbone::tensorNames() const {
  std::vector<std::string> list;
  for (const auto &entry : tensors)
    list.push_back(entry.getKey().str());
  std::sort(list.begin(), list.end());
  return list;
}

std::string Backbone::nameOf(Value value) const {
  auto it = known.find(value);
  return it == known.end() ? "a tensor without a name" : "'" + it->second + "'";
}

Value Backbone::need(const Text &tensor) {
  Value value = lookup(tensor.text);
  if (!value)
    errors.fail(tensor.mark, "expected the name of a tensor of the backbone, found '" +
                                 tensor.text + "'" + nearestNames(tensor.text, tensorNames()));
  return value;
}

bool Backbone::isConstant(Value value) {
  if (auto it = constants.find(value); it != constants.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  bool result = op != nullptr && op->getNumRegions() == 0;
  if (result)
    for (Value operand : op->getOperands())
      result = result && isConstant(operand);
  return constants[value] = result;
}

std::vector<std::string> Backbone::pathsOf(Place::Where where) {
  llvm::SetVector<std::string, std::vector<std::string>, std::set<std::string>> paths;
  for (Operation &op : main.getBody().front()) {
    Origin origin = originOf(op.getLoc());
    if (where == Place::NodeName) {
      if (!origin.node.empty() && isa<onnx::OnnxDialect>(op.getDialect()) &&
          !isa<onnx::ConstantOp>(op))
        paths.insert(origin.node.str());
      continue;
    }
    auto call = names.calls.find(origin.module);
    StringRef path = call == names.calls.end() ? origin.module : StringRef(call->second);
    for (size_t end = 0; end != StringRef::npos && !path.empty();) {
      end = path.find('.', end + 1);
      paths.insert(path.take_front(end).str());
    }
  }
  return paths.takeVector();
}

/// The ops of each module, or node, that the pattern matches. Each call of a module is one of its
/// own.
std::vector<Backbone::Group> Backbone::groupsOf(const Place &place) {
  std::vector<Group> groups;
  llvm::StringMap<size_t> byPath;
  llvm::StringMap<std::optional<Captures>> matched;
  auto matches = [&](StringRef path) -> const std::optional<Captures> & {
    auto [it, isNew] = matched.try_emplace(path);
    if (isNew)
      it->second = matchPath(place.pattern.text, path);
    return it->second;
  };
  auto add = [&](StringRef key, StringRef path, Operation &op) {
    auto [it, isNew] = byPath.try_emplace(key, groups.size());
    if (isNew)
      groups.push_back({path.str(), *matches(path), {}});
    groups[it->second].ops.push_back(&op);
  };
  for (Operation &op : main.getBody().front()) {
    if (isa<func::ReturnOp>(op))
      continue;
    Origin origin = originOf(op.getLoc());
    if (place.where == Place::NodeName) {
      if (!origin.node.empty() && isa<onnx::OnnxDialect>(op.getDialect()) && matches(origin.node))
        add(origin.node, origin.node, op);
      continue;
    }
    auto call = names.calls.find(origin.module);
    StringRef path = call == names.calls.end() ? origin.module : StringRef(call->second);
    for (size_t end = 0; end != StringRef::npos && !path.empty();) {
      end = path.find('.', end + 1);
      StringRef prefix = path.take_front(end);
      if (!matches(prefix))
        continue;
      // Calls of what is in the module differ in their own names only.
      add(end == StringRef::npos ? origin.module : prefix, prefix, op);
      break; // what is within it belongs to it
    }
  }
  return groups;
}

Value Backbone::choose(const Place &place, const Group &group, ArrayRef<Value> values,
                       const Text &wanted, StringRef key) {
  std::vector<std::string> list;
  for (Value value : values)
    list.push_back(nameOf(value));
  const bool isInput = key == "input";
  if (!wanted.empty()) {
    Value value = need(wanted);
    if (value && !llvm::is_contained(values, value)) {
      errors.fail(wanted.mark, "expected an " + key + " of '" + group.path + "', found '" +
                                   wanted.text + "'; there are " + llvm::join(list, ", "));
      return Value();
    }
    return value;
  }
  if (values.size() == 1)
    return values.front();
  errors.fail(place.pattern.mark, "expected a layer that " +
                                      StringRef(isInput ? "reads" : "gives") +
                                      " one tensor of floats, found that '" + group.path + "' " +
                                      (isInput ? "reads " : "gives ") +
                                      (list.empty() ? "none" : llvm::join(list, ", ")) +
                                      (list.empty() ? "" : "; say which as '" + key.str() + "'"));
  return Value();
}

std::optional<Layer> Backbone::describe(const Place &place, const Group &group) {
  llvm::SmallPtrSet<Operation *, 32> inside(group.ops.begin(), group.ops.end());
  auto isActivation = [&](Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && isa<FloatType>(type.getElementType()) && !isConstant(value);
  };
  llvm::SetVector<Value> inputs, outputs;
  for (Operation *op : group.ops) {
    for (Value operand : op->getOperands())
      if (isActivation(operand) &&
          !(operand.getDefiningOp() && inside.contains(operand.getDefiningOp())))
        inputs.insert(operand);
    for (Value result : op->getResults())
      if (isActivation(result) &&
          llvm::any_of(result.getUsers(), [&](Operation *user) { return !inside.contains(user); }))
        outputs.insert(result);
  }
  Layer layer{&place, group.path, group.captures, {}, {}};
  layer.output = choose(place, group, outputs.getArrayRef(), place.output, "output");
  if (place.how == Place::After)
    layer.input = inputs.size() == 1 ? inputs.front() : Value();
  else
    layer.input = choose(place, group, inputs.getArrayRef(), place.input, "input");
  return errors.any() ? std::nullopt : std::optional(std::move(layer));
}

std::vector<Layer> Backbone::find(const Place &place) {
  if (place.where == Place::Tensor) {
    Value value = need(place.pattern);
    if (!value)
      return {};
    return {{&place, place.pattern.text, {}, value, value}};
  }
  if (place.where == Place::Between) {
    Value input = need(place.input), output = need(place.output);
    if (!input || !output)
      return {};
    return {{&place, place.output.text, {}, input, output}};
  }
  std::vector<Group> groups = groupsOf(place);
  if (groups.empty()) {
    const bool isNode = place.where == Place::NodeName;
    errors.fail(place.pattern.mark, StringRef("expected the ") +
                                        (isNode ? "name of a node" : "path of a module") +
                                        " of the backbone, found '" + place.pattern.text + "'" +
                                        nearestNames(place.pattern.text, pathsOf(place.where)));
  }
  std::vector<Layer> layers;
  for (const Group &group : groups)
    if (std::optional<Layer> layer = describe(place, group))
      layers.push_back(std::move(*layer));
    else
      return {};
  return layers;
}
