//===- Executor.h - Who runs the mock driver's kernels ----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TEST_GPU_DRIVER_EXECUTOR_H
#define GRAFT_TEST_GPU_DRIVER_EXECUTOR_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct DeviceLaunch {
  const char *kernel;
  uint32_t blocks[3], threads[3];
  uint32_t sharedBytes;
  void *const *arguments; ///< the address of each argument
};

/// Device memory that may be touched.
struct DeviceAllocation {
  const char *begin;
  uint64_t bytes;
};

/// The kernels of one module. Called by one thread at a time.
class Executor {
public:
  virtual ~Executor();
  /// Words on failure.
  virtual std::string load(const char *image) = 0;
  virtual bool has(const char *kernel) = 0;
  /// Bytes of each argument.
  virtual std::vector<uint32_t> argumentSizes(const char *kernel) = 0;
  /// Words on failure, which is a fault of the device.
  virtual std::string run(const DeviceLaunch &launch,
                          const std::vector<DeviceAllocation> &allocations) = 0;
};

/// Defined by what is linked with the driver; called once a module.
std::unique_ptr<Executor> createExecutor();

#endif
