//===- Fields.cpp - Reading values of a YAML tree -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Spec/Fields.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace graft;
using namespace graft::spec;
using llvm::StringRef;
using llvm::Twine;

std::string graft::spec::nearestNames(StringRef name, const std::vector<std::string> &known) {
  if (known.empty())
    return "; there are none";
  unsigned best = std::max<size_t>(1, name.size() / 3) + 1;
  std::string nearest;
  for (const std::string &each : known)
    if (unsigned distance = name.edit_distance(each, /*AllowReplacements=*/true, best);
        distance < best) {
      best = distance;
      nearest = each;
    }
  if (!nearest.empty())
    return "; the nearest is '" + nearest + "'";
  constexpr size_t shown = 16;
  std::string list = "; there are ";
  for (size_t i = 0; i < std::min(known.size(), shown); ++i)
    list += (i ? ", " : "") + known[i];
  return list + (known.size() > shown ? ", …" : "");
}

std::string graft::spec::describe(const Node &node) {
  switch (node.kind) {
  case Node::Null:
    return "nothing";
  case Node::List:
    return "a list";
  case Node::Map:
    return "a map";
  case Node::Scalar:
    break;
  }
  StringRef text = node.text;
  return "'" + text.take_front(60).str() + (text.size() > 60 ? "…'" : "'");
}

Fields::Fields(Errors &errors, const NodeRef &node, StringRef what, llvm::ArrayRef<StringRef> known)
    : errors(errors), node(node), what(what) {
  if (node->kind != Node::Map) {
    errors.fail(node->mark, "expected " + what + ", a map, found " + describe(*node));
    return;
  }
  for (const Node::Entry &entry : node->entries)
    if (!llvm::is_contained(known, StringRef(entry.key)))
      errors.fail(entry.mark, "expected a key of " + what + ", found '" + entry.key + "'" +
                                  nearestNames(entry.key, {known.begin(), known.end()}));
}

const NodeRef *Fields::need(StringRef key) const {
  const NodeRef *value = get(key);
  if (!value)
    errors.fail(node->mark, "expected " + what + " with '" + key + "', found none");
  return value;
}

const Node::Entry *Fields::choose(llvm::ArrayRef<StringRef> choices) const {
  const Node::Entry *chosen = nullptr;
  if (node->kind == Node::Map)
    for (const Node::Entry &entry : node->entries) {
      if (!llvm::is_contained(choices, StringRef(entry.key)))
        continue;
      if (chosen)
        errors.fail(entry.mark, "expected " + what + " with one of " + llvm::join(choices, ", ") +
                                    ", found '" + chosen->key + "' and '" + entry.key + "'");
      else
        chosen = &entry;
    }
  if (!chosen)
    errors.fail(node->mark,
                "expected " + what + " with one of " + llvm::join(choices, ", ") + ", found none");
  return chosen;
}

Mark Fields::markOf(StringRef key) const {
  for (const Node::Entry &entry : node->entries)
    if (entry.key == key)
      return entry.mark;
  return node->mark;
}

Text graft::spec::readText(Errors &errors, const NodeRef &node, StringRef what) {
  if (node->kind == Node::Scalar && !node->text.empty() &&
      node->text.find('\0') == std::string::npos)
    return {node->text, node->mark};
  errors.fail(node->mark, what + ": expected a word, found " + describe(*node));
  return {"", node->mark};
}

double graft::spec::readNumber(Errors &errors, const NodeRef &node, StringRef what) {
  double number = 0;
  const bool isNumber = node->kind == Node::Scalar && !node->quoted &&
                        !StringRef(node->text).getAsDouble(number, /*AllowInexact=*/true);
  if (isNumber && std::isfinite(number))
    return number;
  errors.fail(node->mark, what + ": expected a finite number, found " + describe(*node));
  return 0;
}

int64_t graft::spec::readInteger(Errors &errors, const NodeRef &node, StringRef what, int64_t least,
                                 int64_t most) {
  int64_t number = 0;
  if (node->kind == Node::Scalar && !node->quoted &&
      !StringRef(node->text).getAsInteger(10, number) && number >= least && number <= most)
    return number;
  errors.fail(node->mark, what + ": expected a whole number of at least " + Twine(least) +
                              (most == INT64_MAX ? "" : " and at most " + std::to_string(most)) +
                              ", found " + describe(*node));
  return least;
}

bool graft::spec::readBool(Errors &errors, const NodeRef &node, StringRef what) {
  if (node->kind == Node::Scalar && !node->quoted)
    for (bool value : {false, true})
      if (node->text == (value ? "true" : "false"))
        return value;
  errors.fail(node->mark, what + ": expected true or false, found " + describe(*node));
  return false;
}

size_t graft::spec::readChoice(Errors &errors, const NodeRef &node, StringRef what,
                               llvm::ArrayRef<StringRef> choices) {
  if (node->kind == Node::Scalar)
    for (auto [i, choice] : llvm::enumerate(choices))
      if (choice == node->text)
        return i;
  errors.fail(node->mark, what + ": expected one of " + llvm::join(choices, ", ") + ", found " +
                              describe(*node));
  return 0;
}

const std::vector<NodeRef> &graft::spec::readList(Errors &errors, const NodeRef &node,
                                                  StringRef what) {
  if (node->kind != Node::List)
    errors.fail(node->mark, what + ": expected a list, found " + describe(*node));
  return node->items;
}

bool graft::spec::isName(StringRef text) {
  return !text.empty() && text.size() <= 200 && (llvm::isAlpha(text[0]) || text[0] == '_') &&
         llvm::all_of(text,
                      [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

std::vector<std::string> graft::spec::capturesOf(StringRef text) {
  std::vector<std::string> names;
  while (true) {
    size_t begin = text.find('{'), end = text.find('}', begin == StringRef::npos ? 0 : begin);
    if (begin == StringRef::npos || end == StringRef::npos)
      return names;
    names.push_back(text.slice(begin + 1, end).str());
    text = text.drop_front(end + 1);
  }
}

//===----------------------------------------------------------------------===//
// Tensors and ops of plugins
//===----------------------------------------------------------------------===//

/// Nested lists of numbers of equal lengths.
static void readValues(Errors &errors, const NodeRef &node, StringRef what, TensorRef &tensor,
                       size_t depth) {
  if (node->kind != Node::List) {
    if (depth != tensor.shape.size())
      errors.fail(node->mark, what + ": expected lists of equal lengths, found " + describe(*node));
    else
      tensor.values.push_back(readNumber(errors, node, what));
    return;
  }
  const auto length = int64_t(node->items.size());
  if (tensor.values.empty() && depth == tensor.shape.size())
    tensor.shape.push_back(length);
  if (depth >= tensor.shape.size() || tensor.shape[depth] != length)
    return errors.fail(node->mark,
                       what + ": expected lists of equal lengths, found one of " + Twine(length));
  if (length == 0)
    return errors.fail(node->mark, what + ": expected numbers, found an empty list");
  for (const NodeRef &item : node->items)
    readValues(errors, item, what, tensor, depth + 1);
}

TensorRef graft::spec::readTensor(Errors &errors, const NodeRef &node, StringRef what) {
  TensorRef tensor;
  tensor.mark = node->mark;
  if (node->kind == Node::List) {
    tensor.isLiteral = true;
    readValues(errors, node, what, tensor, 0);
    return tensor;
  }
  if (node->kind != Node::Map) {
    tensor.source = readText(errors, node, what);
    return tensor;
  }
  Fields fields(errors, node, "a tensor", {"tensor", "values", "index", "rows", "layout"});
  const Node::Entry *chosen = fields.choose({"tensor", "values"});
  if (chosen && chosen->key == "tensor") {
    tensor.source = readText(errors, chosen->value, what);
  } else if (chosen) {
    tensor.isLiteral = true;
    if (chosen->value->kind != Node::List)
      errors.fail(chosen->value->mark,
                  what + ": expected lists of numbers, found " + describe(*chosen->value));
    else
      readValues(errors, chosen->value, what, tensor, 0);
  }
  if (const NodeRef *index = fields.get("index")) {
    // Each a number, or a capture that stands for one.
    auto add = [&](const NodeRef &item) {
      tensor.index.push_back(readText(errors, item, "index"));
    };
    if ((*index)->kind == Node::List)
      llvm::for_each((*index)->items, add);
    else
      add(*index);
    if (tensor.isLiteral)
      errors.fail(fields.markOf("index"), "index: expected a tensor of a file to take a part of");
  }
  if (const NodeRef *rows = fields.get("rows")) {
    const auto &items = readList(errors, *rows, "rows");
    if (items.size() != 2)
      errors.fail((*rows)->mark,
                  "rows: expected [BEGIN, END], found " + Twine(items.size()) + " values");
    else
      tensor.rows = {readInteger(errors, items[0], "rows", 0),
                     readInteger(errors, items[1], "rows", 1)};
    if (tensor.rows && tensor.rows->first >= tensor.rows->second)
      errors.fail((*rows)->mark, "rows: expected [BEGIN, END] with an end behind the beginning");
    if (tensor.isLiteral)
      errors.fail(fields.markOf("rows"), "rows: expected a tensor of a file to take a part of");
  }
  if (const NodeRef *layout = fields.get("layout"))
    tensor.isInOut = readChoice(errors, *layout, "layout", {"out,in", "in,out"}) == 1;
  return tensor;
}

OpRef graft::spec::readOp(Errors &errors, const NodeRef &node, StringRef what) {
  OpRef op;
  if (node->kind != Node::Map) {
    op.name = readText(errors, node, what);
    return op;
  }
  for (const Node::Entry &entry : node->entries) {
    if (entry.key == "op")
      op.name = readText(errors, entry.value, what);
    else
      op.attributes.push_back({entry.key, entry.mark, entry.value});
  }
  return op;
}
