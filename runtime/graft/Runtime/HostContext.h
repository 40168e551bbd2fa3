//===- HostContext.h - What generated code sees of the runtime --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_HOSTCONTEXT_H
#define GRAFT_RUNTIME_HOSTCONTEXT_H

#include "graft/Runtime/ArtifactAbi.h"
#include "graft/Runtime/Memory.h"
#include "graft/Runtime/Status.h"

#include <mutex>
#include <unordered_map>

namespace graft::runtime {

/// Cores that the process may use.
int32_t availableThreads();

/// Who looks at routes while a run goes on.
class RouteObserver {
public:
  virtual ~RouteObserver() = default;
  /// As `graft_host::route`; a failure ends the run.
  virtual Status route(int64_t router, int64_t rows, int64_t *chosen, void *weights) = 0;
  /// As `graft_host::route_within`.
  virtual Status routeWithin(int64_t router, int64_t rows, int64_t *chosen, void *weights,
                             int64_t count, const int64_t *places, int64_t total) = 0;
};

/// Who enqueues kernels while a run goes on.
class KernelLauncher {
public:
  virtual ~KernelLauncher() = default;
  /// As `graft_host::launch`; a failure ends the run.
  virtual Status launch(int64_t kernel, int64_t blocks, int64_t threads, int64_t sharedBytes,
                        void **arguments) = 0;
};

/// Threads, memory and failures of one run. Its functions may be called by several threads at once.
class HostContext {
public:
  HostContext();
  HostContext(const HostContext &) = delete;
  HostContext &operator=(const HostContext &) = delete;

  /// \param observer null: nobody looks at routes
  void begin(int32_t threads, RouteObserver *observer = nullptr);
  /// What the code of a graft_device needs besides; from `leaveDevice` on code runs on the host.
  void enterDevice(KernelLauncher &launcher, void *status, int64_t processors);
  void setDeviceParameters(const void *parameters) { table.device_parameters = parameters; }
  void leaveDevice();
  /// Frees what is still allocated.
  void end();

  const graft_host *host() const { return &table; }
  Status failure() const;
  void forgetFailure();
  /// Takes over an allocation of this run; null if `memory` is none.
  Memory take(void *memory);

private:
  static void parallelFor(void *context, int64_t count, void (*body)(void *, int64_t, int64_t),
                          void *closure);
  static void *allocate(void *context, int64_t bytes);
  static void release(void *context, void *memory);
  static void fail(void *context, int32_t code, const char *message);
  static void route(void *context, int64_t router, int64_t rows, int64_t *chosen, void *weights);
  static void routeWithin(void *context, int64_t router, int64_t rows, int64_t *chosen,
                          void *weights, int64_t count, const int64_t *places, int64_t total);
  template <typename Function> void observe(Function &&function);

  static int32_t launch(void *context, int64_t kernel, int64_t blocks, int64_t threads,
                        int64_t sharedBytes, void **arguments);

  void recordFailure(int32_t code, const char *message);

  graft_host table;
  int32_t threads = 1;
  RouteObserver *observer = nullptr;
  KernelLauncher *launcher = nullptr;
  mutable std::mutex mutex;
  Status firstFailure;
  std::unordered_map<void *, Memory> allocations;
};

} // namespace graft::runtime

#endif
