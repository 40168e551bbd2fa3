//===- KernelTraffic.h - The bytes that a launch reads and writes *- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_KERNELTRAFFIC_H
#define GRAFT_CODEGEN_GPU_KERNELTRAFFIC_H

#include "graft/Analysis/Polynomial.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace graft {

/// On a launch: `least`, the bytes of what it is given, each of them once; `moved`, those that it
/// copies, where that is known. On a kernel: the same of all its launches, and how many there are.
/// Sizes are text, in the stage's symbols.
inline constexpr llvm::StringLiteral kTrafficAttr = "modular.traffic";

/// An index of a stage's code by the stage's symbols; nothing where it is something else.
std::optional<Polynomial> symbolicIndex(mlir::Value index);
/// The bytes of a memref in a stage's code.
std::optional<Polynomial> symbolicBytes(mlir::Value memref);
/// The sum over those of `values` that are memrefs, each of them once; nothing if none is.
std::optional<Polynomial> symbolicBytes(mlir::ValueRange values);

/// Says of a launch what is known.
void setTraffic(mlir::gpu::LaunchFuncOp launch, const std::optional<Polynomial> &least,
                const std::optional<Polynomial> &moved);
/// Adds a launch's traffic to its kernel's.
void addTraffic(mlir::gpu::LaunchFuncOp launch, mlir::gpu::GPUFuncOp kernel);

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_KERNELTRAFFIC_H
