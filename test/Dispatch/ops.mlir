// RUN: %graft-opt %s | FileCheck %s
// RUN: %graft-opt %s --mlir-print-op-generic | %graft-opt | FileCheck %s

// CHECK-LABEL: func @matmul
func.func @matmul(%x: tensor<?x384xf32>, %z: tensor<?x16xf32>, %w: tensor<12x384x32xf32>, %b: tensor<384x16xf32>, %bias: tensor<384xf32>,
                  %r: tensor<?x384xf32>, %s: f32, %init: tensor<?x384xf32>) -> tensor<?x384xf32> {
  // CHECK: dispatch.matmul ins(%{{[^ ]+}}, %{{[^ ]+}} : tensor<?x384xf32>, tensor<?x16xf32>) weights(%{{[^ ]+}}, %{{[^ ]+}} : tensor<12x384x32xf32>, tensor<384x16xf32>)
  // CHECK-SAME: extras(%{{[^ ]+}}, %{{[^ ]+}}, %{{[^ ]+}} : tensor<384xf32>, tensor<?x384xf32>, f32)
  // CHECK-SAME: outs(%{{[^ ]+}} : tensor<?x384xf32>) {transposed = array<i1: false, true>} epilogue {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[N:.*]]: f32, %{{[^ ]+}}: f32, %{{[^ ]+}}: f32):
  // CHECK-NEXT: arith.addf %[[A]], %[[N]]
  // CHECK: dispatch.yield
  // CHECK-NEXT: } -> tensor<?x384xf32>
  %y = dispatch.matmul ins(%x, %z : tensor<?x384xf32>, tensor<?x16xf32>) weights(%w, %b : tensor<12x384x32xf32>, tensor<384x16xf32>)
      extras(%bias, %r, %s : tensor<384xf32>, tensor<?x384xf32>, f32) outs(%init : tensor<?x384xf32>) {transposed = array<i1: false, true>}
      epilogue {
  ^bb0(%a: f32, %n: f32, %m: f32, %c: f32):
    %0 = arith.addf %a, %n : f32
    %1 = arith.addf %0, %m : f32
    %2 = arith.mulf %1, %c : f32
    dispatch.yield %2 : f32
  } -> tensor<?x384xf32>
  return %y : tensor<?x384xf32>
}

// CHECK-LABEL: func @matmul_buffers
func.func @matmul_buffers(%x: memref<?x?x10xf32>, %w: memref<10x40xf32>, %y: memref<?x?x40xf32>) {
  // CHECK: dispatch.matmul ins(%{{[^ ]+}} : memref<?x?x10xf32>) weights(%{{[^ ]+}} : memref<10x40xf32>) outs(%{{[^ ]+}} : memref<?x?x40xf32>)
  // CHECK-NOT: epilogue
  dispatch.matmul ins(%x : memref<?x?x10xf32>) weights(%w : memref<10x40xf32>) outs(%y : memref<?x?x40xf32>)
  return
}

// CHECK-LABEL: func @batch_matmul
func.func @batch_matmul(%a: tensor<?x12x?x32xf32>, %b: tensor<1x12x?x32xf32>, %init: tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32> {
  // CHECK: dispatch.batch_matmul ins(%{{[^ ]+}}, %{{[^ ]+}} : tensor<?x12x?x32xf32>, tensor<1x12x?x32xf32>) outs(%{{[^ ]+}} : tensor<?x12x?x?xf32>) {transpose_b}
  %0 = dispatch.batch_matmul ins(%a, %b : tensor<?x12x?x32xf32>, tensor<1x12x?x32xf32>) outs(%init : tensor<?x12x?x?xf32>) {transpose_b}
      -> tensor<?x12x?x?xf32>
  return %0 : tensor<?x12x?x?xf32>
}

// CHECK-LABEL: func @attention
func.func @attention(%q: tensor<?x?x12x32xf32>, %k: tensor<?x?x4x32xf32>, %v: tensor<?x4x?x16xf32>, %m: tensor<?x1x1x?xi1>,
                     %init: tensor<?x?x12x16xf32>) -> tensor<?x?x12x16xf32> {
  // CHECK: dispatch.attention ins(%{{[^ ]+}}, %{{[^ ]+}}, %{{[^ ]+}} : tensor<?x?x12x32xf32>, tensor<?x?x4x32xf32>, tensor<?x4x?x16xf32>)
  // CHECK-SAME: mask(%{{[^ ]+}} : tensor<?x1x1x?xi1>) outs(%{{[^ ]+}} : tensor<?x?x12x16xf32>)
  // CHECK-SAME: {causal, k_layout = "bshd", out_layout = "bshd", q_layout = "bshd", scale = 1.250000e-01 : f32} -> tensor<?x?x12x16xf32>
  %0 = dispatch.attention ins(%q, %k, %v : tensor<?x?x12x32xf32>, tensor<?x?x4x32xf32>, tensor<?x4x?x16xf32>) mask(%m : tensor<?x1x1x?xi1>)
      outs(%init : tensor<?x?x12x16xf32>) {causal, scale = 0.125 : f32, q_layout = "bshd", k_layout = "bshd", out_layout = "bshd"}
      -> tensor<?x?x12x16xf32>
  return %0 : tensor<?x?x12x16xf32>
}

// CHECK-LABEL: func @softmax
func.func @softmax(%x: tensor<?x?xf32>, %m: tensor<?xf32>, %init: tensor<?x?xf32>) -> tensor<?x?xf32> {
  // CHECK: dispatch.softmax ins(%{{[^ ]+}} : tensor<?x?xf32>) mask(%{{[^ ]+}} : tensor<?xf32>) outs(%{{[^ ]+}} : tensor<?x?xf32>) {scale = 5.000000e-01 : f32}
  %0 = dispatch.softmax ins(%x : tensor<?x?xf32>) mask(%m : tensor<?xf32>) outs(%init : tensor<?x?xf32>) {scale = 0.5 : f32} -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// CHECK-LABEL: func @layer_norm
func.func @layer_norm(%x: tensor<?x384xf32>, %r: tensor<?x384xf32>, %g: tensor<384xf32>, %b: tensor<384xf32>, %init: tensor<?x384xf32>)
    -> tensor<?x384xf32> {
  // CHECK: dispatch.layer_norm ins(%{{[^ ]+}} : tensor<?x384xf32>) residual(%{{[^ ]+}} : tensor<?x384xf32>) weight(%{{[^ ]+}} : tensor<384xf32>)
  // CHECK-SAME: bias(%{{[^ ]+}} : tensor<384xf32>) outs(%{{[^ ]+}} : tensor<?x384xf32>) {epsilon = 9.99999996E-13 : f32} -> tensor<?x384xf32>
  %0 = dispatch.layer_norm ins(%x : tensor<?x384xf32>) residual(%r : tensor<?x384xf32>) weight(%g : tensor<384xf32>) bias(%b : tensor<384xf32>)
      outs(%init : tensor<?x384xf32>) {epsilon = 1.0e-12 : f32} -> tensor<?x384xf32>
  // CHECK: dispatch.layer_norm ins(%{{[^ ]+}} : tensor<?x384xf32>) outs(%{{[^ ]+}} : tensor<?x384xf32>) {epsilon = 1.000000e+00 : f32, rms}
  %1 = dispatch.layer_norm ins(%0 : tensor<?x384xf32>) outs(%init : tensor<?x384xf32>) {epsilon = 1.0 : f32, rms} -> tensor<?x384xf32>
  return %1 : tensor<?x384xf32>
}

// CHECK-LABEL: func @check
func.func @check(%c: i1) {
  // CHECK: dispatch.check %{{[^ ]+}}, "Gather: index out of range"
  dispatch.check %c, "Gather: index out of range"
  return
}
