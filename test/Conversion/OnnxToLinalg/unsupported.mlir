// RUN: not graft-opt %s --convert-onnx-to-linalg --split-input-file 2>&1 | FileCheck %s

// CHECK: not supported: Det '/linalg/Det': it has no lowering
func.func @unknown(%x: tensor<4x4xf32>) -> tensor<f32> {
  %0 = "onnx.Det"(%x) : (tensor<4x4xf32>) -> tensor<f32> loc("/linalg/Det")
  return %0 : tensor<f32>
}

// -----

// CHECK: error: not supported: Einsum: equation 'ij,jk->il' with operands of these ranks
func.func @label(%x: tensor<2x3xf32>, %y: tensor<3x4xf32>) -> tensor<2x4xf32> {
  %0 = onnx.Einsum %x, %y {equation = "ij,jk->il"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

// CHECK: error: not supported: Einsum: equation 'ijk,jk->i' with operands of these ranks
func.func @rank(%x: tensor<2x3xf32>, %y: tensor<3x4xf32>) -> tensor<2xf32> {
  %0 = onnx.Einsum %x, %y {equation = "ijk,jk->i"} : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// CHECK: error: not supported: Resize: tf_crop_and_resize and antialias
func.func @antialias(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x8x8xf32> {
  %scales = onnx.Constant {value = dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %0 = onnx.Resize %x, %scales {mode = "cubic", antialias = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 1, 0>}
      : (tensor<1x1x4x4xf32>, tensor<4xf32>) -> tensor<1x1x8x8xf32>
  return %0 : tensor<1x1x8x8xf32>
}
