// RUN: %graft-opt %s --convert-dispatch-to-loops --convert-scf-to-cf --expand-strided-metadata --lower-affine --convert-math-to-libm --convert-to-llvm --reconcile-unrealized-casts | mlir-runner -e main -entry-point-result=void -shared-libs=%llvm_lib_dir/libmlir_c_runner_utils.so -shared-libs=%llvm_lib_dir/libmlir_runner_utils.so | FileCheck %s
func.func private @printMemrefF32(memref<*xf32>)

memref.global "private" constant @x : memref<2x3xf32> = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
memref.global "private" constant @w : memref<3x2xf32> = dense<[[1.0, 0.5], [0.0, 1.0], [2.0, -1.0]]>
// The same in panels of 4 columns.
memref.global "private" constant @p : memref<1x3x4xf32> = dense<[[[1.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [2.0, -1.0, 0.0, 0.0]]]>
memref.global "private" constant @bias : memref<2xf32> = dense<[10.0, 20.0]>
memref.global "private" constant @q : memref<1x3x1x2xf32> = dense<[[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]]>
memref.global "private" constant @keep : memref<1x1x1x3xi1> = dense<[[[[true, false, true]]]]>

func.func @main() {
  %x = memref.get_global @x : memref<2x3xf32>
  %w = memref.get_global @w : memref<3x2xf32>
  %p = memref.get_global @p : memref<1x3x4xf32>
  %bias = memref.get_global @bias : memref<2xf32>
  %y = memref.alloc() : memref<2x2xf32>
  %u = memref.cast %y : memref<2x2xf32> to memref<*xf32>
  // CHECK: [7,   -0.5]
  // CHECK-NEXT: [16,   1]
  dispatch.matmul ins(%x : memref<2x3xf32>) weights(%w : memref<3x2xf32>) outs(%y : memref<2x2xf32>)
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  // CHECK: [24,   19]
  // CHECK-NEXT: [42,   22]
  dispatch.matmul ins(%x, %x : memref<2x3xf32>, memref<2x3xf32>) weights(%p, %w : memref<1x3x4xf32>, memref<3x2xf32>) extras(%bias : memref<2xf32>)
      outs(%y : memref<2x2xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    dispatch.yield %0 : f32
  }
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  // CHECK: [14,   32]
  // CHECK-NEXT: [32,   77]
  dispatch.batch_matmul ins(%x, %x : memref<2x3xf32>, memref<2x3xf32>) outs(%y : memref<2x2xf32>) {transpose_b}
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()

  %s = memref.alloc() : memref<2x3xf32>
  %v = memref.cast %s : memref<2x3xf32> to memref<*xf32>
  // CHECK: [0.0900306,   0.244728,   0.665241]
  // CHECK-NEXT: [0.0900306,   0.244728,   0.665241]
  dispatch.softmax ins(%x : memref<2x3xf32>) outs(%s : memref<2x3xf32>)
  call @printMemrefF32(%v) : (memref<*xf32>) -> ()
  // CHECK: [-1.22474,   0,   1.22474]
  // CHECK-NEXT: [-1.22474,   0,   1.22474]
  dispatch.layer_norm ins(%x : memref<2x3xf32>) residual(%x : memref<2x3xf32>) outs(%s : memref<2x3xf32>) {epsilon = 0.0 : f32}
  call @printMemrefF32(%v) : (memref<*xf32>) -> ()
  // CHECK: [0.46291,   0.92582,   1.38873]
  // CHECK-NEXT: [0.789542,   0.986928,   1.18431]
  dispatch.layer_norm ins(%x : memref<2x3xf32>) outs(%s : memref<2x3xf32>) {epsilon = 0.0 : f32, rms}
  call @printMemrefF32(%v) : (memref<*xf32>) -> ()

  // Query 0 sees key 0 alone, query 2 sees keys 0 and 2, of which it prefers the second.
  %q = memref.get_global @q : memref<1x3x1x2xf32>
  %keep = memref.get_global @keep : memref<1x1x1x3xi1>
  %o = memref.alloc() : memref<1x1x3x2xf32>
  %t = memref.cast %o : memref<1x1x3x2xf32> to memref<*xf32>
  // CHECK: [1,   0]
  // CHECK-NEXT: [1,   0]
  // CHECK-NEXT: [1,   0.731059]
  dispatch.attention ins(%q, %q, %q : memref<1x3x1x2xf32>, memref<1x3x1x2xf32>, memref<1x3x1x2xf32>) mask(%keep : memref<1x1x1x3xi1>)
      outs(%o : memref<1x1x3x2xf32>) {scale = 1.0 : f32, causal, q_layout = "bshd", k_layout = "bshd", v_layout = "bshd"}
  call @printMemrefF32(%t) : (memref<*xf32>) -> ()
  return
}
