//===- Memory.h - Bounds, initialisation and races of memory -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_MEMORY_H
#define GRAFT_TEST_GPU_EMULATOR_MEMORY_H

#include "Emulator.h"
#include "Thread.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringRef.h"

#include <memory>

namespace graft::emulator {

/// A named piece of memory; `begin` is an offset for shared memory, else an address.
struct Region {
  std::string name;
  uint64_t begin = 0, bytes = 0;
};

/// How an access is encoded in the call that announces it.
enum class Access : uint32_t { Read, Write, Atomic };
struct AccessFlags {
  static constexpr uint32_t anywhere = 0, global = 1, shared = 3, local = 5;
  static uint32_t encode(Access access, uint32_t space, uint32_t alignLog2) {
    return uint32_t(access) | space << 2 | alignLog2 << 8;
  }
  static Access access(uint32_t flags) { return Access(flags & 3); }
  static uint32_t space(uint32_t flags) { return flags >> 2 & 63; }
  static uint64_t align(uint32_t flags) { return uint64_t(1) << (flags >> 8); }
};

/// Shared memory below 4 GB: its pointers survive a conversion to i32 and back.
class Arena {
public:
  static constexpr uint64_t size = 8 << 20;
  Arena();
  ~Arena();
  Arena(const Arena &) = delete;
  char *base = nullptr;
};

/// Watches over the accesses of a launch. Functions that return false have left the reason in
/// `problem`.
class Memory {
public:
  Memory(char *arena, llvm::ArrayRef<Site> sites) : arena(arena), sites(sites) {}

  void setGlobal(std::vector<Region> regions);
  void setShared(std::vector<Region> regions);
  /// Whether races are errors.
  bool races = true;
  Traffic *traffic = nullptr; ///< of the launch, if it counts
  /// Shared memory as a block finds it: nothing of it is initialised.
  void startBlock(uint32_t block);

  bool access(Thread &thread, const char *at, uint64_t bytes, uint32_t flags, uint32_t site,
              llvm::StringRef stack);
  /// The copy of `cp.async`: from now on nobody may touch its destination.
  bool issue(Thread &thread, char *to, const char *from, uint32_t bytes, uint32_t size,
             uint32_t site);
  /// Performs the copies of all but the newest `keep` groups; all copies where `everything`.
  void complete(Thread &thread, uint32_t keep, bool everything, uint32_t site);

  std::string problem;

private:
  enum class Content : uint8_t { Unwritten, Written, Pending };
  /// What is known of one byte.
  struct Cell {
    uint32_t generation = 0;
    Content content = Content::Unwritten;
    bool atomic = false;
    bool several[2] = {false, false};
    Moment writer, readers[2];
  };

  bool shared(Thread &thread, const char *at, uint64_t bytes, Access access, uint32_t site);
  bool betweenBlocks(const char *at, uint64_t bytes, Access access, uint32_t site);
  bool global(const char *at, uint64_t bytes, Access access, uint32_t site);
  bool advance(Cell &cell, Thread &thread, Access access, uint32_t site);
  bool race(llvm::StringRef doing, llvm::StringRef done, const Moment &other);
  bool fail(const char *at, uint64_t bytes, Access access, llvm::StringRef why);
  const Region *find(llvm::ArrayRef<Region> regions, uint64_t at) const;
  std::string describe(const char *at) const;

  struct Freer {
    void operator()(void *pointer) const { free(pointer); }
  };
  char *arena;
  llvm::ArrayRef<Site> sites;
  std::vector<Region> globals, shareds;
  std::unique_ptr<Cell[], Freer> cells;
  uint64_t cellCount = 0;
  uint32_t generation = 0;
  /// Who wrote each byte of a page of global memory last by a plain store: a block's number plus
  /// one, and where.
  struct Page {
    uint32_t block[4096] = {}, site[4096] = {};
  };
  llvm::DenseMap<uint64_t, std::unique_ptr<Page>> pages;
  uint32_t block = 0;
  /// A block that uses atomics may have learnt through them what other blocks have done.
  bool usedAtomics = false;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_MEMORY_H
