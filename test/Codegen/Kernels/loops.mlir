// RUN: %graft-opt %s --convert-dispatch-to-loops --convert-linalg-to-loops --convert-scf-to-cf --expand-strided-metadata --lower-affine --convert-math-to-libm --convert-to-llvm --reconcile-unrealized-casts | mlir-runner -e main -entry-point-result=void -shared-libs=%llvm_lib_dir/libmlir_c_runner_utils.so -shared-libs=%llvm_lib_dir/libmlir_runner_utils.so | FileCheck %s
func.func private @printMemrefF32(memref<*xf32>)
func.func private @printMemrefI32(memref<*xi32>)

memref.global "private" constant @x : memref<2x3xf32> = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>
memref.global "private" constant @w : memref<3x2xf32> = dense<[[1.0, 0.5], [0.0, 1.0], [2.0, -1.0]]>
// The same in panels of 4 columns.
memref.global "private" constant @p : memref<1x3x4xf32> = dense<[[[1.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [2.0, -1.0, 0.0, 0.0]]]>
memref.global "private" constant @bias : memref<2xf32> = dense<[10.0, 20.0]>
memref.global "private" constant @q : memref<1x3x1x2xf32> = dense<[[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]]>
memref.global "private" constant @keep : memref<1x1x1x3xi1> = dense<[[[[true, false, true]]]]>

// Row 0 takes modules 1 and 0, row 1 module 1 alone, row 2 none, row 3 module 1 twice.
memref.global "private" constant @keys : memref<4x2xi64> = dense<[[1, 0], [1, -1], [2, 9223372036854775807], [1, 1]]>
memref.global "private" constant @rows : memref<4x2xf32> = dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]>
memref.global "private" constant @w0 : memref<2x3xf32> = dense<[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]>
memref.global "private" constant @w1 : memref<2x3xf32> = dense<[[2.0, 0.0, 0.0], [0.0, 2.0, 1.0]]>
memref.global "private" constant @b0 : memref<3xf32> = dense<[0.5, 0.5, 0.5]>
memref.global "private" constant @b1 : memref<3xf32> = dense<[100.0, 200.0, 300.0]>
memref.global "private" constant @shares : memref<4x2xf32> = dense<[[0.5, 2.0], [1.0, 7.0], [7.0, 7.0], [0.25, 0.75]]>

func.func @mixture() {
  %keys = memref.get_global @keys : memref<4x2xi64>
  %rows = memref.get_global @rows : memref<4x2xf32>
  %w0 = memref.get_global @w0 : memref<2x3xf32>
  %w1 = memref.get_global @w1 : memref<2x3xf32>
  %b0 = memref.get_global @b0 : memref<3xf32>
  %b1 = memref.get_global @b1 : memref<3xf32>
  %shares = memref.get_global @shares : memref<4x2xf32>
  %order = memref.alloc() : memref<8xi32>
  %offsets = memref.alloc() : memref<3xi32>
  %position = memref.alloc() : memref<4x2xi32>
  dispatch.plan ins(%keys : memref<4x2xi64>) outs(%order, %offsets, %position : memref<8xi32>, memref<3xi32>, memref<4x2xi32>)
  // CHECK: [1,  0,  2,  6,  7,  0,  0,  0]
  // CHECK: [0,  1,  5]
  // CHECK: [1,   0]
  // CHECK-NEXT: [2,   -1]
  // CHECK-NEXT: [-1,   -1]
  // CHECK-NEXT: [3,   4]
  %uo = memref.cast %order : memref<8xi32> to memref<*xi32>
  call @printMemrefI32(%uo) : (memref<*xi32>) -> ()
  %uf = memref.cast %offsets : memref<3xi32> to memref<*xi32>
  call @printMemrefI32(%uf) : (memref<*xi32>) -> ()
  %up = memref.cast %position : memref<4x2xi32> to memref<*xi32>
  call @printMemrefI32(%up) : (memref<*xi32>) -> ()

  // What no slot takes stays as it was.
  %c9 = arith.constant 9.0 : f32
  %h = memref.alloc() : memref<8x3xf32>
  linalg.fill ins(%c9 : f32) outs(%h : memref<8x3xf32>)
  dispatch.segmented_matmul ins(%rows : memref<4x2xf32>) order(%order : memref<8xi32>) slots 2 offsets(%offsets : memref<3xi32>)
      weights(%w0, %w1 : memref<2x3xf32>, memref<2x3xf32>) segment_extras(%b0, %b1 : memref<3xf32>, memref<3xf32>)
      outs(%h : memref<8x3xf32>) epilogue {
  ^bb0(%s: f32, %b: f32):
    %0 = arith.addf %s, %b : f32
    dispatch.yield %0 : f32
  }
  // CHECK: [1.5,   2.5,   3.5]
  // CHECK-NEXT: [102,   204,   302]
  // CHECK-NEXT: [106,   208,   304]
  // CHECK-NEXT: [114,   216,   308]
  // CHECK-NEXT: [114,   216,   308]
  // CHECK-NEXT: [9,   9,   9]
  %uh = memref.cast %h : memref<8x3xf32> to memref<*xf32>
  call @printMemrefF32(%uh) : (memref<*xf32>) -> ()

  // Without an order the rows are read as they lie.
  %g = memref.alloc() : memref<8x2xf32>
  linalg.fill ins(%c9 : f32) outs(%g : memref<8x2xf32>)
  dispatch.gather ins(%rows : memref<4x2xf32>) order(%order : memref<8xi32>) slots 2 offsets(%offsets : memref<3xi32>) outs(%g : memref<8x2xf32>)
  // CHECK: [1,   2]
  // CHECK-NEXT: [1,   2]
  // CHECK-NEXT: [3,   4]
  // CHECK-NEXT: [7,   8]
  // CHECK-NEXT: [7,   8]
  // CHECK-NEXT: [9,   9]
  %ug = memref.cast %g : memref<8x2xf32> to memref<*xf32>
  call @printMemrefF32(%ug) : (memref<*xf32>) -> ()
  dispatch.segmented_matmul ins(%g : memref<8x2xf32>) offsets(%offsets : memref<3xi32>) weights(%w0, %w1 : memref<2x3xf32>, memref<2x3xf32>)
      outs(%h : memref<8x3xf32>)
  // CHECK: [1,   2,   3]
  // CHECK-NEXT: [2,   4,   2]
  call @printMemrefF32(%uh) : (memref<*xf32>) -> ()

  %y = memref.alloc() : memref<4x3xf32>
  %uy = memref.cast %y : memref<4x3xf32> to memref<*xf32>
  dispatch.combine ins(%h : memref<8x3xf32>) position(%position : memref<4x2xi32>) weights(%shares : memref<4x2xf32>) outs(%y : memref<4x3xf32>)
  // CHECK: [3,   6,   7]
  // CHECK-NEXT: [6,   8,   4]
  // CHECK-NEXT: [0,   0,   0]
  // CHECK-NEXT: [14,   16,   8]
  call @printMemrefF32(%uy) : (memref<*xf32>) -> ()
  dispatch.combine ins(%h : memref<8x3xf32>) position(%position : memref<4x2xi32>) outs(%y : memref<4x3xf32>)
  // CHECK: [3,   6,   5]
  call @printMemrefF32(%uy) : (memref<*xf32>) -> ()
  return
}

func.func @main() {
  call @mixture() : () -> ()
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
