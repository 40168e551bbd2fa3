//===- Json.cpp - JSON as Python writes it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Link/Json.h"

#include <string>

using namespace graft;
using llvm::StringRef;

llvm::Expected<Json> graft::parseJson(StringRef text, StringRef where) {
  std::string quoted;
  quoted.reserve(text.size());
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      quoted += c;
      if (c == '\\' && i + 1 < text.size())
        quoted += text[++i];
      else if (c == '"')
        inString = false;
      continue;
    }
    bool replaced = false;
    for (StringRef word : {"NaN", "-Infinity", "Infinity"})
      if (text.substr(i).starts_with(word)) {
        quoted += ("\"" + word + "\"").str();
        i += word.size() - 1;
        replaced = true;
        break;
      }
    if (replaced)
      continue;
    inString = c == '"';
    quoted += c;
  }
  Json value = Json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    return inputFault(where + ": expected JSON, found something else");
  return value;
}
