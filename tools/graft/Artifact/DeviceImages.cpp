//===- DeviceImages.cpp - Where a library has which code for a device *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Artifact/DeviceImages.h"

#include "llvm/Support/MathExtras.h"

using namespace graft;
namespace json = llvm::json;

/// Of machine code, whose headers the driver reads in place.
static constexpr uint64_t kAlignment = 64;

/// Where each of the images begins.
static std::vector<uint64_t> placeImages(const ArtifactSpec::Device &device) {
  std::vector<uint64_t> offsets;
  uint64_t end = device.ptx.size() + 1;
  for (const DeviceImage &image : device.images) {
    offsets.push_back(llvm::alignTo(end, kAlignment));
    end = offsets.back() + image.code.size();
  }
  return offsets;
}

std::string graft::joinImages(const ArtifactSpec::Device &device) {
  std::string all = device.ptx;
  for (auto [image, offset] : llvm::zip(device.images, placeImages(device))) {
    all.resize(offset);
    all += image.code;
  }
  return all;
}

void graft::writeImages(json::OStream &out, const ArtifactSpec::Device &device) {
  auto place = [&](llvm::StringRef arch, llvm::StringRef kind, uint64_t offset, uint64_t bytes) {
    out.attribute("arch", arch);
    out.attribute("kind", kind);
    out.attribute("offset", int64_t(offset));
    out.attribute("bytes", int64_t(bytes));
  };
  out.attributeArray("images", [&] {
    if (device.kernels.empty())
      return;
    out.object(
        [&] { place("sm_" + std::to_string(device.capability), "ptx", 0, device.ptx.size() + 1); });
    const std::vector<uint64_t> offsets = placeImages(device);
    for (size_t i = 0; i < offsets.size(); ++i)
      out.object([&] {
        const DeviceImage &image = device.images[i];
        place(image.arch, "cubin", offsets[i], image.code.size());
        out.attributeArray("kernels", [&] {
          for (const std::optional<KernelResources> &kernel : image.kernels)
            out.value(kernel ? json::Value(json::Object{{"registers", kernel->registers},
                                                        {"shared", kernel->shared},
                                                        {"stack", kernel->stack},
                                                        {"spill_stores", kernel->spillStores},
                                                        {"spill_loads", kernel->spillLoads}})
                             : json::Value(nullptr));
        });
      });
  });
  out.attributeArray("kernels", [&] {
    for (const DeviceKernel &kernel : device.kernels)
      out.object([&] {
        out.attribute("threads", kernel.threads);
        out.attribute("launches", kernel.launches);
        if (!kernel.leastBytes.empty())
          out.attribute("least_bytes", kernel.leastBytes);
        if (!kernel.movedBytes.empty())
          out.attribute("moved_bytes", kernel.movedBytes);
      });
  });
}
