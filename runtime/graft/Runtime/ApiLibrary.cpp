//===- ApiLibrary.cpp - The C interface: libraries --------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Handles.h"
#include "graft/Runtime/Tensor.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

using namespace graft::runtime;

#ifndef GRAFT_VERSION
#error "the build defines GRAFT_VERSION"
#endif

int32_t graft::runtime::report(const Status &status, graft_error *error) {
  if (!error || error->struct_size <= offsetof(graft_error, message))
    return status.code();
  size_t room =
      std::min<size_t>(error->struct_size, sizeof(graft_error)) - offsetof(graft_error, message);
  size_t length = std::min(status.message().size(), room - 1);
  error->code = status.code();
  std::memcpy(error->message, status.message().data(), length);
  error->message[length] = '\0';
  return status.code();
}

uint32_t graft_api_version(void) { return GRAFT_API_VERSION; }
const char *graft_version(void) { return GRAFT_VERSION; }
size_t graft_type_bytes(int32_t type) { return typeBytes(type); }
const char *graft_type_name(int32_t type) { return typeName(type); }
int32_t graft_default_threads(void) { return availableThreads(); }

int32_t graft_library_open(const char *path, const graft_open_options *options,
                           graft_library **library, graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (!path || !library)
      return inputError("a null path or library");
    *library = nullptr;
    if (options && options->struct_size < sizeof(graft_open_options))
      return inputError("the struct_size of the options is too small");
    uint32_t flags = options ? options->flags : 0;
    if (flags & ~(GRAFT_OPEN_VERIFY | GRAFT_OPEN_INSPECT))
      return unsupported("the options have flags that this runtime does not know");
    auto handle = std::make_unique<graft_library>();
    if (Status status = Library::open(path, flags, handle->library); status.failed())
      return status;
    *library = handle.release();
    return {};
  });
}

void graft_library_close(graft_library *library) { delete library; }

const char *graft_library_manifest(const graft_library *library, size_t *bytes) {
  std::string_view text = library ? library->library->manifestText() : std::string_view();
  if (bytes)
    *bytes = text.size();
  return text.data();
}

const char *graft_library_device(const graft_library *library) {
  DeviceLibrary *device = library ? library->library->device() : nullptr;
  try {
    return device ? device->text() : nullptr;
  } catch (const std::exception &) { // there is no memory for words
    return nullptr;
  }
}

const char *graft_library_device_code(const graft_library *library) {
  DeviceLibrary *device = library ? library->library->device() : nullptr;
  try {
    return device ? device->codeText() : nullptr;
  } catch (const std::exception &) {
    return nullptr;
  }
}

size_t graft_kernel_count(const graft_library *library) {
  DeviceLibrary *device = library ? library->library->device() : nullptr;
  return device ? device->kernelCount() : 0;
}

const char *graft_kernel_name(const graft_library *library, size_t kernel) {
  return kernel < graft_kernel_count(library) ? library->library->device()->kernelName(kernel)
                                              : nullptr;
}

size_t graft_task_count(const graft_library *library) {
  return library ? library->library->manifest().tasks.size() : 0;
}

const char *graft_task_name(const graft_library *library, size_t task) {
  if (task >= graft_task_count(library))
    return nullptr;
  return library->library->manifest().tasks[task].name.c_str();
}

size_t graft_input_count(const graft_library *library) {
  return library ? library->library->manifest().inputCount : 0;
}

size_t graft_output_count(const graft_library *library, size_t task) {
  if (task >= graft_task_count(library))
    return 0;
  return library->library->manifest().tasks[task].outputs.size();
}

static Status fillInfo(const char *name, const ValueInfo &value, graft_tensor_info *info) {
  if (!info || info->struct_size < sizeof(graft_tensor_info))
    return inputError("the info is null or its struct_size too small");
  info->name = name;
  info->type = value.type;
  info->rank = value.rank();
  for (int32_t i = 0; i < GRAFT_MAX_RANK; ++i) {
    bool inRank = i < value.rank();
    info->dims[i] = inRank ? value.dims[i].size : 0;
    info->symbols[i] = inRank && value.dims[i].size < 0 ? value.dims[i].text.c_str() : nullptr;
  }
  return {};
}

int32_t graft_input_info(const graft_library *library, size_t input, graft_tensor_info *info,
                         graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (input >= graft_input_count(library))
      return inputError("there is no input " + std::to_string(input));
    const ValueInfo &value = library->library->manifest().values[input];
    return fillInfo(value.name.c_str(), value, info);
  });
}

int32_t graft_output_info(const graft_library *library, size_t task, size_t output,
                          graft_tensor_info *info, graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (output >= graft_output_count(library, task))
      return inputError("there is no output " + std::to_string(output) + " of task " +
                        std::to_string(task));
    const Manifest &manifest = library->library->manifest();
    const OutputInfo &facts = manifest.tasks[task].outputs[output];
    return fillInfo(facts.name.c_str(), manifest.values[facts.value], info);
  });
}

size_t graft_router_count(const graft_library *library) {
  return library ? library->library->manifest().routers.size() : 0;
}

int32_t graft_router_info(const graft_library *library, size_t router, graft_router *info,
                          graft_error *error) {
  return guarded(error, [&]() -> Status {
    if (router >= graft_router_count(library))
      return inputError("there is no router " + std::to_string(router));
    if (!info || info->struct_size < sizeof(graft_router))
      return inputError("the info is null or its struct_size too small");
    const RouterInfo &facts = library->library->manifest().routers[router];
    info->name = facts.name.c_str();
    info->weight_type = facts.weightType;
    info->slots = facts.slots;
    info->module_count = facts.modules.size();
    info->modules = facts.moduleNames.data();
    return {};
  });
}
