// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// Soft: the weights are a softmax over all modules, and each branch has its slice of them.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: %[[ALL:.*]] = modular.select_all of %[[SHARES]]
// CHECK: modular.yield %[[ALL]], %[[SHARES]]
// CHECK-LABEL: modular.module @moe.expert.0 function(%{{.*}}: tensor<?x4xf32>) -> tensor<?x3xf32> {
// CHECK: onnx.MatMul %{{.*}}, %{{.*}} : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
// CHECK: onnx.Relu
// The branches need not be alike.
// CHECK-LABEL: modular.module @moe.expert.1
// CHECK-NOT: onnx.Relu
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x4xf32>{{.*}}, %[[Z:.*]]: tensor<?x?x2xf32>{{.*}}, %[[SHARED:.*]]: tensor<?x?x3xf32>
// CHECK: %[[LOGITS:.*]] = onnx.Reshape %[[Z]]
// CHECK: %[[ROWS:.*]] = onnx.Reshape %[[X]]
// CHECK: %[[R:.*]] = modular.route @moe.router(%[[LOGITS]]) : (tensor<?x2xf32>) -> !modular.route<2, 2>
// CHECK: modular.apply %[[R]] [@moe.expert.0, @moe.expert.1](%[[ROWS]])
// CHECK: %[[SUM:.*]] = modular.aggregate weighted_sum
// CHECK: %[[Y:.*]] = onnx.Reshape %[[SUM]], %{{.*}} -> tensor<?x?x3xf32>
// What is no gated branch is added to the sum.
// CHECK: onnx.Add %[[Y]], %[[SHARED]]
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %z: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]},
    %shared: tensor<?x?x3xf32> {modular.dims = ["b", "s", "3"]}) -> tensor<?x?x3xf32> {
  %i0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %i1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i2 = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Constant {value = #modular.weight<"a"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %c = onnx.Constant {value = #modular.weight<"c"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %w = onnx.Softmax %z : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %g0 = onnx.Slice %w, %i0, %i1, %i2 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %g1 = onnx.Slice %w, %i1, %i2, %i2 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x1xf32>
  %0 = onnx.MatMul %x, %a : (tensor<?x?x4xf32>, tensor<4x3xf32>) -> tensor<?x?x3xf32>
  %1 = onnx.Relu %0 : (tensor<?x?x3xf32>) -> tensor<?x?x3xf32>
  %2 = onnx.Mul %g0, %1 : (tensor<?x?x1xf32>, tensor<?x?x3xf32>) -> tensor<?x?x3xf32>
  %3 = onnx.MatMul %x, %c : (tensor<?x?x4xf32>, tensor<4x3xf32>) -> tensor<?x?x3xf32>
  %4 = onnx.Mul %3, %g1 : (tensor<?x?x3xf32>, tensor<?x?x1xf32>) -> tensor<?x?x3xf32>
  %5 = onnx.Add %shared, %2 : (tensor<?x?x3xf32>, tensor<?x?x3xf32>) -> tensor<?x?x3xf32>
  %6 = onnx.Add %5, %4 : (tensor<?x?x3xf32>, tensor<?x?x3xf32>) -> tensor<?x?x3xf32> loc(fused<"moe">["/moe/Add"])
  return %6 : tensor<?x?x3xf32>
}

// -----

// One of two: a comparison of what is chosen with the module's number, times its weight.

// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: %[[CHOSEN:.*]] = modular.select_top 1 of %[[SHARES]]
// CHECK: modular.weigh %[[CHOSEN]] by %[[SHARES]] normalized by nothing
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.Equal
// CHECK: modular.aggregate weighted_sum
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x4xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %v, %c = onnx.TopK %w, %k : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %e0 = onnx.Equal %c, %i0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %m0 = onnx.Cast %e0 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %p0 = onnx.Mul %m0, %v : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %g0 = onnx.ReduceSum %p0, %last : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e1 = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %m1 = onnx.Cast %e1 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %p1 = onnx.Mul %m1, %v : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %g1 = onnx.ReduceSum %p1, %last : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %0 = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %0, %g0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %2 = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Mul %2, %g1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// -----

// No mixtures: gates of another number of rows, branches of different inputs, a module without a term.

// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<?x?x4xf32>
// CHECK-NOT: modular.aggregate
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %y: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]},
    %per_sequence: tensor<?x1x2xf32> {modular.dims = ["b", "1", "2"]}, %w: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]},
    %three: tensor<?x?x3xf32> {modular.dims = ["b", "s", "3"]}) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %s0, %s1 = onnx.Split %per_sequence {axis = 2 : i64, num_outputs = 2 : i64} : (tensor<?x1x2xf32>) -> (tensor<?x1x1xf32>, tensor<?x1x1xf32>)
  %0 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.Mul %0, %s0 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %2 = onnx.Exp %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %3 = onnx.Mul %2, %s1 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %g0, %g1 = onnx.Split %w {axis = 2 : i64, num_outputs = 2 : i64} : (tensor<?x?x2xf32>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  %5 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %6 = onnx.Mul %5, %g0 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %7 = onnx.Exp %y : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %8 = onnx.Mul %7, %g1 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %9 = onnx.Add %6, %8 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %h0, %h1, %h2 = onnx.Split %three {axis = 2 : i64, num_outputs = 3 : i64} : (tensor<?x?x3xf32>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  %10 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %11 = onnx.Mul %10, %h0 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %12 = onnx.Exp %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %13 = onnx.Mul %12, %h1 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %14 = onnx.Add %11, %13 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %4, %9, %14 : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>
}
