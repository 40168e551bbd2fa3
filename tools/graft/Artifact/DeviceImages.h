//===- DeviceImages.h - Where a library has which code for a device *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ARTIFACT_DEVICEIMAGES_H
#define GRAFT_ARTIFACT_DEVICEIMAGES_H

#include "graft/Artifact/Artifact.h"

namespace graft {

/// What `graft_device.image` points to, but for a 0 at its end: the PTX with its final 0, which
/// runtimes that know of nothing else take, and machine code behind it.
std::string joinImages(const ArtifactSpec::Device &device);

/// The manifest's `device.images` and `device.kernels`.
void writeImages(llvm::json::OStream &out, const ArtifactSpec::Device &device);

} // namespace graft

#endif // GRAFT_ARTIFACT_DEVICEIMAGES_H
