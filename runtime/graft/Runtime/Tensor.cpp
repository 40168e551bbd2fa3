//===- Tensor.cpp - Element types, shapes and checked sizes --------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Tensor.h"

using namespace graft::runtime;

namespace {
struct TypeFacts {
  const char *name;
  size_t bytes;
};
} // namespace

// By graft_type.
static constexpr TypeFacts kTypes[] = {
    {nullptr, 0}, {"f32", 4}, {"f16", 2}, {"bf16", 2}, {"f64", 8}, {"i8", 1},  {"u8", 1},
    {"i16", 2},   {"u16", 2}, {"i32", 4}, {"u32", 4},  {"i64", 8}, {"u64", 8}, {"bool", 1}};
static constexpr int32_t kTypeCount = sizeof(kTypes) / sizeof(kTypes[0]);

size_t graft::runtime::typeBytes(int32_t type) {
  return type > 0 && type < kTypeCount ? kTypes[type].bytes : 0;
}

const char *graft::runtime::typeName(int32_t type) {
  return type > 0 && type < kTypeCount ? kTypes[type].name : nullptr;
}

std::optional<int32_t> graft::runtime::typeFromName(std::string_view name) {
  for (int32_t type = 1; type < kTypeCount; ++type)
    if (name == kTypes[type].name)
      return type;
  return std::nullopt;
}

std::optional<int64_t> graft::runtime::tensorBytes(int32_t type, const int64_t *dims,
                                                   int32_t rank) {
  // Zero dimensions count as one for the check, so that no order of multiplication can overflow.
  int64_t bytes = int64_t(typeBytes(type)), bound = bytes;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0 || !checkedMul(bound, dims[i] > 0 ? dims[i] : 1, bound))
      return std::nullopt;
    bytes *= dims[i];
  }
  return bytes;
}

std::string graft::runtime::shapeText(const int64_t *dims, int32_t rank) {
  if (rank == 0)
    return "scalar";
  std::string text;
  for (int32_t i = 0; i < rank; ++i) {
    if (i)
      text += 'x';
    text += dims[i] < 0 ? "?" : std::to_string(dims[i]);
  }
  return text;
}
