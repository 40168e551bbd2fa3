// RUN: %graft-opt %s --graft-infer-shapes --split-input-file | FileCheck %s

// Types follow the operands, whatever they were; a constant dimension is static, any other is not.
// CHECK-LABEL: func.func @trusts_operands
// CHECK-SAME: -> (tensor<?x?x7xf32> {modular.dims = ["batch", "seq", "7"]})
func.func @trusts_operands(%x: tensor<?x?x384xf32> {modular.dims = ["batch", "seq", "384"]}, %w: tensor<384x7xf32>)
    -> tensor<?x?x2xf32> {
  // CHECK: onnx.MatMul {{.*}} -> tensor<?x?x7xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x?x384xf32>, tensor<384x7xf32>) -> tensor<?x?x2xf32>
  return %0 : tensor<?x?x2xf32>
}

// -----

// A shape that is computed: heads split and joined again.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: modular.dims = ["batch", "12", "seq", "32"]
// CHECK-SAME: modular.dims = ["batch", "seq", "384"]
func.func @heads(%x: tensor<?x?x384xf32> {modular.dims = ["batch", "seq", "384"]})
    -> (tensor<?x?x?x?xf32>, tensor<?x?x?xf32>) {
  %zero = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %axis = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %rest = onnx.Constant {value = dense<[12, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %join = onnx.Constant {value = dense<[0, 0, -1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %shape = onnx.Shape %x : (tensor<?x?x384xf32>) -> tensor<3xi64>
  %b = onnx.Gather %shape, %zero : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %s = onnx.Gather %shape, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %b1 = onnx.Unsqueeze %b, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %s1 = onnx.Unsqueeze %s, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %to = onnx.Concat %b1, %s1, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x?x12x32xf32>
  %split = onnx.Reshape %x, %to : (tensor<?x?x384xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  %heads = onnx.Transpose %split {perm = [0, 2, 1, 3]} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %back = onnx.Transpose %heads {perm = [0, 2, 1, 3]} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %joined = onnx.Reshape %back, %join : (tensor<?x?x?x?xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %heads, %joined : tensor<?x?x?x?xf32>, tensor<?x?x?xf32>
}

// -----

// What only the data tells has a symbol of its own; windows round down.
// CHECK-LABEL: func.func @data
// CHECK-SAME: modular.dims = ["2", "[[D:[a-z0-9.]+]]"]
// CHECK-SAME: modular.dims = ["batch", "16", "max(0, floordiv(h - 1, 2) + 1)"]
func.func @data(%x: tensor<?x?xf32>, %y: tensor<?x3x?xf32> {modular.dims = ["batch", "3", "h"]}, %w: tensor<16x3x3xf32>)
    -> (tensor<?x?xi64>, tensor<?x?x?xf32>) {
  %0 = onnx.NonZero %x : (tensor<?x?xf32>) -> tensor<?x?xi64>
  %1 = onnx.Conv %y, %w {pads = [1, 1], strides = [2]} : (tensor<?x3x?xf32>, tensor<16x3x3xf32>) -> tensor<?x?x?xf32>
  return %0, %1 : tensor<?x?xi64>, tensor<?x?x?xf32>
}
