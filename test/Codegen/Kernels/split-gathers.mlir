// RUN: %graft-opt %s --graft-split-gathers --cse | FileCheck %s

// Two products that read the same rows in the same order share one gather.
// CHECK-LABEL: func @shared
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[O:.*]]: tensor<?xi32>, %[[F:.*]]: tensor<3xi32>, %[[W:.*]]: tensor<8x4xf32>, %[[V:.*]]: tensor<8x4xf32>
func.func @shared(%x: tensor<?x8xf32>, %order: tensor<?xi32>, %offsets: tensor<3xi32>, %w: tensor<8x4xf32>, %v: tensor<8x4xf32>,
                  %init: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: %[[T:.*]] = tensor.dim %[[O]]
  // CHECK: %[[E:.*]] = tensor.empty(%[[T]]) : tensor<?x8xf32>
  // CHECK: %[[G:.*]] = dispatch.gather ins(%[[X]] : tensor<?x8xf32>) order(%[[O]] : tensor<?xi32>) slots 2 offsets(%[[F]] : tensor<3xi32>) outs(%[[E]]
  // CHECK: dispatch.segmented_matmul ins(%[[G]] : tensor<?x8xf32>) offsets(%[[F]] : tensor<3xi32>) weights(%[[W]], %[[V]] :
  // CHECK-NOT: dispatch.gather
  // CHECK: dispatch.segmented_matmul ins(%[[G]] : tensor<?x8xf32>) offsets(%[[F]] : tensor<3xi32>) weights(%[[V]], %[[W]] :
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
      weights(%w, %v : tensor<8x4xf32>, tensor<8x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) order(%order : tensor<?xi32>) slots 2 offsets(%offsets : tensor<3xi32>)
      weights(%v, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%init : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// Rows that lie in order already are read where they are.
// CHECK-LABEL: func @in_order
// CHECK-NOT: dispatch.gather
func.func @in_order(%x: tensor<?x8xf32>, %offsets: tensor<2xi32>, %w: tensor<8x4xf32>, %init: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%offsets : tensor<2xi32>) weights(%w : tensor<8x4xf32>) outs(%init : tensor<?x4xf32>)
      -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
