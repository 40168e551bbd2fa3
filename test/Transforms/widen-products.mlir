// RUN: %graft-opt %s --graft-widen-products | FileCheck %s

// Narrow products of one input are one product; their weights stand side by side, in whichever order of dimensions they were.

// CHECK: modular.parameter @wide
// CHECK-NOT: modular.parameter @a1
// CHECK: modular.parameter @"a1+a2" = #modular.weight<"a1+a2"> : tensor<3x3xf32>
modular.parameter @wide = dense<1.0> : tensor<3x65xf32>
modular.parameter @a1 = dense<[[1.0, 2.0, 3.0]]> : tensor<1x3xf32>
modular.parameter @a2 = dense<[[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]> : tensor<3x2xf32>
modular.parameter @b1 = dense<[1.0]> : tensor<1xf32>
modular.parameter @b2 = dense<[2.0, 3.0]> : tensor<2xf32>
modular.parameter @a3 = dense<1.0> : tensor<1x3xf32>
modular.parameter @a4 = dense<1.0> : tensor<3x2xf32>
modular.parameter @c = dense<1.0> : tensor<1x3xf32>
modular.parameter @d = dense<1.0> : tensor<1xf32>
modular.parameter @e = dense<1.0> : tensor<3x2xf32>
modular.router @tasks fixed by task over []
modular.task @base routes @tasks to []

// CHECK-LABEL: func.func private @matmuls
// CHECK-SAME: %[[X:.*]]: tensor<2x?x3xf32>, %[[WIDE:.*]]: tensor<3x65xf32> {modular.slot = 0 : i64}, %[[W:.*]]: tensor<3x3xf32> {modular.slot = 1 : i64})
// CHECK: %[[BOTH:.*]] = onnx.MatMul %[[X]], %[[W]] : (tensor<2x?x3xf32>, tensor<3x3xf32>) -> tensor<2x?x3xf32>
// CHECK: %[[FIRST:.*]] = onnx.Slice %[[BOTH]], {{.*}} -> tensor<2x?x1xf32>
// CHECK: %[[APART:.*]] = onnx.MatMul %[[X]], %[[WIDE]]
// CHECK: %[[SECOND:.*]] = onnx.Slice %[[BOTH]], {{.*}} -> tensor<2x?x2xf32>
// CHECK-NOT: onnx.MatMul
// CHECK: return %[[FIRST]], %[[APART]], %[[SECOND]]
func.func private @matmuls(%x: tensor<2x?x3xf32>, %a1: tensor<1x3xf32> {modular.slot = 0 : i64}, %wide: tensor<3x65xf32> {modular.slot = 1 : i64}, %a2: tensor<3x2xf32> {modular.slot = 2 : i64}) -> (tensor<2x?x1xf32>, tensor<2x?x65xf32>, tensor<2x?x2xf32>) attributes {modular.stage} {
  %t = onnx.Transpose %a1 {perm = [1, 0]} : (tensor<1x3xf32>) -> tensor<3x1xf32>
  %0 = onnx.MatMul %x, %t : (tensor<2x?x3xf32>, tensor<3x1xf32>) -> tensor<2x?x1xf32>
  %1 = onnx.MatMul %x, %wide : (tensor<2x?x3xf32>, tensor<3x65xf32>) -> tensor<2x?x65xf32>
  %2 = onnx.MatMul %x, %a2 : (tensor<2x?x3xf32>, tensor<3x2xf32>) -> tensor<2x?x2xf32>
  return %0, %1, %2 : tensor<2x?x1xf32>, tensor<2x?x65xf32>, tensor<2x?x2xf32>
}
modular.stage @stage0 runs @matmuls on [@a1, @wide, @a2] [0] to [1, 2, 3] for ["base"]

// CHECK-LABEL: func.func private @gemms
// CHECK: onnx.Gemm %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x3xf32>, tensor<3x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
// CHECK-NOT: onnx.Gemm
// CHECK: return
func.func private @gemms(%x: tensor<?x3xf32>, %a1: tensor<1x3xf32> {modular.slot = 0 : i64}, %b1: tensor<1xf32> {modular.slot = 1 : i64}, %a2: tensor<3x2xf32> {modular.slot = 2 : i64}, %b2: tensor<2xf32> {modular.slot = 3 : i64}) -> (tensor<?x1xf32>, tensor<?x2xf32>) attributes {modular.stage} {
  %0 = onnx.Gemm %x, %a1, %b1 {alpha = 1.0 : f32, beta = 1.0 : f32, transA = 0 : i64, transB = 1 : i64} : (tensor<?x3xf32>, tensor<1x3xf32>, tensor<1xf32>) -> tensor<?x1xf32>
  %1 = onnx.Gemm %x, %a2, %b2 {alpha = 1.0 : f32, beta = 1.0 : f32, transA = 0 : i64, transB = 0 : i64} : (tensor<?x3xf32>, tensor<3x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x1xf32>, tensor<?x2xf32>
}
// CHECK: modular.stage @stage1 runs @gemms on [@{{.*}}, @"b1+b2"]
modular.stage @stage1 runs @gemms on [@a3, @b1, @a4, @b2] [4] to [5, 6] for ["base"]

// A bias for one only, another input, a parameter that something else reads, a scaled product: as they are.
// CHECK-LABEL: func.func private @kept
// CHECK-COUNT-2: onnx.Gemm
// CHECK-COUNT-2: onnx.MatMul
func.func private @kept(%x: tensor<?x3xf32>, %z: tensor<?x3xf32>, %a1: tensor<1x3xf32> {modular.slot = 0 : i64}, %b1: tensor<1xf32> {modular.slot = 1 : i64}, %a2: tensor<3x2xf32> {modular.slot = 2 : i64}, %a3: tensor<3x2xf32> {modular.slot = 3 : i64}) -> (tensor<?x1xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<3x2xf32>) attributes {modular.stage} {
  %0 = onnx.Gemm %x, %a1, %b1 {alpha = 1.0 : f32, beta = 2.0 : f32, transA = 0 : i64, transB = 1 : i64} : (tensor<?x3xf32>, tensor<1x3xf32>, tensor<1xf32>) -> tensor<?x1xf32>
  %1 = onnx.Gemm %x, %a2 {alpha = 1.0 : f32, beta = 1.0 : f32, operandSegmentSizes = array<i32: 1, 1, 0>, transA = 0 : i64, transB = 0 : i64} : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.MatMul %z, %a3 : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  %3 = onnx.MatMul %x, %a3 : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %0, %1, %2, %3, %a3 : tensor<?x1xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<3x2xf32>
}
modular.stage @stage2 runs @kept on [@c, @d, @e, @e] [7, 7] to [8, 9, 10, 11, 12] for ["base"]

// Another stage reads one of the three: it would be stored twice.
// CHECK-LABEL: func.func private @shared
// CHECK-COUNT-2: onnx.MatMul
// CHECK-NOT: onnx.MatMul
// CHECK: return
modular.parameter @f = dense<1.0> : tensor<3x2xf32>
modular.parameter @g = dense<1.0> : tensor<3x2xf32>
modular.parameter @h = dense<1.0> : tensor<3x2xf32>
func.func private @shared(%x: tensor<?x3xf32>, %f: tensor<3x2xf32> {modular.slot = 0 : i64}, %g: tensor<3x2xf32> {modular.slot = 1 : i64}, %h: tensor<3x2xf32> {modular.slot = 2 : i64}) -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) attributes {modular.stage} {
  %0 = onnx.MatMul %x, %f : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %x, %g : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.MatMul %x, %h : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %0, %1, %2 : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}
func.func private @other(%x: tensor<?x3xf32>, %f: tensor<3x2xf32> {modular.slot = 0 : i64}) -> tensor<?x2xf32> attributes {modular.stage} {
  %0 = onnx.MatMul %x, %f : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
modular.stage @stage3 runs @shared on [@f, @g, @h] [13] to [14, 15, 17] for ["base"]
modular.stage @stage4 runs @other on [@f] [13] to [16] for ["base"]
