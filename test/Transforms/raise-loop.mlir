// RUN: %graft-opt %s --graft-raise-routing --split-input-file --verify-diagnostics | FileCheck %s

// A loop over two experts, unrolled: each step takes the rows that chose one, by their numbers, and adds what it makes of them.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: %[[CHOSEN:.*]] = modular.select_top 1 of %[[SHARES]]
// CHECK: modular.weigh %[[CHOSEN]] by %[[SHARES]] normalized by nothing
// The order of the steps is not that of the experts. A product may be an Einsum.
// CHECK-LABEL: modular.module @moe.expert.0
// CHECK: dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]>
// CHECK: onnx.MatMul
// CHECK-LABEL: modular.module @moe.expert.1
// CHECK: dense<{{\[\[}}5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00]]>
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.NonZero
// CHECK-NOT: onnx.ScatterND
// CHECK: modular.aggregate weighted_sum
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %w0 = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w1 = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_s = onnx.Gather %a1_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_slots = onnx.Unsqueeze %a1_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_at = onnx.Concat %a1_rows, %a1_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a1_v = onnx.GatherND %v, %a1_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a1_g = onnx.Unsqueeze %a1_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_e = onnx.Equal %c, %i0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_s = onnx.Gather %a2_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.Einsum %w0, %a2_x {equation = "io,...i->...o"} : (tensor<2x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_slots = onnx.Unsqueeze %a2_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_at = onnx.Concat %a2_rows, %a2_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a2_v = onnx.GatherND %v, %a2_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a2_g = onnx.Unsqueeze %a2_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32> loc(fused<"moe">["/moe/ScatterND"])
  return %a2 : tensor<?x2xf32>
}

// -----

// One step weighs otherwise: computing it shows that, and it stays.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.apply
// CHECK: onnx.NonZero
// CHECK: onnx.ScatterND
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %k = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %p = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %v, %c = onnx.TopK %p, %k : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %w0 = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w1 = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %twice = onnx.Add %v, %v : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %a1_e = onnx.Equal %c, %i0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_s = onnx.Gather %a1_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %w0 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_slots = onnx.Unsqueeze %a1_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_at = onnx.Concat %a1_rows, %a1_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a1_v = onnx.GatherND %v, %a1_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a1_g = onnx.Unsqueeze %a1_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_e = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_s = onnx.Gather %a2_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_slots = onnx.Unsqueeze %a2_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_at = onnx.Concat %a2_rows, %a2_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a2_v = onnx.GatherND %twice, %a2_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a2_g = onnx.Unsqueeze %a2_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  // expected-warning @+1 {{expected a loop over 2 experts, found a relative difference of}}
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}

// -----

// Rows that choose the third expert get nothing: no mixture of three.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.apply
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
  %w0 = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %w1 = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %i0 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_s = onnx.Gather %a1_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %w0 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_slots = onnx.Unsqueeze %a1_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1_at = onnx.Concat %a1_rows, %a1_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a1_v = onnx.GatherND %v, %a1_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a1_g = onnx.Unsqueeze %a1_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a1_m = onnx.Mul %a1_y, %a1_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_e = onnx.Equal %c, %i1 : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x1xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_s = onnx.Gather %a2_n, %i1 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_slots = onnx.Unsqueeze %a2_s, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2_at = onnx.Concat %a2_rows, %a2_slots {axis = 1 : i64} : (tensor<?x1xi64>, tensor<?x1xi64>) -> tensor<?x2xi64>
  %a2_v = onnx.GatherND %v, %a2_at : (tensor<?x1xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  %a2_g = onnx.Unsqueeze %a2_v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %a2_m = onnx.Mul %a2_y, %a2_g : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_m {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}

// -----

// Rows of a cache, written by positions that no choice of experts gives: no mixture.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.apply
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %at: tensor<?x1xi64> {modular.dims = ["m", "1"]}, %y: tensor<?x2xf32> {modular.dims = ["m", "2"]}) -> tensor<?x2xf32> {
  %0 = onnx.ScatterND %x, %at, %y : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.ScatterND %0, %at, %y {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// -----

// Three slots for each row, and steps for two experts: no row chooses as many.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.apply
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x3xi64> {modular.dims = ["n", "3"]}) -> tensor<?x2xf32> {
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %i0 = onnx.Constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %i1 = onnx.Constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %zero = onnx.Constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %shape = onnx.Shape %x : (tensor<?x2xf32>) -> tensor<2xi64>
  %a0 = onnx.Expand %zero, %shape : (tensor<f32>, tensor<2xi64>) -> tensor<?x2xf32>
  %a1_w = onnx.Constant {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a1_e = onnx.Equal %c, %i0 : (tensor<?x3xi64>, tensor<i64>) -> tensor<?x3xi1>
  %a1_n = onnx.NonZero %a1_e : (tensor<?x3xi1>) -> tensor<2x?xi64>
  %a1_r = onnx.Gather %a1_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a1_x = onnx.Gather %x, %a1_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a1_y = onnx.MatMul %a1_x, %a1_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a1_rows = onnx.Unsqueeze %a1_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a1 = onnx.ScatterND %a0, %a1_rows, %a1_y {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %a2_w = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %a2_e = onnx.Equal %c, %i1 : (tensor<?x3xi64>, tensor<i64>) -> tensor<?x3xi1>
  %a2_n = onnx.NonZero %a2_e : (tensor<?x3xi1>) -> tensor<2x?xi64>
  %a2_r = onnx.Gather %a2_n, %i0 : (tensor<2x?xi64>, tensor<i64>) -> tensor<?xi64>
  %a2_x = onnx.Gather %x, %a2_r : (tensor<?x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %a2_y = onnx.MatMul %a2_x, %a2_w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %a2_rows = onnx.Unsqueeze %a2_r, %last : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %a2 = onnx.ScatterND %a1, %a2_rows, %a2_y {reduction = "add"} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %a2 : tensor<?x2xf32>
}
