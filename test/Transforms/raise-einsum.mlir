// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// All modules in one Einsum: each has what is left of it without the modules' label, a product with its matrix.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: modular.select_all of %[[SHARES]]
// CHECK: modular.module @moe.expert.1 function(%[[X:.*]]: tensor<?x2xf32>) -> tensor<?x2xf32> {
// CHECK: %[[A:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}3.000000e+00], [4.000000e+00]]> : tensor<2x1xf32>
// CHECK: %[[H:.*]] = onnx.MatMul %[[X]], %[[A]] : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
// CHECK: %[[ACTIVE:.*]] = onnx.Relu %[[H]]
// (out, in): the Einsum that takes it need not turn it, nor does the module.
// CHECK: %[[B:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}7.000000e+00], [8.000000e+00]]> : tensor<2x1xf32>
// CHECK: onnx.Gemm %[[ACTIVE]], %[[B]] {transB = 1 : i64} : (tensor<?x1xf32>, tensor<2x1xf32>) -> tensor<?x2xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x2xf32>{{.*}}, %[[Z:.*]]: tensor<?x?x2xf32>
// CHECK-NOT: onnx.Einsum
// CHECK: %[[LOGITS:.*]] = onnx.Reshape %[[Z]]
// CHECK: %[[ROWS:.*]] = onnx.Reshape %[[X]]
// CHECK: modular.apply %{{.*}} [@moe.expert.0, @moe.expert.1](%[[ROWS]])
// CHECK: %[[SUM:.*]] = modular.aggregate weighted_sum
// CHECK: onnx.Reshape %[[SUM]], %{{.*}} -> tensor<?x?x2xf32>
func.func @main(%x: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}, %z: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}) -> tensor<?x?x2xf32> {
  %a = onnx.Constant {value = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %b = onnx.Constant {value = dense<[[[5.0], [6.0]], [[7.0], [8.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %w = onnx.Softmax %z : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %0 = onnx.Einsum %x, %a {equation = "bsd,edh->ebsh"} : (tensor<?x?x2xf32>, tensor<2x2x1xf32>) -> tensor<2x?x?x1xf32>
  %1 = onnx.Relu %0 : (tensor<2x?x?x1xf32>) -> tensor<2x?x?x1xf32>
  %2 = onnx.Einsum %1, %b {equation = "e...h,edh->...ed"} : (tensor<2x?x?x1xf32>, tensor<2x2x1xf32>) -> tensor<?x?x2x2xf32>
  %3 = onnx.Einsum %w, %2 {equation = "bse,bsed->bsd"} : (tensor<?x?x2xf32>, tensor<?x?x2x2xf32>) -> tensor<?x?x2xf32> loc(fused<"moe">["/moe/Einsum"])
  return %3 : tensor<?x?x2xf32>
}

// -----

// The sum over modules takes in the last product; a weight stands for a whole sequence.

// CHECK: modular.module @mixture.expert.0 function(%[[X:.*]]: tensor<?x2xf32>) -> tensor<?x2xf32> {
// CHECK: %[[A:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}1.000000e+00, 2.000000e+00]]> : tensor<1x2xf32>
// CHECK: %[[H:.*]] = onnx.Gemm %[[X]], %[[A]]
// CHECK: %[[B:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}5.000000e+00, 6.000000e+00]]> : tensor<1x2xf32>
// CHECK: onnx.MatMul %[[H]], %[[B]]
// CHECK: modular.module @mixture.expert.0_1 function(%{{.*}}: tensor<?x?x2xf32>) -> tensor<?x?x2xf32> {
// CHECK-LABEL: func.func @main
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<?x2xf32>
// CHECK: modular.aggregate weighted_sum {{.*}} -> tensor<?x?x2xf32>
// CHECK-NOT: onnx.Einsum
// CHECK: return
func.func @main(%x: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}, %w: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]},
    %whole: tensor<?x2xf32> {modular.dims = ["b", "2"]}) -> (tensor<?x?x2xf32>, tensor<?x?x2xf32>) {
  %a = onnx.Constant {value = dense<[[[1.0, 2.0]], [[3.0, 4.0]]]> : tensor<2x1x2xf32>} : () -> tensor<2x1x2xf32>
  %b = onnx.Constant {value = dense<[[[5.0, 6.0]], [[7.0, 8.0]]]> : tensor<2x1x2xf32>} : () -> tensor<2x1x2xf32>
  %0 = onnx.Einsum %a, %x {equation = "erd,bsd->bser"} : (tensor<2x1x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2x1xf32>
  %1 = onnx.Einsum %0, %b, %w {equation = "bser,erd,bse->bsd"} : (tensor<?x?x2x1xf32>, tensor<2x1x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %2 = onnx.Einsum %whole, %0, %b {equation = "be,bser,erd->bsd"} : (tensor<?x2xf32>, tensor<?x?x2x1xf32>, tensor<2x1x2xf32>) -> tensor<?x?x2xf32>
  return %1, %2 : tensor<?x?x2xf32>, tensor<?x?x2xf32>
}

// -----

// No mixtures: a bilinear form, whose second factor is not weights but what the first is; heads of attention; a linear layer of several
// labels; slots that are the same for all rows.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%x: tensor<?x4x2xf32> {modular.dims = ["b", "4", "2"]}, %q: tensor<?x4x3x2xf32> {modular.dims = ["b", "4", "3", "2"]},
    %z: tensor<?x4x2xf32> {modular.dims = ["b", "4", "2"]}) -> (tensor<?x4x2xf32>, tensor<?x4x3x2xf32>, tensor<?x4x2xf32>, tensor<?x4x2xf32>) {
  %c = onnx.Constant {value = #modular.weight<"c"> : tensor<2x2x2xf32>} : () -> tensor<2x2x2xf32>
  %o = onnx.Constant {value = #modular.weight<"o"> : tensor<3x2x2xf32>} : () -> tensor<3x2x2xf32>
  %slots = onnx.Constant {value = #modular.weight<"slots"> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %0 = onnx.Einsum %x, %c, %x {equation = "bsi,ijk,bsj->bsk"} : (tensor<?x4x2xf32>, tensor<2x2x2xf32>, tensor<?x4x2xf32>) -> tensor<?x4x2xf32>
  %1 = onnx.Einsum %q, %q {equation = "bihd,bjhd->bhij"} : (tensor<?x4x3x2xf32>, tensor<?x4x3x2xf32>) -> tensor<?x3x4x4xf32>
  %2 = onnx.Softmax %1 : (tensor<?x3x4x4xf32>) -> tensor<?x3x4x4xf32>
  %3 = onnx.Einsum %2, %q {equation = "bhij,bjhd->bihd"} : (tensor<?x3x4x4xf32>, tensor<?x4x3x2xf32>) -> tensor<?x4x3x2xf32>
  %4 = onnx.Einsum %3, %o {equation = "bihd,hdo->bio"} : (tensor<?x4x3x2xf32>, tensor<3x2x2xf32>) -> tensor<?x4x2xf32>
  %5 = onnx.Softmax %z : (tensor<?x4x2xf32>) -> tensor<?x4x2xf32>
  %6 = onnx.Einsum %5, %slots {equation = "bse,ed->bsd"} : (tensor<?x4x2xf32>, tensor<2x2xf32>) -> tensor<?x4x2xf32>
  return %0, %3, %4, %6 : tensor<?x4x2xf32>, tensor<?x4x3x2xf32>, tensor<?x4x2xf32>, tensor<?x4x2xf32>
}
