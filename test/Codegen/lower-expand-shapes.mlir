// RUN: %graft-opt %s --graft-lower-expand-shapes --split-input-file | FileCheck %s
// Upstream's pass crashes on the first of these without ours.
// RUN: %graft-opt %s --graft-lower-expand-shapes --expand-strided-metadata --split-input-file | FileCheck %s --check-prefix=AFTER
// AFTER-COUNT-4: memref.reinterpret_cast
// AFTER-NOT: memref.expand_shape

// CHECK: #[[TIMES_96:.*]] = affine_map<()[s0] -> (s0 * 96)>
// CHECK-LABEL: func.func @two_dynamic_sizes(
// CHECK-SAME: %[[M:.*]]: memref<?x96xf32>, %[[A:.*]]: index, %[[B:.*]]: index)
// CHECK: %[[STRIDE:.*]] = affine.apply #[[TIMES_96]]()[%[[B]]]
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [%[[A]], %[[B]], 96], strides: [%[[STRIDE]], 96, 1]
func.func @two_dynamic_sizes(%m: memref<?x96xf32>, %a: index, %b: index) -> memref<?x?x96xf32> {
  %e = memref.expand_shape %m [[0, 1], [2]] output_shape [%a, %b, 96] : memref<?x96xf32> into memref<?x?x96xf32>
  return %e : memref<?x?x96xf32>
}

// -----

// CHECK: #[[TIMES:.*]] = affine_map<()[s0, s1] -> (s0 * s1)>
// CHECK-LABEL: func.func @strided(
// CHECK-SAME: %[[M:.*]]: memref<{{.*}}>, %[[A:.*]]: index, %[[B:.*]]: index)
// CHECK: %{{.*}}, %[[OFFSET:.*]], %{{.*}}:2, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata %[[M]]
// CHECK: %[[STRIDE:.*]] = affine.apply #[[TIMES]]()[%[[STRIDES]]#0, %[[B]]]
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [%[[OFFSET]]], sizes: [%[[A]], %[[B]], 4, 8], strides: [%[[STRIDE]], %[[STRIDES]]#0, 8, 1]
func.func @strided(%m: memref<?x32xf32, strided<[?, 1], offset: ?>>, %a: index, %b: index)
    -> memref<?x?x4x8xf32, strided<[?, ?, 8, 1], offset: ?>> {
  %e = memref.expand_shape %m [[0, 1], [2, 3]] output_shape [%a, %b, 4, 8]
    : memref<?x32xf32, strided<[?, 1], offset: ?>> into memref<?x?x4x8xf32, strided<[?, ?, 8, 1], offset: ?>>
  return %e : memref<?x?x4x8xf32, strided<[?, ?, 8, 1], offset: ?>>
}

// -----

// CHECK-LABEL: func.func @static(
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [5], sizes: [2, 3, 4], strides: [96, 32, 1]
func.func @static(%m: memref<6x4xf32, strided<[32, 1], offset: 5>>) -> memref<2x3x4xf32, strided<[96, 32, 1], offset: 5>> {
  %e = memref.expand_shape %m [[0, 1], [2]] output_shape [2, 3, 4]
    : memref<6x4xf32, strided<[32, 1], offset: 5>> into memref<2x3x4xf32, strided<[96, 32, 1], offset: 5>>
  return %e : memref<2x3x4xf32, strided<[96, 32, 1], offset: 5>>
}

// -----

// CHECK-LABEL: func.func @scalar(
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [1, 1], strides: [1, 1]
func.func @scalar(%m: memref<f32>) -> memref<1x1xf32> {
  %e = memref.expand_shape %m [] output_shape [1, 1] : memref<f32> into memref<1x1xf32>
  return %e : memref<1x1xf32>
}
