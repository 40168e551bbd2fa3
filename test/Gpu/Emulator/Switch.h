//===- Switch.h - From one stack to another -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_SWITCH_H
#define GRAFT_TEST_GPU_EMULATOR_SWITCH_H

#include "llvm/ADT/StringRef.h"

#include <cstddef>
#include <cstdint>

namespace graft::emulator {

/// Goes on where `to` was left, having put into `from` where this is.
void switchStack(void **from, void *to);

/// Stacks for threads, with a page that may not be touched below each.
class Stacks {
public:
  static constexpr size_t size = 128 << 10, guard = 4096;
  explicit Stacks(uint32_t count);
  ~Stacks();
  Stacks(const Stacks &) = delete;
  /// Whether the memory could be had.
  bool valid() const { return memory; }
  /// Where stack i starts running `entry`, which must not return.
  void *start(uint32_t i, void (*entry)());
  llvm::StringRef extent(uint32_t i) const { return {memory + i * (size + guard) + guard, size}; }

private:
  char *memory = nullptr;
  size_t bytes;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_SWITCH_H
