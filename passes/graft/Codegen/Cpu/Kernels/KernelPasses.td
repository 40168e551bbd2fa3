//===- KernelPasses.td - Passes that make kernels ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD
#define GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD

include "mlir/Pass/PassBase.td"

def FuseEpiloguesPass : Pass<"graft-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "Fuse elementwise work with itself and into the products before it";
  let description = [{
    1. The sum of two plain `dispatch.matmul`s with no other reader becomes one of two pairs: an unfolded LoRA costs no pass over memory.
    2. Elementwise `linalg.generic`s fuse where no element is computed twice.
    3. An elementwise `linalg.generic` moves into the epilogue of the `dispatch.matmul` or `dispatch.segmented_matmul` that it alone reads; its
       other operands (a bias, a residual, the other half of a gate, scalars) become extras. An operand that is broadcast otherwise prevents it.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::graft::dispatch::DispatchDialect"];
}

def PackWeightsPass : Pass<"graft-pack-weights", "::mlir::func::FuncOp"> {
  let summary = "Give weight arguments the layout that kernels want";
  let description = [{
    A static argument of f32, f16 or bf16 with `modular.slot` that is a weight of `dispatch.matmul` or `dispatch.segmented_matmul`, itself or through reshapes, slices and transpositions
    (a direction of a recurrent layer), gets the type `[ceil(N/P)][K][P]` and the attribute
    `dispatch.packing = {layout = "panels", source, panel, offset, n, k}`, which tells the writer of the artifact how to rearrange the weight of slot
    `source`: `n` and `k` are sizes and strides in turn, the innermost last, of columns and rows, in elements from `offset`; element `(k, n)`
    goes to `[n / P][k][n % P]`; what is past N is zero. P is two vectors, or one if N is no more than that. Reads of
    single elements of a weight (lookups in a tied embedding) go to its panels. A weight that is used otherwise too keeps its slot, and each packed
    form gets a new one.
  }];
  let options = [Option<"lanes", "lanes", "unsigned", "16", "Floats in a vector register">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect", "::graft::dispatch::DispatchDialect"];
}

def SplitGathersPass : Pass<"graft-split-gathers", "::mlir::func::FuncOp"> {
  let summary = "Gather the rows of segmented matmuls before them";
  let description = [{
    A `dispatch.segmented_matmul` with an order becomes a `dispatch.gather` and one without: rows that lie apart would cost the kernel a pointer each,
    more than there are registers. Products that read the same rows in the same order share one gather, by common subexpressions.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect", "::graft::dispatch::DispatchDialect"];
}

def ConvertDispatchToLoopsPass : Pass<"convert-dispatch-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower dispatch ops on memrefs to plain scalar loops";
  let description = [{
    The obvious lowering of every dispatch op but `dispatch.check`: the oracle of the kernels, and what takes the cases that they don't.
    Half-precision values are computed in f32.
  }];
  let options = [Option<"deviceOnly", "device-only", "bool", "false", "In functions with `modular.device` alone">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LinalgToLoopsPass : Pass<"graft-linalg-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower linalg on memrefs to loops, the outer ones parallel";
  let description = [{
    The leading parallel dimensions of an op, all but the innermost loop, become one `scf.parallel`; the rest are `scf.for`. The innermost
    loop is scalar: LLVM vectorises it.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def ConvertDispatchToKernelsPass : Pass<"convert-dispatch-to-kernels", "::mlir::ModuleOp"> {
  let summary = "Lower dispatch ops on memrefs to calls of kernels";
  let description = [{
    Each op becomes a call of a private function, written once for all ops of the same kind, static shape, attributes and epilogue out of
    `scf.parallel`, `scf.for` and vector ops. f16 and bf16 are read and written, and computed with in f32. An op that no kernel fits (f64, dynamic or strided where it may not be) is left
    to `convert-dispatch-to-loops`.
  }];
  let options = [
    Option<"lanes", "lanes", "unsigned", "16", "Floats in a vector register: 4, 8 or 16">,
    Option<"fma", "fma", "bool", "true", "Whether the machine multiplies and adds in one instruction">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // GRAFT_CODEGEN_CPU_KERNELS_KERNELPASSES_TD
