// RUN: %graft-opt %s --graft-collapse-products | FileCheck %s

// Two products in a row are one, and three are one; the biases are brought along.

// CHECK-NOT: modular.parameter @w1 =
// CHECK: modular.parameter @"w1*w2" = #modular.weight<"w1*w2"> : tensor<2x2xf32>
// CHECK: modular.parameter @"w1*w2.bias" = #modular.weight<"w1*w2.bias"> : tensor<2xf32>
modular.parameter @w1 = dense<[[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]> : tensor<2x3xf32>
modular.parameter @b1 = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
modular.parameter @w2 = dense<[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]> : tensor<2x3xf32>
modular.parameter @b2 = dense<[10.0, 20.0]> : tensor<2xf32>
modular.parameter @square = dense<[[0.0, 1.0], [1.0, 0.0]]> : tensor<2x2xf32>
modular.parameter @other = dense<[[0.0, 2.0], [2.0, 0.0]]> : tensor<2x2xf32>
modular.parameter @down = dense<1.0> : tensor<2x1xf32>
modular.parameter @up = dense<1.0> : tensor<1x2xf32>
modular.router @tasks fixed by task over []
modular.task @base routes @tasks to []
modular.task @same routes @tasks to []

// CHECK-LABEL: func.func private @gemms
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[B:.*]]: tensor<2xf32> {modular.slot = 1 : i64})
// CHECK-NEXT: %[[Y:.*]] = onnx.Gemm %[[X]], %[[W]], %[[B]]
// CHECK-NEXT: return %[[Y]]
func.func private @gemms(%x: tensor<?x2xf32>, %w1: tensor<2x3xf32> {modular.slot = 0 : i64}, %b1: tensor<3xf32> {modular.slot = 1 : i64}, %w2: tensor<2x3xf32> {modular.slot = 2 : i64}, %b2: tensor<2xf32> {modular.slot = 3 : i64}) -> tensor<?x2xf32> attributes {modular.stage} {
  %h = onnx.Gemm %x, %w1, %b1 {alpha = 1.0 : f32, beta = 1.0 : f32, transA = 0 : i64, transB = 0 : i64} : (tensor<?x2xf32>, tensor<2x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  %y = onnx.Gemm %h, %w2, %b2 {alpha = 1.0 : f32, beta = 1.0 : f32, transA = 0 : i64, transB = 1 : i64} : (tensor<?x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
modular.stage @stage0 runs @gemms on [@w1, @b1, @w2, @b2] [0] to [1] for ["base"]

// A chain of three, on sequences; of two stages with parameters of their own.
// CHECK-LABEL: func.func private @matmuls
// CHECK-SAME: %[[X:.*]]: tensor<?x4x2xf32>, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64})
// CHECK-NEXT: %[[Y:.*]] = onnx.MatMul %[[X]], %[[W]]
// CHECK-NEXT: return %[[Y]]
func.func private @matmuls(%x: tensor<?x4x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %w2: tensor<2x2xf32> {modular.slot = 1 : i64}, %w3: tensor<2x2xf32> {modular.slot = 2 : i64}) -> tensor<?x4x2xf32> attributes {modular.stage} {
  %h = onnx.MatMul %x, %w1 : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  %t = onnx.Transpose %w2 {perm = [1, 0]} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %g = onnx.MatMul %h, %t : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  %y = onnx.MatMul %g, %w3 : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  return %y : tensor<?x4x2xf32>
}
// CHECK: modular.stage @stage1 runs @matmuls on [@"square*other*square"]
// CHECK: modular.stage @stage2 runs @matmuls on [@"other*other*other"]
modular.stage @stage1 runs @matmuls on [@square, @other, @square] [2] to [3] for ["base"]
modular.stage @stage2 runs @matmuls on [@other, @other, @other] [2] to [4] for ["same"]

// What is narrow in the middle is less work as it is; what is read twice stays; so does what has something between.
// CHECK-LABEL: func.func private @kept
// CHECK-COUNT-6: onnx.MatMul
func.func private @kept(%x: tensor<?x2xf32>, %down: tensor<2x1xf32> {modular.slot = 0 : i64}, %up: tensor<1x2xf32> {modular.slot = 1 : i64}, %w1: tensor<2x2xf32> {modular.slot = 2 : i64}, %w2: tensor<2x2xf32> {modular.slot = 3 : i64}, %w3: tensor<2x2xf32> {modular.slot = 4 : i64}, %w4: tensor<2x2xf32> {modular.slot = 5 : i64}) -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) attributes {modular.stage} {
  %0 = onnx.MatMul %x, %down : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  %1 = onnx.MatMul %0, %up : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %3 = onnx.MatMul %2, %w2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %4 = onnx.MatMul %x, %w3 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %5 = onnx.Relu %4 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %6 = onnx.MatMul %5, %w4 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %1, %2, %3, %6 : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}
modular.stage @stage3 runs @kept on [@down, @up, @square, @other, @square, @other] [5] to [6, 7, 8, 9] for ["base"]
