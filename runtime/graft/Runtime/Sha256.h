//===- Sha256.h - SHA-256 of mapped bytes --------------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_SHA256_H
#define GRAFT_RUNTIME_SHA256_H

#include <cstddef>
#include <string>

namespace graft::runtime {

/// In lower-case hexadecimal digits.
std::string sha256(const void *data, size_t bytes);

} // namespace graft::runtime

#endif
