// RUN: %graft-opt %s --convert-dispatch-to-device | FileCheck %s

// The host chooses: four rows a warp, or one where that leaves processors without work.
// CHECK-LABEL: func.func @attention(
// CHECK: llvm.ptrtoint
// CHECK: arith.cmpi uge
// CHECK: scf.if
// CHECK: gpu.launch_func @device::@attention_attention_[[#MANY:]]
// CHECK: else
// CHECK: gpu.launch_func @device::@attention_attention_[[#FEW:]]
// CHECK-NOT: dispatch
func.func @attention(%q: memref<?x?x12x64xf32>, %k: memref<?x4x64x?xf32>, %v: memref<?x?x4x64xf32>, %m: memref<?x1x1x?xi1>, %o: memref<?x?x12x64xf32>)
    attributes {modular.device} {
  dispatch.attention ins(%q, %k, %v : memref<?x?x12x64xf32>, memref<?x4x64x?xf32>, memref<?x?x4x64xf32>) mask(%m : memref<?x1x1x?xi1>)
      outs(%o : memref<?x?x12x64xf32>)
      {scale = 0.125 : f32, causal, q_layout = "bshd", k_layout = "bhds", v_layout = "bshd", out_layout = "bshd"}
  return
}

// Large heads leave room for fewer rows, for one at last; then there is no choice.
// CHECK-LABEL: func.func @large(
// CHECK: scf.if
// CHECK: else
// CHECK: gpu.launch_func
// CHECK: {{^    }}}
// CHECK-NOT: scf.if
// CHECK: gpu.launch_func @device::@large_attention_[[#ONLY:]]
// CHECK-NEXT: dispatch.attention
// CHECK-NEXT: dispatch.attention
// CHECK-NEXT: dispatch.attention
func.func @large(%a: memref<?x4x?x256xf16>, %b: memref<?x4x?x512xf32>, %c: memref<?x4x?x1024xf32>, %d: memref<?x4x?x?xf32>, %e: memref<?x4x?x64xf64>)
    attributes {modular.device} {
  dispatch.attention ins(%a, %a, %a : memref<?x4x?x256xf16>, memref<?x4x?x256xf16>, memref<?x4x?x256xf16>) outs(%a : memref<?x4x?x256xf16>)
      {scale = 0.125 : f32}
  dispatch.attention ins(%b, %b, %b : memref<?x4x?x512xf32>, memref<?x4x?x512xf32>, memref<?x4x?x512xf32>) outs(%b : memref<?x4x?x512xf32>)
      {scale = 0.125 : f32}
  // Too large, of a size that only the run knows, and of a type that sums of f32 are too coarse for.
  dispatch.attention ins(%c, %c, %c : memref<?x4x?x1024xf32>, memref<?x4x?x1024xf32>, memref<?x4x?x1024xf32>) outs(%c : memref<?x4x?x1024xf32>)
      {scale = 0.125 : f32}
  dispatch.attention ins(%d, %d, %d : memref<?x4x?x?xf32>, memref<?x4x?x?xf32>, memref<?x4x?x?xf32>) outs(%d : memref<?x4x?x?xf32>)
      {scale = 0.125 : f32}
  dispatch.attention ins(%e, %e, %e : memref<?x4x?x64xf64>, memref<?x4x?x64xf64>, memref<?x4x?x64xf64>) outs(%e : memref<?x4x?x64xf64>)
      {scale = 0.125 : f32}
  return
}

// CHECK: gpu.module @device

// 4 rows a warp: 2 scores and 2 columns of a row for each lane, 8 sums at a time.
// CHECK: gpu.func @attention_attention_[[#MANY]](
// CHECK: gpu.barrier
// CHECK: iter_args({{.*}}) -> (f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32)
// CHECK: gpu.barrier
// CHECK: gpu.barrier
// CHECK-COUNT-32: math.fma
// CHECK-NOT: math.fma
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: math.exp
// CHECK: gpu.barrier
// CHECK: gpu.barrier
// CHECK-COUNT-32: math.fma
// CHECK: gpu.return

// CHECK: gpu.func @attention_attention_[[#FEW]](
// CHECK-COUNT-8: math.fma
// CHECK: gpu.return

// Of 512 elements a head, 64 at a time.
// CHECK: gpu.func @large_attention_[[#ONLY]](
// CHECK-COUNT-33: gpu.barrier
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
