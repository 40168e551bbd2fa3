//===- KernelCall.h - A dispatch op as a call of a kernel --------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_KERNELCALL_H
#define GRAFT_CODEGEN_CPU_KERNELS_KERNELCALL_H

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"
#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <functional>
#include <optional>

namespace graft {

/// What an op's kernel is called with, and how to write the kernel. Two ops of the same kind,
/// attributes, operand types and region share a kernel.
struct KernelCall {
  std::string name;
  llvm::SmallVector<mlir::Value> operands;
  /// Writes the body; the arguments are those of the function.
  std::function<void(KernelBuilder &, mlir::ValueRange, mlir::func::FuncOp task)> build;
  /// If set, the body of a second function, which takes an index beside the same arguments: the
  /// part of the work that needs scratch memory on the stack, and so must not be a loop's body.
  std::function<void(KernelBuilder &, mlir::ValueRange)> buildTask;
};

/// Each returns nothing, and changes nothing, if the op has no kernel: it is left to plain loops.
/// Otherwise views of the operands are built before the op.
std::optional<KernelCall> prepareMatmul(dispatch::MatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareBatchMatmul(dispatch::BatchMatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareAttention(dispatch::AttentionOp op, KernelBuilder &b);
std::optional<KernelCall> prepareSoftmax(dispatch::SoftmaxOp op, KernelBuilder &b);
std::optional<KernelCall> prepareLayerNorm(dispatch::LayerNormOp op, KernelBuilder &b);

/// True if `viewAsRows` works: f32, the last dimension dense, the others one after the other.
bool isRows(mlir::Value memref);

/// The memref as a matrix of its last dimension's rows; the offset is dynamic, so that calls agree
/// on the type.
mlir::Value viewAsRows(KernelBuilder &b, mlir::Value memref);

/// The memref with a dynamic offset.
mlir::Value withDynamicOffset(KernelBuilder &b, mlir::Value memref);

/// A loop over [0, total) in parallel shares, each of about 10 µs or more. `cost` is that of one
/// iteration, in ns.
void parallelShares(KernelBuilder &b, mlir::Value total, mlir::Value cost,
                    llvm::function_ref<void(mlir::Value)> body);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELCALL_H
