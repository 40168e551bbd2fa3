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

#include <functional>
#include <optional>

namespace graft {

/// An op as tasks that a kernel does: how many there are, and how to write the kernel. Two ops of
/// the same kind, name, attributes, operand types and region share a kernel.
struct KernelCall {
  using Values = llvm::SmallVector<mlir::Value>;
  struct Work {
    /// The number of tasks, and what each of them costs, in ns.
    mlir::Value tasks, cost;
  };

  /// Tells apart what the operands' types and the op's attributes don't.
  std::string name;
  Values operands;
  /// Computes the work from the operands, where the kernel is called.
  std::function<Work(KernelBuilder &, mlir::ValueRange operands)> plan;
  /// Writes one task: the body of the kernel's loop. Scratch memory belongs to the kernel.
  std::function<void(KernelBuilder &, mlir::ValueRange arguments, mlir::Value task)> build;

  /// Lets `KernelT(builder, op, operands)` plan the work and write a task.
  template <typename KernelT, typename OpT> void use(OpT op) {
    plan = [op](KernelBuilder &b, mlir::ValueRange operands) {
      return KernelT(b, op, operands).plan();
    };
    build = [op](KernelBuilder &b, mlir::ValueRange arguments, mlir::Value task) {
      KernelT(b, op, arguments).build(task);
    };
  }
};

/// Each returns nothing, and changes nothing, if the op has no kernel: it is left to plain loops.
/// Otherwise views of the operands are built before the op.
std::optional<KernelCall> prepareMatmul(dispatch::MatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareBatchMatmul(dispatch::BatchMatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareAttention(dispatch::AttentionOp op, KernelBuilder &b);
std::optional<KernelCall> prepareSoftmax(dispatch::SoftmaxOp op, KernelBuilder &b);
std::optional<KernelCall> prepareLayerNorm(dispatch::LayerNormOp op, KernelBuilder &b);
std::optional<KernelCall> preparePlan(dispatch::PlanOp op, KernelBuilder &b);
std::optional<KernelCall> prepareGather(dispatch::GatherOp op, KernelBuilder &b);
std::optional<KernelCall> prepareSegmentedMatmul(dispatch::SegmentedMatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareSegmentedLowRank(dispatch::SegmentedMatmulOp op, KernelBuilder &b);
std::optional<KernelCall> prepareCombine(dispatch::CombineOp op, KernelBuilder &b);

/// True if `viewAsRows` works: floats that kernels read, the last dimension dense, the others one
/// after the other.
bool isRows(mlir::Value memref);

/// The memref as a matrix of its last dimension's rows; the offset is dynamic, so that calls agree
/// on the type.
mlir::Value viewAsRows(KernelBuilder &b, mlir::Value memref);

/// The memref with a dynamic offset.
mlir::Value withDynamicOffset(KernelBuilder &b, mlir::Value memref);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELCALL_H
