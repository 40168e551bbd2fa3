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

// CHECK-LABEL: func @mixture
func.func @mixture(%x: tensor<?x512xf32>, %keys: tensor<?x2xi64>, %w0: tensor<64x512x32xf32>, %w1: tensor<64x512x32xf32>, %b0: tensor<2048xf32>,
                   %b1: tensor<2048xf32>, %s: f32, %w: tensor<?x2xf32>, %o: tensor<?xi32>, %f: tensor<3xi32>, %p: tensor<?x2xi32>,
                   %g: tensor<?x512xf32>, %h: tensor<?x2048xf32>, %y: tensor<?x2048xf32>) -> (tensor<?x2048xf32>, tensor<?x2048xf32>) {
  // CHECK: %[[P:.*]]:3 = dispatch.plan ins(%{{[^ ]+}} : tensor<?x2xi64>) outs(%{{[^ ]+}}, %{{[^ ]+}}, %{{[^ ]+}} : tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>) -> tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>
  %order, %offsets, %position = dispatch.plan ins(%keys : tensor<?x2xi64>) outs(%o, %f, %p : tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>)
      -> tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>
  // CHECK: dispatch.gather ins(%{{[^ ]+}} : tensor<?x512xf32>) order(%[[P]]#0 : tensor<?xi32>) slots 2 offsets(%[[P]]#1 : tensor<3xi32>) outs(%{{[^ ]+}} : tensor<?x512xf32>) -> tensor<?x512xf32>
  %rows = dispatch.gather ins(%x : tensor<?x512xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
      outs(%g : tensor<?x512xf32>) -> tensor<?x512xf32>
  // CHECK: dispatch.segmented_matmul ins(%{{[^ ]+}} : tensor<?x512xf32>) order(%[[P]]#0 : tensor<?xi32>) slots 2 offsets(%[[P]]#1 : tensor<3xi32>)
  // CHECK-SAME: weights(%{{[^ ]+}}, %{{[^ ]+}} : tensor<64x512x32xf32>, tensor<64x512x32xf32>) extras(%{{[^ ]+}}, %{{[^ ]+}} : f32, tensor<?x2048xf32>)
  // CHECK-SAME: segment_extras(%{{[^ ]+}}, %{{[^ ]+}} : tensor<2048xf32>, tensor<2048xf32>) outs(%{{[^ ]+}} : tensor<?x2048xf32>) epilogue {
  // CHECK-NEXT: ^bb0(%[[SUM:.*]]: f32, %{{[^ ]+}}: f32, %{{[^ ]+}}: f32, %[[BIAS:.*]]: f32):
  // CHECK-NEXT: arith.addf %[[SUM]], %[[BIAS]]
  // CHECK: } -> tensor<?x2048xf32>
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x512xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
      weights(%w0, %w1 : tensor<64x512x32xf32>, tensor<64x512x32xf32>) extras(%s, %h : f32, tensor<?x2048xf32>)
      segment_extras(%b0, %b1 : tensor<2048xf32>, tensor<2048xf32>) outs(%h : tensor<?x2048xf32>) epilogue {
  ^bb0(%sum: f32, %c: f32, %e: f32, %bias: f32):
    %1 = arith.addf %sum, %bias : f32
    %2 = arith.mulf %1, %c : f32
    %3 = arith.mulf %2, %e : f32
    dispatch.yield %3 : f32
  } -> tensor<?x2048xf32>
  // CHECK: dispatch.combine ins(%{{[^ ]+}} : tensor<?x2048xf32>) position(%[[P]]#2 : tensor<?x2xi32>) weights(%{{[^ ]+}} : tensor<?x2xf32>) outs(%{{[^ ]+}} : tensor<?x2048xf32>) -> tensor<?x2048xf32>
  %4 = dispatch.combine ins(%0 : tensor<?x2048xf32>) position(%position : tensor<?x2xi32>) weights(%w : tensor<?x2xf32>) outs(%y : tensor<?x2048xf32>)
      -> tensor<?x2048xf32>
  // CHECK: dispatch.combine ins(%{{[^ ]+}} : tensor<?x2048xf32>) position(%[[P]]#2 : tensor<?x2xi32>) outs(
  %5 = dispatch.combine ins(%0 : tensor<?x2048xf32>) position(%position : tensor<?x2xi32>) outs(%y : tensor<?x2048xf32>) -> tensor<?x2048xf32>
  return %4, %5 : tensor<?x2048xf32>, tensor<?x2048xf32>
}

// CHECK-LABEL: func @segmented_buffers
func.func @segmented_buffers(%x: memref<?x10xf32>, %offsets: memref<2xi32>, %w: memref<40x10xf32>, %y: memref<?x40xf32>) {
  // CHECK: dispatch.segmented_matmul ins(%{{[^ ]+}} : memref<?x10xf32>) offsets(%{{[^ ]+}} : memref<2xi32>) weights(%{{[^ ]+}} : memref<40x10xf32>) outs(%{{[^ ]+}} : memref<?x40xf32>) {transposed}
  // CHECK-NOT: epilogue
  dispatch.segmented_matmul ins(%x : memref<?x10xf32>) offsets(%offsets : memref<2xi32>) weights(%w : memref<40x10xf32>) outs(%y : memref<?x40xf32>)
      {transposed}
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

// CHECK-LABEL: func @exchange
// CHECK-SAME: %[[P:[a-z0-9]+]]: tensor<?xi64>, %[[N:[a-z0-9]+]]: index
func.func @exchange(%c: tensor<?x2xi64>, %w: tensor<?x2xf32>, %b: memref<?x2xi64>, %p: tensor<?xi64>, %n: index) -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  // CHECK: dispatch.exchange 3(%{{[^ ]+}}) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  %0 = dispatch.exchange 3(%c) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  // CHECK: dispatch.exchange 3(%{{[^ ]+}}, %{{[^ ]+}}) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  %1:2 = dispatch.exchange 3(%0, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  // CHECK: dispatch.exchange 4(%{{[^ ]+}}) : (memref<?x2xi64>) -> ()
  dispatch.exchange 4(%b) : (memref<?x2xi64>) -> ()
  // CHECK: dispatch.exchange 5(%{{[^ ]+}}) at %[[P]] of %[[N]] : (tensor<?x2xi64>, tensor<?xi64>, index) -> tensor<?x2xi64>
  %2 = dispatch.exchange 5(%c) at %p of %n : (tensor<?x2xi64>, tensor<?xi64>, index) -> tensor<?x2xi64>
  // CHECK: dispatch.exchange 5(%{{[^ ]+}}, %{{[^ ]+}}) at %[[P]] of %[[N]] : (tensor<?x2xi64>, tensor<?x2xf32>, tensor<?xi64>, index) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  %3:2 = dispatch.exchange 5(%2, %w) at %p of %n : (tensor<?x2xi64>, tensor<?x2xf32>, tensor<?xi64>, index) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  return %1#0, %1#1 : tensor<?x2xi64>, tensor<?x2xf32>
}
