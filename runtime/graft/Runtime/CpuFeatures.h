//===- CpuFeatures.h - What this processor can do ------------------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_RUNTIME_CPUFEATURES_H
#define GRAFT_RUNTIME_CPUFEATURES_H

#include "graft/Runtime/Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace graft::runtime {

enum class CpuFeature { Present, Missing, Unknown };

/// A feature by LLVM's name. It is present if the processor has it and the operating system saves
/// the registers that it needs.
CpuFeature cpuFeature(std::string_view name);

/// An error that names the features of `required` that are missing here.
Status checkCpu(std::string_view target, const std::vector<std::string> &required);

} // namespace graft::runtime

#endif
