// RUN: %graft-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s

// The destination is filled where it is; nothing is copied, no argument is written.
// CHECK-LABEL: func @chain
// CHECK-SAME: (%[[X:.*]]: memref<?x384xf32>, %[[W:.*]]: memref<12x384x32xf32>, %[[G:.*]]: memref<384xf32>
func.func @chain(%x: tensor<?x384xf32> {bufferization.writable = false}, %w: tensor<12x384x32xf32> {bufferization.writable = false},
                 %g: tensor<384xf32> {bufferization.writable = false}, %n: index) -> tensor<?x384xf32> {
  // CHECK-NOT: copy
  // CHECK: %[[A:.*]] = memref.alloc
  // CHECK: dispatch.matmul ins(%[[X]] : memref<?x384xf32>) weights(%[[W]] : memref<12x384x32xf32>) extras(%[[G]] : memref<384xf32>)
  // CHECK-SAME: outs(%[[A]] : memref<?x384xf32>) epilogue {
  // CHECK: %[[B:.*]] = memref.alloc
  // CHECK: dispatch.layer_norm ins(%[[A]] : memref<?x384xf32>) residual(%[[X]] : memref<?x384xf32>) outs(%[[B]] : memref<?x384xf32>)
  // CHECK-NOT: copy
  // CHECK: return %[[B]]
  %0 = tensor.empty(%n) : tensor<?x384xf32>
  %1 = dispatch.matmul ins(%x : tensor<?x384xf32>) weights(%w : tensor<12x384x32xf32>) extras(%g : tensor<384xf32>)
      outs(%0 : tensor<?x384xf32>) epilogue {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    dispatch.yield %s : f32
  } -> tensor<?x384xf32>
  %2 = tensor.empty(%n) : tensor<?x384xf32>
  %3 = dispatch.layer_norm ins(%1 : tensor<?x384xf32>) residual(%x : tensor<?x384xf32>) outs(%2 : tensor<?x384xf32>)
      {epsilon = 1.0e-5 : f32} -> tensor<?x384xf32>
  return %3 : tensor<?x384xf32>
}

// An init that is read later is not overwritten.
// CHECK-LABEL: func @shared_init
func.func @shared_init(%x: tensor<4x8xf32> {bufferization.writable = false}) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  // CHECK: %[[A:.*]] = memref.alloc
  // CHECK: dispatch.softmax ins(%{{.*}}) outs(%[[A]]
  // CHECK: %[[B:.*]] = memref.alloc
  // CHECK: dispatch.softmax ins(%[[A]] : memref<4x8xf32>) outs(%[[B]]
  // CHECK: return %[[A]], %[[B]]
  %0 = tensor.empty() : tensor<4x8xf32>
  %1 = dispatch.softmax ins(%x : tensor<4x8xf32>) outs(%0 : tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = dispatch.softmax ins(%1 : tensor<4x8xf32>) outs(%1 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1, %2 : tensor<4x8xf32>, tensor<4x8xf32>
}

// All three tensors of a plan are filled in place; a segment's product reads and writes no copy.
// CHECK-LABEL: func @mixture
// CHECK-SAME: (%[[KEYS:.*]]: memref<?x2xi64>, %[[X:.*]]: memref<?x8xf32>, %[[W0:.*]]: memref<8x4xf32>, %[[W1:.*]]: memref<8x4xf32>
func.func @mixture(%keys: tensor<?x2xi64> {bufferization.writable = false}, %x: tensor<?x8xf32> {bufferization.writable = false},
                   %w0: tensor<8x4xf32> {bufferization.writable = false}, %w1: tensor<8x4xf32> {bufferization.writable = false},
                   %rows: index, %all: index) -> tensor<?x4xf32> {
  // CHECK-NOT: copy
  // CHECK-DAG: %[[O:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?xi32>
  // CHECK-DAG: %[[F:.*]] = memref.alloc() {{.*}} : memref<3xi32>
  // CHECK-DAG: %[[P:.*]] = memref.alloc({{.*}}) {{.*}} : memref<?x2xi32>
  // CHECK: dispatch.plan ins(%[[KEYS]] : memref<?x2xi64>) outs(%[[O]], %[[F]], %[[P]] : memref<?xi32>, memref<3xi32>, memref<?x2xi32>)
  %o = tensor.empty(%all) : tensor<?xi32>
  %f = tensor.empty() : tensor<3xi32>
  %p = tensor.empty(%rows) : tensor<?x2xi32>
  %order, %offsets, %position = dispatch.plan ins(%keys : tensor<?x2xi64>) outs(%o, %f, %p : tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>)
      -> tensor<?xi32>, tensor<3xi32>, tensor<?x2xi32>
  // CHECK: dispatch.segmented_matmul ins(%[[X]] : memref<?x8xf32>) order(%[[O]] : memref<?xi32>) slots 2 offsets(%[[F]] : memref<3xi32>) weights(%[[W0]], %[[W1]] :
  // CHECK-SAME: outs(%[[H:.*]] : memref<?x4xf32>)
  %h = tensor.empty(%all) : tensor<?x4xf32>
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
      weights(%w0, %w1 : tensor<8x4xf32>, tensor<8x4xf32>) outs(%h : tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: dispatch.combine ins(%[[H]] : memref<?x4xf32>) position(%[[P]] : memref<?x2xi32>) outs(%[[Y:.*]] : memref<?x4xf32>)
  // CHECK-NOT: copy
  // CHECK: return %[[Y]]
  %y = tensor.empty(%rows) : tensor<?x4xf32>
  %1 = dispatch.combine ins(%0 : tensor<?x4xf32>) position(%position : tensor<?x2xi32>) outs(%y : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// A route is changed in place, but not one that is the caller's, or read later as it was.
// CHECK-LABEL: func @exchange
// CHECK-SAME: (%[[C:.*]]: memref<?x2xi64>, %[[W:.*]]: memref<?x2xf32>
func.func @exchange(%c: tensor<?x2xi64> {bufferization.writable = false}, %w: tensor<?x2xf32> {bufferization.writable = true})
    -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  // CHECK: %[[OWN:.*]] = memref.alloc
  // CHECK: memref.copy %[[C]], %[[OWN]]
  // CHECK-NOT: copy
  // CHECK: dispatch.exchange 0(%[[OWN]], %[[W]]) : (memref<?x2xi64>, memref<?x2xf32>) -> ()
  // CHECK: return %[[OWN]], %[[W]]
  %0:2 = dispatch.exchange 0(%c, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  return %0#0, %0#1 : tensor<?x2xi64>, tensor<?x2xf32>
}

// The host knows of no gaps between rows.
// CHECK-LABEL: func @exchange_part
func.func @exchange_part(%c: tensor<?x4xi64> {bufferization.writable = true}, %n: index) -> tensor<?x2xi64> {
  // CHECK: %[[PART:.*]] = memref.subview
  // CHECK: %[[OWN:.*]] = memref.alloc({{.*}}) {{.*}}: memref<?x2xi64>
  // CHECK: memref.copy %[[PART]], %[[OWN]]
  // CHECK: dispatch.exchange 0(%[[OWN]]) : (memref<?x2xi64>) -> ()
  %part = tensor.extract_slice %c[0, 0] [%n, 2] [1, 1] : tensor<?x4xi64> to tensor<?x2xi64>
  %0 = dispatch.exchange 0(%part) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  return %0 : tensor<?x2xi64>
}

// Places are only read.
// CHECK-LABEL: func @exchange_within
// CHECK-SAME: (%[[C:.*]]: memref<?x2xi64>, %[[P:.*]]: memref<?xi64>, %[[N:.*]]: index)
func.func @exchange_within(%c: tensor<?x2xi64> {bufferization.writable = true}, %p: tensor<?xi64> {bufferization.writable = false}, %n: index)
    -> (tensor<?x2xi64>, tensor<?xi64>) {
  // CHECK-NOT: copy
  // CHECK: dispatch.exchange 0(%[[C]]) at %[[P]] of %[[N]] : (memref<?x2xi64>, memref<?xi64>, index) -> ()
  // CHECK: return %[[C]], %[[P]]
  %0 = dispatch.exchange 0(%c) at %p of %n : (tensor<?x2xi64>, tensor<?xi64>, index) -> tensor<?x2xi64>
  return %0, %p : tensor<?x2xi64>, tensor<?xi64>
}
