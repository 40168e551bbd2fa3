//===- Interface.cpp - Devices, contexts, modules of the mock driver *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "Mock.h"

#include <algorithm>
#include <cstring>
#include <elf.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

static thread_local std::vector<CUctx_st *> stack;

CUctx_st *currentContext() { return stack.empty() ? nullptr : stack.back(); }

static int deviceCount() { return int(std::min<uint64_t>(knob("GRAFT_MOCK_DEVICES", 1), 8)); }
static bool isDeviceNumber(int device) { return device >= 0 && device < deviceCount(); }

EXPORT Result cuInit(unsigned flags) {
  return call("cuInit", Needs::nothing, [&](std::string &) -> Result {
    if (flags)
      return kInvalidValue;
    if (deviceCount() == 0)
      return kNoDevice;
    Mock::get().initialized = true;
    return kSuccess;
  });
}

EXPORT Result cuDriverGetVersion(int *version) {
  return call("cuDriverGetVersion", Needs::nothing, [&](std::string &) -> Result {
    *version = int(knob("GRAFT_MOCK_VERSION", 12040));
    return kSuccess;
  });
}

EXPORT Result cuDeviceGetCount(int *count) {
  return call("cuDeviceGetCount", Needs::start, [&](std::string &) -> Result {
    *count = deviceCount();
    return kSuccess;
  });
}

EXPORT Result cuDeviceGet(int *device, int ordinal) {
  return call("cuDeviceGet", Needs::start, [&](std::string &facts) -> Result {
    facts = " " + std::to_string(ordinal);
    if (!isDeviceNumber(ordinal))
      return kInvalidDevice;
    *device = ordinal;
    return kSuccess;
  });
}

EXPORT Result cuDeviceGetName(char *name, int bytes, int device) {
  return call("cuDeviceGetName", Needs::start, [&](std::string &) -> Result {
    if (!isDeviceNumber(device))
      return kInvalidDevice;
    std::strncpy(name, "Mock GPU", size_t(bytes));
    return kSuccess;
  });
}

EXPORT Result cuDeviceGetAttribute(int *value, int attribute, int device) {
  return call("cuDeviceGetAttribute", Needs::start, [&](std::string &) -> Result {
    if (!isDeviceNumber(device))
      return kInvalidDevice;
    const int capability = int(knob("GRAFT_MOCK_CAPABILITY", 90));
    switch (attribute) {
    case 16: // multiprocessors
      return *value = 4, kSuccess;
    case 75:
      return *value = capability / 10, kSuccess;
    case 76:
      return *value = capability % 10, kSuccess;
    default:
      return kInvalidValue;
    }
  });
}

EXPORT Result cuDevicePrimaryCtxRetain(CUctx_st **context, int device) {
  return call("cuDevicePrimaryCtxRetain", Needs::start, [&](std::string &) -> Result {
    if (!isDeviceNumber(device))
      return kInvalidDevice;
    *context = &Mock::get().contexts[device];
    (*context)->device = device;
    ++(*context)->references;
    return kSuccess;
  });
}

EXPORT Result cuDevicePrimaryCtxRelease_v2(int device) {
  return call("cuDevicePrimaryCtxRelease_v2", Needs::start, [&](std::string &facts) -> Result {
    if (device < 0 || device >= 8 || Mock::get().contexts[device].references == 0)
      return kInvalidContext;
    CUctx_st &context = Mock::get().contexts[device];
    if (--context.references == 0) {
      facts = " leaks=" + std::to_string(Mock::get().reset());
      context.fault = kSuccess;
    }
    return kSuccess;
  });
}

EXPORT Result cuCtxPushCurrent_v2(CUctx_st *context) {
  return call("cuCtxPushCurrent_v2", Needs::start, [&](std::string &) -> Result {
    if (!context || context->references == 0)
      return kInvalidContext;
    stack.push_back(context);
    return kSuccess;
  });
}

EXPORT Result cuCtxPopCurrent_v2(CUctx_st **context) {
  return call("cuCtxPopCurrent_v2", Needs::start, [&](std::string &) -> Result {
    if (stack.empty())
      return kInvalidContext;
    *context = stack.back();
    stack.pop_back();
    return kSuccess;
  });
}

/// What a cubin is for, by its header, or 0 if the image is none. From version 8 of the binary
/// interface on it is the second byte of the flags.
static int cubinArchitecture(const void *image) {
  Elf64_Ehdr header;
  if (std::memcmp(image, ELFMAG, SELFMAG) != 0)
    return 0;
  std::memcpy(&header, image, sizeof(header));
  return int(header.e_ident[EI_ABIVERSION] >= 8 ? header.e_flags >> 8 : header.e_flags) & 0xff;
}

EXPORT Result cuModuleLoadDataEx(CUmod_st **module, const void *image, unsigned count, int *options,
                                 void **values) {
  return call("cuModuleLoadDataEx", Needs::context, [&](std::string &facts) -> Result {
    if (!image)
      return kInvalidValue;
    if (const int architecture = cubinArchitecture(image)) {
      facts = " sm_" + std::to_string(architecture);
      const int capability = int(knob("GRAFT_MOCK_CAPABILITY", 90));
      if (architecture / 10 != capability / 10 || architecture > capability)
        return kNoBinary;
    }
    auto fresh = std::make_unique<CUmod_st>();
    fresh->executor = createExecutor();
    const char *text = static_cast<const char *>(image);
    std::string words = fresh->executor->load(text);
    if (words.empty()) {
      *module = *Mock::get().modules.insert(fresh.release()).first;
      return kSuccess;
    }
    char *log = nullptr;
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == 5) // CU_JIT_ERROR_LOG_BUFFER
        log = static_cast<char *>(values[i]);
    for (unsigned i = 0; log && i < count; ++i)
      if (options[i] == 6) { // its size, which becomes what was written
        size_t room = reinterpret_cast<size_t>(values[i]);
        size_t length = std::min(words.size() + 1, room);
        std::memcpy(log, words.c_str(), length);
        values[i] = reinterpret_cast<void *>(length);
      }
    return text[0] == '/' || text[0] == '.' ? kInvalidPtx : kInvalidImage;
  });
}

EXPORT Result cuModuleUnload(CUmod_st *module) {
  return call("cuModuleUnload", Needs::context, [&](std::string &) -> Result {
    Mock &mock = Mock::get();
    if (!mock.modules.erase(module))
      return kInvalidHandle;
    for (const auto &function : module->functions)
      mock.functions.erase(function.get());
    delete module;
    return kSuccess;
  });
}

EXPORT Result cuModuleGetFunction(CUfunc_st **function, CUmod_st *module, const char *name) {
  return call("cuModuleGetFunction", Needs::context, [&](std::string &facts) -> Result {
    facts = std::string(" ") + name;
    Mock &mock = Mock::get();
    if (!mock.modules.count(module))
      return kInvalidHandle;
    if (!module->executor->has(name))
      return kNotFound;
    auto fresh = std::make_unique<CUfunc_st>();
    fresh->module = module;
    fresh->name = name;
    fresh->sizes = module->executor->argumentSizes(name);
    *function = fresh.get();
    mock.functions.insert(fresh.get());
    module->functions.push_back(std::move(fresh));
    return kSuccess;
  });
}

EXPORT Result cuFuncSetAttribute(CUfunc_st *function, int attribute, int value) {
  return call("cuFuncSetAttribute", Needs::context, [&](std::string &facts) -> Result {
    if (!Mock::get().functions.count(function))
      return kInvalidHandle;
    facts = " " + function->name + " " + std::to_string(attribute) + "=" + std::to_string(value);
    if (attribute != 8 || value < 0 || value > 227 << 10)
      return kInvalidValue;
    function->dynamicShared = value;
    return kSuccess;
  });
}

EXPORT Result cuFuncGetAttribute(int *value, int attribute, CUfunc_st *function) {
  return call("cuFuncGetAttribute", Needs::context, [&](std::string &) -> Result {
    if (!Mock::get().functions.count(function))
      return kInvalidHandle;
    // Threads a block, static shared bytes, constants, local bytes, registers.
    constexpr int kValues[] = {1024, 0, 0, 0, 32};
    if (attribute < 0 || attribute >= 5)
      return kInvalidValue;
    *value = kValues[attribute];
    return kSuccess;
  });
}

namespace {
struct ErrorText {
  Result code;
  const char *name, *text;
};
} // namespace

static constexpr ErrorText kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {kCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {kCaptureWrongThread, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

EXPORT Result cuGetErrorName(Result error, const char **name) {
  for (const ErrorText &known : kErrors)
    if (known.code == error)
      return *name = known.name, kSuccess;
  return *name = nullptr, kInvalidValue;
}

EXPORT Result cuGetErrorString(Result error, const char **text) {
  for (const ErrorText &known : kErrors)
    if (known.code == error)
      return *text = known.text, kSuccess;
  return *text = nullptr, kInvalidValue;
}
