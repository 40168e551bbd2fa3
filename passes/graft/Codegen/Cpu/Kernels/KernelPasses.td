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

def ConvertDispatchToKernelsPass : Pass<"convert-dispatch-to-kernels", "::mlir::ModuleOp"> {
  let summary = "Lower dispatch ops on memrefs to calls of kernels";
  let description = [{
    Each op becomes a call of a private function, written once for all ops of the same kind, static shape, attributes and epilogue out of
    `scf.parallel`, `scf.for` and vector ops. An op that no kernel fits (not f32, dynamic or strided where it may not be) is left
    to `convert-dispatch-to-loops`.
  }];
  let options = [
    Option<"lanes", "lanes", "unsigned", "16", "Floats in a vector register: 4, 8 or 16">,
    Option<"fma", "fma", "bool", "true", "Whether the machine multiplies and adds in one instruction">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD
