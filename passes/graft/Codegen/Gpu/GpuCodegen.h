//===- GpuCodegen.h - From stage functions to device code --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_GPUCODEGEN_H
#define GRAFT_CODEGEN_GPU_GPUCODEGEN_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace graft {

/// The least compute capability that kernels are generated for: any later device runs them.
inline constexpr unsigned kLeastCapability = 80;

/// Turns what the stage functions with `modular.device`, bufferized, compute into kernels and
/// launches.
void addDevicePlacement(mlir::OpPassManager &pm);
/// Kernels in the LLVM and NVVM dialects; launches as calls of the host.
void addDeviceCode(mlir::OpPassManager &pm);

/// What is known of a kernel before it is assembled.
struct DeviceKernel {
  std::string name;
  unsigned threads = 0;  ///< a block
  unsigned launches = 0; ///< places in the stages' code
  /// Of all launches, in the model's symbols, or empty: the bytes of what they are given, each
  /// once, and those that they copy.
  std::string leastBytes, movedBytes;
};

/// The kernels of a compilation.
struct DeviceCode {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< with the `gpu.module`
  std::vector<DeviceKernel> kernels;        ///< by number
  std::vector<std::string> checks;          ///< the messages of what kernels find, by number
  struct OnHost {
    std::string stage, why;
  };
  std::vector<OnHost> onHost; ///< the stages that have no kernels
};

/// Takes the kernels, as addDeviceCode yields them, from `module`.
DeviceCode takeDeviceCode(mlir::ModuleOp module);

/// Optimises the kernels and appends them to `output` as PTX.
mlir::LogicalResult emitPtx(mlir::ModuleOp device, std::string &output);

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_GPUCODEGEN_H
