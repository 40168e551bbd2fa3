// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// All modules are computed, and those that rows chose are gathered: a mixture of these. Along another dimension than the modules' nothing is.

// CHECK: modular.router @mixture.router
// CHECK: modular.select_top 2
// CHECK-NOT: modular.router
// CHECK-LABEL: func.func @main
// CHECK: modular.route {{.*}} -> !modular.route<3, 2>
// CHECK: %[[Y:.*]] = modular.aggregate weighted_sum {{.*}} -> tensor<?x3xf32>
// CHECK: onnx.GatherElements
// CHECK: return %[[Y]],
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %k = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %wide = onnx.Constant {value = dense<[1, 1, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %v, %c = onnx.TopK %z, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %w0 = onnx.Constant {value = #modular.weight<"w0"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %w1 = onnx.Constant {value = #modular.weight<"w1"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %w2 = onnx.Constant {value = #modular.weight<"w2"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m0 = onnx.MatMul %x, %w0 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b0 = onnx.Unsqueeze %m0, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %m1 = onnx.MatMul %x, %w1 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b1 = onnx.Unsqueeze %m1, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %m2 = onnx.MatMul %x, %w2 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b2 = onnx.Unsqueeze %m2, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %all = onnx.Concat %b0, %b1, %b2 {axis = 1 : i64} : (tensor<?x1x3xf32>, tensor<?x1x3xf32>, tensor<?x1x3xf32>) -> tensor<?x3x3xf32>
  %u = onnx.Unsqueeze %c, %k : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?x2x1xi64>
  %i = onnx.Expand %u, %wide : (tensor<?x2x1xi64>, tensor<3xi64>) -> tensor<?x2x3xi64>
  %g = onnx.GatherElements %all, %i {axis = 1 : i64} : (tensor<?x3x3xf32>, tensor<?x2x3xi64>) -> tensor<?x2x3xf32>
  %s = onnx.Unsqueeze %v, %k : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x2x1xf32>
  %0 = onnx.Mul %g, %s : (tensor<?x2x3xf32>, tensor<?x2x1xf32>) -> tensor<?x2x3xf32>
  %y = onnx.ReduceSum %0, %one {keepdims = 0 : i64} : (tensor<?x2x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  %h = onnx.GatherElements %all, %i {axis = 2 : i64} : (tensor<?x3x3xf32>, tensor<?x2x3xi64>) -> tensor<?x2x3xf32>
  %1 = onnx.Mul %h, %s : (tensor<?x2x3xf32>, tensor<?x2x1xf32>) -> tensor<?x2x3xf32>
  %r = onnx.ReduceSum %1, %one {keepdims = 0 : i64} : (tensor<?x2x3xf32>, tensor<1xi64>) -> tensor<?x3xf32>
  return %y, %r : tensor<?x3xf32>, tensor<?x3xf32>
}

// -----

// Rows that are repeated for each module, in front of one product for all; results and gates that have the rows in two dimensions again.

// CHECK: modular.select_top 1
// CHECK: modular.module @mixture.expert.0 function(%[[ROWS:.*]]: tensor<?x2xf32>) -> tensor<?x3xf32> {
// CHECK: onnx.MatMul %[[ROWS]], %{{.*}} : (tensor<?x2xf32>, tensor<2x3xf32>)
// CHECK-LABEL: func.func @main
// CHECK: %[[FLAT:.*]] = onnx.Reshape %{{.*}} -> tensor<?x2xf32>
// CHECK-NOT: onnx.Tile
// CHECK: modular.route {{.*}} -> !modular.route<2, 1>
// CHECK: modular.apply %{{.*}}(%[[FLAT]])
// CHECK: %[[SUM:.*]] = modular.aggregate weighted_sum
// CHECK: %[[Y:.*]] = onnx.Reshape %[[SUM]], %{{.*}} -> tensor<?x?x3xf32>
// CHECK: return %[[Y]]
func.func @main(%x: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["b*s", "2"]}) -> tensor<?x?x3xf32> {
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %rows = onnx.Constant {value = dense<[-1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %times = onnx.Constant {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %stacked = onnx.Constant {value = dense<[2, -1, 2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %three = onnx.Constant {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %matrices = onnx.Constant {value = dense<[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]]> : tensor<2x2x3xf32>} : () -> tensor<2x2x3xf32>
  %h = onnx.Reshape %x, %rows : (tensor<?x?x2xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  %v, %c = onnx.TopK %z, %one : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %size = onnx.Shape %z : (tensor<?x2xf32>) -> tensor<2xi64>
  %none = onnx.ConstantOfShape %size : (tensor<2xi64>) -> tensor<?x2xf32>
  %w = onnx.ScatterElements %none, %c, %v {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %0 = onnx.Tile %h, %times : (tensor<?x2xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  %1 = onnx.Reshape %0, %stacked : (tensor<?x2xf32>, tensor<3xi64>) -> tensor<2x?x2xf32>
  %2 = onnx.MatMul %1, %matrices : (tensor<2x?x2xf32>, tensor<2x2x3xf32>) -> tensor<2x?x3xf32>
  %batch = onnx.Shape %x {end = 2 : i64, start = 0 : i64} : (tensor<?x?x2xf32>) -> tensor<2xi64>
  %shape = onnx.Concat %two, %batch, %three {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>, tensor<1xi64>) -> tensor<4xi64>
  %3 = onnx.Reshape %2, %shape : (tensor<2x?x3xf32>, tensor<4xi64>) -> tensor<2x?x?x3xf32>
  %4 = onnx.Transpose %w {perm = [1, 0]} : (tensor<?x2xf32>) -> tensor<2x?xf32>
  %split = onnx.Concat %two, %batch {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %5 = onnx.Reshape %4, %split : (tensor<2x?xf32>, tensor<3xi64>) -> tensor<2x?x?xf32>
  %6 = onnx.Unsqueeze %5, %last : (tensor<2x?x?xf32>, tensor<1xi64>) -> tensor<2x?x?x1xf32>
  %7 = onnx.Mul %3, %6 : (tensor<2x?x?x3xf32>, tensor<2x?x?x1xf32>) -> tensor<2x?x?x3xf32>
  %8 = onnx.ReduceSum %7, %zero {keepdims = 0 : i64} : (tensor<2x?x?x3xf32>, tensor<1xi64>) -> tensor<?x?x3xf32>
  return %8 : tensor<?x?x3xf32>
}

// -----

// One of all modules for each row, by rows and numbers together, weighed; by elements, not weighed.

// CHECK: modular.router @mixture.router_1(%{{.*}}: tensor<?x1xi64>)
// CHECK: modular.router @mixture.router(%{{.*}}: tensor<?x3xf32>)
// CHECK: modular.weigh
// CHECK-LABEL: func.func @main
// CHECK: modular.route @mixture.router({{.*}} -> !modular.route<3, 1>
// CHECK: %[[Y:.*]] = modular.aggregate weighted_sum
// CHECK: modular.route @mixture.router_1({{.*}} -> !modular.route<3, 1>
// CHECK: %[[SUM:.*]] = modular.aggregate weighted_sum
// CHECK: %[[R:.*]] = onnx.Unsqueeze %[[SUM]], %{{.*}} -> tensor<?x1x3xf32>
// CHECK: return %[[Y]], %[[R]]
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}, %given: tensor<?x1xi64> {modular.dims = ["n", "1"]})
    -> (tensor<?x3xf32>, tensor<?x1x3xf32>) {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %wide = onnx.Constant {value = dense<[1, 1, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %from = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %by = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %w0 = onnx.Constant {value = #modular.weight<"w0"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m0 = onnx.MatMul %x, %w0 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b0 = onnx.Unsqueeze %m0, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %w1 = onnx.Constant {value = #modular.weight<"w1"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m1 = onnx.MatMul %x, %w1 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b1 = onnx.Unsqueeze %m1, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %w2 = onnx.Constant {value = #modular.weight<"w2"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m2 = onnx.MatMul %x, %w2 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b2 = onnx.Unsqueeze %m2, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %all = onnx.Concat %b0, %b1, %b2 {axis = 1 : i64} : (tensor<?x1x3xf32>, tensor<?x1x3xf32>, tensor<?x1x3xf32>) -> tensor<?x3x3xf32>
  %c = onnx.ArgMax %z {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x3xf32>) -> tensor<?xi64>
  %v = onnx.ReduceMax %z, %last {keepdims = 0 : i64} : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?xf32>
  %size = onnx.Shape %x {end = 1 : i64, start = 0 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %n = onnx.Squeeze %size : (tensor<1xi64>) -> tensor<i64>
  %rows = onnx.Range %from, %n, %by : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %r = onnx.Unsqueeze %rows, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %k = onnx.Unsqueeze %c, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %i = onnx.Concat %r, %k {axis = -1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %p = onnx.GatherND %all, %i : (tensor<?x3x3xf32>, tensor<?x2xi64>) -> tensor<?x3xf32>
  %s = onnx.Unsqueeze %v, %one : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %y = onnx.Mul %p, %s : (tensor<?x3xf32>, tensor<?x1xf32>) -> tensor<?x3xf32>
  %u = onnx.Unsqueeze %given, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %e = onnx.Expand %u, %wide : (tensor<?x1x1xi64>, tensor<3xi64>) -> tensor<?x1x3xi64>
  %q = onnx.GatherElements %all, %e {axis = 1 : i64} : (tensor<?x3x3xf32>, tensor<?x1x3xi64>) -> tensor<?x1x3xf32>
  return %y, %q : tensor<?x3xf32>, tensor<?x1x3xf32>
}

// -----

// No mixture: rows take what is made of other rows.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %i: tensor<?x2xi64> {modular.dims = ["n", "2"]}, %other: tensor<?x1xi64> {modular.dims = ["n", "1"]},
    %c: tensor<?x1xi64> {modular.dims = ["n", "1"]}) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %wide = onnx.Constant {value = dense<[1, 1, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %from = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %by = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %w0 = onnx.Constant {value = #modular.weight<"w0"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m0 = onnx.MatMul %x, %w0 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b0 = onnx.Unsqueeze %m0, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %w1 = onnx.Constant {value = #modular.weight<"w1"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m1 = onnx.MatMul %x, %w1 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b1 = onnx.Unsqueeze %m1, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %w2 = onnx.Constant {value = #modular.weight<"w2"> : tensor<4x3xf32>} : () -> tensor<4x3xf32>
  %m2 = onnx.MatMul %x, %w2 : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %b2 = onnx.Unsqueeze %m2, %one : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %all = onnx.Concat %b0, %b1, %b2 {axis = 1 : i64} : (tensor<?x1x3xf32>, tensor<?x1x3xf32>, tensor<?x1x3xf32>) -> tensor<?x3x3xf32>
  %p = onnx.GatherND %all, %i : (tensor<?x3x3xf32>, tensor<?x2xi64>) -> tensor<?x3xf32>
  %j = onnx.Concat %other, %c {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %q = onnx.GatherND %all, %j : (tensor<?x3x3xf32>, tensor<?x2xi64>) -> tensor<?x3xf32>
  return %p, %q : tensor<?x3xf32>, tensor<?x3xf32>
}
