//===- CodegenPasses.h - From stage functions to the LLVM dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_CODEGENPASSES_H
#define GRAFT_CODEGEN_CPU_CODEGENPASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace graft {

#define GEN_PASS_DECL
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "graft/Codegen/Cpu/CodegenPasses.h.inc"

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_CODEGENPASSES_H
