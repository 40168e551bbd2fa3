// RUN: %graft-opt %s --convert-onnx-to-linalg --canonicalize --split-input-file | FileCheck %s

// Exporters leave the batch of the caches at 1: all rows turn alike.
// CHECK-LABEL: func.func @shared
// CHECK-SAME: %{{.*}}: tensor<?x2x?x8xf32> {{{.*}}}, %[[COS:.*]]: tensor<1x?x4xf32> {{{.*}}}, %[[SIN:.*]]: tensor<1x?x4xf32>
// CHECK-NOT: dispatch.check
// CHECK: %[[ZERO:.*]] = arith.constant 0 : index
// CHECK-NOT: dispatch.check
// CHECK: %[[STEP:.*]] = linalg.index 2
// CHECK: tensor.extract %[[COS]][%[[ZERO]], %[[STEP]],
// CHECK: tensor.extract %[[SIN]][%[[ZERO]], %[[STEP]],
func.func @shared(%x: tensor<?x2x?x8xf32> {modular.dims = ["b", "2", "s", "8"]}, %cos: tensor<1x?x4xf32> {modular.dims = ["1", "s", "4"]},
                  %sin: tensor<1x?x4xf32> {modular.dims = ["1", "s", "4"]}) -> tensor<?x2x?x8xf32> {
  %0 = onnx.RotaryEmbedding %x, %cos, %sin : (tensor<?x2x?x8xf32>, tensor<1x?x4xf32>, tensor<1x?x4xf32>) -> tensor<?x2x?x8xf32>
  return %0 : tensor<?x2x?x8xf32>
}

// -----

// What is not known to fit is checked, and nothing is read beyond the caches.
// CHECK-LABEL: func.func @unproven
// CHECK: dispatch.check %{{.*}}, "RotaryEmbedding: a cache has another length"
// CHECK: dispatch.check %{{.*}}, "RotaryEmbedding: a cache has another batch"
// CHECK: linalg.generic
// CHECK: arith.minsi
// CHECK: tensor.extract
func.func @unproven(%x: tensor<?x2x?x8xf32>, %cos: tensor<?x?x4xf32>, %sin: tensor<?x?x4xf32>) -> tensor<?x2x?x8xf32> {
  %0 = onnx.RotaryEmbedding %x, %cos, %sin : (tensor<?x2x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x2x?x8xf32>
  return %0 : tensor<?x2x?x8xf32>
}
