//===- DeviceContext.cpp - The device's part of a run's context -*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/DeviceContext.h"

#include <algorithm>
#include <limits>

using namespace graft::runtime;
using namespace graft::runtime::cuda;

/// Memory grows in steps, so that sizes that differ little do not each move it.
static constexpr int64_t kGrain = int64_t(2) << 20;

DeviceContext::~DeviceContext() {
  if (!stream)
    return;
  const Driver &driver = library.driver();
  CurrentContext current(driver, library.context());
  if (current.status() != kSuccess)
    return;
  driver.streamSynchronize(stream);
  dropGraphs();
  if (memory)
    driver.memFree(memory);
  if (pinned)
    driver.memFreeHost(pinned);
  driver.streamDestroy(stream);
}

Status DeviceContext::fault(Result result, const std::string &what) {
  std::string words = library.deviceName() + ": " + what + ": " + library.driver().text(result);
  // A capture says no to what a stream would do; the launches are then made without one.
  if (!capturing)
    library.giveUp(words);
  return internalError(std::move(words));
}

static bool roundUp(int64_t bytes, int64_t &rounded) {
  if (bytes < 0 || __builtin_add_overflow(bytes, kGrain - 1, &rounded))
    return false;
  rounded &= ~(kGrain - 1);
  return true;
}

Status DeviceContext::reserve(int64_t bytes, int64_t mirrored) {
  const Driver &driver = library.driver();
  auto failure = [&](int64_t wanted) {
    return memoryError(library.deviceName() + ": cannot allocate " + std::to_string(wanted) +
                       " bytes for a run, which the CPU does instead");
  };
  if (!stream)
    if (Result result = driver.streamCreate(&stream, kStreamNonBlocking); result != kSuccess) {
      stream = nullptr;
      return fault(result, "no stream");
    }
  if (bytes > capacity || !memory) {
    dropGraphs();
    if (memory)
      driver.memFree(memory);
    memory = 0;
    capacity = 0;
    int64_t rounded;
    if (!roundUp(bytes, rounded))
      return failure(bytes);
    rounded = std::max(rounded, kGrain);
    if (Result result = driver.memAlloc(&memory, size_t(rounded)); result != kSuccess) {
      memory = 0;
      return result == kOutOfMemory ? failure(rounded) : fault(result, "no memory for a run");
    }
    capacity = rounded;
  }
  if (mirrored > hostCapacity || !host) {
    if (Status status = reserveMirror(mirrored); status.failed())
      return status;
  }
  return {};
}

Status DeviceContext::reserveMirror(int64_t bytes) {
  const Driver &driver = library.driver();
  if (pinned)
    driver.memFreeHost(pinned);
  pinned = nullptr;
  host = nullptr;
  hostCapacity = 0;
  int64_t rounded;
  if (roundUp(bytes, rounded)) {
    rounded = std::max(rounded, kGrain);
    if (driver.memHostAlloc(&pinned, size_t(rounded), 0) == kSuccess) {
      host = static_cast<char *>(pinned);
    } else { // copies are slower then
      pinned = nullptr;
      host = pageable.reserve(rounded);
    }
  }
  if (!host)
    return memoryError(library.deviceName() + ": cannot allocate " + std::to_string(bytes) +
                       " bytes of the host's memory for a run's copies");
  hostCapacity = rounded;
  return {};
}

Status DeviceContext::toDevice(int64_t offset, int64_t bytes) {
  if (bytes <= 0)
    return {};
  Result result = library.driver().copyToDeviceAsync(memory + uint64_t(offset), host + offset,
                                                     size_t(bytes), stream);
  return result == kSuccess ? Status() : fault(result, "inputs cannot be copied to it");
}

Status DeviceContext::toHost(int64_t offset, int64_t bytes) {
  if (bytes <= 0)
    return {};
  Result result = library.driver().copyToHostAsync(host + offset, memory + uint64_t(offset),
                                                   size_t(bytes), stream);
  return result == kSuccess ? Status() : fault(result, "outputs cannot be copied from it");
}

Status DeviceContext::synchronise() {
  Result result = library.driver().streamSynchronize(stream);
  return result == kSuccess ? Status() : fault(result, "a run failed");
}

void DeviceContext::drain() { library.driver().streamSynchronize(stream); }

Status DeviceContext::launch(int64_t kernel, int64_t blocks, int64_t threads, int64_t sharedBytes,
                             void **arguments) {
  if (kernel < 0 || uint64_t(kernel) >= library.kernelCount())
    return internalError("the code launches kernel " + std::to_string(kernel) + " of " +
                         std::to_string(library.kernelCount()));
  if (blocks == 0)
    return {};
  auto name = [&] { return "kernel '" + std::string(library.kernelName(uint64_t(kernel))) + "'"; };
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (blocks < 0 || blocks > kMost || threads <= 0 || threads > 1024 || sharedBytes < 0 ||
      sharedBytes > kMost)
    return internalError(name() + ": " + std::to_string(blocks) + " blocks of " +
                         std::to_string(threads) + " threads with " + std::to_string(sharedBytes) +
                         " bytes of shared memory are no launch");
  if (Result result = library.allowShared(uint64_t(kernel), sharedBytes); result != kSuccess)
    return fault(result,
                 name() + " with " + std::to_string(sharedBytes) + " bytes of shared memory");
  Result result = library.driver().launchKernel(library.kernel(uint64_t(kernel)), unsigned(blocks),
                                                1, 1, unsigned(threads), 1, 1,
                                                unsigned(sharedBytes), stream, arguments, nullptr);
  return result == kSuccess ? Status() : fault(result, name());
}

DeviceContext::Recorded &DeviceContext::find(const std::vector<int64_t> &key) {
  auto found = std::find_if(graphs.begin(), graphs.end(),
                            [&](const Recorded &recorded) { return recorded.key == key; });
  if (found != graphs.end()) {
    graphs.splice(graphs.begin(), graphs, found);
    return graphs.front();
  }
  if (graphs.size() >= kMostGraphs) {
    if (graphs.back().exec)
      library.driver().graphExecDestroy(graphs.back().exec);
    graphs.pop_back();
  }
  graphs.emplace_front().key = key;
  return graphs.front();
}

bool DeviceContext::beginCapture() {
  capturing = library.driver().streamBeginCapture(stream, kCaptureThreadLocal) == kSuccess;
  return capturing;
}

void DeviceContext::endCapture(GraphExec *exec) {
  const Driver &driver = library.driver();
  Graph graph = nullptr;
  capturing = false;
  const bool works = driver.streamEndCapture(stream, &graph) == kSuccess && graph;
  if (works && exec && driver.graphInstantiate(exec, graph, 0) != kSuccess)
    *exec = nullptr;
  if (graph)
    driver.graphDestroy(graph);
}

Status DeviceContext::launchGraph(GraphExec exec) {
  Result result = library.driver().graphLaunch(exec, stream);
  return result == kSuccess ? Status() : fault(result, "a graph of launches");
}

void DeviceContext::dropGraphs() {
  for (const Recorded &recorded : graphs)
    if (recorded.exec)
      library.driver().graphExecDestroy(recorded.exec);
  graphs.clear();
}
