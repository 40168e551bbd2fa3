//===- Sequences.cpp - Takes sequences of tensors apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/OnnxFile.h"
#include "graft/Import/TensorData.h"

#include "llvm/ADT/StringSet.h"

#include <cstring>

using namespace graft;
using llvm::StringRef;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

namespace {

/// Torch's exporter writes `x.split(n)` as a sequence when nothing folds it:
///
///   s = SplitToSequence(x, n) ; a = SequenceAt(s, 0) ; b = SequenceAt(s, 1)
///
/// With constant positions each part is a Slice of x, and no sequence remains.
class SplitToSlices {
public:
  explicit SplitToSlices(GraphProto &graph) : graph(graph) {
    for (const TensorProto &tensor : graph.initializer())
      constants[tensor.name()] = &tensor;
    for (const NodeProto &node : graph.node()) {
      if (node.op_type() == "Constant" && node.output_size() == 1 && node.attribute_size() == 1 &&
          node.attribute(0).has_t())
        constants[node.output(0)] = &node.attribute(0).t();
      for (const std::string &name : node.output())
        names.insert(name);
    }
    for (const auto &[name, tensor] : constants)
      names.insert(name);
  }

  void run() {
    for (int i = 0; i < graph.node_size(); ++i)
      if (graph.node(i).op_type() == "SplitToSequence" && graph.node(i).domain().empty())
        rewrite(i);
    if (dead.empty())
      return;
    auto *nodes = graph.mutable_node();
    nodes->erase(std::remove_if(nodes->begin(), nodes->end(),
                                [&](const NodeProto &node) {
                                  return node.op_type() == "SplitToSequence" &&
                                         dead.contains(node.output(0));
                                }),
                 nodes->end());
  }

private:
  std::optional<std::vector<int64_t>> integers(const std::string &name) const {
    auto it = constants.find(name);
    if (it == constants.end() || it->second->dims_size() > 1 ||
        it->second->data_location() == TensorProto::EXTERNAL)
      return std::nullopt;
    const TensorProto &tensor = *it->second;
    auto bytes = packElements(tensor, "");
    if (!bytes) {
      llvm::consumeError(bytes.takeError());
      return std::nullopt;
    }
    std::vector<int64_t> values;
    if (tensor.data_type() == TensorProto::INT64) {
      values.resize(bytes->size() / 8);
      std::memcpy(values.data(), bytes->data(), bytes->size());
    } else if (tensor.data_type() == TensorProto::INT32) {
      std::vector<int32_t> narrow(bytes->size() / 4);
      std::memcpy(narrow.data(), bytes->data(), bytes->size());
      values.assign(narrow.begin(), narrow.end());
    } else {
      return std::nullopt;
    }
    return values;
  }

  std::string add(int64_t value) {
    std::string name;
    do
      name = "split_position_" + std::to_string(count++);
    while (!names.insert(name).second);
    TensorProto *tensor = graph.add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(TensorProto::INT64);
    tensor->add_dims(1);
    tensor->set_raw_data(&value, sizeof value);
    return name;
  }

  void rewrite(int index) {
    const NodeProto split = graph.node(index);
    if (split.input_size() < 2 || split.output_size() != 1)
      return;
    int64_t axis = 0;
    bool scalar = false;
    for (const auto &attribute : split.attribute())
      if (attribute.name() == "axis")
        axis = attribute.i();
    auto sizes = integers(split.input(1));
    if (auto it = constants.find(split.input(1)); it != constants.end())
      scalar = it->second->dims_size() == 0;
    if (!sizes || sizes->empty() || llvm::any_of(*sizes, [](int64_t size) {
          return size <= 0 || size > std::numeric_limits<int32_t>::max();
        }))
      return;
    struct Part {
      NodeProto *node;
      int64_t begin, end;
    };
    std::vector<Part> parts;
    for (NodeProto &node : *graph.mutable_node())
      for (int i = 0; i < node.input_size(); ++i) {
        if (node.input(i) != split.output(0))
          continue;
        auto place = node.op_type() == "SequenceAt" && node.input_size() == 2
                         ? integers(node.input(1))
                         : std::nullopt;
        if (i != 0 || !place || place->size() != 1 || place->front() < 0 ||
            place->front() > std::numeric_limits<int32_t>::max())
          return;
        int64_t at = place->front(), begin = 0;
        if (!scalar && at >= static_cast<int64_t>(sizes->size()))
          return;
        for (int64_t k = 0; !scalar && k < at; ++k)
          begin += (*sizes)[k];
        if (scalar)
          begin = at * sizes->front();
        parts.push_back({&node, begin, begin + (scalar ? sizes->front() : (*sizes)[at])});
      }
    for (const auto &output : graph.output())
      if (output.name() == split.output(0))
        return;
    for (const Part &part : parts) {
      part.node->set_op_type("Slice");
      part.node->clear_input();
      for (const std::string &input : {split.input(0), add(part.begin), add(part.end), add(axis)})
        part.node->add_input(input);
    }
    dead.insert(split.output(0));
  }

  GraphProto &graph;
  llvm::StringMap<const TensorProto *> constants;
  llvm::StringSet<> names, dead;
  unsigned count = 0;
};

} // namespace

void graft::sequencesToSlices(GraphProto &graph) { SplitToSlices(graph).run(); }
