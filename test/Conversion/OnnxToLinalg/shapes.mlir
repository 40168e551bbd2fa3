// RUN: %graft-opt %s --convert-onnx-to-linalg --canonicalize --split-input-file | FileCheck %s

// Equal dimensions are the same value, from the arguments that hold the symbols; what served shapes only is gone.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: %[[B:[a-z0-9]+]]: index {modular.symbol = "batch"}, %[[S:[a-z0-9]+]]: index {modular.symbol = "seq"}
// CHECK-NOT: tensor.dim
// CHECK-NOT: tensor.from_elements
// CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0], [1], [2, 3]] output_shape [%[[B]], %[[S]], 12, 32]
// CHECK: tensor.empty(%[[B]], %[[S]]) : tensor<?x12x?x32xf32>
// CHECK: linalg.transpose
func.func @heads(%batch: index {modular.symbol = "batch"}, %seq: index {modular.symbol = "seq"},
                 %x: tensor<?x?x384xf32> {modular.dims = ["batch", "seq", "384"]}) -> tensor<?x12x?x32xf32> {
  %to = onnx.Constant {value = dense<[0, 0, 12, -1]> : tensor<4xi64>} : () -> tensor<4xi64>
  %0 = onnx.Reshape %x, %to : (tensor<?x?x384xf32>, tensor<4xi64>) -> tensor<?x?x12x32xf32>
  %1 = onnx.Transpose %0 {perm = [0, 2, 1, 3]} : (tensor<?x?x12x32xf32>) -> tensor<?x12x?x32xf32>
  return %1 : tensor<?x12x?x32xf32>
}

// -----

// A reshape that joins and splits goes through the common refinement.
// CHECK-LABEL: func.func @regroup
// CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]]
// CHECK-NOT: tensor.expand_shape
func.func @regroup(%x: tensor<?x?x8xf32>) -> tensor<?x8xf32> {
  %to = onnx.Constant {value = dense<[-1, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  %0 = onnx.Reshape %x, %to : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// A shape that the data tells is checked, and nothing is read beyond the end.
// CHECK-LABEL: func.func @unproven
// CHECK: tensor.extract
// CHECK: dispatch.check %{{.*}}, "Reshape: the shapes have different numbers of elements"
// CHECK: arith.minsi
func.func @unproven(%x: tensor<?xf32>, %to: tensor<2xi64>) -> tensor<?x?xf32> {
  %0 = onnx.Reshape %x, %to : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Dimensions that may broadcast at run time: checked, and index 0 is taken where the dimension is 1.
// CHECK-LABEL: func.func @loose
// CHECK: dispatch.check %{{.*}}, "Add: dimensions
// CHECK: linalg.generic
// CHECK: arith.select
// CHECK: tensor.extract
func.func @loose(%x: tensor<?x4xf32> {modular.dims = ["a", "4"]}, %y: tensor<?x4xf32> {modular.dims = ["b", "4"]})
    -> tensor<?x4xf32> {
  %0 = onnx.Add %x, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @broadcast
// CHECK-NOT: dispatch.check
// CHECK: linalg.generic
func.func @broadcast(%x: tensor<?x?x4xf32> {modular.dims = ["a", "b", "4"]}, %y: tensor<?x1xf32> {modular.dims = ["b", "1"]})
    -> tensor<?x?x4xf32> {
  %0 = onnx.Mul %x, %y : (tensor<?x?x4xf32>, tensor<?x1xf32>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}
