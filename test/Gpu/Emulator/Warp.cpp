//===- Warp.cpp - What the lanes of a warp do together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fragments.h"
#include "Machine.h"

#include "llvm/ADT/bit.h"

#include <algorithm>

using namespace graft::emulator;

std::string Machine::divergence(const Thread &other) const {
  std::string text = "waits for thread " + std::to_string(other.index) + " of its warp, which ";
  if (other.state == Thread::State::Exited)
    return text + "has exited";
  const Site &site = sites[other.post.site];
  return text + "is at " + site.op + " (" + site.where + ")" +
         (other.post.mask == running->post.mask ? "" : " with another mask");
}

const Post &Machine::together(const Post &post) {
  Thread &thread = *running;
  thread.post = post;
  spins = 0;
  uint32_t present = existing(thread.warp()), mask = post.mask & present;
  if (!(mask >> thread.lane() & 1))
    fail("has a mask without the lane that executes it", post.site);
  if (post.kind >= Together::LdMatrix && mask != ~0u)
    fail("needs a whole warp", post.site);
  thread.state = Thread::State::Waiting;
  ready[thread.warp()] &= ~(1u << thread.lane());
  meeting[thread.warp()] |= 1u << thread.lane();
  // Most come before others have.
  if (!(mask & exited[thread.warp()]) && (mask & ~meeting[thread.warp()])) {
    yield();
    return running->post;
  }
  Thread *lanes[warpSize];
  uint32_t count = 0;
  bool all = true;
  for (uint32_t lane = 0; lane < warpSize; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    Thread &other = threads[thread.warp() * warpSize + lane];
    const Post &theirs = other.post;
    bool same = other.state == Thread::State::Waiting && theirs.kind == post.kind &&
                theirs.site == post.site && theirs.mask == post.mask;
    // Lanes that wait for this one elsewhere, or never come, wait for ever.
    bool never = other.state == Thread::State::Exited ||
                 (other.state == Thread::State::Waiting && theirs.kind > Together::Barrier &&
                  theirs.mask >> thread.lane() & 1);
    if (!same && never)
      fail(divergence(other), post.site);
    all &= same;
    lanes[count++] = &other;
  }
  if (all)
    complete({lanes, count});
  yield();
  return running->post;
}

/// A lane's address has to be good; what comes from there is read by the lanes that get it.
void Machine::checkRows(llvm::ArrayRef<Thread *> lanes, const void *const *rows, uint32_t count,
                        bool transposed, uint32_t site) {
  Thread *self = running;
  auto read = [&](uint32_t lane, uint32_t row, uint32_t offset, uint32_t bytes, uint32_t align) {
    running = lanes[lane];
    uint32_t flags = AccessFlags::encode(Access::Read, AccessFlags::shared, align);
    if (!memory.access(*running, static_cast<const char *>(rows[row]) + offset, bytes, flags, site,
                       {}))
      fail(std::move(memory.problem), site);
  };
  for (uint32_t row = 0; row < 8 * count; ++row)
    read(row, row, 0, 16, 4);
  for (uint32_t lane = 0; lane < warpSize; ++lane)
    for (uint32_t m = 0; m < count; ++m) {
      uint32_t first = 8 * m + (transposed ? 2 * (lane % 4) : lane / 4);
      if (!transposed)
        read(lane, first, 4 * (lane % 4), 4, 0);
      for (uint32_t i = 0; transposed && i < 2; ++i)
        read(lane, first + i, 2 * (lane / 4), 2, 0);
    }
  running = self;
}

void Machine::complete(llvm::ArrayRef<Thread *> lanes) {
  const Post &post = lanes.front()->post;
  switch (post.kind) {
  case Together::Sync: {
    Knowledge knowledge;
    for (Thread *lane : lanes)
      knowledge.bring(*lane, false);
    for (Thread *lane : lanes)
      knowledge.take(*lane);
    break;
  }
  case Together::LdMatrix: {
    const void *rows[warpSize];
    uint32_t *out[warpSize];
    for (uint32_t i = 0; i < warpSize; ++i) {
      rows[i] = lanes[i]->post.in;
      out[i] = static_cast<uint32_t *>(lanes[i]->post.out);
    }
    checkRows(lanes, rows, post.detail & 255, post.detail >> 8, post.site);
    loadMatrices(post.detail & 255, post.detail >> 8, rows, out);
    break;
  }
  case Together::Mma: {
    const uint32_t *in[warpSize];
    uint32_t *out[warpSize];
    for (uint32_t i = 0; i < warpSize; ++i) {
      in[i] = static_cast<const uint32_t *>(lanes[i]->post.in);
      out[i] = static_cast<uint32_t *>(lanes[i]->post.out);
    }
    const MmaShape shape = MmaShape::decode(post.detail);
    multiply(shape, in, out);
    if (memory.traffic)
      memory.traffic->products += uint64_t(16 * 8) * shape.depth;
    break;
  }
  default:
    for (Thread *lane : lanes)
      exchange(lanes, *lane);
  }
  for (Thread *lane : lanes)
    makeReady(*lane);
}

static uint32_t reduce(ReduceKind kind, uint32_t a, uint32_t b) {
  switch (kind) {
  case ReduceKind::Add:
    return a + b;
  case ReduceKind::And:
    return a & b;
  case ReduceKind::Or:
    return a | b;
  case ReduceKind::Xor:
    return a ^ b;
  case ReduceKind::Min:
    return std::min(int32_t(a), int32_t(b));
  case ReduceKind::Max:
    return std::max(int32_t(a), int32_t(b));
  case ReduceKind::UMin:
    return std::min(a, b);
  case ReduceKind::UMax:
    return std::max(a, b);
  }
  return 0;
}

void Machine::exchange(llvm::ArrayRef<Thread *> lanes, Thread &thread) {
  Post &post = thread.post;
  uint32_t lane = thread.lane(), mask = post.mask & existing(thread.warp());
  switch (post.kind) {
  case Together::Shuffle: {
    // As PTX's shfl.sync says it, with its names.
    uint32_t b = post.value[1] & 31, c = post.value[2] & 31, segment = post.value[2] >> 8 & 31;
    uint32_t most = (lane & segment) | (c & ~segment), least = lane & segment;
    int32_t from = 0;
    bool valid = true;
    switch (ShuffleKind(post.detail)) {
    case ShuffleKind::Up:
      from = int32_t(lane) - int32_t(b);
      valid = from >= int32_t(most);
      break;
    case ShuffleKind::Down:
      from = int32_t(lane + b);
      valid = from <= int32_t(most);
      break;
    case ShuffleKind::Butterfly:
      from = int32_t(lane ^ b);
      valid = from <= int32_t(most);
      break;
    case ShuffleKind::Index:
      from = int32_t(least | (b & ~segment));
      valid = from <= int32_t(most);
      break;
    }
    if (!valid)
      from = int32_t(lane);
    // What a lane outside the mask has is undefined: a NaN.
    post.result[0] =
        mask >> from & 1 ? threads[thread.warp() * warpSize + from].post.value[0] : ~0u;
    post.result[1] = valid;
    return;
  }
  case Together::Vote: {
    uint32_t ballot = 0;
    for (Thread *other : lanes)
      ballot |= uint32_t(other->post.value[0] & 1) << other->lane();
    switch (VoteKind(post.detail)) {
    case VoteKind::Ballot:
      post.result[0] = ballot;
      return;
    case VoteKind::Any:
      post.result[0] = ballot != 0;
      return;
    case VoteKind::All:
      post.result[0] = ballot == mask;
      return;
    case VoteKind::Uniform:
      post.result[0] = ballot == mask || ballot == 0;
      return;
    }
    return;
  }
  case Together::Match: {
    uint32_t equal = 0;
    for (Thread *other : lanes)
      if (other->post.value[0] == post.value[0] && other->post.value[1] == post.value[1])
        equal |= 1u << other->lane();
    bool all = equal == mask;
    post.result[0] = post.detail == 0 || all ? equal : 0; // detail: 0 any, 1 all
    post.result[1] = all;
    return;
  }
  case Together::Reduce: {
    uint32_t result = lanes.front()->post.value[0];
    for (Thread *other : lanes.drop_front())
      result = reduce(ReduceKind(post.detail), result, other->post.value[0]);
    post.result[0] = result;
    return;
  }
  case Together::Elect:
    post.result[0] = lane == uint32_t(llvm::countr_zero(mask));
    return;
  default:
    return;
  }
}
