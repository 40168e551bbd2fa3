//===- DeviceKernels.h - Kernels that dispatch ops become --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_KERNELS_DEVICEKERNELS_H
#define GRAFT_CODEGEN_GPU_KERNELS_DEVICEKERNELS_H

#include "graft/Dispatch/Dispatch.h"

namespace graft {

/// Each makes a kernel and its launches of `op`, which is at the top of a stage function with a
/// host, and erases it; or returns false if no kernel fits it.
bool convertToKernel(dispatch::ProductOpInterface op);
bool convertToKernel(dispatch::PlanOp op);
bool convertToKernel(dispatch::SoftmaxOp op);
bool convertToKernel(dispatch::LayerNormOp op);
bool convertToKernel(dispatch::AttentionOp op);

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_KERNELS_DEVICEKERNELS_H
