// RUN: %graft-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// The weight times what is under each window: the result comes in ONNX's order.
// CHECK-DAG: #[[WINDOWS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d4 * 2 + d2, d5 * 2 + d3)>
// CHECK-LABEL: func.func @strided
// CHECK-SAME: %[[X:.*]]: tensor<2x3x8x8xf32>, %[[W:.*]]: tensor<5x3x3x3xf32>
// CHECK: %[[PADDED:.*]] = tensor.insert_slice %[[X]] into %{{.*}}[0, 0, 1, 1] [2, 3, 8, 8] [1, 1, 1, 1]
// CHECK: linalg.generic {indexing_maps = [#[[WINDOWS]], #{{.*}}]{{.*}} ins(%[[PADDED]] : {{.*}} outs(%{{.*}} : tensor<2x3x3x3x4x4xf32>)
// CHECK: dispatch.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<1x1x5x27xf32>, tensor<2x1x27x16xf32>)
// CHECK-NOT: transpose
// CHECK: arith.addf
func.func @strided(%x: tensor<2x3x8x8xf32>, %w: tensor<5x3x3x3xf32> {modular.slot = 0 : i64}, %b: tensor<5xf32>) -> tensor<2x5x4x4xf32> {
  %0 = onnx.Conv %x, %w, %b {pads = [1, 1, 1, 1], strides = [2, 2]} : (tensor<2x3x8x8xf32>, tensor<5x3x3x3xf32>, tensor<5xf32>) -> tensor<2x5x4x4xf32>
  return %0 : tensor<2x5x4x4xf32>
}

// -----

// A kernel of one element reads the input as it lies; groups are a batch dimension.
// CHECK-LABEL: func.func @pointwise
// CHECK-NOT: linalg.generic
// CHECK: dispatch.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<1x2x2x3xf32>, tensor<?x2x3x64xf32>)
func.func @pointwise(%x: tensor<?x6x8x8xf32>, %w: tensor<4x3x1x1xf32> {modular.slot = 0 : i64}) -> tensor<?x4x8x8xf32> {
  %0 = onnx.Conv %x, %w {group = 2 : i64} : (tensor<?x6x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<?x4x8x8xf32>
  return %0 : tensor<?x4x8x8xf32>
}

// -----

// CHECK-LABEL: func.func @transposed
// CHECK: arith.floordivsi
// CHECK: dispatch.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<1x1x12x6xf32>, tensor<1x1x12x11xf32>) {{.*}} {transpose_a}
func.func @transposed(%x: tensor<1x4x5xf32>, %w: tensor<4x6x3xf32> {modular.slot = 0 : i64}) -> tensor<1x6x11xf32> {
  %0 = onnx.ConvTranspose %x, %w {strides = [2]} : (tensor<1x4x5xf32>, tensor<4x6x3xf32>) -> tensor<1x6x11xf32>
  return %0 : tensor<1x6x11xf32>
}

// -----

// Channels that only the weight tells, as behind a padding that is computed.
// CHECK-LABEL: func.func @channels
// CHECK: dispatch.check %{{.*}}, "Conv: the input's channels are not the weight's"
// CHECK: tensor.cast %{{.*}} : tensor<?x?x8xf32> to tensor<?x6x8xf32>
// CHECK: dispatch.batch_matmul
func.func @channels(%x: tensor<?x?x8xf32>, %w: tensor<4x6x1xf32> {modular.slot = 0 : i64}) -> tensor<?x4x8xf32> {
  %0 = onnx.Conv %x, %w : (tensor<?x?x8xf32>, tensor<4x6x1xf32>) -> tensor<?x4x8xf32>
  return %0 : tensor<?x4x8xf32>
}
