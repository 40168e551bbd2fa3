// RUN: %graft-opt %s --pass-pipeline='builtin.module(gpu.module(convert-kernels-to-nvvm))' | FileCheck %s
// RUN: %graft-opt %s --pass-pipeline='builtin.module(gpu.module(graft-expand-math,convert-scf-to-cf,convert-kernels-to-nvvm))' | FileCheck %s --check-prefix=MATH --implicit-check-not=__nv_ --implicit-check-not=math.

// Instructions, no calls: those of the math dialect that the processor has, threads and blocks with the range that the block's size gives.
// CHECK-LABEL: gpu.module @device
// CHECK: llvm.mlir.global private constant @table(
// CHECK: llvm.func @kernel(%[[P:.*]]: !llvm.ptr, %[[N:.*]]: i64) attributes {
// CHECK-SAME: nvvm.kernel
// CHECK: %[[TID:.*]] = nvvm.read.ptx.sreg.tid.x range <i32, 0, 256>
// CHECK: %[[T:.*]] = llvm.sext %[[TID]] : i32 to i64
// CHECK: nvvm.read.ptx.sreg.ctaid.x
// CHECK: nvvm.read.ptx.sreg.ntid.x range <i32, 1, 257>
// CHECK: nvvm.read.ptx.sreg.nctaid.x
// CHECK: nvvm.barrier
// CHECK: llvm.mlir.addressof @table
// CHECK: %[[V:.*]] = llvm.load
// CHECK: %[[S:.*]] = llvm.intr.sqrt(%[[V]])
// CHECK: %[[F:.*]] = llvm.intr.fma(%[[S]], %[[V]], %[[V]])
// CHECK: %[[R:.*]] = llvm.intr.floor(%[[F]])
// CHECK: %[[OWN:.*]] = llvm.alloca
// CHECK: %[[WHERE:.*]] = llvm.getelementptr {{.*}}[%[[T]]]
// CHECK: llvm.store %[[R]], %[[WHERE]]
// CHECK: llvm.cond_br
// CHECK: llvm.return
// CHECK-NOT: {{(gpu.func|memref|arith|math|cf)[.]}}
gpu.module @device {
  memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
  gpu.func @kernel(%p: !llvm.ptr, %n: index) kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
    %t = gpu.thread_id x
    %b = gpu.block_id x
    %d = gpu.block_dim x
    %g = gpu.grid_dim x
    gpu.barrier
    %table = memref.get_global @table : memref<4xf32>
    %v = memref.load %table[%b] : memref<4xf32>
    %s = math.sqrt %v : f32
    %f = math.fma %s, %v, %v : f32
    %r = math.floor %f : f32
    %own = memref.alloca() : memref<2xf32>
    memref.store %r, %own[%t] : memref<2xf32>
    %i = arith.addi %d, %g : index
    %c = arith.cmpi ult, %i, %n : index
    cf.cond_br %c, ^bb1, ^bb2
  ^bb1:
    cf.br ^bb2
  ^bb2:
    gpu.return
  }
}

// After graft-expand-math none of them is a call of a library of the CUDA toolkit's.
// MATH-LABEL: gpu.module @functions
// MATH: llvm.func @single(
// MATH: llvm.func @half(
// MATH-NOT: llvm.func
gpu.module @functions {
  gpu.func @single(%p: !llvm.ptr) kernel {
    %v = llvm.load %p : !llvm.ptr -> f32
    %absf = math.absf %v : f32
    %acosh = math.acosh %absf : f32
    %asinh = math.asinh %acosh : f32
    %atan = math.atan %asinh : f32
    %atanh = math.atanh %atan : f32
    %ceil = math.ceil %atanh : f32
    %cos = math.cos %ceil : f32
    %cosh = math.cosh %cos : f32
    %erf = math.erf %cosh : f32
    %exp = math.exp %erf : f32
    %exp2 = math.exp2 %exp : f32
    %expm1 = math.expm1 %exp2 : f32
    %floor = math.floor %expm1 : f32
    %log = math.log %floor : f32
    %log1p = math.log1p %log : f32
    %log2 = math.log2 %log1p : f32
    %roundeven = math.roundeven %log2 : f32
    %rsqrt = math.rsqrt %roundeven : f32
    %sin = math.sin %rsqrt : f32
    %sinh = math.sinh %sin : f32
    %sqrt = math.sqrt %sinh : f32
    %tan = math.tan %sqrt : f32
    %tanh = math.tanh %tan : f32
    %trunc = math.trunc %tanh : f32
    %powf = math.powf %trunc, %v : f32
    %copysign = math.copysign %powf, %v : f32
    llvm.store %copysign, %p : f32, !llvm.ptr
    gpu.return
  }
  gpu.func @half(%p: !llvm.ptr) kernel {
    %v = llvm.load %p : !llvm.ptr -> f16
    %absf = math.absf %v : f16
    %acosh = math.acosh %absf : f16
    %asinh = math.asinh %acosh : f16
    %atan = math.atan %asinh : f16
    %atanh = math.atanh %atan : f16
    %ceil = math.ceil %atanh : f16
    %cos = math.cos %ceil : f16
    %cosh = math.cosh %cos : f16
    %erf = math.erf %cosh : f16
    %exp = math.exp %erf : f16
    %exp2 = math.exp2 %exp : f16
    %expm1 = math.expm1 %exp2 : f16
    %floor = math.floor %expm1 : f16
    %log = math.log %floor : f16
    %log1p = math.log1p %log : f16
    %log2 = math.log2 %log1p : f16
    %roundeven = math.roundeven %log2 : f16
    %rsqrt = math.rsqrt %roundeven : f16
    %sin = math.sin %rsqrt : f16
    %sinh = math.sinh %sin : f16
    %sqrt = math.sqrt %sinh : f16
    %tan = math.tan %sqrt : f16
    %tanh = math.tanh %tan : f16
    %trunc = math.trunc %tanh : f16
    %powf = math.powf %trunc, %v : f16
    %copysign = math.copysign %powf, %v : f16
    llvm.store %copysign, %p : f16, !llvm.ptr
    gpu.return
  }
}
