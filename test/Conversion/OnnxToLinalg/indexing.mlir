// RUN: %graft-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Indices are checked once, and clamped where they are used.
// CHECK-LABEL: func.func @gather
// CHECK: dispatch.check %{{.*}}, "Gather '/embeddings/Gather': index out of range"
// CHECK: linalg.generic
// CHECK: arith.minsi
// CHECK: tensor.extract
func.func @gather(%ids: tensor<?x?xi64>, %table: tensor<100x8xf32> {modular.slot = 0 : i64}) -> tensor<?x?x8xf32> {
  %0 = onnx.Gather %table, %ids : (tensor<100x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32> loc("/embeddings/Gather")
  return %0 : tensor<?x?x8xf32>
}

// -----

// A table that is stored the other way round is read in place.
// CHECK-LABEL: func.func @turned
// CHECK-NOT: linalg.transpose
// CHECK: tensor.extract %{{.*}} : tensor<8x100xf32>
func.func @turned(%ids: tensor<?xi64>, %table: tensor<8x100xf32> {modular.slot = 0 : i64}) -> tensor<?x8xf32> {
  %t = onnx.Transpose %table {perm = [1, 0]} : (tensor<8x100xf32>) -> tensor<100x8xf32>
  %0 = onnx.Gather %t, %ids : (tensor<100x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Constant indices within bounds need no check.
// CHECK-LABEL: func.func @first
// CHECK-NOT: dispatch.check
func.func @first(%x: tensor<?x4x8xf32>) -> tensor<?x8xf32> {
  %zero = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %0 = onnx.Gather %x, %zero {axis = 1 : i64} : (tensor<?x4x8xf32>, tensor<i64>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
