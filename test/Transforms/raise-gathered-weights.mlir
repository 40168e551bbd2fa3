// RUN: %graft-opt %s --graft-raise-routing --split-input-file | FileCheck %s

// For each slot of each row a copy of the weights that a TopK chose: the copies go away.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: %[[CHOSEN:.*]] = modular.select_top 2 of %[[SHARES]]
// CHECK: modular.weigh %[[CHOSEN]] by %[[SHARES]] normalized by nothing
// CHECK-LABEL: modular.module @moe.expert.1 function(%{{.*}}: tensor<?x1xf32>) -> tensor<?x1xf32> {
// A matrix times a column, (out, in); a vector; a row times a matrix, (in, out).
// CHECK: %[[A:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}3.000000e+00], [4.000000e+00]]> : tensor<2x1xf32>
// CHECK: %[[H:.*]] = onnx.Gemm %{{.*}}, %[[A]] {transB = 1 : i64} : (tensor<?x1xf32>, tensor<2x1xf32>) -> tensor<?x2xf32>
// CHECK: %[[BIAS:.*]] = onnx.Constant {{.*}}dense<[7.000000e+00, 8.000000e+00]> : tensor<2xf32>
// CHECK: %[[SHIFTED:.*]] = onnx.Add %[[H]], %[[BIAS]]
// CHECK: %[[ACTIVE:.*]] = onnx.Relu %[[SHIFTED]]
// CHECK: %[[B:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}3.000000e+00], [4.000000e+00]]> : tensor<2x1xf32>
// CHECK: onnx.MatMul %[[ACTIVE]], %[[B]] : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x1xf32>
// CHECK-NOT: onnx.Gather
// CHECK: %[[P:.*]] = modular.apply %{{.*}} [@moe.expert.0, @moe.expert.1](%[[X]])
// CHECK: %[[Y:.*]] = modular.aggregate weighted_sum %[[P]]
// CHECK: return %[[Y]]
func.func @main(%x: tensor<?x1xf32> {modular.dims = ["n", "1"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x1xf32> {
  %flat = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %k = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %twice = onnx.Constant {value = dense<[1, 2, 1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %vectors = onnx.Constant {value = dense<[-1, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %slots = onnx.Constant {value = dense<[-1, 2, 1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %w = onnx.Constant {value = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %b = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %0 = onnx.Softmax %z : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %v, %c = onnx.TopK %0, %k : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  %1 = onnx.Reshape %c, %flat : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %2 = onnx.Unsqueeze %x, %one : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %3 = onnx.Expand %2, %twice : (tensor<?x1x1xf32>, tensor<3xi64>) -> tensor<?x2x1xf32>
  %4 = onnx.Reshape %3, %vectors : (tensor<?x2x1xf32>, tensor<2xi64>) -> tensor<?x1xf32>
  %5 = onnx.Gather %w, %1 : (tensor<2x2x1xf32>, tensor<?xi64>) -> tensor<?x2x1xf32>
  %6 = onnx.Unsqueeze %4, %flat : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %7 = onnx.MatMul %5, %6 : (tensor<?x2x1xf32>, tensor<?x1x1xf32>) -> tensor<?x2x1xf32>
  %8 = onnx.Squeeze %7, %flat : (tensor<?x2x1xf32>, tensor<1xi64>) -> tensor<?x2xf32>
  %9 = onnx.Gather %b, %1 : (tensor<2x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %10 = onnx.Add %8, %9 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %11 = onnx.Relu %10 : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %12 = onnx.Unsqueeze %11, %one : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1x2xf32>
  %13 = onnx.MatMul %12, %5 : (tensor<?x1x2xf32>, tensor<?x2x1xf32>) -> tensor<?x1x1xf32>
  %14 = onnx.Squeeze %13, %one : (tensor<?x1x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %15 = onnx.Reshape %v, %vectors : (tensor<?x2xf32>, tensor<2xi64>) -> tensor<?x1xf32>
  %16 = onnx.Mul %14, %15 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %17 = onnx.Reshape %16, %slots : (tensor<?x1xf32>, tensor<3xi64>) -> tensor<?x2x1xf32>
  %18 = onnx.ReduceSum %17, %one {keepdims = 0 : i64} : (tensor<?x2x1xf32>, tensor<1xi64>) -> tensor<?x1xf32> loc(fused<"moe">["/moe/ReduceSum"])
  return %18 : tensor<?x1xf32>
}

// -----

// An embedding's rows, weighed and summed, are no mixture; nor are weights gathered by what no TopK bounds.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.aggregate
// CHECK: return
func.func @main(%ids: tensor<?x2xi64> {modular.dims = ["n", "2"]}, %v: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %flat = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %vectors = onnx.Constant {value = dense<[-1, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %slots = onnx.Constant {value = dense<[-1, 2, 2]> : tensor<3xi64>} : () -> tensor<3xi64>
  %b = onnx.Constant {value = dense<[[5.0, 6.0], [7.0, 8.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %1 = onnx.Reshape %ids, %flat : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %9 = onnx.Gather %b, %1 : (tensor<2x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %15 = onnx.Reshape %v, %vectors : (tensor<?x2xf32>, tensor<2xi64>) -> tensor<?x1xf32>
  %16 = onnx.Mul %9, %15 : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %17 = onnx.Reshape %16, %slots : (tensor<?x2xf32>, tensor<3xi64>) -> tensor<?x2x2xf32>
  %18 = onnx.ReduceSum %17, %one {keepdims = 0 : i64} : (tensor<?x2x2xf32>, tensor<1xi64>) -> tensor<?x2xf32>
  return %18 : tensor<?x2xf32>
}

// -----

// Rows and slots as dimensions of their own: by Einsums whose vectors are the input's rows, then each slot's; by products of matrices, the
// weights as a row.

// CHECK: modular.router {{.*}} over ["expert.0", "expert.1"] {
// CHECK: modular.router {{.*}} over ["expert.0", "expert.1"] {
// CHECK: modular.module @mixture.expert.1 function(%[[X:.*]]: tensor<?x1xf32>) -> tensor<?x1xf32> {
// CHECK: %[[A:.*]] = onnx.Constant {{.*}}dense<{{\[\[}}3.000000e+00], [4.000000e+00]]> : tensor<2x1xf32>
// CHECK: %[[H:.*]] = onnx.Gemm %[[X]], %[[A]] {transB = 1 : i64} : (tensor<?x1xf32>, tensor<2x1xf32>) -> tensor<?x2xf32>
// CHECK: onnx.MatMul %[[H]], %{{.*}} : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x1xf32>{{.*}}, %[[Z:.*]]: tensor
// CHECK-NOT: onnx.Gather
// CHECK: modular.aggregate weighted_sum
// CHECK: modular.aggregate weighted_sum
// CHECK-NOT: onnx.Gather
// CHECK: return
func.func @main(%x: tensor<?x?x1xf32> {modular.dims = ["b", "s", "1"]}, %z: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}) -> (tensor<?x?x1xf32>, tensor<?x?x1x1xf32>) {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %both = onnx.Constant {value = dense<[2, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %w = onnx.Constant {value = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %v, %c = onnx.TopK %z, %two : (tensor<?x?x2xf32>, tensor<1xi64>) -> (tensor<?x?x2xf32>, tensor<?x?x2xi64>)
  %s = onnx.Softmax %v : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %m = onnx.Gather %w, %c : (tensor<2x2x1xf32>, tensor<?x?x2xi64>) -> tensor<?x?x2x2x1xf32>
  %0 = onnx.Einsum %x, %m {equation = "bsd,bskhd->bskh"} : (tensor<?x?x1xf32>, tensor<?x?x2x2x1xf32>) -> tensor<?x?x2x2xf32>
  %1 = onnx.Einsum %m, %0 {equation = "bskhd,bskh->bskd"} : (tensor<?x?x2x2x1xf32>, tensor<?x?x2x2xf32>) -> tensor<?x?x2x1xf32>
  %2 = onnx.Einsum %s, %1 {equation = "bsk,bskd->bsd"} : (tensor<?x?x2xf32>, tensor<?x?x2x1xf32>) -> tensor<?x?x1xf32>
  %3 = onnx.Unsqueeze %x, %both : (tensor<?x?x1xf32>, tensor<2xi64>) -> tensor<?x?x1x1x1xf32>
  %4 = onnx.MatMul %m, %3 : (tensor<?x?x2x2x1xf32>, tensor<?x?x1x1x1xf32>) -> tensor<?x?x2x2x1xf32>
  %5 = onnx.Squeeze %4, %last : (tensor<?x?x2x2x1xf32>, tensor<1xi64>) -> tensor<?x?x2x2xf32>
  %6 = onnx.Relu %5 : (tensor<?x?x2x2xf32>) -> tensor<?x?x2x2xf32>
  %three = onnx.Constant {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %7 = onnx.Unsqueeze %6, %three : (tensor<?x?x2x2xf32>, tensor<1xi64>) -> tensor<?x?x2x1x2xf32>
  %8 = onnx.MatMul %7, %m : (tensor<?x?x2x1x2xf32>, tensor<?x?x2x2x1xf32>) -> tensor<?x?x2x1x1xf32>
  %9 = onnx.Squeeze %8, %three : (tensor<?x?x2x1x1xf32>, tensor<1xi64>) -> tensor<?x?x2x1xf32>
  %10 = onnx.Unsqueeze %s, %two : (tensor<?x?x2xf32>, tensor<1xi64>) -> tensor<?x?x1x2xf32>
  %11 = onnx.MatMul %10, %9 : (tensor<?x?x1x2xf32>, tensor<?x?x2x1xf32>) -> tensor<?x?x1x1xf32>
  return %2, %11 : tensor<?x?x1xf32>, tensor<?x?x1x1xf32>
}

// -----

// One slot for each row, the greatest of scores and its score: vectors as columns, and no sum.

// CHECK: modular.router @mixture.router(%[[Z:.*]]: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[C:.*]] = modular.select_top 1 of %[[Z]]
// CHECK: modular.weigh %[[C]] by %[[Z]] normalized by nothing
// CHECK: modular.module @mixture.expert.1 function(%[[X:.*]]: tensor<?x1xf32>) -> tensor<?x1xf32> {
// CHECK: %[[H:.*]] = onnx.Gemm %[[X]], %{{.*}} {transB = 1 : i64}
// CHECK: %[[R:.*]] = onnx.Relu %[[H]] : (tensor<?x2xf32>) -> tensor<?x2xf32>
// CHECK: onnx.Gemm %[[R]], %{{.*}} {transB = 1 : i64}
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.Gather
// CHECK: %[[Y:.*]] = modular.aggregate weighted_sum
// CHECK: onnx.Add %{{.*}}, %[[Y]]
func.func @main(%x: tensor<?x1xf32> {modular.dims = ["n", "1"]}, %z: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x1xf32> {
  %last = onnx.Constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Constant {value = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %b = onnx.Constant {value = dense<[[[5.0, 6.0]], [[7.0, 8.0]]]> : tensor<2x1x2xf32>} : () -> tensor<2x1x2xf32>
  %v = onnx.ReduceMax %z, %last {keepdims = 0 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %c = onnx.ArgMax %z {axis = -1 : i64, keepdims = 0 : i64} : (tensor<?x2xf32>) -> tensor<?xi64>
  %0 = onnx.Unsqueeze %x, %last : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %1 = onnx.Gather %a, %c : (tensor<2x2x1xf32>, tensor<?xi64>) -> tensor<?x2x1xf32>
  %2 = onnx.MatMul %1, %0 : (tensor<?x2x1xf32>, tensor<?x1x1xf32>) -> tensor<?x2x1xf32>
  %3 = onnx.Relu %2 : (tensor<?x2x1xf32>) -> tensor<?x2x1xf32>
  %4 = onnx.Gather %b, %c : (tensor<2x1x2xf32>, tensor<?xi64>) -> tensor<?x1x2xf32>
  %5 = onnx.MatMul %4, %3 : (tensor<?x1x2xf32>, tensor<?x2x1xf32>) -> tensor<?x1x1xf32>
  %6 = onnx.Squeeze %5, %last : (tensor<?x1x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %7 = onnx.Unsqueeze %v, %last : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %8 = onnx.Mul %6, %7 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %9 = onnx.Add %x, %8 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  return %9 : tensor<?x1xf32>
}

// -----

// Chosen by the model's caller: looked up among the numbers that there are, as it was.

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[IDS:[a-z0-9]+]]: tensor<?xi64>
// CHECK: %[[ALL:.*]] = onnx.Constant {value = dense<[0, 1]> : tensor<2xi64>}
// CHECK: %[[C:.*]] = onnx.Gather %[[ALL]], %[[IDS]] : (tensor<2xi64>, tensor<?xi64>) -> tensor<?xi64>
// CHECK: onnx.Reshape %[[C]]
// CHECK: modular.route
// CHECK: modular.apply
// CHECK-NOT: onnx.MatMul
// CHECK: return
func.func @main(%x: tensor<?x1xf32> {modular.dims = ["n", "1"]}, %ids: tensor<?xi64> {modular.dims = ["n"]}) -> tensor<?x1xf32> {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %a = onnx.Constant {value = dense<[[[1.0, 2.0]], [[3.0, 4.0]]]> : tensor<2x1x2xf32>} : () -> tensor<2x1x2xf32>
  %b = onnx.Constant {value = dense<[[[5.0], [6.0]], [[7.0], [8.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %0 = onnx.Unsqueeze %x, %one : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1x1xf32>
  %1 = onnx.Gather %a, %ids : (tensor<2x1x2xf32>, tensor<?xi64>) -> tensor<?x1x2xf32>
  %2 = onnx.MatMul %0, %1 : (tensor<?x1x1xf32>, tensor<?x1x2xf32>) -> tensor<?x1x2xf32>
  %3 = onnx.Tanh %2 : (tensor<?x1x2xf32>) -> tensor<?x1x2xf32>
  %4 = onnx.Gather %b, %ids : (tensor<2x2x1xf32>, tensor<?xi64>) -> tensor<?x2x1xf32>
  %5 = onnx.MatMul %3, %4 : (tensor<?x1x2xf32>, tensor<?x2x1xf32>) -> tensor<?x1x1xf32>
  %6 = onnx.Squeeze %5, %one : (tensor<?x1x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  return %6 : tensor<?x1xf32>
}

// -----

// A table of matrices whose rows are looked up, and no product: no module.

// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.apply
// CHECK: return
func.func @main(%x: tensor<?x2x1xf32> {modular.dims = ["n", "2", "1"]}, %ids: tensor<?xi64> {modular.dims = ["n"]}) -> tensor<?x2x1xf32> {
  %a = onnx.Constant {value = dense<[[[1.0], [2.0]], [[3.0], [4.0]]]> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %0 = onnx.Gather %a, %ids : (tensor<2x2x1xf32>, tensor<?xi64>) -> tensor<?x2x1xf32>
  %1 = onnx.Add %x, %0 : (tensor<?x2x1xf32>, tensor<?x2x1xf32>) -> tensor<?x2x1xf32>
  return %1 : tensor<?x2x1xf32>
}
