//===- Machine.cpp - One block of threads at a time -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Machine.h"

#include "llvm/ADT/StringExtras.h"

using namespace graft::emulator;

thread_local Machine *Machine::current = nullptr;

static constexpr uint64_t mostSpins = 1 << 21, mostAccesses = 1 << 28;

Machine::Machine(const Launch &launch, const Schedule &schedule, Memory &memory, Stacks &stacks,
                 llvm::ArrayRef<Site> sites)
    : launch(launch), schedule(schedule), memory(memory), stacks(stacks), sites(sites),
      state(schedule.seed * 0x9e3779b97f4a7c15 + 1), threads(launch.threads),
      ready((launch.threads + warpSize - 1) / warpSize), meeting(ready.size()),
      exited(ready.size()) {}

uint32_t Machine::random(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 32) % below;
}

uint32_t Machine::existing(uint32_t warp) const {
  uint32_t count = std::min(warpSize, launch.threads - warp * warpSize);
  return count == warpSize ? ~0u : (1u << count) - 1;
}

llvm::Error Machine::run(Entry kernel) {
  entry = kernel;
  Machine *outer = current;
  current = this;
  for (uint32_t number = 0; number < launch.blocks && error.empty(); ++number) {
    startBlock(number);
    while (live && error.empty())
      if (!step())
        error = "block " + std::to_string(number) + ": " + deadlock();
  }
  current = outer;
  if (error.empty())
    return llvm::Error::success();
  return llvm::createStringError("kernel '" + launch.kernel + "', " + error);
}

void Machine::startBlock(uint32_t number) {
  block = number;
  live = launch.threads;
  memory.startBlock(number);
  for (Barrier &barrier : barriers)
    barrier = Barrier();
  std::fill(exited.begin(), exited.end(), 0);
  for (uint32_t i = 0; i < launch.threads; ++i) {
    Thread &thread = threads[i];
    thread.index = i;
    thread.stack = stacks.start(i, begin);
    thread.group = 0;
    thread.clock = thread.barriers = 0;
    thread.lanes.fill(0);
    thread.warps.fill(0);
    thread.post = Post();
    makeReady(thread);
  }
}

void Machine::makeReady(Thread &thread) {
  thread.state = Thread::State::Ready;
  ready[thread.warp()] |= 1u << thread.lane();
  meeting[thread.warp()] &= ~(1u << thread.lane());
}

void Machine::resume(Thread &thread) {
  running = &thread;
  accesses = 0;
  switchStack(&mainStack, thread.stack);
}

/// Lets some threads go on until they wait; false where none can.
bool Machine::step() {
  auto pass = [&](uint32_t warp) {
    uint32_t some = ready[warp];
    while (some && error.empty()) {
      uint32_t lane = 0;
      switch (schedule.lanes) {
      case Schedule::Lanes::Forwards:
        lane = llvm::countr_zero(some);
        break;
      case Schedule::Lanes::Backwards:
        lane = 31 - llvm::countl_zero(some);
        break;
      case Schedule::Lanes::Random:
        do
          lane = random(warpSize);
        while (!(some >> lane & 1));
        break;
      }
      some &= ~(1u << lane);
      resume(threads[warp * warpSize + lane]);
    }
  };
  able.clear();
  for (uint32_t warp = 0; warp < ready.size(); ++warp)
    if (ready[warp])
      able.push_back(warp);
  if (able.empty())
    return false;
  // Not the same warp again that waits for another one to write.
  auto order = spun ? Schedule::Warps::Random : schedule.warps;
  spun = false;
  switch (order) {
  case Schedule::Warps::RoundRobin:
    for (uint32_t warp : able)
      pass(warp);
    break;
  case Schedule::Warps::First:
    pass(able.front());
    break;
  case Schedule::Warps::Last:
    pass(able.back());
    break;
  case Schedule::Warps::Random:
    pass(able[random(able.size())]);
    break;
  }
  return true;
}

void Machine::begin() {
  current->entry(current->launch.arguments);
  current->exit();
}

void Machine::exit() {
  Thread &thread = *running;
  memory.complete(thread, 0, true, 0);
  thread.state = Thread::State::Exited;
  ready[thread.warp()] &= ~(1u << thread.lane());
  exited[thread.warp()] |= 1u << thread.lane();
  --live;
  spins = 0;
  uint32_t first = thread.warp() * warpSize;
  for (uint32_t i = first; i < std::min(first + warpSize, launch.threads); ++i)
    if (threads[i].state == Thread::State::Waiting && threads[i].post.kind > Together::Barrier &&
        threads[i].post.mask >> thread.lane() & 1) {
      running = &threads[i];
      fail(divergence(thread), threads[i].post.site);
    }
  switchStack(&thread.stack, mainStack);
  llvm_unreachable("an exited thread runs");
}

void Machine::yield() { switchStack(&running->stack, mainStack); }

void Machine::fail(std::string text, uint32_t site) {
  // Only what is moved may be alive here: nothing is destroyed on a stack that is left for good.
  error = "block " + std::to_string(block) + ", thread " + std::to_string(running->index);
  error += ": " + sites[site].op + " (" + sites[site].where + ") " + text;
  std::string().swap(text);
  void *nowhere;
  switchStack(&nowhere, mainStack);
  llvm_unreachable("a failed thread runs");
}

uint32_t Machine::read(Register which) const {
  uint32_t lane = running->lane(), bit = 1u << lane;
  switch (which) {
  case Register::Zero:
    return 0;
  case Register::One:
    return 1;
  case Register::Thread:
    return running->index;
  case Register::Threads:
    return launch.threads;
  case Register::Block:
    return block;
  case Register::Blocks:
    return launch.blocks;
  case Register::Lane:
    return lane;
  case Register::Warp:
    return running->warp();
  case Register::Warps:
    return ready.size();
  case Register::WarpSize:
    return warpSize;
  case Register::LanesEq:
    return bit;
  case Register::LanesLe:
    return bit | (bit - 1);
  case Register::LanesLt:
    return bit - 1;
  case Register::LanesGe:
    return ~(bit - 1);
  case Register::LanesGt:
    return ~(bit | (bit - 1));
  }
  return 0;
}

void Machine::access(const char *at, uint64_t bytes, uint32_t flags, uint32_t site) {
  if (++accesses > mostAccesses)
    fail("goes on and on: " + std::to_string(mostAccesses) + " accesses with no other thread",
         site);
  if (AccessFlags::access(flags) == Access::Atomic) {
    // Threads may wait for each other through memory.
    if (++spins > mostSpins)
      fail("goes on and on: nothing else has happened for " + std::to_string(mostSpins) +
               " atomic accesses",
           site);
    spun = true;
    yield();
  } else if (schedule.preempt && random(8) == 0) {
    yield();
  }
  if (!memory.access(*running, at, bytes, flags, site, stacks.extent(running->index)))
    fail(std::move(memory.problem), site);
}

void Machine::issue(char *to, const char *from, uint32_t bytes, uint32_t size, uint32_t site) {
  if (!memory.issue(*running, to, from, bytes, size, site))
    fail(std::move(memory.problem), site);
}

void Machine::wait(uint32_t keep, uint32_t site) { memory.complete(*running, keep, false, site); }

uint32_t Machine::barrier(uint32_t id, uint32_t count, uint32_t detail, uint32_t predicate,
                          uint32_t site) {
  if (id >= barrierCount)
    fail("names barrier " + std::to_string(id) + ", there are 16", site);
  if (count % warpSize)
    fail("waits for " + std::to_string(count) + " threads, which is not a multiple of 32", site);
  uint32_t expected = count ? count : launch.threads;
  Barrier &barrier = barriers[id];
  if (barrier.threads.empty()) {
    barrier.expected = expected;
    barrier.site = site;
  } else if (barrier.expected != expected) {
    fail("waits at barrier " + std::to_string(id) + " for " + std::to_string(expected) +
             " threads, but others wait there for " + std::to_string(barrier.expected),
         site);
  }
  spins = 0;
  Thread &thread = *running;
  Post post;
  post.kind = Together::Barrier;
  post.site = site;
  post.detail = detail;
  post.value[0] = predicate;
  post.value[1] = id;
  barrier.knowledge.bring(thread, true);
  barrier.posts.push_back(post);
  barrier.threads.push_back(thread.index);
  if (detail != arrive) {
    thread.post = post;
    thread.state = Thread::State::Waiting;
    ready[thread.warp()] &= ~(1u << thread.lane());
  }
  if (barrier.threads.size() >= barrier.expected)
    release(barrier);
  if (detail != arrive)
    yield();
  return running->post.result[0];
}

void Machine::release(Barrier &barrier) {
  std::vector<Thread *> all;
  std::vector<uint32_t> lanes(ready.size()), where(ready.size());
  uint32_t count = 0;
  const char *wrong = nullptr;
  for (auto [index, post] : llvm::zip_equal(barrier.threads, barrier.posts)) {
    Thread &thread = threads[index];
    uint32_t &seen = lanes[thread.warp()];
    if (seen && where[thread.warp()] != post.site)
      wrong = "is not the barrier at which the other lanes of its warp wait";
    if (seen >> thread.lane() & 1)
      wrong = "comes a second time before the barrier has let it go";
    seen |= 1u << thread.lane();
    where[thread.warp()] = post.site;
    count += post.value[0] != 0;
    all.push_back(&thread);
  }
  for (uint32_t warp = 0; warp < lanes.size() && !wrong; ++warp)
    if (lanes[warp] && lanes[warp] != existing(warp))
      wrong = "lacks lanes of a warp";
  if (wrong) {
    std::vector<Thread *>().swap(all);
    std::vector<uint32_t>().swap(lanes);
    std::vector<uint32_t>().swap(where);
    fail(wrong, barrier.posts.back().site);
  }
  for (auto [thread, post] : llvm::zip_equal(all, barrier.posts)) {
    if (post.detail == arrive)
      continue;
    thread->post.result[0] = post.detail == popc           ? count
                             : post.detail == Machine::all ? count == all.size()
                                                           : count != 0;
    barrier.knowledge.take(*thread);
    makeReady(*thread);
  }
  barrier = Barrier();
}

void Knowledge::bring(Thread &thread, bool barrier) {
  ++thread.clock;
  thread.barriers += barrier;
  auto &known = lanes[thread.warp()];
  for (uint32_t i = 0; i < warpSize; ++i) {
    warps[i] = std::max(warps[i], thread.warps[i]);
    known[i] = std::max(known[i], thread.lanes[i]);
  }
  known[thread.lane()] = std::max(known[thread.lane()], thread.clock);
  warps[thread.warp()] = std::max(warps[thread.warp()], thread.barriers);
}

void Knowledge::take(Thread &thread) const {
  thread.warps = warps;
  thread.lanes = lanes[thread.warp()];
}

static std::string range(llvm::ArrayRef<uint32_t> threads) {
  std::string text = "thread " + std::to_string(threads.front());
  if (threads.size() == 1)
    return text;
  bool dense = threads.back() - threads.front() + 1 == threads.size();
  return std::to_string(threads.size()) + " threads (" + std::to_string(threads.front()) +
         (dense ? " to " : ", ... ") + std::to_string(threads.back()) + ")";
}

std::string Machine::deadlock() const {
  std::vector<uint32_t> gone;
  std::vector<std::pair<uint32_t, std::vector<uint32_t>>> waiting;
  for (const Thread &thread : threads) {
    if (thread.state == Thread::State::Exited) {
      gone.push_back(thread.index);
      continue;
    }
    auto found = llvm::find_if(waiting, [&](auto &one) { return one.first == thread.post.site; });
    if (found == waiting.end())
      found = waiting.insert(waiting.end(), {thread.post.site, {}});
    found->second.push_back(thread.index);
  }
  std::string text = "a deadlock:";
  for (auto &[site, those] : waiting)
    text += " " + range(those) + " at " + sites[site].op + " (" + sites[site].where + ");";
  if (!gone.empty())
    text += " " + range(gone) + " exited;";
  text.pop_back();
  return text;
}
