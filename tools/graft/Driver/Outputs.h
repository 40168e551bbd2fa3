//===- Outputs.h - What a compilation may write -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DRIVER_OUTPUTS_H
#define GRAFT_DRIVER_OUTPUTS_H

#include "graft/Driver/CompileOptions.h"

namespace graft {

/// Refuses outputs that have no place: in no folder, or libraries of tasks where a file is.
llvm::Error checkPlaces(const CompileOptions &options);

/// Refuses outputs that are inputs, `externalFiles` among them, two that are one file, and weights
/// in the place of a safetensors file that Graft has not written.
llvm::Error checkOverwrites(const CompileOptions &options,
                            llvm::ArrayRef<std::string> externalFiles);

} // namespace graft

#endif // GRAFT_DRIVER_OUTPUTS_H
