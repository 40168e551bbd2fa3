//===- KernelPasses.td - Passes that make kernels ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD
#define GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertDispatchToLoopsPass : Pass<"convert-dispatch-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower dispatch ops on memrefs to plain scalar loops";
  let description = [{
    The obvious lowering of every dispatch op but `dispatch.check`: the oracle of the kernels, and what takes the cases that they don't.
    Half-precision values are computed in f32.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD
