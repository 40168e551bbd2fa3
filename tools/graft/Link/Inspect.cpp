//===- Inspect.cpp - Describes backbones and adapters -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Inspect.h"
#include "graft/Link/InspectRouting.h"
#include "graft/Link/Json.h"
#include "graft/Link/Match.h"
#include "graft/Link/Sites.h"
#include "graft/Modular/WeightStore.h"
#include "graft/Onnx/Origin.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace graft;
using llvm::Error;
using llvm::formatv;

namespace {

/// f32, u8, bool: as the library's manifest names types.
std::string typeName(Type type) {
  if (type.isInteger(1))
    return "bool";
  std::string text;
  llvm::raw_string_ostream(text) << type;
  if (type.isUnsignedInteger())
    text.erase(1, 1); // ui8
  return text;
}

Json value(Type type, DictionaryAttr attributes) {
  Json json;
  if (auto name = attributes ? attributes.getAs<StringAttr>("modular.name") : StringAttr())
    json["name"] = name.str();
  json["type"] = typeName(getElementTypeOrSelf(type));
  json["dims"] = Json::array();
  if (auto dims = attributes ? attributes.getAs<ArrayAttr>("modular.dims") : ArrayAttr())
    for (Attribute dim : dims) {
      StringRef text = cast<StringAttr>(dim).getValue();
      int64_t number;
      if (text.getAsInteger(10, number))
        json["dims"].push_back(text.str());
      else
        json["dims"].push_back(number);
    }
  return json;
}

/// What a module and those inside it have.
struct Tree {
  std::map<std::string, Tree> children;
  std::vector<std::string> order;
  int64_t ops = 0, parameters = 0, bytes = 0;

  Tree &child(const std::string &name) {
    auto [it, isNew] = children.try_emplace(name);
    if (isNew)
      order.push_back(name);
    return it->second;
  }
  template <typename Visit> void along(StringRef path, Visit visit) {
    visit(*this);
    Tree *at = this;
    SmallVector<StringRef> parts;
    path.split(parts, '.', -1, /*KeepEmpty=*/false);
    for (StringRef part : parts)
      visit(*(at = &at->child(part.str())));
  }
  void list(const std::string &path, Json &out) const {
    out.push_back({{"path", path}, {"ops", ops}, {"parameters", parameters}, {"bytes", bytes}});
    for (const std::string &name : order)
      children.at(name).list(path.empty() ? name : path + "." + name, out);
  }
};

Json modulesOf(func::FuncOp main, const Sites &sites) {
  Tree root;
  llvm::DenseSet<Operation *> counted;
  main.walk([&](Operation *op) {
    StringRef name = op->getName().getStringRef();
    if (!name.starts_with("onnx.") || name == "onnx.Constant" || name == "onnx.Yield")
      return;
    StringRef path = sites.called(originOf(op->getLoc()).module);
    int64_t parameters = 0, bytes = 0;
    for (Value operand : op->getOperands()) {
      Operation *constant = operand.getDefiningOp();
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (!constant || !type || constant->getName().getStringRef() != "onnx.Constant" ||
          !isa<FloatType>(type.getElementType()) || type.getRank() == 0 ||
          !counted.insert(constant).second)
        continue;
      parameters += type.getNumElements();
      bytes += WeightStore::byteSize(type).value_or(0);
    }
    root.along(path, [&](Tree &tree) {
      ++tree.ops;
      tree.parameters += parameters;
      tree.bytes += bytes;
    });
  });
  Json list = Json::array();
  root.list("", list);
  return list;
}

Json sitesOf(const Sites &sites) {
  Json list = Json::array();
  for (const Site &site : sites.all()) {
    Json json = {{"path", site.path()},
                 {"op", site.op().str()},
                 {"type", typeName(site.stored.getElementType())},
                 {"shape", std::vector<int64_t>(site.canonical().getShape())},
                 {"stored", std::vector<int64_t>(site.stored.getShape())},
                 {"transposed", site.transposed},
                 {"uses", site.uses.size()},
                 {"constant", site.constant}};
    if (!site.obstacle.empty())
      json["obstacle"] = site.obstacle;
    list.push_back(std::move(json));
  }
  return list;
}

std::string text(const Json &json) {
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dims(const Json &list) {
  std::string out = "[";
  for (const Json &dim : list)
    out += (out.size() > 1 ? ", " : "") + text(dim);
  return out + "]";
}

std::string size(const Json &bytes) {
  double value = bytes.get<double>();
  return value < 1e3   ? formatv("{0} B", bytes.get<int64_t>()).str()
         : value < 1e6 ? formatv("{0:f1} kB", value / 1e3).str()
                       : formatv("{0:f1} MB", value / 1e6).str();
}

std::string joined(const Json &shape) {
  std::vector<int64_t> numbers = shape.get<std::vector<int64_t>>();
  return shapeText(numbers);
}

void printBackbone(const Json &json, llvm::raw_ostream &os) {
  os << text(json["file"]) << "\n  opset " << text(json["opset"]);
  if (json.contains("producer"))
    os << ", written by " << text(json["producer"]);
  os << "\n";
  for (const char *group : {"inputs", "outputs"}) {
    os << "\n" << group << "\n";
    for (const Json &item : json[group])
      os << formatv("  {0,-24} {1,-5} {2}\n", text(item["name"]), text(item["type"]),
                    dims(item["dims"]));
  }
  os << "\nmodules" << formatv("{0,45} {1,13} {2,11}\n", "ops", "parameters", "size");
  for (const Json &item : json["modules"]) {
    std::string path = text(item["path"]);
    size_t depth = path.empty() ? 0 : 1 + llvm::count(path, '.');
    std::string name = path.empty() ? "the model" : StringRef(path).rsplit('.').second.str();
    if (name.empty())
      name = path;
    os << formatv("  {0,-46} {1,4} {2,13} {3,11}\n", std::string(2 * depth, ' ') + name,
                  item["ops"].get<int64_t>(), item["parameters"].get<int64_t>(),
                  size(item["bytes"]));
  }
  os << "\nsites\n";
  for (const Json &item : json["sites"]) {
    os << formatv("  {0,-58} {1,-10} {2,-10} {3,-4} {4}", text(item["path"]), text(item["op"]),
                  joined(item["shape"]), text(item["type"]),
                  item["shape"].size() != 2        ? ""
                  : item["transposed"].get<bool>() ? "stored (in, out)"
                                                   : "stored (out, in)");
    if (item["uses"].get<int64_t>() > 1)
      os << ", " << item["uses"].get<int64_t>() << " uses";
    if (item.contains("obstacle"))
      os << "; nothing binds: " << text(item["obstacle"]);
    os << "\n";
  }
  printRouting(json, os);
}

const char *const changeNames[] = {"low rank", "delta", "replace", "tokens", "copy"};

void printAdapter(const Json &json, llvm::raw_ostream &os) {
  os << text(json["folder"]) << "\n  " << text(json["kind"]) << ", " << size(json["bytes"]);
  if (json.contains("base_model"))
    os << ", trained on " << text(json["base_model"]);
  os << "\n\nsites\n";
  for (const Json &item : json["sites"]) {
    os << formatv("  {0,-62} {1,-9}", text(item["path"]), text(item["change"]));
    if (item.contains("rank"))
      os << formatv(" rank {0,-3}", item["rank"].get<int64_t>());
    if (item.contains("scale"))
      os << formatv(" scale {0:f4}", item["scale"].get<double>());
    if (item.contains("shape"))
      os << " " << joined(item["shape"]);
    os << " " << text(item["type"]) << "\n";
  }
}

} // namespace

Error graft::inspectBackbone(StringRef path, MLIRContext *context, const ImportOptions &options,
                             bool json, llvm::raw_ostream &os) {
  auto module = importOnnx(path, context, options);
  if (!module)
    return module.takeError();
  func::FuncOp main = *(*module)->getOps<func::FuncOp>().begin();
  Json facts;
  facts["file"] = path.str();
  if (auto opset = (**module)->getAttrOfType<IntegerAttr>("onnx.opset"))
    facts["opset"] = opset.getInt();
  if (auto producer = (**module)->getAttrOfType<StringAttr>("onnx.producer"))
    facts["producer"] = producer.str();
  facts["inputs"] = Json::array();
  facts["outputs"] = Json::array();
  for (auto [index, type] : llvm::enumerate(main.getArgumentTypes()))
    facts["inputs"].push_back(value(type, main.getArgAttrDict(index)));
  for (auto [index, type] : llvm::enumerate(main.getResultTypes()))
    facts["outputs"].push_back(value(type, main.getResultAttrDict(index)));
  Sites sites(**module);
  facts["modules"] = modulesOf(main, sites);
  facts["sites"] = sitesOf(sites);
  inspectRouting(**module, facts);
  if (json)
    os << facts.dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
  else
    printBackbone(facts, os);
  return Error::success();
}

Error graft::inspectAdapter(StringRef folder, MLIRContext *context, bool json,
                            llvm::raw_ostream &os) {
  auto adapter = readAdapter(folder, context);
  if (!adapter)
    return adapter.takeError();
  const Adapter &read = **adapter;
  int64_t bytes = 0;
  for (const SafeTensor &tensor : read.tensors)
    bytes += tensor.bytes.size();
  Json facts;
  facts["folder"] = folder.str();
  facts["kind"] = read.kind();
  facts["bytes"] = bytes;
  if (!read.config.baseModel.empty())
    facts["base_model"] = read.config.baseModel;
  facts["sites"] = Json::array();
  for (const Change &change : read.changes) {
    Json item = {{"path", change.module.empty() ? change.role : change.module + "." + change.role},
                 {"change", changeNames[change.kind]}};
    if (change.kind == Change::LowRank) {
      ArrayRef<int64_t> down = change.down->type.getShape(), up = change.up->type.getShape();
      item["rank"] = down[0];
      item["scale"] = change.scale;
      item["magnitude"] = change.magnitude != nullptr;
      int64_t in = 1;
      for (int64_t dim : down.drop_front())
        in *= dim;
      item["shape"] = {up[0], in};
    } else {
      item["shape"] = std::vector<int64_t>(change.value->type.getShape());
      if (change.kind == Change::Delta)
        item["scale"] = change.scale;
      if (change.kind == Change::Tokens)
        item["tokens"] = change.indices;
    }
    item["type"] = typeName(change.tensor().type.getElementType());
    facts["sites"].push_back(std::move(item));
  }
  if (json)
    os << facts.dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
  else
    printAdapter(facts, os);
  return Error::success();
}
