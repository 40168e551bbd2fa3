//===- CudaDriver.cpp - What is used of NVIDIA's driver ---------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/CudaDriver.h"

#include <dlfcn.h>
#include <memory>
#include <mutex>

using namespace graft::runtime::cuda;

static constexpr const char *kLibrary = "libcuda.so.1";

const Driver *Driver::get(std::string &reason) {
  static std::mutex mutex;
  static const Driver *loaded = nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  if (loaded)
    return loaded;
  // Not kept where it fails: the caller may find it later.
  void *handle = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *words = ::dlerror();
    const std::string text = words ? words : "";
    const bool isMissing = text.find("No such file") != std::string::npos;
    reason = std::string(kLibrary) + " was not found";
    if (!isMissing)
      reason = std::string(kLibrary) + " cannot be loaded: " + text;
    return nullptr;
  }
  auto driver = std::make_unique<Driver>();
  const char *missing = nullptr;
  auto find = [&](auto &field, const char *symbol) {
    field = reinterpret_cast<std::remove_reference_t<decltype(field)>>(::dlsym(handle, symbol));
    if (!field && !missing)
      missing = symbol;
  };
#define GRAFT_CUDA_FIND(field, symbol, ...) find(driver->field, symbol);
  GRAFT_CUDA_FUNCTIONS(GRAFT_CUDA_FIND)
#undef GRAFT_CUDA_FIND
  if (missing) {
    reason = std::string(kLibrary) + " is too old: it has no " + missing;
    ::dlclose(handle);
    return nullptr;
  }
  loaded = driver.release();
  return loaded;
}

std::string Driver::text(Result error) const {
  const char *name = nullptr, *words = nullptr;
  if (getErrorName(error, &name) != kSuccess || !name)
    return "error " + std::to_string(error) + " of the driver";
  if (getErrorString(error, &words) != kSuccess || !words)
    return name;
  return std::string(words) + " (" + name + ")";
}
