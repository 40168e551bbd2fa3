//===- Mock.h - The state of the mock driver --------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// A libcuda.so.1 for machines without a GPU. Streams record what is enqueued and do it when the
/// host waits, so that a missing wait shows; device memory cannot be touched but by copies and
/// kernels; errors are those of the real driver.
///
/// The environment, read at each call, so that a test can change it:
///   GRAFT_MOCK_DEVICES     how many there are (1); with 0 cuInit fails
///   GRAFT_MOCK_VERSION     of the driver (12040)
///   GRAFT_MOCK_CAPABILITY  (90)
///   GRAFT_MOCK_MEMORY      bytes of device memory (256 MiB)
///   GRAFT_MOCK_FAIL        FUNCTION:N:CODE,...: the N-th call from then on, or every one for *,
///   fails GRAFT_MOCK_LOG         a file that gets a line for each call: name, facts, "-> CODE"
///
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_DRIVER_MOCK_H
#define GRAFT_TEST_GPU_DRIVER_MOCK_H

#include "Executor.h"

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

using Result = int;
using Address = unsigned long long;

enum : Result {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinary = 209,
  kInvalidPtx = 218,
  kInvalidHandle = 400,
  kNotFound = 500,
  kIllegalAddress = 700,
  kLaunchFailed = 719,
  kCaptureUnsupported = 900,
  kCaptureInvalidated = 901,
  kCaptureWrongThread = 908,
};

struct CUctx_st {
  int device = 0, references = 0;
  Result fault = kSuccess; ///< what each call returns from then on
};
struct CUmod_st {
  std::unique_ptr<Executor> executor;
  std::vector<std::unique_ptr<struct CUfunc_st>> functions;
};
struct CUfunc_st {
  CUmod_st *module = nullptr;
  std::string name;
  std::vector<uint32_t> sizes;
  int64_t dynamicShared = 48 << 10;
};

/// What is enqueued: a copy or a launch, with the values that it had then.
struct Work {
  enum Kind { toDevice, toHost, kernel } kind = kernel;
  Address device = 0;
  void *host = nullptr;
  std::vector<char> staged; ///< in place of `host`: pageable memory is read at once
  size_t bytes = 0;
  CUfunc_st *function = nullptr;
  DeviceLaunch launch = {};
  std::vector<std::vector<char>> arguments;
};
struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::vector<Work> work;
};
struct CUstream_st {
  std::vector<Work> work;
  std::unique_ptr<CUgraph_st> capture;
  std::thread::id capturer;
  bool invalidated = false;
};

struct Mock {
  static Mock &get();

  std::mutex mutex;
  bool initialized = false;
  CUctx_st contexts[8];
  std::set<CUmod_st *> modules;
  std::set<CUfunc_st *> functions;
  std::set<CUstream_st *> streams;
  std::set<CUgraph_st *> graphs;
  std::set<CUgraphExec_st *> execs;
  CUstream_st legacy; ///< the stream that is null
  std::map<Address, uint64_t> allocations;
  std::map<char *, uint64_t> pinned;
  uint64_t allocated = 0;

  /// The stream, or null if there is none such.
  CUstream_st *find(CUstream_st *stream);
  bool isPinned(const void *memory, size_t bytes) const;
  bool isDevice(Address address, size_t bytes) const;
  /// Does what is enqueued; a kernel's failure is the context's from then on.
  Result flush(CUstream_st &stream);
  Result allocate(Address &address, size_t bytes);
  Result release(Address address);
  /// Takes everything down that a context has. How many allocations that is.
  size_t reset();

private:
  Mock();
  Result perform(const Work &work);
  void protect(bool accessible);

  char *region = nullptr;
  uint64_t highest = 0; ///< bytes of the region that were ever used
};

/// What must hold for a call.
enum class Needs { nothing, start, context };

/// The number of a knob.
uint64_t knob(const char *name, uint64_t otherwise);
CUctx_st *currentContext();
/// Whether this thread captures a stream; what a capture cannot have invalidates it.
bool isCapturing(bool invalidate);

/// A call of the interface: locks, fails where a knob says so, and logs.
Result call(const char *name, Needs needs, const std::function<Result(std::string &facts)> &body);

#endif
