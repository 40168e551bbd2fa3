//===- Descriptor.h - What a library tells its host --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ARTIFACT_DESCRIPTOR_H
#define GRAFT_ARTIFACT_DESCRIPTOR_H

#include "graft/Codegen/Cpu/CpuTarget.h"

#include <optional>

namespace graft {

/// The content of `graft_artifact`, as the runtime's ArtifactAbi.h declares it.
struct Descriptor {
  std::string manifest;
  uint64_t weightsBytes = 0; ///< 0: the library has no `graft_weights`
  std::vector<std::string> codes;

  /// `graft_device`.
  struct Device {
    std::string image;
    std::vector<std::string> kernels;
    std::vector<std::string> codes; ///< as many as those above; "" where there is none
  };
  std::optional<Device> device;
};

/// Makes an object with `graft_artifact_query`, the table that it returns, and definitions of the C
/// functions that LLVM's back end may call: memcpy, memmove, memset, and __truncsfbf2, which it
/// calls even where it only moves numbers of bf16.
bool emitDescriptor(const Descriptor &descriptor, const CpuTarget &target, std::string &object,
                    std::string &error);

} // namespace graft

#endif // GRAFT_ARTIFACT_DESCRIPTOR_H
