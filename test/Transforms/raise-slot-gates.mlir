// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// The weights of slots that chose other modules are replaced by 0.

// CHECK: modular.select_top 2
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.Equal
// CHECK: modular.route {{.*}} -> !modular.route<3, 2>
// CHECK: modular.aggregate weighted_sum
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x4xf32> {
  %k = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %i2 = onnx.Constant {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %none = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %other = onnx.Constant {value = dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %v, %c = onnx.TopK %z, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %e0 = onnx.Equal %c, %i0 : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %n0 = onnx.Not %e0 : (tensor<?x2xi1>) -> tensor<?x2xi1>
  %w0 = onnx.Where %n0, %none, %v : (tensor<?x2xi1>, tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %g0 = onnx.ReduceSum %w0, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e1 = onnx.Equal %c, %i1 : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %n1 = onnx.Not %e1 : (tensor<?x2xi1>) -> tensor<?x2xi1>
  %w1 = onnx.Where %n1, %none, %v : (tensor<?x2xi1>, tensor<f32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %g1 = onnx.ReduceSum %w1, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e2 = onnx.Equal %c, %i2 : (tensor<?x2xi64>, tensor<i64>) -> tensor<?x2xi1>
  %w2 = onnx.Where %e2, %v, %none : (tensor<?x2xi1>, tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %g2 = onnx.ReduceSum %w2, %last : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %b0 = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %b1 = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %b2 = onnx.Mul %x, %other : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %0 = onnx.Mul %b0, %g0 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %b1, %g1 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %2 = onnx.Mul %b2, %g2 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %3 = onnx.Add %0, %1 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Add %3, %2 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// -----

// A term for each slot and module: each module once, of what is chosen in all slots. Without a slot of the last one they
// are left alone.

// CHECK: modular.router @mixture.router
// CHECK: modular.select_top 2
// CHECK: modular.weigh
// CHECK-NOT: modular.router
// CHECK-LABEL: func.func @main
// CHECK: modular.route {{.*}} -> !modular.route<2, 2>
// CHECK: %[[Y:.*]] = modular.aggregate weighted_sum
// CHECK: onnx.Add
// CHECK: return %[[Y]],
func.func @main(%x: tensor<?x4xf32> {modular.dims = ["n", "4"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %k = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %own = onnx.Constant {value = dense<[1.0, -2.0, 3.0, 0.5]> : tensor<4xf32>} : () -> tensor<4xf32>
  %v, %c = onnx.TopK %z, %k : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %c0 = onnx.Gather %c, %i0 {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %c1 = onnx.Gather %c, %i1 {axis = 1 : i64} : (tensor<?x2xi64>, tensor<i64>) -> tensor<?xi64>
  %v0 = onnx.Gather %v, %i0 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %v1 = onnx.Gather %v, %i1 {axis = 1 : i64} : (tensor<?x2xf32>, tensor<i64>) -> tensor<?xf32>
  %e00 = onnx.Equal %c0, %i0 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %m00 = onnx.Cast %e00 {to = 1 : i64} : (tensor<?xi1>) -> tensor<?xf32>
  %p00 = onnx.Mul %v0, %m00 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %g00 = onnx.Unsqueeze %p00, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e01 = onnx.Equal %c0, %i1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %m01 = onnx.Cast %e01 {to = 1 : i64} : (tensor<?xi1>) -> tensor<?xf32>
  %p01 = onnx.Mul %v0, %m01 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %g01 = onnx.Unsqueeze %p01, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e10 = onnx.Equal %c1, %i0 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %m10 = onnx.Cast %e10 {to = 1 : i64} : (tensor<?xi1>) -> tensor<?xf32>
  %p10 = onnx.Mul %v1, %m10 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %g10 = onnx.Unsqueeze %p10, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %e11 = onnx.Equal %c1, %i1 : (tensor<?xi64>, tensor<i64>) -> tensor<?xi1>
  %m11 = onnx.Cast %e11 {to = 1 : i64} : (tensor<?xi1>) -> tensor<?xf32>
  %p11 = onnx.Mul %v1, %m11 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %g11 = onnx.Unsqueeze %p11, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %an = onnx.Relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.Mul %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %bn = onnx.Add %x, %own : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t00 = onnx.Mul %a, %g00 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %t01 = onnx.Mul %b, %g01 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %t10 = onnx.Mul %a, %g10 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %t11 = onnx.Mul %b, %g11 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %s0 = onnx.Add %t00, %t10 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %s1 = onnx.Add %s0, %t01 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Add %s1, %t11 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %u00 = onnx.Mul %an, %g00 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %u10 = onnx.Mul %an, %g10 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %u01 = onnx.Mul %bn, %g01 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %r0 = onnx.Add %u00, %u10 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %r = onnx.Add %r0, %u01 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y, %r : tensor<?x4xf32>, tensor<?x4xf32>
}
