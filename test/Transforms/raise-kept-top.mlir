// RUN: %graft-opt %s --graft-raise-routing -split-input-file | FileCheck %s

// A softmax of the scores that are kept, all others lowered beyond it: the k greatest, weighed by a softmax.

// CHECK: modular.router @mixture.router(%[[Z:.*]]: tensor<?x3xf32>) over ["expert.0", "expert.1", "expert.2"] {
// CHECK: %[[C:.*]] = modular.select_top 2 of %[[Z]]
// CHECK: modular.weigh %[[C]] by %[[Z]] normalized by softmax
// CHECK-LABEL: func.func @main
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<[0]> : tensor<1xi64>} : () -> tensor<1xi64>
  %i1 = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : () -> tensor<1xi64>
  %i2 = onnx.Constant {value = dense<[2]> : tensor<1xi64>} : () -> tensor<1xi64>
  %w0 = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w1 = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w2 = onnx.Constant {value = dense<[[9.0, 1.0], [2.0, 3.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %v, %c = onnx.TopK %z, %two : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %shape = onnx.Shape %z : (tensor<?x3xf32>) -> tensor<2xi64>
  %low = onnx.ConstantOfShape %shape {value = dense<0xFF800000> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x3xf32>
  %kept = onnx.ScatterElements %low, %c, %v {axis = -1 : i64} : (tensor<?x3xf32>, tensor<?x2xi64>, tensor<?x2xf32>) -> tensor<?x3xf32>
  %s = onnx.Softmax %kept : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %g0 = onnx.Gather %s, %i0 {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Gather %s, %i1 {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g2 = onnx.Gather %s, %i2 {axis = 1 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %y0 = onnx.MatMul %x, %w0 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y1 = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y2 = onnx.MatMul %x, %w2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %t0 = onnx.Mul %y0, %g0 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %t1 = onnx.Mul %y1, %g1 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %t2 = onnx.Mul %y2, %g2 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a = onnx.Add %t0, %t1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %b = onnx.Add %a, %t2 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %b : tensor<?x2xf32>
}

// -----

// Lowered by a mask: what weighs 0 is not chosen.

// CHECK: modular.router @mixture.router(%[[S:.*]]: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK-NOT: modular.select_all
// CHECK: %[[NONE:.*]] = onnx.Equal %[[S]], %{{.*}}
// CHECK: %[[C:.*]] = onnx.Where %[[NONE]]
// CHECK: modular.yield %[[C]], %[[S]]
// CHECK-LABEL: func.func @main
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %mask: tensor<?x2xi1> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %i0 = onnx.Constant {value = dense<[0]> : tensor<1xi64>} : () -> tensor<1xi64>
  %i1 = onnx.Constant {value = dense<[1]> : tensor<1xi64>} : () -> tensor<1xi64>
  %w0 = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w1 = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %low = onnx.Constant {value = dense<-1.000000e+09> : tensor<f32>} : () -> tensor<f32>
  %kept = onnx.Where %mask, %low, %z : (tensor<?x2xi1>, tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %s = onnx.Softmax %kept : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %g0 = onnx.Gather %s, %i0 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Gather %s, %i1 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %y0 = onnx.MatMul %x, %w0 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %y1 = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %t0 = onnx.Mul %y0, %g0 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %t1 = onnx.Mul %y1, %g1 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a = onnx.Add %t0, %t1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a : tensor<?x2xf32>
}
