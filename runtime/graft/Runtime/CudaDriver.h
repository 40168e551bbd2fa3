//===- CudaDriver.h - What is used of NVIDIA's driver -----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//
///
/// \file
/// The driver is loaded where there is one, and never linked: the declarations are ours, so that no
/// CUDA headers are needed either. Names and numbers are those of the driver's binary interface.
///
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_CUDADRIVER_H
#define GRAFT_RUNTIME_CUDADRIVER_H

#include <cstddef>
#include <cstdint>
#include <string>

struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;
struct CUgraph_st;
struct CUgraphExec_st;

namespace graft::runtime::cuda {

using Result = int;
using Device = int;
using Address = unsigned long long;
using Context = CUctx_st *;
using Module = CUmod_st *;
using Function = CUfunc_st *;
using Stream = CUstream_st *;
using Graph = CUgraph_st *;
using GraphExec = CUgraphExec_st *;

enum : Result {
  kSuccess = 0,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kUnsupportedPtxVersion = 222,
};
enum : int {
  kMultiprocessorCount = 16, ///< attributes of a device
  kCapabilityMajor = 75,
  kCapabilityMinor = 76,
  kMaxDynamicSharedBytes = 8, ///< of a function
  kJitErrorLog = 5,           ///< options of cuModuleLoadDataEx
  kJitErrorLogBytes = 6,
  kStreamNonBlocking = 1,
  kCaptureThreadLocal = 1,
};

/// Field of the table, symbol, parameters.
#define GRAFT_CUDA_FUNCTIONS(X)                                                                    \
  X(init, "cuInit", unsigned flags)                                                                \
  X(driverGetVersion, "cuDriverGetVersion", int *version)                                          \
  X(getErrorName, "cuGetErrorName", Result error, const char **name)                               \
  X(getErrorString, "cuGetErrorString", Result error, const char **text)                           \
  X(deviceGetCount, "cuDeviceGetCount", int *count)                                                \
  X(deviceGet, "cuDeviceGet", Device *device, int ordinal)                                         \
  X(deviceGetName, "cuDeviceGetName", char *name, int bytes, Device device)                        \
  X(deviceGetAttribute, "cuDeviceGetAttribute", int *value, int attribute, Device device)          \
  X(primaryRetain, "cuDevicePrimaryCtxRetain", Context *context, Device device)                    \
  X(primaryRelease, "cuDevicePrimaryCtxRelease_v2", Device device)                                 \
  X(pushCurrent, "cuCtxPushCurrent_v2", Context context)                                           \
  X(popCurrent, "cuCtxPopCurrent_v2", Context *context)                                            \
  X(moduleLoad, "cuModuleLoadDataEx", Module *module, const void *image, unsigned count,           \
    int *options, void **values)                                                                   \
  X(moduleUnload, "cuModuleUnload", Module module)                                                 \
  X(moduleGetFunction, "cuModuleGetFunction", Function *function, Module module, const char *name) \
  X(funcSetAttribute, "cuFuncSetAttribute", Function function, int attribute, int value)           \
  X(memAlloc, "cuMemAlloc_v2", Address *address, size_t bytes)                                     \
  X(memFree, "cuMemFree_v2", Address address)                                                      \
  X(memHostAlloc, "cuMemHostAlloc", void **memory, size_t bytes, unsigned flags)                   \
  X(memFreeHost, "cuMemFreeHost", void *memory)                                                    \
  X(copyToDevice, "cuMemcpyHtoD_v2", Address to, const void *from, size_t bytes)                   \
  X(copyToDeviceAsync, "cuMemcpyHtoDAsync_v2", Address to, const void *from, size_t bytes,         \
    Stream stream)                                                                                 \
  X(copyToHostAsync, "cuMemcpyDtoHAsync_v2", void *to, Address from, size_t bytes, Stream stream)  \
  X(streamCreate, "cuStreamCreate", Stream *stream, unsigned flags)                                \
  X(streamDestroy, "cuStreamDestroy_v2", Stream stream)                                            \
  X(streamSynchronize, "cuStreamSynchronize", Stream stream)                                       \
  X(launchKernel, "cuLaunchKernel", Function function, unsigned gridX, unsigned gridY,             \
    unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,       \
    Stream stream, void **arguments, void **extra)                                                 \
  X(streamBeginCapture, "cuStreamBeginCapture_v2", Stream stream, int mode)                        \
  X(streamEndCapture, "cuStreamEndCapture", Stream stream, Graph *graph)                           \
  X(graphInstantiate, "cuGraphInstantiateWithFlags", GraphExec *exec, Graph graph,                 \
    unsigned long long flags)                                                                      \
  X(graphLaunch, "cuGraphLaunch", GraphExec exec, Stream stream)                                   \
  X(graphExecDestroy, "cuGraphExecDestroy", GraphExec exec)                                        \
  X(graphDestroy, "cuGraphDestroy", Graph graph)

/// The driver's functions. One a process; the driver stays loaded.
struct Driver {
#define GRAFT_CUDA_FIELD(field, symbol, ...) Result (*field)(__VA_ARGS__) = nullptr;
  GRAFT_CUDA_FUNCTIONS(GRAFT_CUDA_FIELD)
#undef GRAFT_CUDA_FIELD

  /// Null, and why, where there is none. Thread-safe.
  static const Driver *get(std::string &reason);

  /// "out of memory (CUDA_ERROR_OUT_OF_MEMORY)".
  std::string text(Result error) const;
};

/// Makes a context the thread's, and the one before it again in the end: the caller may use the
/// driver too.
class CurrentContext {
public:
  CurrentContext(const Driver &driver, Context context)
      : driver(driver), result(driver.pushCurrent(context)) {}
  CurrentContext(const CurrentContext &) = delete;
  CurrentContext &operator=(const CurrentContext &) = delete;
  ~CurrentContext() {
    Context popped = nullptr;
    if (result == kSuccess)
      driver.popCurrent(&popped);
  }
  /// What making it current gave.
  Result status() const { return result; }

private:
  const Driver &driver;
  const Result result;
};

} // namespace graft::runtime::cuda

#endif
