//===- Library.cpp - A library that is loaded -------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Runtime/Library.h"

#include "graft/Runtime/CpuFeatures.h"
#include "graft/Runtime/ElfFile.h"
#include "graft/Runtime/RunContext.h"
#include "graft/Runtime/Sha256.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <link.h>

using namespace graft::runtime;

static constexpr char kFatbinMagic[] = "\x50\xed\x55\xba", kElfMagic[] = "\x7f"
                                                                         "ELF";

Library::Library() = default;

Library::~Library() {
  pool.clear();
  deviceSide.reset();
  if (handle)
    ::dlclose(handle);
}

Status Library::open(const std::string &path, uint32_t flags, std::shared_ptr<Library> &library) {
  auto fresh = std::make_shared<Library>();
  if (Status status = fresh->load(path, flags); status.failed())
    return status;
  library = std::move(fresh);
  return {};
}

/// Does [pointer, pointer + bytes) lie in a segment of the library?
static bool liesWithin(const ElfFile &elf, uint64_t base, const void *pointer, uint64_t bytes,
                       bool executable = false) {
  uint64_t address = reinterpret_cast<uint64_t>(pointer) - base;
  for (const ElfSegment &segment : elf.segments)
    if (address >= segment.address && address - segment.address <= segment.bytes &&
        bytes <= segment.bytes - (address - segment.address) && (!executable || segment.executable))
      return true;
  return false;
}

/// Is there a string, with its end, in a segment of the library?
static bool isString(const ElfFile &elf, uint64_t base, const char *text) {
  for (uint64_t bytes = 1; liesWithin(elf, base, text, bytes); ++bytes)
    if (text[bytes - 1] == 0)
      return true;
  return false;
}

static bool deviceIsWhole(const graft_artifact &artifact, const ElfFile &elf, uint64_t base) {
  const graft_device *device = artifact.device;
  if (!liesWithin(elf, base, device, sizeof(*device)) ||
      !liesWithin(elf, base, device->image, device->image_bytes) ||
      (device->kernel_count > 0 && device->image_bytes < 4) || device->kernel_count >= (1u << 24) ||
      !liesWithin(elf, base, device->kernels, device->kernel_count * sizeof(const char *)) ||
      !liesWithin(elf, base, device->codes, artifact.code_count * sizeof(graft_stage_code)))
    return false;
  // Text ends with its 0; the others say how long they are.
  const char *image = static_cast<const char *>(device->image);
  const bool isBinary = device->image_bytes >= 4 && (std::memcmp(image, kFatbinMagic, 4) == 0 ||
                                                     std::memcmp(image, kElfMagic, 4) == 0);
  bool whole = device->kernel_count == 0 || isBinary || image[device->image_bytes - 1] == 0;
  for (uint64_t i = 0; whole && i < device->kernel_count; ++i)
    whole = isString(elf, base, device->kernels[i]);
  auto isCode = [&](auto *function) {
    return !function || liesWithin(elf, base, reinterpret_cast<const void *>(function), 1, true);
  };
  for (uint64_t i = 0; whole && i < artifact.code_count; ++i)
    whole = isCode(device->codes[i].shape) && isCode(device->codes[i].run);
  return whole;
}

static Status checkArtifact(const graft_artifact *artifact, const ElfFile &elf, uint64_t base) {
  if (!artifact)
    return unsupported("the library does not speak version " + std::to_string(GRAFT_ARTIFACT_ABI) +
                       " of the binary interface; compile it again");
  if (!liesWithin(elf, base, artifact, sizeof(*artifact)) ||
      artifact->magic != GRAFT_ARTIFACT_MAGIC)
    return inputError("damaged: expected the magic number " + std::to_string(GRAFT_ARTIFACT_MAGIC));
  if (artifact->abi != GRAFT_ARTIFACT_ABI)
    return unsupported("the library has version " + std::to_string(artifact->abi) +
                       " of the binary interface, this runtime has " +
                       std::to_string(GRAFT_ARTIFACT_ABI));
  bool whole =
      liesWithin(elf, base, artifact->manifest, artifact->manifest_bytes) &&
      (!artifact->weights || liesWithin(elf, base, artifact->weights, artifact->weights_bytes)) &&
      artifact->code_count < (1u << 24) &&
      liesWithin(elf, base, artifact->codes, artifact->code_count * sizeof(graft_stage_code));
  for (uint64_t i = 0; whole && i < artifact->code_count; ++i)
    whole =
        liesWithin(elf, base, reinterpret_cast<const void *>(artifact->codes[i].shape), 1, true) &&
        liesWithin(elf, base, reinterpret_cast<const void *>(artifact->codes[i].run), 1, true);
  if (!whole || (artifact->device && !deviceIsWhole(*artifact, elf, base)))
    return inputError("damaged: its table of contents points outside of the library");
  return {};
}

/// Whether code is where the manifest says. What it does is as trusted as the library is.
static Status checkImage(const graft_device &device, const DeviceImage &image, size_t number) {
  const std::string place = "manifest: device.images[" + std::to_string(number) + "]: ";
  if (image.offset > device.image_bytes || image.bytes > device.image_bytes - image.offset)
    return inputError(place + "expected a place in " + std::to_string(device.image_bytes) +
                      " bytes, found " + std::to_string(image.bytes) + " at " +
                      std::to_string(image.offset));
  const char *begin = static_cast<const char *>(device.image) + image.offset;
  if (image.isPtx ? begin[image.bytes - 1] != 0 : !isWholeCubin(begin, image.bytes))
    return inputError(place + "expected " + image.text() + ", found " +
                      (image.isPtx ? "text without an end" : "none, or a part of one"));
  return {};
}

/// Whether the manifest tells of what is there for a device.
static Status checkDevice(const graft_artifact &artifact, const Manifest &manifest) {
  if (bool(artifact.device) != manifest.device.has_value())
    return inputError(std::string("manifest: device: the library has ") +
                      (artifact.device ? "code for a device, the manifest has none"
                                       : "no code for a device, the manifest has"));
  for (size_t i = 0; artifact.device && i < artifact.code_count; ++i) {
    const graft_stage_code &code = artifact.device->codes[i];
    const bool told = manifest.device->codes[i].has_value();
    if ((code.run && code.shape) != told)
      return inputError("manifest: device.codes[" + std::to_string(i) + "]: the library has " +
                        (told ? "no code, the manifest has" : "code, the manifest has none"));
  }
  for (size_t i = 0; artifact.device && i < manifest.device->images.size(); ++i)
    if (Status status = checkImage(*artifact.device, manifest.device->images[i], i);
        status.failed())
      return status;
  return {};
}

Status Library::mapWeights(const std::string &path, bool verify, const char *&weights) {
  const WeightsFile &wanted = facts.weightsFile;
  if (wanted.name.empty()) {
    weights = static_cast<const char *>(artifact->weights);
    return {};
  }
  std::string file = path.substr(0, path.rfind('/') + 1) + wanted.name;
  if (Status status = weightsFile.open(file); status.failed())
    return status;
  if (weightsFile.size() != wanted.bytes)
    return inputError(file + ": expected " + std::to_string(wanted.bytes) + " bytes, found " +
                      std::to_string(weightsFile.size()));
  if (verify) {
    std::string found = sha256(weightsFile.data(), weightsFile.size());
    if (found != wanted.sha256)
      return inputError(file + ": expected the SHA-256 " + wanted.sha256 + ", found " + found);
  }
  weights = weightsFile.data();
  return {};
}

Status Library::load(const std::string &path, uint32_t flags) {
  auto prefixed = [&](const Status &status) {
    return Status(status.code(), path + ": " + status.message());
  };
  ElfFile elf;
  {
    MappedFile file;
    if (Status status = file.open(path); status.failed())
      return status;
    if (Status status = elf.check(file.data(), file.size(), path); status.failed())
      return status;
  }
  // Without a slash the linker would search its own path.
  std::string name = path.find('/') == std::string::npos ? "./" + path : path;
  handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *words = ::dlerror();
    return inputError(path + ": cannot load: " + (words ? words : "unknown reason"));
  }
  link_map *map = nullptr;
  auto query = reinterpret_cast<const graft_artifact *(*)(uint32_t)>(
      ::dlsym(handle, "graft_artifact_query"));
  if (!query || ::dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0)
    return inputError(path + ": not made by graft: it does not export graft_artifact_query");

  artifact = query(GRAFT_ARTIFACT_ABI);
  if (Status status = checkArtifact(artifact, elf, map->l_addr); status.failed())
    return prefixed(status);
  uint64_t sectionBytes = artifact->weights ? artifact->weights_bytes : 0;
  if (Status status = parseManifest(manifestText(), sectionBytes, artifact->code_count, facts);
      status.failed())
    return prefixed(status);
  if (Status status = checkDevice(*artifact, facts); status.failed())
    return prefixed(status);
  if (artifact->device)
    deviceSide = std::make_unique<DeviceLibrary>(*artifact, facts);

  runnable = !(flags & GRAFT_OPEN_INSPECT);
  if (!runnable)
    return {};
  if (Status status = checkCpu(facts.cpu, facts.cpuFeatures); status.failed())
    return prefixed(status);
  const char *verify = std::getenv("GRAFT_VERIFY");
  const char *weights = nullptr;
  if (Status status = mapWeights(
          name, (flags & GRAFT_OPEN_VERIFY) || (verify && std::string_view(verify) == "1"),
          weights);
      status.failed())
    return status;
  for (const StageInfo &stage : facts.stages) {
    std::vector<const void *> &table = tables.emplace_back();
    for (uint32_t slot : stage.parameters)
      table.push_back(weights + facts.storage[slot].offset);
  }
  if (deviceSide)
    deviceSide->setWeights(weights, weightsFile.data() ? weightsFile.size() : sectionBytes);
  return {};
}

std::unique_ptr<RunContext> Library::acquireContext() {
  {
    std::lock_guard<std::mutex> lock(poolMutex);
    if (!pool.empty()) {
      std::unique_ptr<RunContext> context = std::move(pool.back());
      pool.pop_back();
      return context;
    }
  }
  return std::make_unique<RunContext>();
}

void Library::releaseContext(std::unique_ptr<RunContext> context) {
  std::lock_guard<std::mutex> lock(poolMutex);
  pool.push_back(std::move(context));
}
