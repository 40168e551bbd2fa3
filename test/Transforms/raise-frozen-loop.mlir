// RUN: %graft-opt %s --graft-raise-routing --verify-diagnostics
// RUN: %graft-opt %s --graft-raise-routing=repair=true 2>&1 | FileCheck %s

// Two steps for three experts: the export had chosen no more. The routes of other rows would fail.

// CHECK: warning: the export froze how many experts a loop runs over: expected any number, found 2; compiled for all 3
// CHECK-LABEL: modular.router
// CHECK-SAME: over ["expert.0", "expert.1", "expert.2"]
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
  %stack = onnx.Constant {value = dense<[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]], [[9.0, 1.0], [2.0, 3.0]]]> : tensor<3x2x2xf32>} : () -> tensor<3x2x2xf32>
  %numbers = onnx.Constant {value = dense<[[[0, 1, 2]]]> : tensor<1x1x3xi64>} : () -> tensor<1x1x3xi64>
  %wide = onnx.Unsqueeze %c, %last : (tensor<?x1xi64>, tensor<1xi64>) -> tensor<?x1x1xi64>
  %hot = onnx.Equal %wide, %numbers : (tensor<?x1x1xi64>, tensor<1x1x3xi64>) -> tensor<?x1x3xi1>
  %ones = onnx.Cast %hot {to = 7 : i64} : (tensor<?x1x3xi1>) -> tensor<?x1x3xi64>
  %both = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %users = onnx.ReduceSum %ones, %both {keepdims = 0 : i64} : (tensor<?x1x3xi64>, tensor<2xi64>) -> tensor<3xi64>
  %any = onnx.Greater %users, %i0 : (tensor<3xi64>, tensor<i64>) -> tensor<3xi1>
  %hit = onnx.NonZero %any : (tensor<3xi1>) -> tensor<1x?xi64>
  %each = onnx.Constant {value = dense<1> : tensor<2xi64>} : () -> tensor<2xi64>
  %h0, %h1 = onnx.Split %hit, %each {axis = 1 : i64} : (tensor<1x?xi64>, tensor<2xi64>) -> (tensor<1x1xi64>, tensor<1x1xi64>)
  %n0 = onnx.Squeeze %h0 : (tensor<1x1xi64>) -> tensor<i64>
  %n1 = onnx.Squeeze %h1 : (tensor<1x1xi64>) -> tensor<i64>
  %a1_e = onnx.Equal %c, %n0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_s = onnx.Gather %a1_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_w = onnx.Gather %stack, %n0 : (tensor<3x2x2xf32>, tensor<i64>) -> tensor<2x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_slots = onnx.Unsqueeze %a1_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_at = onnx.Concat %a1_rows, %a1_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a1_v = onnx.GatherND %v, %a1_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a1_g = onnx.Unsqueeze %a1_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_e = onnx.Equal %c, %n1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_s = onnx.Gather %a2_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_w = onnx.Gather %stack, %n1 : (tensor<3x2x2xf32>, tensor<i64>) -> tensor<2x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_slots = onnx.Unsqueeze %a2_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_at = onnx.Concat %a2_rows, %a2_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a2_v = onnx.GatherND %v, %a2_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a2_g = onnx.Unsqueeze %a2_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  // expected-error @+1 {{the export froze a loop over experts: expected steps for 3, found 2; --repair compiles what was traced}}
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}
