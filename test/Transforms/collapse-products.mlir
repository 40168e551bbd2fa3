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

// A bias that an Add brings is one too, on either side, and so is a constant. The last product is computed with all of them.
// CHECK-LABEL: func.func private @sequences
// CHECK-SAME: %[[X:.*]]: tensor<?x4x2xf32>, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[B:.*]]: tensor<2xf32> {modular.slot = 1 : i64})
// CHECK-NEXT: %[[P:.*]] = onnx.MatMul %[[X]], %[[W]]
// CHECK-NEXT: %[[Y:.*]] = onnx.Add %[[P]], %[[B]]
// CHECK-NEXT: return %[[Y]]
func.func private @sequences(%x: tensor<?x4x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %b1: tensor<2xf32> {modular.slot = 1 : i64}, %w2: tensor<2x2xf32> {modular.slot = 2 : i64}) -> tensor<?x4x2xf32> attributes {modular.stage} {
  %h = onnx.MatMul %x, %w1 : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  %hb = onnx.Add %b1, %h : (tensor<2xf32>, tensor<?x4x2xf32>) -> tensor<?x4x2xf32>
  %g = onnx.MatMul %hb, %w2 : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  %b2 = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %gb = onnx.Add %g, %b2 : (tensor<?x4x2xf32>, tensor<2xf32>) -> tensor<?x4x2xf32>
  %w3 = onnx.Constant {value = dense<[[1.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %y = onnx.MatMul %gb, %w3 : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  return %y : tensor<?x4x2xf32>
}
// CHECK: modular.stage @stage4 runs @sequences on [@"square*other{{.*}}*constant", @"square*other{{.*}}*constant.bias"]
modular.stage @stage4 runs @sequences on [@square, @b2, @other] [2] to [10] for ["base"]

// A sum of products of one input is one, whatever brings their biases. The rows of vectors are made once, and their sum brought back.
// CHECK-LABEL: func.func private @sum
// CHECK-SAME: %[[X:.*]]: tensor<?x4x2xf32>, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[B:.*]]: tensor<2xf32> {modular.slot = 1 : i64})
// CHECK: %[[R:.*]] = onnx.Reshape %[[X]], %{{.*}} -> tensor<?x2xf32>
// CHECK-NOT: onnx.Add
// CHECK: %[[P:.*]] = onnx.Gemm %[[R]], %[[W]], %[[B]]
// CHECK-NOT: onnx.Add
// CHECK: %[[Y:.*]] = onnx.Reshape %[[P]], %{{.*}} -> tensor<?x4x2xf32>
// CHECK-NEXT: return %[[Y]]
func.func private @sum(%x: tensor<?x4x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %w2: tensor<2x2xf32> {modular.slot = 1 : i64}, %b2: tensor<2xf32> {modular.slot = 2 : i64}, %w3: tensor<2x2xf32> {modular.slot = 3 : i64}) -> tensor<?x4x2xf32> attributes {modular.stage} {
  %s1 = onnx.Constant {value = dense<[-1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %s2 = onnx.Constant {value = dense<[-1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %t1 = onnx.Constant {value = dense<[-1, 4, 2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %t2 = onnx.Constant {value = dense<[-1, 4, 2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %x1 = onnx.Reshape %x, %s1 : (tensor<?x4x2xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  %x2 = onnx.Reshape %x, %s2 : (tensor<?x4x2xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  %p1 = onnx.Gemm %x1, %w1 {alpha = 1.0 : f32, beta = 1.0 : f32, operandSegmentSizes = array<i32: 1, 1, 0>, transA = 0 : i64, transB = 1 : i64} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %p2 = onnx.Gemm %x2, %w2, %b2 {alpha = 1.0 : f32, beta = 1.0 : f32, transA = 0 : i64, transB = 0 : i64} : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %y1 = onnx.Reshape %p1, %t1 : (tensor<?x2xf32>, tensor<3xi64>) -> tensor<?x4x2xf32>
  %y2 = onnx.Reshape %p2, %t2 : (tensor<?x2xf32>, tensor<3xi64>) -> tensor<?x4x2xf32>
  %y12 = onnx.Add %y1, %y2 : (tensor<?x4x2xf32>, tensor<?x4x2xf32>) -> tensor<?x4x2xf32>
  %p3 = onnx.MatMul %x2, %w3 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y3 = onnx.Reshape %p3, %t2 : (tensor<?x2xf32>, tensor<3xi64>) -> tensor<?x4x2xf32>
  %y = onnx.Add %y3, %y12 : (tensor<?x4x2xf32>, tensor<?x4x2xf32>) -> tensor<?x4x2xf32>
  return %y : tensor<?x4x2xf32>
}
// CHECK: modular.stage @stage5 runs @sum on [@"(other+(square+other))", @"(other+(square+other)).bias"]
modular.stage @stage5 runs @sum on [@square, @other, @b2, @other] [2] to [11] for ["base"]

// Wider at an end than between: one product is less work, but stages that share one of the two would have more to store.
// CHECK-LABEL: func.func private @alone
// CHECK-COUNT-1: onnx.MatMul
// CHECK-NOT: onnx.MatMul
// CHECK-LABEL: func.func private @shared
// CHECK-COUNT-2: onnx.MatMul
// CHECK-NOT: onnx.MatMul
modular.parameter @wide1 = dense<1.0> : tensor<2x3xf32>
modular.parameter @wide2 = dense<2.0> : tensor<2x3xf32>
modular.parameter @wide3 = dense<3.0> : tensor<2x3xf32>
func.func private @alone(%x: tensor<?x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %w2: tensor<2x3xf32> {modular.slot = 1 : i64}) -> tensor<?x3xf32> attributes {modular.stage} {
  %h = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y = onnx.MatMul %h, %w2 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
func.func private @shared(%x: tensor<?x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %w2: tensor<2x3xf32> {modular.slot = 1 : i64}) -> tensor<?x3xf32> attributes {modular.stage} {
  %h = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %r = onnx.MatMul %h, %w2 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %y = onnx.Relu %r : (tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
modular.stage @stage6 runs @alone on [@square, @wide1] [0] to [12] for ["base"]
modular.stage @stage7 runs @shared on [@square, @wide2] [0] to [13] for ["base"]
modular.stage @stage8 runs @shared on [@square, @wide3] [0] to [14] for ["same"]

// Products that are read elsewhere, of other inputs, of other forms, or that were to be kept beside each other are no sum.
// CHECK-LABEL: func.func private @apart
// CHECK-COUNT-6: onnx.MatMul
func.func private @apart(%x: tensor<?x2xf32>, %z: tensor<?x2xf32>, %w1: tensor<2x2xf32> {modular.slot = 0 : i64}, %w2: tensor<2x2xf32> {modular.slot = 1 : i64}, %w3: tensor<2x2xf32> {modular.slot = 2 : i64}, %w4: tensor<2x1xf32> {modular.slot = 3 : i64}, %w5: tensor<2x2xf32> {modular.slot = 4 : i64}, %w6: tensor<2x2xf32> {modular.slot = 5 : i64}) -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) attributes {modular.stage} {
  %0 = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %z, %w2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.Add %0, %1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %3 = onnx.MatMul %z, %w3 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %4 = onnx.MatMul %z, %w4 : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  %5 = onnx.Add %3, %4 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %6 = onnx.MatMul %x, %w5 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %7 = onnx.MatMul %x, %w6 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %8 = onnx.Add %6, %7 {modular.beside} : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %2, %5, %1, %8 : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}
modular.stage @stage9 runs @apart on [@square, @other, @square, @down, @square, @other] [0, 6] to [15, 16, 17, 18] for ["base"]
