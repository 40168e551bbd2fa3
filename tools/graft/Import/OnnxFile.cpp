//===- OnnxFile.cpp - Parsing and validation of ONNX files -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/OnnxFile.h"
#include "graft/Import/MappedFile.h"
#include "graft/Import/TensorData.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/StringExtras.h"

#include <climits>
#include <cstring>

using namespace graft;
using llvm::Error;
using llvm::Expected;
using llvm::StringRef;
using llvm::Twine;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::SparseTensorProto;
using ::onnx::TensorProto;

namespace {

/// Payloads above this many bytes leave the messages. Below it are the shapes, axes and scales that
/// version conversion and shape inference read.
constexpr int64_t inlineBytes = 1024;
/// A sparse tensor may be much smaller than what it stands for; above this it is refused.
constexpr int64_t maxDensified = int64_t(1) << 31;
constexpr StringRef placeholder = "graft-payload:";

class TensorReader {
public:
  TensorReader(OnnxModel &model, const ImportOptions &options)
      : model(model), external(model.file, options.allowLinks) {}

  Error readModel();
  const std::vector<std::string> &externalFiles() const { return external.openedPaths(); }

private:
  Error readGraph(GraphProto &graph);
  Error readNodes(google::protobuf::RepeatedPtrField<NodeProto> &nodes);
  Error readAttribute(AttributeProto &attribute, const std::string &where);
  Error readTensor(TensorProto &tensor, const std::string &where, bool mayMoveOut);
  Expected<Payload> readExternal(const TensorProto &tensor, StringRef where, int64_t bytes);
  Error densify(const SparseTensorProto &sparse, TensorProto &dense, const std::string &where);
  void moveOut(TensorProto &tensor, Payload payload);

  OnnxModel &model;
  ExternalFiles external;
};

Error TensorReader::readModel() {
  if (Error error = readGraph(*model.proto.mutable_graph()))
    return error;
  for (auto &function : *model.proto.mutable_functions()) {
    if (Error error = readNodes(*function.mutable_node()))
      return error;
    for (auto &attribute : *function.mutable_attribute_proto())
      if (Error error = readAttribute(attribute, model.file + ": " + function.name()))
        return error;
  }
  return Error::success();
}

Error TensorReader::readGraph(GraphProto &graph) {
  llvm::StringMap<char> seen;
  auto check = [&](const std::string &name) -> Error {
    if (name.empty())
      return inputFault(model.file + ": expected a name for every initializer, found none");
    if (!seen.try_emplace(name).second)
      return inputFault(model.file + ": " + name +
                        ": expected one initializer of this name, found two");
    return Error::success();
  };
  for (auto &tensor : *graph.mutable_initializer()) {
    if (Error error = check(tensor.name()))
      return error;
    if (Error error = readTensor(tensor, model.file + ": " + tensor.name(), true))
      return error;
  }
  for (const auto &sparse : graph.sparse_initializer()) {
    const std::string &name = sparse.values().name();
    if (Error error = check(name))
      return error;
    TensorProto *dense = graph.add_initializer();
    if (Error error = densify(sparse, *dense, model.file + ": " + name))
      return error;
    dense->set_name(name);
    if (Error error = readTensor(*dense, model.file + ": " + name, true))
      return error;
  }
  graph.clear_sparse_initializer();
  return readNodes(*graph.mutable_node());
}

Error TensorReader::readNodes(google::protobuf::RepeatedPtrField<NodeProto> &nodes) {
  for (NodeProto &node : nodes)
    for (AttributeProto &attribute : *node.mutable_attribute()) {
      std::string where = model.file + ": " + (node.name().empty() ? node.op_type() : node.name());
      if (Error error = readAttribute(attribute, where))
        return error;
    }
  return Error::success();
}

Error TensorReader::readAttribute(AttributeProto &attribute, const std::string &where) {
  if (attribute.has_sparse_tensor() && attribute.name() == "sparse_value") {
    TensorProto dense;
    if (Error error = densify(attribute.sparse_tensor(), dense, where))
      return error;
    attribute.clear_sparse_tensor();
    *attribute.mutable_t() = std::move(dense);
    attribute.set_name("value");
    attribute.set_type(AttributeProto::TENSOR);
  }
  if (attribute.has_t())
    if (Error error = readTensor(*attribute.mutable_t(), where, attribute.name() == "value"))
      return error;
  for (auto &tensor : *attribute.mutable_tensors())
    if (Error error = readTensor(tensor, where, false))
      return error;
  if (attribute.has_sparse_tensor() || attribute.sparse_tensors_size() > 0)
    return unsupportedFault(where + ": sparse tensors in the attribute '" + attribute.name() +
                            "' are not supported");
  if (attribute.has_g())
    if (Error error = readGraph(*attribute.mutable_g()))
      return error;
  for (auto &graph : *attribute.mutable_graphs())
    if (Error error = readGraph(graph))
      return error;
  return Error::success();
}

Error TensorReader::readTensor(TensorProto &tensor, const std::string &where, bool mayMoveOut) {
  Expected<int64_t> bytes = packedBytes(tensor, where);
  if (!bytes)
    return bytes.takeError();
  if (tensor.has_segment())
    return unsupportedFault(where + ": a tensor in segments is not supported");
  if (tensor.data_location() == TensorProto::EXTERNAL) {
    Expected<Payload> payload = readExternal(tensor, where, *bytes);
    if (!payload)
      return payload.takeError();
    if (mayMoveOut && *bytes > inlineBytes) {
      moveOut(tensor, std::move(*payload));
      return Error::success();
    }
    tensor.clear_external_data();
    tensor.clear_data_location();
    tensor.set_raw_data(payload->bytes.data(), payload->bytes.size());
    return Error::success();
  }
  tensor.clear_external_data(); // placeholders are ours alone
  if (tensor.has_raw_data()) {
    if (static_cast<int64_t>(tensor.raw_data().size()) != *bytes)
      return inputFault(where + ": expected " + Twine(*bytes) + " bytes of " +
                        elementName(tensor.data_type()) + ", found " +
                        Twine(tensor.raw_data().size()));
  } else {
    Expected<std::vector<char>> packed = packElements(tensor, where);
    if (!packed)
      return packed.takeError();
    tensor.set_raw_data(packed->data(), packed->size());
    tensor.clear_float_data();
    tensor.clear_int32_data();
    tensor.clear_int64_data();
    tensor.clear_uint64_data();
    tensor.clear_double_data();
  }
  if (mayMoveOut && *bytes > inlineBytes) {
    auto owned = std::make_shared<std::string>(std::move(*tensor.mutable_raw_data()));
    moveOut(tensor, Payload{llvm::ArrayRef<char>(owned->data(), owned->size()), owned});
  } else if (*bytes == 0) {
    tensor.clear_raw_data(); // the checker wants no field at all
  }
  return Error::success();
}

Expected<Payload> TensorReader::readExternal(const TensorProto &tensor, StringRef where,
                                             int64_t bytes) {
  StringRef location;
  uint64_t offset = 0, length = bytes;
  for (const auto &entry : tensor.external_data()) {
    StringRef key(entry.key()), value(entry.value());
    if (key == "location")
      location = value;
    else if ((key == "offset" && value.getAsInteger(10, offset)) ||
             (key == "length" && value.getAsInteger(10, length)))
      return inputFault(where + ": external data: expected a number of bytes as " + key +
                        ", found '" + value + "'");
  }
  auto file = external.open(location, where);
  if (!file)
    return file.takeError();
  uint64_t size = (*file)->bytes().size();
  if (length != static_cast<uint64_t>(bytes))
    return inputFault(where + ": external data: expected a length of " + Twine(bytes) +
                      " bytes, found " + Twine(length));
  if (offset > size || length > size - offset)
    return inputFault(where + ": external data: expected " + Twine(length) + " bytes at offset " +
                      Twine(offset) + " of " + location + ", which has " + Twine(size));
  Payload payload{(*file)->bytes().slice(offset, length), *file};
  unsigned align = std::max(1u, std::min(8u, elementBits(tensor.data_type()) / 8));
  if (reinterpret_cast<uintptr_t>(payload.bytes.data()) % align != 0) {
    auto copy = std::make_shared<std::vector<char>>(payload.bytes.begin(), payload.bytes.end());
    payload = Payload{*copy, copy};
  }
  return payload;
}

/// The indices of a sparse tensor are (n) linear ones, or (n, rank).
Error TensorReader::densify(const SparseTensorProto &sparse, TensorProto &dense,
                            const std::string &where) {
  const TensorProto &values = sparse.values(), &indices = sparse.indices();
  unsigned bits = elementBits(values.data_type());
  if (bits == 0 || bits % 8 != 0)
    return unsupportedFault(where + ": a sparse tensor of " + elementName(values.data_type()) +
                            " is not supported");
  if (values.data_location() == TensorProto::EXTERNAL ||
      indices.data_location() == TensorProto::EXTERNAL)
    return unsupportedFault(where + ": a sparse tensor in an external file is not supported");
  *dense.mutable_dims() = sparse.dims();
  dense.set_data_type(values.data_type());
  Expected<int64_t> total = packedBytes(dense, where);
  if (!total)
    return total.takeError();
  if (*total > maxDensified)
    return unsupportedFault(where + ": a sparse tensor that takes " + Twine(*total) +
                            " bytes as a dense one is not supported");
  Expected<std::vector<char>> given = packElements(values, where);
  if (!given)
    return given.takeError();
  if (indices.data_type() != TensorProto::INT64)
    return inputFault(where + ": expected indices of int64, found " +
                      elementName(indices.data_type()));
  Expected<std::vector<char>> places = packElements(indices, where);
  if (!places)
    return places.takeError();
  size_t width = bits / 8, count = given->size() / width;
  size_t rank = indices.dims_size() == 2 ? sparse.dims_size() : 1;
  if (places->size() != count * rank * sizeof(int64_t))
    return inputFault(where + ": expected indices for " + Twine(count) + " values, found " +
                      Twine(places->size() / sizeof(int64_t)) + " numbers");
  std::string bytes(*total, '\0');
  int64_t elements = *total / static_cast<int64_t>(width);
  for (size_t i = 0; i < count; ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < rank; ++d) {
      int64_t index;
      std::memcpy(&index, places->data() + (i * rank + d) * sizeof(int64_t), sizeof index);
      int64_t extent = indices.dims_size() == 2 ? sparse.dims(d) : elements;
      if (index < 0 || index >= extent)
        return inputFault(where + ": expected an index below " + Twine(extent) + ", found " +
                          Twine(index));
      at = at * extent + index;
    }
    if (indices.dims_size() != 2)
      at = at % std::max<int64_t>(elements, 1);
    std::memcpy(bytes.data() + at * width, given->data() + i * width, width);
  }
  dense.set_raw_data(std::move(bytes));
  return Error::success();
}

void TensorReader::moveOut(TensorProto &tensor, Payload payload) {
  tensor.clear_raw_data();
  tensor.clear_external_data();
  tensor.set_data_location(TensorProto::EXTERNAL);
  auto *entry = tensor.add_external_data();
  entry->set_key("location");
  entry->set_value((placeholder + Twine(model.payloads.size())).str());
  model.payloads.push_back(std::move(payload));
}

} // namespace

const Payload *OnnxModel::payloadOf(const TensorProto &tensor) const {
  if (tensor.data_location() != TensorProto::EXTERNAL || tensor.external_data_size() != 1)
    return nullptr;
  StringRef location = tensor.external_data(0).value();
  size_t index;
  if (!location.consume_front(placeholder) || location.getAsInteger(10, index) ||
      index >= payloads.size())
    return nullptr;
  return &payloads[index];
}

Expected<std::unique_ptr<OnnxModel>> graft::readOnnxFile(StringRef path,
                                                         const ImportOptions &options) {
  auto file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  auto model = std::make_unique<OnnxModel>();
  model->file = path.str();
  size_t size = (*file)->bytes().size();
  if (size > INT_MAX)
    return inputFault(path + ": expected less than 2 GiB, the limit of ONNX files, found " +
                      Twine(size) + " bytes: larger tensors go into external data");
  if (size == 0 || !model->proto.ParseFromArray((*file)->bytes().data(), static_cast<int>(size)))
    return inputFault(path + ": expected an ONNX model, found " +
                      (size == 0 ? "an empty file" : "a damaged, truncated or other file"));
  if (!model->proto.has_graph())
    return inputFault(path + ": expected an ONNX model with a graph, found none");
  file->reset();
  TensorReader reader(*model, options);
  if (Error error = reader.readModel())
    return std::move(error);
  if (options.externalFiles)
    *options.externalFiles = reader.externalFiles();
  return std::move(model);
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>>
graft::importOnnx(StringRef path, mlir::MLIRContext *context, const ImportOptions &options) {
  try {
    auto model = readOnnxFile(path, options);
    if (!model)
      return model.takeError();
    context->loadDialect<onnx::OnnxDialect>();
    auto knows = [&](StringRef op) {
      return mlir::RegisteredOperationName::lookup(("onnx." + op).str(), context).has_value();
    };
    if (Error error = normalizeModel(**model, knows))
      return std::move(error);
    if (options.tensors)
      for (const NodeProto &node : (*model)->proto.graph().node())
        for (int i = 0; i < node.output_size(); ++i)
          (*options.tensors)[node.output(i)] = {node.name(), unsigned(i)};
    return buildModule(**model, context);
  } catch (const std::exception &error) { // ONNX's library throws
    return inputFault(path + ": " + StringRef(error.what()).rtrim());
  }
}
