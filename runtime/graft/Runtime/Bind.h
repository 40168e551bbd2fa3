//===- Bind.h - A caller's inputs against what a library wants --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_BIND_H
#define GRAFT_RUNTIME_BIND_H

#include "graft/Runtime/RunContext.h"

namespace graft::runtime {

/// Finds each input by name, checks type, rank and dimensions, and gives the symbols their values.
/// \param withData false: only shapes count
Status bindInputs(const Manifest &manifest, const graft_request &request, bool withData,
                  BoundInputs &inputs);

/// Rewrites bool inputs as bytes 0 and 1, as generated code expects them.
Status normaliseBools(const Manifest &manifest, BoundInputs &inputs, Arena &arena);

/// The i-th element of an array of structs whose size the caller says.
template <typename Struct> Struct *versioned(Struct *first, size_t i) {
  using Byte = std::conditional_t<std::is_const_v<Struct>, const char, char>;
  return reinterpret_cast<Struct *>(reinterpret_cast<Byte *>(first) + i * first->struct_size);
}

} // namespace graft::runtime

#endif
