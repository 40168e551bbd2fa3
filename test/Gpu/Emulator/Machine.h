//===- Machine.h - One block of threads at a time -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_EMULATOR_MACHINE_H
#define GRAFT_TEST_GPU_EMULATOR_MACHINE_H

#include "Emulator.h"
#include "Memory.h"
#include "Switch.h"

namespace graft::emulator {

/// What a thread asks the machine for about itself.
enum class Register : uint32_t {
  Zero,
  One,
  Thread,
  Threads,
  Block,
  Blocks,
  Lane,
  Warp,
  Warps,
  WarpSize,
  LanesEq,
  LanesLe,
  LanesLt,
  LanesGe,
  LanesGt
};

/// Runs the threads of a launch as fibres, block after block. The functions below `run` are called
/// by the threads.
class Machine {
public:
  using Entry = void (*)(void *const *arguments);

  Machine(const Launch &launch, const Schedule &schedule, Memory &memory, Stacks &stacks,
          llvm::ArrayRef<Site> sites);
  llvm::Error run(Entry entry);

  /// That which runs.
  static thread_local Machine *current;

  uint32_t read(Register which) const;
  void access(const char *at, uint64_t bytes, uint32_t flags, uint32_t site);
  /// Waits for the lanes of post.mask; the results are in what is returned.
  const Post &together(const Post &post);
  /// The second result of what the running thread did last with its warp.
  uint32_t second() const { return running->post.result[1]; }
  uint32_t barrier(uint32_t id, uint32_t count, uint32_t detail, uint32_t predicate, uint32_t site);
  void issue(char *to, const char *from, uint32_t bytes, uint32_t size, uint32_t site);
  void commit() { ++running->group; }
  void wait(uint32_t keep, uint32_t site);
  [[noreturn]] void fail(std::string text, uint32_t site);

  /// What `detail` says of a barrier: the thread goes on at once, or the predicates are reduced.
  enum BarrierDetail : uint32_t { plain, popc, all, any, arrive };

private:
  struct Barrier {
    uint32_t expected = 0, site = 0;
    std::vector<Post> posts;
    std::vector<uint32_t> threads;
    Knowledge knowledge;
  };

  static void begin();
  [[noreturn]] void exit();
  void yield();
  void startBlock(uint32_t number);
  bool step();
  void resume(Thread &thread);
  void makeReady(Thread &thread);
  void release(Barrier &barrier);
  /// All lanes of the mask are there: does what they came for.
  void complete(llvm::ArrayRef<Thread *> lanes);
  void checkRows(llvm::ArrayRef<Thread *> lanes, const void *const *rows, uint32_t count,
                 bool transposed, uint32_t site);
  void exchange(llvm::ArrayRef<Thread *> lanes, Thread &lane);
  std::string deadlock() const;
  std::string divergence(const Thread &other) const;
  uint32_t random(uint32_t below);
  uint32_t existing(uint32_t warp) const;

  const Launch &launch;
  const Schedule &schedule;
  Memory &memory;
  Stacks &stacks;
  llvm::ArrayRef<Site> sites;
  Entry entry = nullptr;
  void *mainStack = nullptr;
  Thread *running = nullptr;
  uint32_t block = 0, live = 0;
  /// Atomic accesses since a thread last waited or exited: who does nothing else waits for what
  /// never comes.
  uint64_t spins = 0;
  /// Accesses since a thread was last let go on.
  uint64_t accesses = 0;
  bool spun = false;
  uint64_t state;
  std::vector<Thread> threads;
  /// For each warp, which of its lanes can go on.
  std::vector<uint32_t> ready, able;
  /// Which wait for others of their warp, and which are no more.
  std::vector<uint32_t> meeting, exited;
  std::array<Barrier, barrierCount> barriers;
  std::string error;
};

} // namespace graft::emulator

#endif // GRAFT_TEST_GPU_EMULATOR_MACHINE_H
