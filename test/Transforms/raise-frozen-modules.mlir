// RUN: %graft-opt %s --graft-raise-routing --split-input-file --verify-diagnostics | FileCheck %s
// RUN: %graft-opt %s --graft-raise-routing=repair=true --split-input-file --verify-diagnostics

// Loops that tracing ran over the experts that some row had chosen, each a module of its own. Two steps for three experts: the
// third one's parameters are not there, so that nothing repairs it.

func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %each = onnx.Constant {value = dense<1> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @+1 {{the export froze a loop over experts: expected steps for 3, found 2; --repair does not help: the parameters of experts that were not chosen are not there}}
  %h0, %h1 = onnx.Split %hit, %each {axis = 1 : i64} : (tensor<1x?xi64>, tensor<2xi64>) -> (tensor<1x1xi64>, tensor<1x1xi64>)
  %n0 = onnx.Squeeze %h0 : (tensor<1x1xi64>) -> tensor<i64>
  %n1 = onnx.Squeeze %h1 : (tensor<1x1xi64>) -> tensor<i64>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_w = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a2_e = onnx.Equal %c, %n1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_v = onnx.Gather %v, %a2_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}

// -----

// One step, as of one row that chose one expert.

func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %each = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-error @+1 {{the export froze a loop over experts: expected steps for 3, found 1; --repair does not help: the parameters of experts that were not chosen are not there}}
  %h0 = onnx.Split %hit, %each {axis = 1 : i64} : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<1x1xi64>
  %n0 = onnx.Squeeze %h0 : (tensor<1x1xi64>) -> tensor<i64>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a1 : tensor<?x2xf32>
}

// -----

// By its place among those that were chosen.

func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %first = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %flat = onnx.Squeeze %hit, %first : (tensor<1x?xi64>, tensor<1xi64>) -> tensor<?xi64>
  // expected-error @+1 {{the export froze a loop over experts: expected steps for 3, found 2; --repair does not help: the parameters of experts that were not chosen are not there}}
  %n0 = onnx.Gather %flat, %i0 : (tensor<?xi64>, tensor<i64>) -> tensor<i64>
  %n1 = onnx.Gather %flat, %i1 : (tensor<?xi64>, tensor<i64>) -> tensor<i64>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_w = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a2_e = onnx.Equal %c, %n1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_v = onnx.Gather %v, %a2_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}

// -----

// A step for each: it becomes a mixture of all, whoever is chosen.

// CHECK-LABEL: modular.router
// CHECK-SAME: over ["expert.0", "expert.1", "expert.2"]
// CHECK-LABEL: modular.module @mixture.expert.2
// CHECK: dense<{{\[\[}}9.000000e+00, 1.000000e+01], [1.100000e+01, 1.200000e+01]]>
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.NonZero
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %each = onnx.Constant {value = dense<1> : tensor<3xi64>} : () -> tensor<3xi64>
  %h0, %h1, %h2 = onnx.Split %hit, %each {axis = 1 : i64} : (tensor<1x?xi64>, tensor<3xi64>) -> (tensor<1x1xi64>, tensor<1x1xi64>, tensor<1x1xi64>)
  %n0 = onnx.Squeeze %h0 : (tensor<1x1xi64>) -> tensor<i64>
  %n1 = onnx.Squeeze %h1 : (tensor<1x1xi64>) -> tensor<i64>
  %n2 = onnx.Squeeze %h2 : (tensor<1x1xi64>) -> tensor<i64>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_w = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a2_e = onnx.Equal %c, %n1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_v = onnx.Gather %v, %a2_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a3_w = onnx.Constant {value = dense<[[9.0, 10.0], [11.0, 12.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a3_e = onnx.Equal %c, %n2 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a3_n = onnx.NonZero %a3_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a3_r = onnx.Gather %a3_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a3_x = onnx.Gather %x, %a3_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a3_y = onnx.MatMul %a3_x, %a3_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a3_v = onnx.Gather %v, %a3_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a3_m = onnx.Mul %a3_y, %a3_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a3_rows = onnx.Unsqueeze %a3_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  // expected-warning @+1 {{the export froze how many experts a loop runs over: expected any number, found 3; compiled for all 3}}
  %a3 = onnx.ScatterND %a2, %a3_rows, %a3_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a3 : tensor<?x2xf32>
}

// -----

// One step that takes the rows of an expert that stands fast: no loop.

// CHECK-LABEL: func.func @main
// CHECK: onnx.ScatterND
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a1 : tensor<?x2xf32>
}

// -----

// A step for each, of experts that mix rows: it stays. Rows that choose all three get what they should, others an error as it runs.

// CHECK-LABEL: func.func @main
// CHECK: onnx.Split
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x3xf32> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x3xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %each = onnx.Constant {value = dense<1> : tensor<3xi64>} : () -> tensor<3xi64>
  %h0, %h1, %h2 = onnx.Split %hit, %each {axis = 1 : i64} : (tensor<1x?xi64>, tensor<3xi64>) -> (tensor<1x1xi64>, tensor<1x1xi64>, tensor<1x1xi64>)
  %n0 = onnx.Squeeze %h0 : (tensor<1x1xi64>) -> tensor<i64>
  %n1 = onnx.Squeeze %h1 : (tensor<1x1xi64>) -> tensor<i64>
  %n2 = onnx.Squeeze %h2 : (tensor<1x1xi64>) -> tensor<i64>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_v = onnx.Gather %v, %a1_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a1_s = onnx.Softmax %a1_y {axis = 0 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %a1_m = onnx.Mul %a1_s, %a1_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_w = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a2_e = onnx.Equal %c, %n1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_v = onnx.Gather %v, %a2_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a2_s = onnx.Softmax %a2_y {axis = 0 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_m = onnx.Mul %a2_s, %a2_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a3_w = onnx.Constant {value = dense<[[9.0, 10.0], [11.0, 12.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a3_e = onnx.Equal %c, %n2 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a3_n = onnx.NonZero %a3_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a3_r = onnx.Gather %a3_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a3_x = onnx.Gather %x, %a3_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a3_y = onnx.MatMul %a3_x, %a3_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a3_v = onnx.Gather %v, %a3_r : (tensor<?x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
  %a3_s = onnx.Softmax %a3_y {axis = 0 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %a3_m = onnx.Mul %a3_s, %a3_v : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a3_rows = onnx.Unsqueeze %a3_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  // expected-warning @+1 {{the export froze how many experts a loop runs over: expected any number, found 3; left as it was exported}}
  %a3 = onnx.ScatterND %a2, %a3_rows, %a3_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a3 : tensor<?x2xf32>
}
