//===- DeviceLibrary.cpp - A library's code and weights on a GPU *- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/DeviceLibrary.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

using namespace graft::runtime;
using namespace graft::runtime::cuda;

/// 11.4 is the first that has all functions.
static constexpr int kLeastDriver = 11040;
/// What a kernel may have unasked.
static constexpr int64_t kSharedUnasked = 48 << 10;

static std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

DeviceLibrary::~DeviceLibrary() { release(); }

void DeviceLibrary::setWeights(const char *begin, uint64_t bytes) {
  weights = begin;
  weightsBytes = bytes;
  isRunnable = true;
}

/// Which device the environment asks for, or why none: 0 if it does not.
static std::string chosenDevice(int &ordinal) {
  ordinal = 0;
  const char *text = std::getenv("GRAFT_DEVICE");
  if (!text || !*text)
    return "";
  const std::string_view wanted = text;
  if (wanted == "cpu")
    return "GRAFT_DEVICE=cpu";
  auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), ordinal);
  if (error != std::errc() || end != wanted.data() + wanted.size() || ordinal < 0)
    return "GRAFT_DEVICE: expected cpu or the number of a device, found '" + std::string(wanted) +
           "'";
  return "";
}

std::string DeviceLibrary::find() {
  if (kernelCount() == 0)
    return "the library has no kernels: all of its stages are the CPU's";
  int ordinal = 0, version = 0, count = 0;
  std::string reason = chosenDevice(ordinal);
  if (!reason.empty())
    return reason;
  functions = Driver::get(reason);
  if (!functions)
    return reason;
  Result result = functions->driverGetVersion(&version);
  if (result != kSuccess)
    return "the driver does not start: " + functions->text(result);
  if (version < kLeastDriver)
    return "the driver is too old: expected one for CUDA " + versionText(kLeastDriver) +
           " or newer, found one for CUDA " + versionText(version);
  result = functions->init(0);
  if (result == kSuccess)
    result = functions->deviceGetCount(&count);
  if (result == kNoDevice || (result == kSuccess && count == 0))
    return "there is no NVIDIA GPU";
  if (result != kSuccess)
    return "the driver does not start: " + functions->text(result);
  if (ordinal >= count)
    return "GRAFT_DEVICE=" + std::to_string(ordinal) + ": there " +
           (count == 1 ? "is 1 device" : "are " + std::to_string(count) + " devices");

  char model[256] = {};
  int major = 0, minor = 0, processors = 0;
  result = functions->deviceGet(&device, ordinal);
  if (result == kSuccess)
    result = functions->deviceGetName(model, sizeof(model) - 1, device);
  for (auto [value, attribute] :
       {std::pair(&major, int(kCapabilityMajor)), std::pair(&minor, int(kCapabilityMinor)),
        std::pair(&processors, int(kMultiprocessorCount))})
    if (result == kSuccess)
      result = functions->deviceGetAttribute(value, attribute, device);
  if (result != kSuccess)
    return "device " + std::to_string(ordinal) + ": " + functions->text(result);
  const int64_t capability = major * 10 + minor;
  name = std::string(model) + " (sm_" + std::to_string(capability) + ")";
  processorCount = processors;
  if (capability < facts.device->capability)
    return name + ": the library needs sm_" + std::to_string(facts.device->capability) +
           " or newer";
  images = fittingImages(facts.device->images, capability);
  if (facts.device->images.empty())
    images.push_back({true, 0, 0, 0, artifact.device->image_bytes});
  std::string others;
  for (const DeviceImage &image : facts.device->images)
    others += (others.empty() ? "" : ", ") + image.text();
  return images.empty() ? name + ": none of the library's code is for it: " + others : "";
}

std::string DeviceLibrary::loadModule() {
  std::string words;
  for (const DeviceImage &image : images) {
    std::string reason = loadImage(image);
    if (module) {
      loaded = facts.device->images.empty() ? "" : image.text();
      break;
    }
    if (facts.device->images.size() > 1)
      reason = image.text() + ": " + reason;
    words += (words.empty() ? "" : "; ") + reason;
  }
  if (!module)
    return name + ": the library's code cannot be loaded: " + words;
  for (uint64_t i = 0; i < kernelCount(); ++i) {
    Result result = functions->moduleGetFunction(&kernels.emplace_back(), module, kernelName(i));
    if (result != kSuccess)
      return name + ": kernel '" + kernelName(i) + "': " + functions->text(result);
  }
  return "";
}

std::string DeviceLibrary::loadImage(const DeviceImage &image) {
  std::string log(4096, '\0');
  int options[] = {kJitErrorLog, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  const char *code = static_cast<const char *>(artifact.device->image) + image.offset;
  Result result = functions->moduleLoad(&module, code, 2, options, values);
  if (result == kSuccess)
    return "";
  module = nullptr;
  std::string words = functions->text(result);
  if (result == kUnsupportedPtxVersion)
    words += ", which a newer driver knows";
  log.resize(log.find('\0') == std::string::npos ? log.size() : log.find('\0'));
  std::replace(log.begin(), log.end(), '\n', ' ');
  log.erase(log.find_last_not_of(' ') + 1);
  return log.empty() ? words : words + ": " + log;
}

std::string DeviceLibrary::uploadWeights() {
  auto allocate = [&](Address &address, uint64_t bytes, const char *what) -> std::string {
    Result result = functions->memAlloc(&address, std::max<uint64_t>(bytes, 1));
    if (result == kSuccess)
      return "";
    address = 0;
    return name + ": cannot allocate " + std::to_string(bytes) + " bytes for " + what + ": " +
           functions->text(result);
  };
  if (std::string reason = allocate(memory, weightsBytes, "the weights"); !reason.empty())
    return reason;
  std::vector<Address> all;
  std::vector<size_t> begins;
  for (const StageInfo &stage : facts.stages) {
    begins.push_back(all.size());
    std::vector<const void *> &table = tables.emplace_back();
    for (uint32_t slot : stage.parameters) {
      all.push_back(memory + facts.storage[slot].offset);
      table.push_back(reinterpret_cast<const void *>(all.back()));
    }
  }
  const uint64_t bytes = all.size() * sizeof(Address);
  if (std::string reason = allocate(tableMemory, bytes, "the parameters"); !reason.empty())
    return reason;
  for (size_t begin : begins)
    tableAddresses.push_back(tableMemory + begin * sizeof(Address));
  Result result = kSuccess;
  if (weightsBytes)
    result = functions->copyToDevice(memory, weights, weightsBytes);
  if (result == kSuccess && bytes)
    result = functions->copyToDevice(tableMemory, all.data(), bytes);
  // The copies return before their ends, and the streams of runs do not wait for this one.
  if (result == kSuccess)
    result = functions->streamSynchronize(nullptr);
  return result == kSuccess
             ? ""
             : name + ": the weights cannot be copied to it: " + functions->text(result);
}

std::string DeviceLibrary::prepare() {
  Result result = functions->primaryRetain(&primary, device);
  if (result != kSuccess) {
    primary = nullptr;
    return name + ": no context: " + functions->text(result);
  }
  std::string reason;
  {
    CurrentContext current(*functions, primary);
    reason = current.status() == kSuccess ? loadModule()
                                          : name + ": " + functions->text(current.status());
    if (reason.empty())
      reason = uploadWeights();
  }
  if (!reason.empty())
    release();
  return reason;
}

void DeviceLibrary::release() {
  if (!primary)
    return;
  {
    // Nothing helps where these fail, as after a fault of the device.
    CurrentContext current(*functions, primary);
    if (current.status() == kSuccess) {
      for (Address address : {memory, tableMemory})
        if (address)
          functions->memFree(address);
      if (module)
        functions->moduleUnload(module);
    }
  }
  functions->primaryRelease(device);
  primary = nullptr;
}

bool DeviceLibrary::isReady() {
  State now = state.load(std::memory_order_acquire);
  if (now == State::ready || now == State::unusable)
    return now == State::ready;
  std::lock_guard<std::mutex> lock(mutex);
  if (state == State::fresh) {
    unusable = find();
    state = unusable.empty() ? State::found : State::unusable;
  }
  if (state == State::found && isRunnable) {
    unusable = prepare();
    state.store(unusable.empty() ? State::ready : State::unusable, std::memory_order_release);
  }
  return state == State::ready;
}

void DeviceLibrary::giveUp(const std::string &reason) {
  std::lock_guard<std::mutex> lock(mutex);
  // Runs may be going on: what they use is released with the library.
  if (state != State::unusable)
    unusable = reason;
  state = State::unusable;
}

void DeviceLibrary::noteRun(const std::string &reason) {
  std::lock_guard<std::mutex> lock(mutex);
  lastRun = reason;
}

const char *DeviceLibrary::text() {
  isReady();
  std::lock_guard<std::mutex> lock(mutex);
  const std::string &reason = state == State::unusable ? unusable : lastRun;
  return texts.insert(reason.empty() ? name : "cpu: " + reason).first->c_str();
}

const char *DeviceLibrary::codeText() {
  return isReady() && !loaded.empty() ? loaded.c_str() : nullptr;
}

Result DeviceLibrary::allowShared(uint64_t kernel, int64_t bytes) {
  if (bytes <= kSharedUnasked)
    return kSuccess;
  std::lock_guard<std::mutex> lock(sharedMutex);
  if (bytes <= shared[kernel])
    return kSuccess;
  Result result = functions->funcSetAttribute(kernels[kernel], kMaxDynamicSharedBytes, int(bytes));
  if (result == kSuccess)
    shared[kernel] = bytes;
  return result;
}
