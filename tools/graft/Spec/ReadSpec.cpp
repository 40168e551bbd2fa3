//===- ReadSpec.cpp - A spec's sections and places -*- C++ -*-===//
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

/// Definitions by name.
template <typename T, typename Read>
static void readSection(Errors &errors, const NodeRef *section, StringRef what,
                        llvm::ArrayRef<StringRef> reserved,
                        std::map<std::string, std::shared_ptr<T>> &into, Read read) {
  if (!section || (*section)->kind == Node::Null)
    return;
  if ((*section)->kind != Node::Map)
    return errors.fail((*section)->mark,
                       "expected a map of names to " + what + "s, found " + describe(**section));
  for (const Node::Entry &entry : (*section)->entries) {
    if (!isName(entry.key))
      errors.fail(entry.mark, "expected a name of letters, digits, '_', '.' and '-' that begins "
                              "with a letter or '_', found '" +
                                  StringRef(entry.key).take_front(60) + "'");
    if (llvm::is_contained(reserved, StringRef(entry.key)))
      errors.fail(entry.mark, "expected another name, found '" + entry.key +
                                  "', which always means the same " + what);
    auto made = read(errors, entry.value, (what[0] == 'a' ? "an " : "a ") + what.str());
    made->name = entry.key;
    if (errors.any())
      return;
    into[entry.key] = std::move(made);
  }
}

static void readInputs(Errors &errors, const NodeRef &node, Document &document) {
  static const StringRef types[] = {"float64", "float32", "float16", "bfloat16", "int64",
                                    "int32",   "int8",    "uint8",   "bool"};
  if (node->kind == Node::Null)
    return;
  if (node->kind != Node::Map)
    return errors.fail(node->mark, "expected a map of names to inputs, found " + describe(*node));
  for (const Node::Entry &entry : node->entries) {
    Input input;
    input.name = {entry.key, entry.mark};
    if (!isName(entry.key))
      errors.fail(entry.mark, "expected a name of letters, digits, '_', '.' and '-', found '" +
                                  StringRef(entry.key).take_front(60) + "'");
    Fields fields(errors, entry.value, "an input", {"type", "shape"});
    if (const NodeRef *type = fields.need("type"))
      input.type = types[readChoice(errors, *type, "type", types)].str();
    if (const NodeRef *shape = fields.need("shape"))
      for (const NodeRef &item : readList(errors, *shape, "shape")) {
        input.shape.push_back(readText(errors, item, "shape"));
        StringRef text = input.shape.back().text;
        if (int64_t size; (text.getAsInteger(10, size) || size < 1) && !isName(text))
          errors.fail(item->mark, "shape: expected sizes of at least 1 and names, found '" +
                                      text.take_front(60) + "'");
      }
    document.inputs.push_back(std::move(input));
  }
}

static void readWhere(Errors &errors, const NodeRef &node, Place &place) {
  if (node->kind != Node::Map) {
    place.pattern = readText(errors, node, "at");
    return;
  }
  Fields fields(errors, node, "at", {"module", "node", "tensor", "input", "output"});
  auto text = [&](StringRef key) {
    const NodeRef *value = fields.get(key);
    return value ? readText(errors, *value, key) : Text();
  };
  place.input = text("input");
  place.output = text("output");
  if (fields.has("module")) {
    place.pattern = text("module");
  } else if (fields.has("node")) {
    place.where = Place::NodeName;
    place.pattern = text("node");
  } else if (fields.has("tensor")) {
    place.where = Place::Tensor;
    place.pattern = text("tensor");
  } else {
    place.where = Place::Between;
    fields.need("input");
    fields.need("output");
    place.pattern = place.output;
  }
  unsigned ways = fields.has("module") + fields.has("node") + fields.has("tensor");
  if (ways > 1)
    errors.fail(node->mark, "expected at with one of module, node, tensor, found several");
  if (place.where == Place::Tensor && (fields.has("input") || fields.has("output")))
    errors.fail(node->mark, "expected at with a tensor alone, or with input and output");
}

static void readPlaces(Errors &errors, const NodeRef &node, Document &document) {
  for (const NodeRef &item : readList(errors, node, "place")) {
    Place place;
    place.mark = item->mark;
    Fields fields(errors, item, "a place", {"at", "replace", "after", "beside"});
    if (errors.any())
      return;
    if (const NodeRef *at = fields.need("at"))
      readWhere(errors, *at, place);
    if (const Node::Entry *how = fields.choose({"replace", "after", "beside"})) {
      place.how = how->key == "replace" ? Place::Replace
                  : how->key == "after" ? Place::After
                                        : Place::Beside;
      place.module = readRef(errors, how->value, "a module", readModule);
    }
    document.places.push_back(std::move(place));
  }
  if (document.places.empty())
    errors.fail(node->mark, "expected a place, found none");
}

std::unique_ptr<Document> graft::spec::readSpec(StringRef path, Errors &errors) {
  NodeRef root = readYaml(path, errors);
  if (!root)
    return nullptr;
  auto document = std::make_unique<Document>();
  Fields fields(errors, root, "a spec",
                {"graft", "files", "inputs", "modules", "routers", "aggregators", "place"});
  if (errors.any())
    return nullptr;
  if (const NodeRef *version = fields.need("graft"))
    readInteger(errors, *version, "graft", 1, 1);
  if (const NodeRef *files = fields.get("files")) {
    if ((*files)->kind != Node::Map)
      errors.fail((*files)->mark, "expected a map of names to files, found " + describe(**files));
    for (const Node::Entry &entry : (*files)->entries) {
      if (!isName(entry.key) || entry.key == "backbone")
        errors.fail(entry.mark, "expected a name other than 'backbone', found '" +
                                    StringRef(entry.key).take_front(60) + "'");
      document->files[entry.key] = readText(errors, entry.value, "files");
    }
  }
  if (const NodeRef *inputs = fields.get("inputs"))
    readInputs(errors, *inputs, *document);
  readSection(errors, fields.get("modules"), "module", reservedModules, document->modules,
              readModule);
  readSection(errors, fields.get("routers"), "router", {}, document->routers, readRouter);
  readSection(errors, fields.get("aggregators"), "aggregator",
              {"weighted_sum", "sum", "mean", "concat"}, document->aggregators, readAggregator);
  if (const NodeRef *places = fields.need("place"))
    readPlaces(errors, *places, *document);
  if (!errors.any())
    checkNames(*document, errors);
  return errors.any() ? nullptr : std::move(document);
}
