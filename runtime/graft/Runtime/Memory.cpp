//===- Memory.cpp - Aligned memory from the system --------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Memory.h"

#include "graft/Runtime/Tensor.h"

#include <sys/mman.h>

using namespace graft::runtime;

static constexpr int64_t kHugePage = int64_t(2) << 20;

Memory graft::runtime::allocateMemory(int64_t bytes) {
  int64_t aligned;
  if (bytes < 0 || !checkedAlign(bytes > 0 ? bytes : 1, aligned))
    return nullptr;
  // Of exactly that size: AddressSanitizer would not see an overrun into a rounded rest.
  void *memory = nullptr;
  return Memory(
      ::posix_memalign(&memory, kAlignment, size_t(bytes > 0 ? bytes : 1)) == 0 ? memory : nullptr);
}

char *Arena::reserve(int64_t bytes) {
  if (bytes <= capacity && memory)
    return static_cast<char *>(memory);
  clear();
  int64_t grain = bytes >= kHugePage ? kHugePage : 4096, rounded;
  if (bytes < 0 || !checkedAdd(bytes > 0 ? bytes : 1, grain - 1, rounded))
    return nullptr;
  rounded &= ~(grain - 1);
  void *fresh = std::aligned_alloc(size_t(grain), size_t(rounded));
  if (!fresh)
    return nullptr;
  if (grain == kHugePage)
    ::madvise(fresh, size_t(rounded), MADV_HUGEPAGE); // a hint; refusal is no failure
  memory = fresh;
  capacity = rounded;
  return static_cast<char *>(memory);
}

void Arena::clear() {
  std::free(memory);
  memory = nullptr;
  capacity = 0;
}
