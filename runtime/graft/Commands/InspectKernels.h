//===- InspectKernels.h - What graft inspect says of kernels ----*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_INSPECTKERNELS_H
#define GRAFT_COMMANDS_INSPECTKERNELS_H

#include <nlohmann/json.hpp>

#include <iosfwd>

namespace graft::commands {

/// Adds `images` and `kernel_facts` to `facts`, which has the names of the kernels, from the
/// manifest's `device`; none where a library does not tell.
void addKernelFacts(nlohmann::ordered_json &facts, const nlohmann::ordered_json &device);

/// A line for each kernel, and one for each architecture that it is assembled for.
void printKernels(std::ostream &out, const nlohmann::ordered_json &facts);

} // namespace graft::commands

#endif
