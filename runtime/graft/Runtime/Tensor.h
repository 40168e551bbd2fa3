//===- Tensor.h - Element types, shapes and checked sizes ----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_TENSOR_H
#define GRAFT_RUNTIME_TENSOR_H

#include "graft/Runtime/graft.h"

#include <optional>
#include <string>
#include <string_view>

namespace graft::runtime {

constexpr int64_t kAlignment = 64;

inline bool checkedAdd(int64_t a, int64_t b, int64_t &sum) {
  return !__builtin_add_overflow(a, b, &sum);
}
inline bool checkedMul(int64_t a, int64_t b, int64_t &product) {
  return !__builtin_mul_overflow(a, b, &product);
}
/// Up to the next multiple of `kAlignment`; false if that is too large.
inline bool checkedAlign(int64_t bytes, int64_t &aligned) {
  if (!checkedAdd(bytes, kAlignment - 1, aligned))
    return false;
  aligned &= ~(kAlignment - 1);
  return true;
}

/// 0 where `type` is none.
size_t typeBytes(int32_t type);
/// Null where `type` is none.
const char *typeName(int32_t type);
std::optional<int32_t> typeFromName(std::string_view name);

/// Bytes of a dense tensor, or nothing if a dimension is negative or the size does not fit.
std::optional<int64_t> tensorBytes(int32_t type, const int64_t *dims, int32_t rank);

/// "1x128" or "scalar"; -1 reads "?".
std::string shapeText(const int64_t *dims, int32_t rank);

} // namespace graft::runtime

#endif
