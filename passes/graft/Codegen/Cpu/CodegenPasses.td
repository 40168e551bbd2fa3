//===- CodegenPasses.td - From stage functions to the LLVM dialect ----*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_CODEGENPASSES_TD
#define GRAFT_CODEGEN_CPU_CODEGENPASSES_TD

include "mlir/Pass/PassBase.td"

def StageDestinationsPass : Pass<"graft-stage-destinations", "::mlir::func::FuncOp"> {
  let summary = "Let a stage function write its results into memory of the caller";
  let description = [{
    Each result whose dimensions are known from the symbols becomes a memref argument, marked `modular.output`, into which the result is
    materialised. A result whose dimensions depend on data is materialised into a buffer of its own, which the function returns. Arguments
    become read-only for bufferisation, which would otherwise overwrite the caller's input. The value that a loop carries is
    copied to the place it came from where bufferisation could not see that it is the same.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def ResolveDimsPass : Pass<"graft-resolve-dims", "::mlir::func::FuncOp"> {
  let summary = "Compute dimensions of a stage function's arguments from the symbols";
  let description = [{
    `tensor.dim` and `memref.dim` of an argument become arithmetic over the symbol arguments, by `modular.dims`. A
    dimension that is no symbolic expression is left to be read from the argument.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def PlanArenaPass : Pass<"graft-plan-arena", "::mlir::ModuleOp"> {
  let summary = "Give buffers whose size is known from the symbols a place in one arena";
  let description = [{
    Works on stage functions after bufferisation. Each `memref.alloc` whose size is computed from the symbols alone becomes a view into an
    arena that the host provides, at an offset that the host chooses: it knows the sizes of all buffers from the
    function `graft_shape.STAGE`, made here, and from `modular.buffers` between which operations each of them lives. Buffers inside sequential loops
    move out of them. What remains, because its size depends on data or because it belongs to a parallel iteration,
    stays a `memref.alloc`.
  }];
  let options = [
    Option<"instrumented", "instrumented", "bool", "false", "Leave every buffer an allocation, so that AddressSanitizer sees its bounds">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect", "::mlir::LLVM::LLVMDialect"];
}

def LowerStridedCopiesPass : Pass<"graft-lower-strided-copies", "::mlir::func::FuncOp"> {
  let summary = "Turn copies of buffers that are not contiguous into linalg";
  let description = [{
    A `memref.copy` between buffers with the identity layout becomes a `memcpy` later. Any other would become the call of a function that
    a library does not have.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def LowerExpandShapesPass : Pass<"graft-lower-expand-shapes"> {
  let summary = "Turn expanded views into sizes and strides";
  let description = [{
    A `memref.expand_shape` becomes a `memref.reinterpret_cast` whose sizes are those of `output_shape`. Upstream's `expand-strided-metadata`
    computes them from the source instead, and crashes where a group has two that are dynamic.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect"];
}

def OutlineParallelPass : Pass<"graft-outline-parallel", "::mlir::ModuleOp"> {
  let summary = "Turn outermost parallel loops into functions that the host runs on its threads";
  let description = [{
    The body of an outermost `scf.parallel` becomes a function over a range of its linearised iterations, and a second function,
    marked `modular.fork`, stands for running it on the host's threads; `graft-lower-forks` gives that one its body. A loop with
    little work calls the first directly. Parallel loops inside another, and those that reduce, become sequential. Every function gets
    the host as its first argument.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::scf::SCFDialect", "::mlir::LLVM::LLVMDialect"];
}

def LowerHostCallsPass : Pass<"graft-lower-host-calls", "::mlir::ModuleOp"> {
  let summary = "Take memory from the host and report failures to it";
  let description = [{
    A `memref.alloc` with a small static size becomes an `alloca` of its function, any other a call of the host's `allocate`, with a `release` at
    the end of the iteration that it belongs to. `dispatch.check` calls the host's `fail` when its condition
    does not hold, and ends the function: sizes that do not fit are not computed with. In a loop or a branch the code goes on, with
    indices that are safe. `dispatch.exchange` calls the host's `route`, or `route_within`, if there is one.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::LLVM::LLVMDialect"];
}

def ExpandMathPass : Pass<"graft-expand-math"> {
  let summary = "Compute mathematical functions without a library of them";
  let description = [{
    Functions of `math` become polynomials on scalars and vectors alike, and remainders of floating-point divisions become arithmetic:
    a library may not depend on libm, whose functions are scalar besides.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def StageEntriesPass : Pass<"graft-stage-entries", "::mlir::ModuleOp"> {
  let summary = "Add the C function that runs a stage";
  let description = [{
    `graft_run.STAGE` unpacks the arrays of the ABI between library and host into the arguments of the stage function, which
    becomes private. Its attributes `modular.parameters` and `modular.buffers` are what the manifest says about the stage.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect", "::mlir::LLVM::LLVMDialect"];
}

def LowerForksPass : Pass<"graft-lower-forks", "::mlir::ModuleOp"> {
  let summary = "Pack a parallel loop's captured values and hand it to the host";
  let description = [{
    On the LLVM dialect. A function marked `modular.fork` stores its arguments on the stack and calls the host's `parallel_for` with a function that
    loads them and calls the loop's body. Where the host had no memory to give, the function that asked returns.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // GRAFT_CODEGEN_CPU_CODEGENPASSES_TD
