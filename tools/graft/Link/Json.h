//===- Json.h - JSON as Python writes it -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_LINK_JSON_H
#define GRAFT_LINK_JSON_H

#include "graft/Fault/Fault.h"

#include <nlohmann/json.hpp>

namespace graft {

/// Objects keep the order of the file: the first of PEFT's patterns that matches wins.
using Json = nlohmann::ordered_json;

/// Parses JSON. Python's NaN and Infinity become strings of that name, so that whoever reads them
/// can say which key has them. `where` begins the words of the error.
llvm::Expected<Json> parseJson(llvm::StringRef text, llvm::StringRef where);

} // namespace graft

#endif // GRAFT_LINK_JSON_H
