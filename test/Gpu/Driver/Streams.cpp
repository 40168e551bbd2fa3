//===- Streams.cpp - Memory, copies, launches, graphs of the mock driver *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "Mock.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Result cuMemAlloc_v2(Address *address, size_t bytes) {
  return call("cuMemAlloc_v2", Needs::context, [&](std::string &facts) -> Result {
    facts = " " + std::to_string(bytes);
    return isCapturing(true) ? kCaptureUnsupported : Mock::get().allocate(*address, bytes);
  });
}

EXPORT Result cuMemFree_v2(Address address) {
  return call("cuMemFree_v2", Needs::context, [&](std::string &) -> Result {
    if (isCapturing(true))
      return kCaptureUnsupported;
    // It waits for what may use the memory.
    for (CUstream_st *stream : Mock::get().streams)
      if (Result result = Mock::get().flush(*stream))
        return result;
    return Mock::get().release(address);
  });
}

EXPORT Result cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  return call("cuMemHostAlloc", Needs::context, [&](std::string &facts) -> Result {
    facts = " " + std::to_string(bytes);
    if (isCapturing(true))
      return kCaptureUnsupported;
    void *fresh = nullptr;
    if (bytes == 0 || flags > 7)
      return kInvalidValue;
    if (::posix_memalign(&fresh, 4096, bytes) != 0)
      return kOutOfMemory;
    Mock::get().pinned[static_cast<char *>(fresh)] = bytes;
    *memory = fresh;
    return kSuccess;
  });
}

EXPORT Result cuMemFreeHost(void *memory) {
  return call("cuMemFreeHost", Needs::context, [&](std::string &) -> Result {
    for (CUstream_st *stream : Mock::get().streams)
      if (Result result = Mock::get().flush(*stream))
        return result;
    if (!Mock::get().pinned.erase(static_cast<char *>(memory)))
      return kInvalidValue;
    std::free(memory);
    return kSuccess;
  });
}

static Work copyToDevice(Address to, const void *from, size_t bytes) {
  Work work;
  work.kind = Work::toDevice;
  work.device = to;
  work.bytes = bytes;
  if (Mock::get().isPinned(from, bytes))
    work.host = const_cast<void *>(from);
  else
    work.staged.assign(static_cast<const char *>(from), static_cast<const char *>(from) + bytes);
  return work;
}

EXPORT Result cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
  return call("cuMemcpyHtoD_v2", Needs::context, [&](std::string &facts) -> Result {
    facts = " " + std::to_string(bytes);
    if (isCapturing(true))
      return kCaptureUnsupported;
    if (!Mock::get().isDevice(to, bytes))
      return kInvalidValue;
    // The host's memory may be used again, but the device has it only later.
    Mock::get().legacy.work.push_back(copyToDevice(to, from, bytes));
    return kSuccess;
  });
}

EXPORT Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes,
                                   CUstream_st *stream) {
  return call("cuMemcpyHtoDAsync_v2", Needs::context, [&](std::string &facts) -> Result {
    Mock &mock = Mock::get();
    CUstream_st *found = mock.find(stream);
    facts = " " + std::to_string(bytes) + (mock.isPinned(from, bytes) ? "" : " pageable");
    if (!found)
      return kInvalidHandle;
    if (!mock.isDevice(to, bytes))
      return kInvalidValue;
    (found->capture ? found->capture->work : found->work).push_back(copyToDevice(to, from, bytes));
    return kSuccess;
  });
}

EXPORT Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, CUstream_st *stream) {
  return call("cuMemcpyDtoHAsync_v2", Needs::context, [&](std::string &facts) -> Result {
    Mock &mock = Mock::get();
    CUstream_st *found = mock.find(stream);
    const bool isPinned = mock.isPinned(to, bytes);
    facts = " " + std::to_string(bytes) + (isPinned ? "" : " pageable");
    if (!found)
      return kInvalidHandle;
    if (!mock.isDevice(from, bytes))
      return kInvalidValue;
    Work work;
    work.kind = Work::toHost;
    work.device = from;
    work.host = to;
    work.bytes = bytes;
    if (found->capture && !isPinned)
      return isCapturing(true), kCaptureUnsupported;
    (found->capture ? found->capture->work : found->work).push_back(std::move(work));
    return isPinned ? kSuccess : mock.flush(*found); // a copy to pageable memory waits
  });
}

EXPORT Result cuStreamCreate(CUstream_st **stream, unsigned flags) {
  return call("cuStreamCreate", Needs::context, [&](std::string &) -> Result {
    if (flags > 1)
      return kInvalidValue;
    *stream = *Mock::get().streams.insert(new CUstream_st).first;
    return kSuccess;
  });
}

EXPORT Result cuStreamDestroy_v2(CUstream_st *stream) {
  return call("cuStreamDestroy_v2", Needs::context, [&](std::string &) -> Result {
    if (!Mock::get().streams.count(stream))
      return kInvalidHandle;
    Result result = Mock::get().flush(*stream);
    Mock::get().streams.erase(stream);
    delete stream;
    return result;
  });
}

EXPORT Result cuStreamSynchronize(CUstream_st *stream) {
  return call("cuStreamSynchronize", Needs::context, [&](std::string &) -> Result {
    CUstream_st *found = Mock::get().find(stream);
    if (!found)
      return kInvalidHandle;
    if (isCapturing(true))
      return kCaptureUnsupported;
    return Mock::get().flush(*found);
  });
}

EXPORT Result cuLaunchKernel(CUfunc_st *function, unsigned gridX, unsigned gridY, unsigned gridZ,
                             unsigned blockX, unsigned blockY, unsigned blockZ,
                             unsigned sharedBytes, CUstream_st *stream, void **arguments,
                             void **extra) {
  return call("cuLaunchKernel", Needs::context, [&](std::string &facts) -> Result {
    CUstream_st *found = Mock::get().find(stream);
    if (!found || !Mock::get().functions.count(function))
      return kInvalidHandle;
    facts = " " + function->name + " " + std::to_string(gridX) + "x" + std::to_string(blockX) +
            " shared=" + std::to_string(sharedBytes) + (found->capture ? " captured" : "");
    const uint64_t threads = uint64_t(blockX) * blockY * blockZ;
    if (gridX == 0 || gridY == 0 || gridZ == 0 || threads == 0 || gridX > 0x7fffffff ||
        gridY > 0xffff || gridZ > 0xffff || threads > 1024 || blockZ > 64 ||
        sharedBytes > function->dynamicShared || extra) {
      if (found->capture)
        found->invalidated = true;
      return kInvalidValue;
    }
    Work work;
    work.function = function;
    work.launch = {nullptr, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, nullptr};
    for (size_t i = 0; i < function->sizes.size(); ++i) {
      const char *argument = static_cast<const char *>(arguments[i]);
      work.arguments.emplace_back(argument, argument + function->sizes[i]);
    }
    (found->capture ? found->capture->work : found->work).push_back(std::move(work));
    return kSuccess;
  });
}

EXPORT Result cuStreamBeginCapture_v2(CUstream_st *stream, int mode) {
  return call("cuStreamBeginCapture_v2", Needs::context, [&](std::string &) -> Result {
    CUstream_st *found = stream ? Mock::get().find(stream) : nullptr;
    if (!stream)
      return kCaptureUnsupported; // not the legacy stream
    if (!found)
      return kInvalidHandle;
    if (found->capture || mode < 0 || mode > 2)
      return kInvalidValue;
    found->capture = std::make_unique<CUgraph_st>();
    found->capturer = std::this_thread::get_id();
    found->invalidated = false;
    return kSuccess;
  });
}

static Result endCapture(CUstream_st *stream, CUgraph_st **graph) {
  return call("cuStreamEndCapture", Needs::context, [&](std::string &facts) -> Result {
    *graph = nullptr;
    CUstream_st *found = stream ? Mock::get().find(stream) : nullptr;
    if (!found)
      return kInvalidHandle;
    if (!found->capture)
      return kInvalidValue;
    if (found->capturer != std::this_thread::get_id())
      return kCaptureWrongThread;
    std::unique_ptr<CUgraph_st> captured = std::move(found->capture);
    if (found->invalidated)
      return kCaptureInvalidated;
    facts = " nodes=" + std::to_string(captured->work.size());
    *graph = *Mock::get().graphs.insert(captured.release()).first;
    return kSuccess;
  });
}

EXPORT Result cuStreamEndCapture(CUstream_st *stream, CUgraph_st **graph) {
  Result result = endCapture(stream, graph);
  if (result == kSuccess || result == kCaptureWrongThread)
    return result;
  // However it fails, the stream captures no more.
  std::lock_guard<std::mutex> lock(Mock::get().mutex);
  if (Mock::get().streams.count(stream))
    stream->capture.reset();
  *graph = nullptr;
  return result;
}

EXPORT Result cuGraphInstantiateWithFlags(CUgraphExec_st **exec, CUgraph_st *graph,
                                          unsigned long long flags) {
  return call("cuGraphInstantiateWithFlags", Needs::context, [&](std::string &) -> Result {
    if (!Mock::get().graphs.count(graph) || flags > 15)
      return kInvalidValue;
    *exec = *Mock::get().execs.insert(new CUgraphExec_st{graph->work}).first;
    return kSuccess;
  });
}

EXPORT Result cuGraphLaunch(CUgraphExec_st *exec, CUstream_st *stream) {
  return call("cuGraphLaunch", Needs::context, [&](std::string &facts) -> Result {
    CUstream_st *found = Mock::get().find(stream);
    if (!found || !Mock::get().execs.count(exec))
      return kInvalidHandle;
    facts = " nodes=" + std::to_string(exec->work.size());
    std::vector<Work> &target = found->capture ? found->capture->work : found->work;
    target.insert(target.end(), exec->work.begin(), exec->work.end());
    return kSuccess;
  });
}

EXPORT Result cuGraphExecDestroy(CUgraphExec_st *exec) {
  return call("cuGraphExecDestroy", Needs::context, [&](std::string &) -> Result {
    if (!Mock::get().execs.erase(exec))
      return kInvalidHandle;
    delete exec;
    return kSuccess;
  });
}

EXPORT Result cuGraphDestroy(CUgraph_st *graph) {
  return call("cuGraphDestroy", Needs::context, [&](std::string &) -> Result {
    if (!Mock::get().graphs.erase(graph))
      return kInvalidHandle;
    delete graph;
    return kSuccess;
  });
}
