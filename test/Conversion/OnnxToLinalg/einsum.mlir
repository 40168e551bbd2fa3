// RUN: %graft-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Labels in both and in the result are batches, what the result lacks is summed: heads of attention.
// CHECK-LABEL: func.func @scores
// CHECK-SAME: -> (tensor<?x3x?x?xf32> {modular.dims = ["b", "3", "i", "j"]})
// CHECK: linalg.transpose {{.*}}permutation = [0, 2, 1, 3]
// CHECK: linalg.transpose {{.*}}permutation = [0, 2, 3, 1]
// CHECK: dispatch.batch_matmul
// CHECK-NOT: linalg.transpose
func.func @scores(%q: tensor<?x?x3x8xf32> {modular.dims = ["b", "i", "3", "8"]},
                  %k: tensor<?x?x3x8xf32> {modular.dims = ["b", "j", "3", "8"]}) -> tensor<?x3x?x?xf32> {
  %0 = onnx.Einsum %q, %k {equation = "bihd, bjhd -> bhij"}
      : (tensor<?x?x3x8xf32>, tensor<?x?x3x8xf32>) -> tensor<?x3x?x?xf32>
  return %0 : tensor<?x3x?x?xf32>
}

// -----

// Without batches it is a product with one matrix.
// CHECK-LABEL: func.func @weight
// CHECK-NOT: linalg.transpose
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2]] : tensor<8x3x5xf32> into tensor<8x15xf32>
// CHECK: dispatch.matmul
func.func @weight(%x: tensor<?x?x8xf32>, %w: tensor<8x3x5xf32> {modular.slot = 0 : i64}) -> tensor<?x?x3x5xf32> {
  %0 = onnx.Einsum %x, %w {equation = "...c,cho->...ho"} : (tensor<?x?x8xf32>, tensor<8x3x5xf32>) -> tensor<?x?x3x5xf32>
  return %0 : tensor<?x?x3x5xf32>
}

// -----

// What is in one operand only is summed before the product; with nothing to contract there is none.
// CHECK-LABEL: func.func @outer
// CHECK: arith.addf
// CHECK-NOT: dispatch.matmul
// CHECK: arith.mulf
func.func @outer(%x: tensor<4x6xf32>, %y: tensor<5xf32>) -> tensor<4x5xf32> {
  %0 = onnx.Einsum %x, %y {equation = "ik,j->ij"} : (tensor<4x6xf32>, tensor<5xf32>) -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// -----

// A label twice in one operand is its diagonal; without an arrow, the result has the labels that occur once, sorted.
// CHECK-LABEL: func.func @implicit
// CHECK-SAME: -> (tensor<?x4xf32> {modular.dims = ["n", "4"]})
func.func @implicit(%x: tensor<4x?x3x3xf32> {modular.dims = ["4", "n", "3", "3"]}) -> tensor<?x4xf32> {
  %0 = onnx.Einsum %x {equation = "baii"} : (tensor<4x?x3x3xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
