//===- GpuPasses.td - From stage functions to kernels of a GPU ---*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_GPU_GPUPASSES_TD
#define GRAFT_CODEGEN_GPU_GPUPASSES_TD

include "mlir/Pass/PassBase.td"

def CopyForDevicePass : Pass<"graft-copy-for-device", "::mlir::ModuleOp"> {
  let summary = "Copy each stage function for the device";
  let description = [{
    Precondition: stage functions on tensors. Beside each stage function `@NAME` stands `@NAME.cuda` afterwards, the same but for the attribute
    `modular.device`: the first is for the CPU, the second for the GPU. Both read the same weights, in the same form.
  }];
}

def SinkChecksPass : Pass<"graft-sink-checks", "::mlir::func::FuncOp"> {
  let summary = "Check elements one by one where all are checked";
  let description = [{
    Precondition: bufferized, in a function with `modular.device`; others are left alone. A `dispatch.check` of what a reduction has and-ed over all elements
    moves to the elements: there is no sum to wait for.

    Before: `linalg.fill ins(%true) outs(%all)`, a `linalg.generic` that ands `%holds` of each element to `%all`, `dispatch.check` of `%all`
    After: loops over the elements with `dispatch.check %holds, …`

    Leaves alone: other checks.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def ParallelizeLoopsPass : Pass<"graft-parallelize-loops", "::mlir::func::FuncOp"> {
  let summary = "Make loops parallel whose iterations touch different elements";
  let description = [{
    Precondition: loops and memory accesses on memrefs, in a function with `modular.device`; others are left alone. An outermost `scf.for`
    without carried values whose bounds the host knows becomes an `scf.parallel` if each buffer that its body writes is accessed there through one memref alone, with the induction
    variable as index of one and the same dimension. Perfectly nested loops for which the same holds become further dimensions of it.

    Before: `scf.for %i … { scf.for %j … { memref.store %v, %m[%i, %j] } }`
    After: `scf.parallel (%i, %j) … { memref.store %v, %m[%i, %j] }`

    Leaves alone: loops that carry values, that write what other iterations may read, or that call something.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def FuseRowsPass : Pass<"graft-fuse-rows", "::mlir::func::FuncOp"> {
  let summary = "Loops over the same rows become one";
  let description = [{
    Precondition: parallel loops on memrefs, in a function with `modular.device`; others are left alone. Neighbours whose first dimensions are the same rows,
    whose other dimensions are few elements, and which share nothing between rows become one `scf.parallel` over the rows, in which what follows the
    first dimension are `scf.for` loops: the many small steps of a router are one kernel, with a thread a row. Their buffers of the arena, which may have
    taken each other's place, live as long as any of them (`modular.buffers`).

    Leaves alone: loops over long rows, whose elements are worth threads of their own.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def ConvertDispatchToDevicePass : Pass<"convert-dispatch-to-device", "::mlir::ModuleOp"> {
  let summary = "Dispatch ops become kernels of a GPU that are made for them";
  let description = [{
    Precondition: dispatch ops on memrefs, at the top of functions with `modular.device`. Each becomes a kernel of `gpu.module @device` and a launch:

    * `dispatch.matmul`, `dispatch.segmented_matmul`: blocks of threads take tiles of rows and columns; copies of the next pieces of both factors into
      the block's memory run (`nvvm.cp.async`) while `nvvm.mma.sync` multiplies those that are there, f32 as three products of tf32. Of a segmented
      product, a block finds the tiles of all segments from the plan's offsets, and gathers rows by the plan's order as it copies them: there
      is one kernel however many modules, whose weights are found by their slots in the stage's parameters. The epilogue is computed on the sums in
      registers. Few rows get a kernel with few rows a tile, chosen by the host where the number of rows is known; the sums are the same in both.
    * `dispatch.plan`: one block sorts; each warp counts the slots of its part, and puts them where the counts of the modules and the warps before say.
    * `dispatch.softmax`, `dispatch.layer_norm`: a warp has a row. Its lanes add up every 32nd element and then their sums, in an order that
      depends on the row's length alone; rows whose length is known to be small are read once, into registers.
    * `dispatch.attention`: a block has rows of the query heads that share a head of keys, and goes through the keys and values in its memory, 64 at a
      time, with the greatest score and the sum so far. Warps have several rows each where there are enough for all processors, which the host
      finds out; a row's bits are the same in both kernels.

    Softmax, norms and attention may be of f16 and bf16, and are computed in f32.

    Leaves alone, for `convert-dispatch-to-loops`: other ops and element types, weights that are not packed or not the stage's parameters, factors with
    gaps between their rows, weights of different sizes, more modules than the block's memory has counters for, heads whose size is not known or
    too large for the block's memory or a thread's registers.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect", "::mlir::NVVM::NVVMDialect", "::mlir::LLVM::LLVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect"];
}

def PlaceOnDevicePass : Pass<"graft-place-on-device", "::mlir::ModuleOp"> {
  let summary = "Turn what a device's stage functions compute into kernels";
  let description = [{
    Precondition: stage functions with `modular.device`, bufferized, with their loops parallel. All memory is the device's but for the offsets of
    buffers. Each top-level `scf.parallel` becomes a kernel of `gpu.module @device` with a thread an iteration, and what else touches memory, in
    maximal runs, a kernel of one thread; a `gpu.launch_func` takes the place of each. What only computes sizes and addresses stays. A kernel's arguments
    are pointers and numbers: of a memref what is not static. A `dispatch.check` puts the number of its message, by `modular.checks` of the module, into the
    host's status word if it is the first that fails. One of sizes alone stays with the host, and ends the run. `dispatch.exchange` goes: nobody looks at the routes of such a run.

    A stage that has something without a place there (memory whose size depends on data, a number of the device that sizes depend on) is erased; its
    function for the CPU gets the attribute `modular.on_host` with the reason.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::arith::ArithDialect",
                           "::mlir::LLVM::LLVMDialect"];
}

def MergeKernelsPass : Pass<"graft-merge-kernels", "::mlir::ModuleOp"> {
  let summary = "Kernels that are the same become one";
  let description = [{
    Precondition: kernels of `gpu.module @device`, whose own memory is named after them, and launches. Of kernels that differ in nothing but their
    names one is left, which all launches name: layers of one shape share theirs, and a driver has less to translate.

    Leaves alone: kernels with tables of their own that differ.
  }];
}

def LowerLaunchesPass : Pass<"graft-lower-launches", "::mlir::ModuleOp"> {
  let summary = "Ask the host to launch kernels";
  let description = [{
    Precondition: `gpu.launch_func`s of `@device`, of one dimension, in functions whose first argument is the host. Each becomes a call of the host's
    `launch` with the kernel's number, which is its place in the `gpu.module`. The host remembers a failure, and launches nothing after it.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect"];
}

def ConvertKernelsToNvvmPass : Pass<"convert-kernels-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Lower kernels to the LLVM and NVVM dialects";
  let description = [{
    Precondition: kernels without structured control flow, of `gpu`, `arith`, `math`, `memref`, `cf`, `llvm` and `nvvm` ops. As upstream's
    `convert-gpu-to-nvvm`, but that functions of `math` that are left (`graft-expand-math` computes the rest) become instructions, never calls of a
    library of the CUDA toolkit's, which would have to be there.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::memref::MemRefDialect", "::mlir::cf::ControlFlowDialect"];
}

#endif // GRAFT_CODEGEN_GPU_GPUPASSES_TD
