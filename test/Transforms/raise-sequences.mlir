// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// Gates of whole sequences: a row of the mixture is a sequence.

// CHECK: modular.router @mixture.router(%{{.*}}: tensor<?x3xf32>) over ["expert.0", "expert.1"{{.*}}] {
// CHECK: modular.select_top 1
// CHECK: modular.module @mixture.expert.0 function(%{{.*}}: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x4xf32>{{.*}}, %{{.*}}: tensor<?x3xf32>
// CHECK: %[[R:.*]] = modular.route @mixture.router({{.*}} -> !modular.route<3, 1>
// CHECK: modular.apply %[[R]] [@mixture.expert.0, @mixture.expert.1, @mixture.expert.2](%[[X]])
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<?x?x4xf32>
// CHECK: return
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %z: tensor<?x3xf32> {modular.dims = ["b", "3"]}) -> tensor<?x?x4xf32> {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %i2 = onnx.Constant {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %other = onnx.Constant {value = dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %one : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %e0 = onnx.Equal %c, %i0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %m0 = onnx.Cast %e0 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %w0 = onnx.Mul %v, %m0 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %r0 = onnx.ReduceSum %w0, %last {keepdims = 0 : i64} : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %u0 = onnx.Unsqueeze %r0, %one : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g0 = onnx.Unsqueeze %u0, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %e1 = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %m1 = onnx.Cast %e1 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %w1 = onnx.Mul %v, %m1 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %r1 = onnx.ReduceSum %w1, %last {keepdims = 0 : i64} : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %u1 = onnx.Unsqueeze %r1, %one : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g1 = onnx.Unsqueeze %u1, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %e2 = onnx.Equal %c, %i2 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %m2 = onnx.Cast %e2 {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %w2 = onnx.Mul %v, %m2 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %r2 = onnx.ReduceSum %w2, %last {keepdims = 0 : i64} : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %u2 = onnx.Unsqueeze %r2, %one : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %g2 = onnx.Unsqueeze %u2, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %b0 = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %b1 = onnx.Mul %x, %own : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %b2 = onnx.Mul %x, %other : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %t0 = onnx.Mul %b0, %g0 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %t1 = onnx.Mul %b1, %g1 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %t2 = onnx.Mul %b2, %g2 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %0 = onnx.Add %t0, %t1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.Add %0, %t2 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %1 : tensor<?x?x4xf32>
}

// -----

// Soft, of sequences of a number that is known; a gate without parameters of the branches' own is none.

// CHECK: modular.select_all
// CHECK-LABEL: func.func @main
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<2x7x4xf32>
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<2x7x4xf32>, %z: tensor<2x2xf32>) -> (tensor<2x7x4xf32>, tensor<2x7x4xf32>) {
  %column = onnx.Constant {value = dense<[-1, 1, 1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %other = onnx.Constant {value = dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %p = onnx.Softmax %z : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %p0 = onnx.Gather %p, %i0 {axis = 1 : i64} : (tensor<2x2xf32>, tensor<i64>) -> tensor<2xf32>
  %g0 = onnx.Reshape %p0, %column : (tensor<2xf32>, tensor<3xi64>) -> tensor<2x1x1xf32>
  %p1 = onnx.Gather %p, %i1 {axis = 1 : i64} : (tensor<2x2xf32>, tensor<i64>) -> tensor<2xf32>
  %g1 = onnx.Reshape %p1, %column : (tensor<2xf32>, tensor<3xi64>) -> tensor<2x1x1xf32>
  %b0 = onnx.Mul %x, %own : (tensor<2x7x4xf32>, tensor<4xf32>) -> tensor<2x7x4xf32>
  %b1 = onnx.Mul %x, %other : (tensor<2x7x4xf32>, tensor<4xf32>) -> tensor<2x7x4xf32>
  %t0 = onnx.Mul %g0, %b0 : (tensor<2x1x1xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %t1 = onnx.Mul %g1, %b1 : (tensor<2x1x1xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %0 = onnx.Add %t0, %t1 : (tensor<2x7x4xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %c0 = onnx.Tanh %x : (tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %c1 = onnx.Relu %x : (tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %u0 = onnx.Mul %g0, %c0 : (tensor<2x1x1xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %u1 = onnx.Mul %g1, %c1 : (tensor<2x1x1xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  %1 = onnx.Add %u0, %u1 : (tensor<2x7x4xf32>, tensor<2x7x4xf32>) -> tensor<2x7x4xf32>
  return %0, %1 : tensor<2x7x4xf32>, tensor<2x7x4xf32>
}

// -----

// The one greatest for each sequence, which weighs 1.

// CHECK: modular.select_top 1
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.Equal
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<?x?x4xf32>
// CHECK: return
func.func @main(%x: tensor<?x?x4xf32> {modular.dims = ["b", "s", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["b", "2"]}) -> tensor<?x?x4xf32> {
  %axes = onnx.Constant {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %c = onnx.ArgMax %z {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x2xf32>) -> tensor<?xi64>
  %e0 = onnx.Equal %c, %i0 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %e1 = onnx.Equal %c, %i1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %u0 = onnx.Unsqueeze %e0, %axes : (tensor<?xi1>, tensor<2xi64>) -> tensor<?x1x1xi1>
  %u1 = onnx.Unsqueeze %e1, %axes : (tensor<?xi1>, tensor<2xi64>) -> tensor<?x1x1xi1>
  %g0 = onnx.Cast %u0 {to = 1 : i64} : (tensor<?x1x1xi1>) -> tensor<?x1x1xf32>
  %g1 = onnx.Cast %u1 {to = 1 : i64} : (tensor<?x1x1xi1>) -> tensor<?x1x1xf32>
  %a = onnx.Tanh %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %b = onnx.Mul %x, %own : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %0 = onnx.Mul %a, %g0 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %1 = onnx.Mul %b, %g1 : (tensor<?x?x4xf32>, tensor<?x1x1xf32>) -> tensor<?x?x4xf32>
  %2 = onnx.Add %0, %1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %2 : tensor<?x?x4xf32>
}

// -----

// A loop whose steps take whole sequences. They are few, so experts are drawn more than once.

// CHECK: modular.select_top 1
// CHECK: modular.module @mixture.expert.0 function(%{{.*}}: tensor<?x7x4xf32>) -> tensor<?x7x4xf32> {
// CHECK: onnx.MatMul {{.*}} : (tensor<?x7x4xf32>, tensor<4x4xf32>) -> tensor<?x7x4xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<3x7x4xf32>
// CHECK-NOT: onnx.NonZero
// CHECK: modular.apply %{{.*}}(%[[X]])
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<3x7x4xf32>
// CHECK-NOT: onnx.NonZero
// CHECK: return
func.func @main(%x: tensor<3x7x4xf32>, %z: tensor<3x4xf32>) -> tensor<3x7x4xf32> {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %zero = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %t0 = onnx.Constant {value = dense<0.0> : tensor<3x7x4xf32>} : () -> tensor<3x7x4xf32>
  %v, %c = onnx.TopK %z, %one : (tensor<3x4xf32>, tensor<1xi64>) -> (tensor<3x1xf32>, tensor<3x1xi64>)
  %all = onnx.Unsqueeze %v, %two : (tensor<3x1xf32>, tensor<1xi64>) -> tensor<3x1x1xf32>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %w0 = onnx.Constant {value = #modular.weight<"w0"> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  %e0 = onnx.Equal %c, %i0 : (tensor<3x1xi64>, tensor<i64>) -> tensor<3x1xi1>
  %n0 = onnx.NonZero %e0 : (tensor<3x1xi1>) -> tensor<2x?xi64>
  %p0 = onnx.Transpose %n0 {perm = [1, 0]} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %r0 = onnx.Slice %p0, %zero, %one, %one {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x0 = onnx.GatherND %x, %r0 : (tensor<3x7x4xf32>, tensor<?x1xi64>) -> tensor<?x7x4xf32>
  %y0 = onnx.MatMul %x0, %w0 : (tensor<?x7x4xf32>, tensor<4x4xf32>) -> tensor<?x7x4xf32>
  %s0 = onnx.GatherND %all, %p0 : (tensor<3x1x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %u0 = onnx.Unsqueeze %s0, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %m0 = onnx.Mul %y0, %u0 : (tensor<?x7x4xf32>, tensor<?x1x1xf32>) -> tensor<?x7x4xf32>
  %t1 = onnx.ScatterND %t0, %r0, %m0 {reduction = "add"} : (tensor<3x7x4xf32>, tensor<?x1xi64>, tensor<?x7x4xf32>) -> tensor<3x7x4xf32>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %w1 = onnx.Constant {value = #modular.weight<"w1"> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  %e1 = onnx.Equal %c, %i1 : (tensor<3x1xi64>, tensor<i64>) -> tensor<3x1xi1>
  %n1 = onnx.NonZero %e1 : (tensor<3x1xi1>) -> tensor<2x?xi64>
  %p1 = onnx.Transpose %n1 {perm = [1, 0]} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %r1 = onnx.Slice %p1, %zero, %one, %one {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x1 = onnx.GatherND %x, %r1 : (tensor<3x7x4xf32>, tensor<?x1xi64>) -> tensor<?x7x4xf32>
  %y1 = onnx.MatMul %x1, %w1 : (tensor<?x7x4xf32>, tensor<4x4xf32>) -> tensor<?x7x4xf32>
  %s1 = onnx.GatherND %all, %p1 : (tensor<3x1x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %u1 = onnx.Unsqueeze %s1, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %m1 = onnx.Mul %y1, %u1 : (tensor<?x7x4xf32>, tensor<?x1x1xf32>) -> tensor<?x7x4xf32>
  %t2 = onnx.ScatterND %t1, %r1, %m1 {reduction = "add"} : (tensor<3x7x4xf32>, tensor<?x1xi64>, tensor<?x7x4xf32>) -> tensor<3x7x4xf32>
  %i2 = onnx.Constant {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %w2 = onnx.Constant {value = #modular.weight<"w2"> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  %e2 = onnx.Equal %c, %i2 : (tensor<3x1xi64>, tensor<i64>) -> tensor<3x1xi1>
  %n2 = onnx.NonZero %e2 : (tensor<3x1xi1>) -> tensor<2x?xi64>
  %p2 = onnx.Transpose %n2 {perm = [1, 0]} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %r2 = onnx.Slice %p2, %zero, %one, %one {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x2 = onnx.GatherND %x, %r2 : (tensor<3x7x4xf32>, tensor<?x1xi64>) -> tensor<?x7x4xf32>
  %y2 = onnx.MatMul %x2, %w2 : (tensor<?x7x4xf32>, tensor<4x4xf32>) -> tensor<?x7x4xf32>
  %s2 = onnx.GatherND %all, %p2 : (tensor<3x1x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %u2 = onnx.Unsqueeze %s2, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %m2 = onnx.Mul %y2, %u2 : (tensor<?x7x4xf32>, tensor<?x1x1xf32>) -> tensor<?x7x4xf32>
  %t3 = onnx.ScatterND %t2, %r2, %m2 {reduction = "add"} : (tensor<3x7x4xf32>, tensor<?x1xi64>, tensor<?x7x4xf32>) -> tensor<3x7x4xf32>
  %i3 = onnx.Constant {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %w3 = onnx.Constant {value = #modular.weight<"w3"> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  %e3 = onnx.Equal %c, %i3 : (tensor<3x1xi64>, tensor<i64>) -> tensor<3x1xi1>
  %n3 = onnx.NonZero %e3 : (tensor<3x1xi1>) -> tensor<2x?xi64>
  %p3 = onnx.Transpose %n3 {perm = [1, 0]} : (tensor<2x?xi64>) -> tensor<?x2xi64>
  %r3 = onnx.Slice %p3, %zero, %one, %one {operandSegmentSizes = array<i32: 1, 1, 1, 1, 0>} : (tensor<?x2xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %x3 = onnx.GatherND %x, %r3 : (tensor<3x7x4xf32>, tensor<?x1xi64>) -> tensor<?x7x4xf32>
  %y3 = onnx.MatMul %x3, %w3 : (tensor<?x7x4xf32>, tensor<4x4xf32>) -> tensor<?x7x4xf32>
  %s3 = onnx.GatherND %all, %p3 : (tensor<3x1x1xf32>, tensor<?x2xi64>) -> tensor<?x1xf32>
  %u3 = onnx.Unsqueeze %s3, %two : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %m3 = onnx.Mul %y3, %u3 : (tensor<?x7x4xf32>, tensor<?x1x1xf32>) -> tensor<?x7x4xf32>
  %t4 = onnx.ScatterND %t3, %r3, %m3 {reduction = "add"} : (tensor<3x7x4xf32>, tensor<?x1xi64>, tensor<?x7x4xf32>) -> tensor<3x7x4xf32>
  return %t4 : tensor<3x7x4xf32>
}
