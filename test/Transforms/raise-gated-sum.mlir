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
  %end = onnx.Constant {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %g1 = onnx.Slice %w, %i1, %end, %i2 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x1xf32>
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
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %2 = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Mul %2, %g1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// -----

// A gate is one element of the weights, by its number.

// CHECK-LABEL: modular.module @mixture.expert.1
// CHECK: dense<[1.000000e+00, -2.000000e+00, 3.000000e+00, 5.000000e-01]>
// CHECK-LABEL: func.func @main
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %w: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x4xf32> {
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %c0 = onnx.Gather %w, %i0 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %g0 = onnx.Unsqueeze %c0, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Gather %w, %last {axis = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %0 = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %0, %g0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %2 = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Mul %2, %g1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// -----

// Modules that mix what is in a sequence: a row is a sequence, whose vectors are weighed inside of the module.

// CHECK-LABEL: modular.router @mixture.router(%{{.*}}: tensor<?x?x2xf32>) over ["expert.0", "expert.1"] attributes {modular.token_weights} {
// CHECK: onnx.Equal
// CHECK: onnx.ReduceMax
// CHECK: %[[SHOWN:.*]] = onnx.ReduceMean
// CHECK: %[[CHOSEN:.*]] = onnx.Where
// CHECK: modular.yield %[[CHOSEN]], %[[SHOWN]] : tensor<?x2xi64>, tensor<?x2xf32>
// CHECK: modular.module @mixture.expert.0 function(%{{.*}}: tensor<?x?x4xf32>, %[[W:.*]]: tensor<?x?x2xf32>) -> tensor<?x?x4xf32> {
// CHECK: onnx.ReduceMean
// CHECK: %[[SHARE:.*]] = onnx.Slice %[[W]]
// CHECK: onnx.Mul %{{.*}}, %[[SHARE]]
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x4xf32>{{.*}}, %[[GATES:.*]]: tensor<?x?x2xf32>
// CHECK: %[[R:.*]] = modular.route @mixture.router(%[[GATES]])
// CHECK: modular.apply %[[R]] [@mixture.expert.0, @mixture.expert.1](%[[X]], %[[GATES]])
// CHECK: modular.aggregate sum
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %gates: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}) -> tensor<?x?x4xf32> {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %s0, %s1 = onnx.Split %gates {axis = 2 : i64, num_outputs = 2 : i64} : (tensor<?x?x2xf32>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  %m = onnx.ReduceMean %x, %one {keepdims = 1 : i64} : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x1x4xf32>
  %0 = onnx.Sub %x, %m : (tensor<?x?x4xf32>, tensor<?x1x4xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.Mul %0, %s0 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %2 = onnx.Mul %x, %own : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %3 = onnx.Mul %2, %s1 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %4 : tensor<?x?x4xf32>
}

// -----

// All modules in one product: each has its part of the weights. The weights are an input, and what weighs 0 is not chosen.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[UNUSED:.*]] = onnx.Equal %[[GIVEN:.*]], %{{.*}} : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xi1>
// CHECK: %[[CHOSEN:.*]] = onnx.Where %[[UNUSED]]
// CHECK: modular.yield %[[CHOSEN]], %[[GIVEN]]
// CHECK: modular.module @moe.expert.0 function(%[[X:.*]]: tensor<?x2xf32>) -> tensor<?x3xf32> {
// CHECK: %[[W:.*]] = onnx.Constant {value = dense<{{\[\[}}1.000000e+00, 2.000000e+00, 3.000000e+00], [4.000000e+00, 5.000000e+00, 6.000000e+00]]>
// CHECK: %[[P:.*]] = onnx.MatMul %[[X]], %[[W]] : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
// CHECK: %[[B:.*]] = onnx.Constant {value = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]>
// CHECK: onnx.Add %[[P]], %[[B]]
// CHECK-LABEL: modular.module @moe.expert.1
// CHECK: dense<{{\[\[}}7.000000e+00
// CHECK: dense<[4.000000e+00, 5.000000e+00, 6.000000e+00]>
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.MatMul
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %w: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x3xf32> {
  %matrices = onnx.Constant {value = dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]]> : tensor<2x2x3xf32>} : () -> tensor<2x2x3xf32>
  %biases = onnx.Constant {value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>} : () -> tensor<2x3xf32>
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %0 = onnx.Unsqueeze %x, %zero : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<1x?x2xf32>
  %1 = onnx.MatMul %0, %matrices : (tensor<1x?x2xf32>, tensor<2x2x3xf32>) -> tensor<2x?x3xf32>
  %2 = onnx.Transpose %1 {perm = [1, 0, 2]} : (tensor<2x?x3xf32>) -> tensor<?x2x3xf32>
  %3 = onnx.Add %2, %biases : (tensor<?x2x3xf32>, tensor<2x3xf32>) -> tensor<?x2x3xf32>
  %4 = onnx.Unsqueeze %w, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %5 = onnx.Mul %4, %3 : (tensor<?x2x1xf32>, tensor<?x2x3xf32>) -> tensor<?x2x3xf32>
  %6 = onnx.ReduceSum %5, %one {keepdims = 0 : i64} : (tensor<?x2x3xf32>, tensor<1xi64>) -> tensor<?x3xf32> loc(fused<"moe">["/moe/ReduceSum"])
  return %6 : tensor<?x3xf32>
}

// -----

// Modules along the first dimension; as columns that the weights are multiplied with.

// CHECK-COUNT-2: modular.router {{.*}} over ["expert.0", "expert.1"]
// CHECK-LABEL: func.func @main
// CHECK: modular.route {{.*}} -> !modular.route<2, 2>
// CHECK: modular.aggregate weighted_sum
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> (tensor<?x3xf32>, tensor<?x2x1xf32>) {
  %matrices = onnx.Constant {value = dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]]> : tensor<2x2x3xf32>} : () -> tensor<2x2x3xf32>
  %one = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %other = onnx.Constant {value = dense<[2.0, 3.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %0 = onnx.Unsqueeze %x, %zero : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<1x?x2xf32>
  %1 = onnx.MatMul %0, %matrices : (tensor<1x?x2xf32>, tensor<2x2x3xf32>) -> tensor<2x?x3xf32>
  %2 = onnx.Transpose %w {perm = [1, 0]} : (tensor<?x2xf32>) -> tensor<2x?xf32>
  %3 = onnx.Unsqueeze %2, %last : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<2x?x1xf32>
  %4 = onnx.Mul %1, %3 : (tensor<2x?x3xf32>, tensor<2x?x1xf32>) -> tensor<2x?x3xf32>
  %5 = onnx.ReduceSum %4, %zero {keepdims = 0 : i64} : (tensor<2x?x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  %6 = onnx.Mul %x, %one : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %7 = onnx.Mul %x, %other : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %8 = onnx.Unsqueeze %6, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %9 = onnx.Unsqueeze %7, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %10 = onnx.Concat %8, %9 {axis = 2 : i64} : (tensor<?x2x1xf32>, tensor<?x2x1xf32>) -> tensor<?x2x2xf32>
  %11 = onnx.Unsqueeze %w, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %12 = onnx.MatMul %10, %11 : (tensor<?x2x2xf32>, tensor<?x2x1xf32>) -> tensor<?x2x1xf32>
  return %5, %12 : tensor<?x3xf32>, tensor<?x2x1xf32>
}

// -----

// No mixture: attention to the channels of two convolutions.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x2x8xf32> {modular.dims = ["n", "2", "8"]}, %z: tensor<?x2x2xf32> {modular.dims = ["n", "2", "2"]}) -> tensor<?x2x8xf32> {
  %a = onnx.Constant {value = #modular.weight<"a"> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %c = onnx.Constant {value = #modular.weight<"c"> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %w = onnx.Softmax %z {axis = 1 : i64} : (tensor<?x2x2xf32>) -> tensor<?x2x2xf32>
  %0 = onnx.Conv %x, %a : (tensor<?x2x8xf32>, tensor<2x2x1xf32>) -> tensor<?x2x8xf32>
  %1 = onnx.Conv %x, %c : (tensor<?x2x8xf32>, tensor<2x2x1xf32>) -> tensor<?x2x8xf32>
  %2 = onnx.Unsqueeze %0, %one : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x1x2x8xf32>
  %3 = onnx.Unsqueeze %1, %one : (tensor<?x2x8xf32>, tensor<1xi64>) -> tensor<?x1x2x8xf32>
  %4 = onnx.Concat %2, %3 {axis = 1 : i64} : (tensor<?x1x2x8xf32>, tensor<?x1x2x8xf32>) -> tensor<?x2x2x8xf32>
  %5 = onnx.Unsqueeze %w, %last : (tensor<?x2x2xf32>, tensor<1xi64>) -> tensor<?x2x2x1xf32>
  %6 = onnx.Mul %4, %5 : (tensor<?x2x2x8xf32>, tensor<?x2x2x1xf32>) -> tensor<?x2x2x8xf32>
  %7 = onnx.ReduceSum %6, %one {keepdims = 0 : i64} : (tensor<?x2x2x8xf32>, tensor<1xi64>) -> tensor<?x2x8xf32>
  return %7 : tensor<?x2x8xf32>
}

// -----

// No mixture: what is weighed and summed are positions of a sequence.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x8x2xf32> {modular.dims = ["n", "8", "2"]}) -> tensor<?x3xf32> {
  %matrix = onnx.Constant {value = dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>} : () -> tensor<2x3xf32>
  %score = onnx.Constant {value = dense<[[1.0], [2.0]]> : tensor<2x1xf32>} : () -> tensor<2x1xf32>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %0 = onnx.MatMul %x, %matrix : (tensor<?x8x2xf32>, tensor<2x3xf32>) -> tensor<?x8x3xf32>
  %1 = onnx.MatMul %x, %score : (tensor<?x8x2xf32>, tensor<2x1xf32>) -> tensor<?x8x1xf32>
  %2 = onnx.Softmax %1 {axis = 1 : i64} : (tensor<?x8x1xf32>) -> tensor<?x8x1xf32>
  %3 = onnx.Mul %2, %0 : (tensor<?x8x1xf32>, tensor<?x8x3xf32>) -> tensor<?x8x3xf32>
  %4 = onnx.ReduceSum %3, %one {keepdims = 0 : i64} : (tensor<?x8x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  return %4 : tensor<?x3xf32>
}

// -----

// No mixtures: nothing that is summed has parameters; a residual that a softmax gates; the mean of a density that has several, which one
// product gives.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x3xf32>) {
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %g0, %g1 = onnx.Split %w {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %0 = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %0, %g0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %2 = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Mul %2, %g1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %4 = onnx.Add %1, %3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %inner = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %h0, %h1 = onnx.Split %w {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %r0 = onnx.Mul %x, %h0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %r1 = onnx.Mul %inner, %h1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %residual = onnx.Add %r0, %r1 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %matrix = onnx.Constant {value = #modular.weight<"means"> : tensor<4x6xf32>} : () -> tensor<4x6xf32>
  %bias = onnx.Constant {value = #modular.weight<"bias"> : tensor<6xf32>} : () -> tensor<6xf32>
  %shape = onnx.Constant {value = dense<[-1, 2, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %5 = onnx.MatMul %x, %matrix : (tensor<?x4xf32>, tensor<4x6xf32>) -> tensor<?x6xf32>
  %6 = onnx.Add %5, %bias : (tensor<?x6xf32>, tensor<6xf32>) -> tensor<?x6xf32>
  %7 = onnx.Reshape %6, %shape : (tensor<?x6xf32>, tensor<3xi64>) -> tensor<?x2x3xf32>
  %8 = onnx.Unsqueeze %w, %two : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %9 = onnx.Mul %8, %7 : (tensor<?x2x1xf32>, tensor<?x2x3xf32>) -> tensor<?x2x3xf32>
  %10 = onnx.ReduceSum %9, %one {keepdims = 0 : i64} : (tensor<?x2x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  return %4, %residual, %10 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x3xf32>
}

// -----

// No mixtures: branches of different inputs, a module without a term.

// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<?x?x4xf32>
// CHECK-NOT: modular.aggregate
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %y: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]},
    %w: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]},
    %three: tensor<?x?x3xf32> {modular.dims = ["b", "s", "3"]}) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>) {
  %g0, %g1 = onnx.Split %w {axis = 2 : i64, num_outputs = 2 : i64} : (tensor<?x?x2xf32>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  %5 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %6 = onnx.Mul %5, %g0 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %7 = onnx.Mul %y, %own : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %8 = onnx.Mul %7, %g1 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %9 = onnx.Add %6, %8 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %h0, %h1, %h2 = onnx.Split %three {axis = 2 : i64, num_outputs = 3 : i64} : (tensor<?x?x3xf32>) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  %10 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %11 = onnx.Mul %10, %h0 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %12 = onnx.Mul %x, %own : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %13 = onnx.Mul %12, %h1 : (tensor<?x?x4xf32>, tensor<?x?x1xf32>) -> tensor<?x?x4xf32>
  %14 = onnx.Add %11, %13 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %9, %14 : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// -----

// A gate is where it is, whatever its shape was, and by bounds that sizes tell; what scales all terms alike weighs too. A
// parameter's copy is the parameter.

// CHECK: modular.router @mixture.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: onnx.Where
// CHECK: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: modular.select_all
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>{{.*}}, %[[Z:.*]]: tensor<?x2xf32>{{.*}}, %[[V:.*]]: tensor<?x1xf32>
// CHECK: %[[LOGITS:.*]] = onnx.Reshape %[[Z]]
// CHECK: modular.route @moe.router(%[[LOGITS]])
// CHECK: modular.aggregate weighted_sum
// CHECK: %[[W:.*]] = onnx.Mul %{{.*}}, %[[V]]
// CHECK: %[[WEIGHTS:.*]] = onnx.Reshape %[[W]]
// CHECK: modular.route @mixture.router(%[[WEIGHTS]])
// CHECK: modular.aggregate weighted_sum
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %v: tensor<?x1xf32> {modular.dims = ["n", "1"]})
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %i0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %i1 = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i2 = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %e1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %column = onnx.Constant {value = dense<[-1, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %shape = onnx.Shape %w : (tensor<?x2xf32>) -> tensor<2xi64>
  %wide = onnx.Gather %shape, %i1 : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %part = onnx.Div %wide, %i2 : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %0 = onnx.Slice %w, %i0, %part, %i1 {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xf32>
  %1 = onnx.Gather %w, %e1 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %2 = onnx.Reshape %1, %column : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x1xf32>
  %rows = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %3 = onnx.Expand %2, %rows : (tensor<?x1xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %bias = onnx.Constant {value = dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %copy = onnx.Identity %own : (tensor<4xf32>) -> tensor<4xf32>
  %a = onnx.Mul %x, %copy : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %b = onnx.Add %x, %bias : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Mul %0, %a : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %3, %b : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %6 = onnx.Add %4, %5 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32> loc(fused<"moe">["/moe/Add"])
  %c = onnx.Mul %x, %bias : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %d = onnx.Add %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %7 = onnx.Mul %0, %c : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %8 = onnx.Mul %7, %v : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %9 = onnx.Mul %v, %2 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %10 = onnx.Mul %9, %d : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %11 = onnx.Add %8, %10 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %6, %11 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// Where a row chose a module and nothing else: its branch, under a mask that is a choice or a number.

// CHECK: modular.select_top 1
// CHECK: modular.select_top 1
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.Equal
// CHECK: modular.aggregate weighted_sum
// CHECK-NOT: onnx.Equal
// CHECK: modular.aggregate weighted_sum
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %none = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %c = onnx.ArgMax %w {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x2xf32>) -> tensor<?xi64>
  %m = onnx.ReduceMax %w, %last {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %v = onnx.Unsqueeze %m, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %e0 = onnx.Equal %c, %i0 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %u0 = onnx.Unsqueeze %e0, %last : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %e1 = onnx.Equal %c, %i1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %u1 = onnx.Unsqueeze %e1, %last : (tensor<?xi1>, tensor<1xi64>) -> tensor<?x1xi1>
  %0 = onnx.Cast %u0 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %1 = onnx.Mul %0, %a : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Mul %1, %v : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %3 = onnx.Cast %u1 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %4 = onnx.Mul %3, %b : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %v : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %6 = onnx.Add %2, %5 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %7 = onnx.Mul %v, %a : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %8 = onnx.Where %u0, %7, %none : (tensor<?x1xi1>, tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %9 = onnx.Mul %v, %b : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %10 = onnx.Where %u1, %9, %none : (tensor<?x1xi1>, tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %11 = onnx.Add %8, %10 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %6, %11 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// No mixtures: terms that are scaled by different values; slots of attention, the same for all rows, in whatever shape.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %v: tensor<?x1xf32> {modular.dims = ["n", "1"]})
    -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %other = onnx.Constant {value = dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %g0, %g1 = onnx.Split %w {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %a = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %b = onnx.Mul %x, %other : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %h0 = onnx.Mul %g0, %v : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %0 = onnx.Mul %h0, %a : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %g1, %b : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Add %0, %1 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %shape = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %s0 = onnx.Expand %own, %shape : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %s1 = onnx.Expand %other, %shape : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %3 = onnx.Mul %g0, %s0 : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Mul %g1, %s1 : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %5 = onnx.Add %3, %4 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2, %5 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// A mixture of mixtures: those are raised, and what weighs them stays.

// CHECK-COUNT-2: modular.router
// CHECK-NOT: modular.router
// CHECK-LABEL: func.func @main
// CHECK: %[[A:.*]] = modular.aggregate weighted_sum
// CHECK: %[[B:.*]] = modular.aggregate weighted_sum
// CHECK: %[[P:.*]] = onnx.Mul %[[A]]
// CHECK: %[[Q:.*]] = onnx.Mul %[[B]]
// CHECK: onnx.Add %[[P]], %[[Q]]
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %y: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]},
    %outer: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x4xf32> {
  %v = onnx.Softmax %y : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %w = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %o = onnx.Softmax %outer : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %v0, %v1 = onnx.Split %v {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %w0, %w1 = onnx.Split %w {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %o0, %o1 = onnx.Split %o {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x2xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>)
  %k0 = onnx.Constant {value = dense<[0.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %b0 = onnx.Mul %x, %k0 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t0 = onnx.Mul %b0, %v0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %k1 = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %b1 = onnx.Mul %x, %k1 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t1 = onnx.Mul %b1, %v1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %k2 = onnx.Constant {value = dense<[2.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %b2 = onnx.Mul %x, %k2 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t2 = onnx.Mul %b2, %w0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %k3 = onnx.Constant {value = dense<[3.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %b3 = onnx.Mul %x, %k3 : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t3 = onnx.Mul %b3, %w1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %p = onnx.Add %t0, %t1 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %q = onnx.Add %t2, %t3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %op = onnx.Mul %p, %o0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %oq = onnx.Mul %q, %o1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %r = onnx.Add %op, %oq : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}
