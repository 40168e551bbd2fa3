//===- ModulePath.cpp - Where in the exported program a node comes from -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Import/ModulePath.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

#include <vector>

#include "onnx/defs/schema.h"

using namespace graft;
using llvm::SmallVector;
using llvm::StringRef;

/// The strings of a Python list, as repr() writes it. Nothing if it is something else.
static std::vector<std::string> parsePythonList(StringRef text) {
  std::vector<std::string> items;
  text = text.trim();
  if (!text.consume_front("[") || !text.consume_back("]"))
    return {};
  while (!(text = text.ltrim(", ")).empty()) {
    char quote = text.front();
    if (quote != '\'' && quote != '"')
      return {};
    std::string item;
    size_t at = 1;
    for (; at < text.size() && text[at] != quote; ++at) {
      if (text[at] == '\\' && at + 1 < text.size())
        ++at;
      item += text[at];
    }
    if (at == text.size())
      return {};
    items.push_back(std::move(item));
    text = text.drop_front(at + 1);
  }
  return items;
}

/// Whether `part` is an op's name, counted or not: MatMul, MatMul_12.
static bool namesOp(StringRef part, StringRef opType) {
  auto [stem, count] = part.rsplit('_');
  if (!count.empty() && llvm::all_of(count, llvm::isDigit))
    part = stem;
  return part == opType || ::onnx::OpSchemaRegistry::Schema(part.str()) != nullptr ||
         part.ends_with("Fusion");
}

std::string graft::modulePathFromName(StringRef name, StringRef opType) {
  if (!name.contains('/'))
    return "";
  SmallVector<StringRef> parts;
  name.split(parts, '/', -1, /*KeepEmpty=*/false);
  if (parts.size() < 2)
    return "";
  parts.pop_back();
  // `/a/b/MatMul/MatMulAddFusion` has a second op's name.
  while (parts.size() > 1 && name.ends_with("Fusion") && namesOp(parts.back(), opType))
    parts.pop_back();
  if (parts.size() == 1 && name.ends_with("Fusion") && namesOp(parts.back(), opType))
    return "";
  // A Sequential that is called writes its own name before its items': `/mlp/mlp.0/Gemm`.
  SmallVector<StringRef> kept;
  for (size_t i = 0; i < parts.size(); ++i)
    if (i + 1 == parts.size() || !parts[i + 1].starts_with((parts[i] + ".").str()))
      kept.push_back(parts[i]);
  return llvm::join(kept, ".");
}

std::string graft::modulePathOf(const ::onnx::NodeProto &node) {
  StringRef space;
  for (const auto &entry : node.metadata_props()) {
    StringRef key(entry.key());
    if (key == "pkg.torch.onnx.name_scopes") {
      // The node itself comes last, its module before it.
      std::vector<std::string> scopes = parsePythonList(entry.value());
      if (scopes.size() < 2 || StringRef(scopes[scopes.size() - 2]).starts_with("_empty_nn_module"))
        return "";
      return scopes[scopes.size() - 2];
    }
    if (key == "namespace")
      space = entry.value();
  }
  // Before torch 2.6: `: Class/encoder: Class/encoder.layer: Class/linear: aten.linear`.
  SmallVector<StringRef> parts;
  space.split(parts, '/');
  if (parts.size() >= 2) {
    StringRef path = parts[parts.size() - 2].split(':').first.trim();
    return path.starts_with("_empty_nn_module") ? "" : path.str();
  }
  return modulePathFromName(node.name(), node.op_type());
}
