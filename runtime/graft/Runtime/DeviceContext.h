//===- DeviceContext.h - The device's part of a run's context ---*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_DEVICECONTEXT_H
#define GRAFT_RUNTIME_DEVICECONTEXT_H

#include "graft/Runtime/DeviceLibrary.h"
#include "graft/Runtime/HostContext.h"
#include "graft/Runtime/Plan.h"

#include <list>

namespace graft::runtime {

/// Where a value is while a run goes on: at the same offset on the device and, for its first part,
/// in the host's mirror of the device's memory.
struct DevicePlace {
  int64_t offset = -1; ///< -1: it is not on the device
  bool onHost = false; ///< a stage on the host computes it
};

/// A stream, memory and graphs of launches, kept between runs. Its functions want the library's
/// CUDA context to be current. Used by one run at a time.
class DeviceContext final : public KernelLauncher {
public:
  explicit DeviceContext(DeviceLibrary &library) : library(library) {}
  DeviceContext(const DeviceContext &) = delete;
  DeviceContext &operator=(const DeviceContext &) = delete;
  ~DeviceContext() override;

  /// At least so much memory on the device, and for its first `mirrored` bytes on the host too.
  /// GRAFT_ERROR_MEMORY where there is none. What was there is lost if it has to grow.
  Status reserve(int64_t bytes, int64_t mirrored);
  char *device() const { return reinterpret_cast<char *>(memory); }
  char *mirror() const { return host; }

  /// Enqueue copies between the host's mirror and the device.
  Status toDevice(int64_t offset, int64_t bytes);
  Status toHost(int64_t offset, int64_t bytes);
  Status synchronise();
  /// Waits, whatever came of what was enqueued.
  void drain();

  Status launch(int64_t kernel, int64_t blocks, int64_t threads, int64_t sharedBytes,
                void **arguments) override;

  /// The launches that `enqueue` makes, which are the same ones for the same key: from the second
  /// time on as a graph, unless the driver cannot capture them. Then `enqueue` is called again.
  template <typename Enqueue> Status replay(const std::vector<int64_t> &key, Enqueue enqueue) {
    Recorded &recorded = find(key);
    if (++recorded.runs == 2 && beginCapture()) {
      const bool works = !enqueue().failed();
      endCapture(works ? &recorded.exec : nullptr);
    }
    return recorded.exec ? launchGraph(recorded.exec) : enqueue();
  }

  // Kept between runs for their memory.
  std::vector<DevicePlace> places;                     ///< by value
  std::vector<std::shared_ptr<const StagePlan>> plans; ///< by stage
  std::vector<int64_t> graphKey;

private:
  struct Recorded {
    std::vector<int64_t> key;
    cuda::GraphExec exec = nullptr;
    uint64_t runs = 0;
  };
  static constexpr size_t kMostGraphs = 16;

  /// A failure of the driver, after which the device is not used again.
  Status fault(cuda::Result result, const std::string &what);
  Status reserveMirror(int64_t bytes);
  Recorded &find(const std::vector<int64_t> &key);
  bool beginCapture();
  /// \param exec null: what was captured is of no use
  void endCapture(cuda::GraphExec *exec);
  Status launchGraph(cuda::GraphExec exec);
  void dropGraphs();

  DeviceLibrary &library;
  cuda::Stream stream = nullptr;
  cuda::Address memory = 0;
  int64_t capacity = 0;
  char *host = nullptr;
  int64_t hostCapacity = 0;
  void *pinned = nullptr;
  Arena pageable; ///< the mirror where no memory can be pinned
  std::list<Recorded> graphs;
  bool capturing = false;
};

} // namespace graft::runtime

#endif
