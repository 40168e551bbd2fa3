//===- HostContext.cpp - What generated code sees of the runtime *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/HostContext.h"

#include <algorithm>
#include <omp.h>
#include <sched.h>
#include <thread>

using namespace graft::runtime;

int32_t graft::runtime::availableThreads() {
  // The set is of fixed size; machines with more processors than it holds need a larger one.
  for (int most = 1024; most <= 1 << 20; most *= 4) {
    cpu_set_t *set = CPU_ALLOC(most);
    if (!set)
      break;
    size_t bytes = CPU_ALLOC_SIZE(most);
    int count = ::sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0)
      return count;
  }
  return std::max(1, int32_t(std::thread::hardware_concurrency()));
}

HostContext::HostContext() {
  table.struct_size = sizeof(table);
  table.abi = GRAFT_ARTIFACT_ABI;
  table.context = this;
  table.parallel_for = parallelFor;
  table.allocate = allocate;
  table.release = release;
  table.fail = fail;
  table.route = nullptr;
  table.route_within = nullptr;
  leaveDevice();
}

void HostContext::begin(int32_t count, RouteObserver *who) {
  threads = count;
  observer = who;
  table.route = observer ? route : nullptr;
  table.route_within = observer ? routeWithin : nullptr;
  firstFailure = {};
}

void HostContext::enterDevice(KernelLauncher &who, void *status, int64_t processors) {
  launcher = &who;
  table.launch = launch;
  table.device_status = status;
  table.device_processors = processors;
}

void HostContext::leaveDevice() {
  launcher = nullptr;
  table.launch = nullptr;
  table.device_parameters = nullptr;
  table.device_status = nullptr;
  table.device_processors = 0;
}

void HostContext::end() { allocations.clear(); }

Status HostContext::failure() const {
  std::lock_guard<std::mutex> lock(mutex);
  return firstFailure;
}

void HostContext::forgetFailure() {
  std::lock_guard<std::mutex> lock(mutex);
  firstFailure = {};
}

Memory HostContext::take(void *memory) {
  std::lock_guard<std::mutex> lock(mutex);
  auto found = allocations.find(memory);
  if (found == allocations.end())
    return nullptr;
  Memory taken = std::move(found->second);
  allocations.erase(found);
  return taken;
}

void HostContext::parallelFor(void *context, int64_t count, void (*body)(void *, int64_t, int64_t),
                              void *closure) {
  auto *self = static_cast<HostContext *>(context);
  if (count <= 0)
    return;
  int wanted = int(std::min<int64_t>(self->threads, count));
  if (wanted == 1) {
    body(closure, 0, count);
    return;
  }
#pragma omp parallel num_threads(wanted)
  {
    // There may be fewer than were asked for, and inside another parallel region one. Consecutive
    // ranges whose lengths differ by at most one; the same each time, so that a thread finds in its
    // cache what it wrote before.
    int64_t team = omp_get_num_threads(), thread = omp_get_thread_num();
    int64_t length = count / team, longer = count % team;
    int64_t begin = thread * length + std::min(thread, longer);
    int64_t end = begin + length + (thread < longer ? 1 : 0);
    if (begin < end)
      body(closure, begin, end);
  }
}

void *HostContext::allocate(void *context, int64_t bytes) {
  auto *self = static_cast<HostContext *>(context);
  try {
    Memory memory = allocateMemory(bytes);
    void *pointer = memory.get();
    if (pointer) {
      std::lock_guard<std::mutex> lock(self->mutex);
      self->allocations.emplace(pointer, std::move(memory));
      return pointer;
    }
  } catch (const std::bad_alloc &) {
  }
  std::string words = "cannot allocate " + std::to_string(bytes) + " bytes";
  self->recordFailure(GRAFT_ERROR_MEMORY, words.c_str());
  return nullptr;
}

void HostContext::release(void *context, void *memory) {
  static_cast<HostContext *>(context)->take(memory);
}

void HostContext::fail(void *context, int32_t code, const char *message) {
  bool known = code == GRAFT_ERROR_INPUT || code == GRAFT_ERROR_UNSUPPORTED;
  static_cast<HostContext *>(context)->recordFailure(known ? code : GRAFT_ERROR_INTERNAL, message);
}

template <typename Function> void HostContext::observe(Function &&function) {
  try {
    Status status = function();
    if (status.failed())
      recordFailure(status.code(), status.message().c_str());
  } catch (const std::bad_alloc &) {
    recordFailure(GRAFT_ERROR_MEMORY, "out of memory");
  } catch (const std::exception &exception) { // none may pass generated code
    recordFailure(GRAFT_ERROR_INTERNAL, exception.what());
  }
}

void HostContext::route(void *context, int64_t router, int64_t rows, int64_t *chosen,
                        void *weights) {
  auto *self = static_cast<HostContext *>(context);
  self->observe([&] { return self->observer->route(router, rows, chosen, weights); });
}

void HostContext::routeWithin(void *context, int64_t router, int64_t rows, int64_t *chosen,
                              void *weights, int64_t count, const int64_t *places, int64_t total) {
  auto *self = static_cast<HostContext *>(context);
  self->observe([&] {
    return self->observer->routeWithin(router, rows, chosen, weights, count, places, total);
  });
}

int32_t HostContext::launch(void *context, int64_t kernel, int64_t blocks, int64_t threads,
                            int64_t sharedBytes, void **arguments) {
  auto *self = static_cast<HostContext *>(context);
  try {
    Status status = self->launcher->launch(kernel, blocks, threads, sharedBytes, arguments);
    if (!status.failed())
      return 0;
    self->recordFailure(status.code(), status.message().c_str());
  } catch (const std::bad_alloc &) { // none may pass generated code
    self->recordFailure(GRAFT_ERROR_MEMORY, "out of memory");
  }
  return 1;
}

void HostContext::recordFailure(int32_t code, const char *message) {
  std::lock_guard<std::mutex> lock(mutex);
  if (firstFailure.failed())
    return;
  try {
    firstFailure = Status(code, message ? message : "the library reports a failure without words");
  } catch (const std::bad_alloc &) {
    firstFailure = Status(GRAFT_ERROR_MEMORY, {});
  }
}
