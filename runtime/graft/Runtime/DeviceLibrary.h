//===- DeviceLibrary.h - A library's code and weights on a GPU --*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_DEVICELIBRARY_H
#define GRAFT_RUNTIME_DEVICELIBRARY_H

#include "graft/Runtime/ArtifactAbi.h"
#include "graft/Runtime/CudaDriver.h"
#include "graft/Runtime/Manifest.h"

#include <atomic>
#include <mutex>
#include <set>

namespace graft::runtime {

/// What a library with a graft_device has on the GPU, from the first time that it is asked for.
/// Thread-safe.
class DeviceLibrary {
public:
  DeviceLibrary(const graft_artifact &artifact, const Manifest &manifest)
      : artifact(artifact), facts(manifest), shared(artifact.device->kernel_count) {}
  DeviceLibrary(const DeviceLibrary &) = delete;
  DeviceLibrary &operator=(const DeviceLibrary &) = delete;
  ~DeviceLibrary();

  /// Where the weights are on the host. Without, the library can only be looked at.
  void setWeights(const char *begin, uint64_t bytes);

  /// Puts code and weights on the device, the first time. False where the CPU has to do.
  bool isReady();
  /// The device is not used again.
  void giveUp(const std::string &reason);
  /// A run went on the CPU for this reason, or, where it is empty, on the device.
  void noteRun(const std::string &reason);
  /// The device's name, or "cpu: " and why. Lives as long as the library.
  const char *text();
  /// "the cubin for sm_90a", once it is loaded; null before, and if the library does not tell.
  const char *codeText();

  // What follows is there once it is ready.
  const cuda::Driver &driver() const { return *functions; }
  cuda::Context context() const { return primary; }
  int64_t processors() const { return processorCount; }
  const std::string &deviceName() const { return name; }
  const graft_stage_code &code(const StageInfo &stage) const {
    return artifact.device->codes[stage.code];
  }
  bool hasCode(const StageInfo &stage) const { return code(stage).run != nullptr; }
  /// The addresses of a stage's parameters, and where on the device the same table is.
  const void *const *parameters(uint32_t stage) const { return tables[stage].data(); }
  const void *deviceParameters(uint32_t stage) const {
    return reinterpret_cast<const void *>(tableAddresses[stage]);
  }
  uint64_t kernelCount() const { return artifact.device->kernel_count; }
  const char *kernelName(uint64_t kernel) const { return artifact.device->kernels[kernel]; }
  cuda::Function kernel(uint64_t kernel) const { return kernels[kernel]; }
  /// Lets a kernel have more shared memory than any may have unasked.
  cuda::Result allowShared(uint64_t kernel, int64_t bytes);

private:
  enum class State { fresh, found, ready, unusable };

  /// Looks for a device that fits; the reason where there is none.
  std::string find();
  std::string prepare();
  std::string loadModule();
  /// Loads one of the images, or says why not.
  std::string loadImage(const DeviceImage &image);
  std::string uploadWeights();
  void release();

  const graft_artifact &artifact;
  const Manifest &facts;
  const char *weights = nullptr;
  uint64_t weightsBytes = 0;
  bool isRunnable = false;

  std::mutex mutex; ///< of all but what does not change once it is ready
  std::atomic<State> state{State::fresh};
  std::string unusable, lastRun; ///< reasons
  std::set<std::string> texts;   ///< those that were given out

  const cuda::Driver *functions = nullptr;
  cuda::Device device = 0;
  std::string name;
  std::vector<DeviceImage> images; ///< that fit, the best one first
  std::string loaded;              ///< the one that runs
  int64_t processorCount = 0;
  cuda::Context primary = nullptr;
  cuda::Module module = nullptr;
  cuda::Address memory = 0, tableMemory = 0;
  std::vector<cuda::Function> kernels;
  std::vector<std::vector<const void *>> tables;
  std::vector<cuda::Address> tableAddresses;
  std::mutex sharedMutex;
  std::vector<int64_t> shared; ///< by kernel, what it was allowed
};

} // namespace graft::runtime

#endif
