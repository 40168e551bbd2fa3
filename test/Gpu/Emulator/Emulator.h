//===- Emulator.h - Device IR run and checked on the CPU -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_EMULATOR_H
#define GRAFT_TEST_GPU_EMULATOR_EMULATOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>
#include <vector>

namespace graft::emulator {

/// Memory that a kernel may reach through its pointers: what lies outside is out of bounds.
/// Allocations do not overlap.
struct Allocation {
  const char *begin;
  uint64_t bytes;
};

/// What all threads of a launch did.
struct Traffic {
  /// Bytes of global memory, and in how many accesses of a thread, of which so many of 16 bytes.
  uint64_t read = 0, written = 0, accesses = 0, wide = 0;
  /// Multiplications of elements by tensor cores.
  uint64_t products = 0;
};

struct Launch {
  std::string kernel;
  uint32_t blocks, threads;
  /// Of dynamic shared memory; what a module declares with a size comes on top.
  uint32_t sharedBytes;
  /// The address of each argument, as cuLaunchKernel has it.
  void *const *arguments;
  /// Whether unordered accesses to shared memory, and to what another block has stored in global
  /// memory, are errors.
  bool races = true;
  /// Added to, unless null.
  Traffic *traffic = nullptr;
};

/// Which thread runs next when one cannot go on.
struct Schedule {
  enum class Warps { RoundRobin, First, Last, Random };
  enum class Lanes { Forwards, Backwards, Random };
  /// First and Last: one warp as far as it goes, before any other runs.
  Warps warps = Warps::RoundRobin;
  Lanes lanes = Lanes::Forwards;
  uint64_t seed = 1;
  /// Also switches at some accesses to memory, as the seed has it.
  bool preempt = false;

  std::string name() const;
};

/// Schedules that between them bring out what depends on the order.
llvm::ArrayRef<Schedule> schedules();

namespace detail {
class ProgramState;
}

/// The kernels of a file, compiled for this machine. Not for several threads at once.
class Program {
public:
  /// An .mlir file with one or more `gpu.module` in the LLVM and NVVM dialects, or LLVM IR text
  /// (.ll) for NVPTX. What the emulator does not know is an error here, before anything runs.
  static llvm::Expected<std::unique_ptr<Program>> load(llvm::StringRef path);
  /// The text of either.
  static llvm::Expected<std::unique_ptr<Program>> parse(llvm::StringRef text);
  ~Program();

  bool has(llvm::StringRef kernel) const;
  std::vector<std::string> kernels() const;
  /// Bytes of each argument; none where there is no such kernel.
  std::vector<uint32_t> argumentSizes(llvm::StringRef kernel) const;
  /// Runs the blocks one after another; an error names the kernel, block, thread and operation.
  llvm::Error run(const Launch &launch, llvm::ArrayRef<Allocation> memory,
                  const Schedule &schedule);

private:
  explicit Program(std::unique_ptr<detail::ProgramState> state);
  std::unique_ptr<detail::ProgramState> state;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_EMULATOR_H
