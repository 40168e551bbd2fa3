//===- KernelPasses.h - Passes that make kernels -----------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_H
#define GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_H

#include "graft/Dispatch/Dispatch.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace graft {

#define GEN_PASS_DECL
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "graft/Codegen/Cpu/Kernels/KernelPasses.h.inc"

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_H
