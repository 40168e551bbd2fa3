//===- KernelFunction.h - A kernel and its launch ----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_KERNELFUNCTION_H
#define GRAFT_CODEGEN_GPU_KERNELFUNCTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace graft {

/// The module that all kernels of `module` are in; made if it is not there.
mlir::gpu::GPUModuleOp getDeviceModule(mlir::ModuleOp module);

/// Copies the constant table that `get` names to the device's module, if it is not there.
void copyTable(mlir::memref::GetGlobalOp get, mlir::gpu::GPUModuleOp device);

/// Whether a memref is a constant table of the code's, or a view of one.
bool isTable(mlir::Value memref);

/// What a kernel gets of the values it is launched with: memrefs are passed as pointers and those
/// of their sizes, strides and offset that their types leave open, all else as it is. Tables, which
/// the device has copies of, are not passed; what makes views of them is cloned into the kernel.
class KernelArguments {
public:
  /// Adds, where `builder` stands in the host's code, what is to be passed for each of `values`.
  KernelArguments(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange values);

  llvm::ArrayRef<mlir::Value> operands() const { return passed; }
  /// The same values in the kernel, made of the arguments of its entry block.
  llvm::SmallVector<mlir::Value> receive(mlir::OpBuilder &builder, mlir::Location loc,
                                         mlir::Block *entry) const;

private:
  void pass(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

  llvm::SmallVector<mlir::Value> values, passed;
};

/// The address of the first element of a memref without an offset, for a kernel that knows the
/// rest.
mlir::Value pointerTo(mlir::OpBuilder &host, mlir::Location loc, mlir::Value memref);

/// How many multiprocessors the device has, as an index of the host's code, in a stage.
mlir::Value loadProcessors(mlir::OpBuilder &host, mlir::Location loc);

/// Whether kernels can be given a value of this type.
bool canPass(mlir::Type type);

/// A kernel of `threads` threads a block, named after `stage`, and its launch before `at`.
struct KernelFunction {
  mlir::gpu::GPUFuncOp function;
  /// The captured values, in the kernel.
  llvm::SmallVector<mlir::Value> values;
  mlir::gpu::LaunchFuncOp launch;

  /// `blocks` is an index of the host's code: a grid has an end, so that a block or thread of the
  /// kernel may have several pieces of the work. The kernel's body ends with a return.
  static KernelFunction create(mlir::OpBuilder &host, mlir::Location loc, llvm::StringRef name,
                               mlir::Value blocks, unsigned threads, mlir::ValueRange captured);
};

/// The memory of a kernel's own, which is named after it.
llvm::SmallVector<mlir::Operation *> ownMemory(mlir::gpu::GPUFuncOp kernel);
/// Erases a kernel that nobody launches, with its own memory.
void eraseKernel(mlir::gpu::GPUFuncOp kernel);

} // namespace graft

#endif // GRAFT_CODEGEN_GPU_KERNELFUNCTION_H
