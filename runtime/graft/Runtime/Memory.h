//===- Memory.h - Aligned memory from the system ----------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_MEMORY_H
#define GRAFT_RUNTIME_MEMORY_H

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace graft::runtime {

struct FreeMemory {
  void operator()(void *memory) const { std::free(memory); }
};
/// Aligned to `kAlignment`.
using Memory = std::unique_ptr<void, FreeMemory>;

/// Null if there is none, or `bytes` is negative. Never null for 0 bytes.
Memory allocateMemory(int64_t bytes);

/// Memory that keeps its size between runs and only grows. Large ones use huge pages where the
/// system gives any; pages belong to whichever thread touches them first.
class Arena {
public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() { clear(); }

  /// At least `bytes`; what was there is lost if it has to grow. Null if there is no such memory.
  char *reserve(int64_t bytes);

private:
  void clear();

  void *memory = nullptr;
  int64_t capacity = 0;
};

} // namespace graft::runtime

#endif
