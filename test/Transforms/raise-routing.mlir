// RUN: %graft-opt %s --graft-raise-routing --split-input-file --verify-diagnostics | FileCheck %s

// com.microsoft's MoE: each expert gets its part of the stacked weights. Rows of fc1 take turns: gate, other, gate, other.

// CHECK-LABEL: modular.router @moe.router(%{{.*}}: tensor<?x2xf32>) over ["expert.0", "expert.1"] {
// CHECK: %[[SHARES:.*]] = onnx.Softmax
// CHECK: %[[CHOSEN:.*]] = modular.select_top 1 of %[[SHARES]]
// CHECK: modular.weigh %[[CHOSEN]] by %[[SHARES]] normalized by sum
// CHECK-LABEL: modular.module @moe.expert.0 function(%{{.*}}: tensor<?x2xf32>) -> tensor<?x2xf32> {
// CHECK: %[[G:.*]] = onnx.Constant {{ *}}{value = dense<{{\[\[}}1.000000e+00, 2.000000e+00]]> : tensor<1x2xf32>}
// CHECK: %[[GATE:.*]] = onnx.Gemm %{{.*}}, %[[G]] {transB = 1 : i64}
// CHECK: %[[L:.*]] = onnx.Constant {{ *}}{value = dense<{{\[\[}}3.000000e+00, 4.000000e+00]]> : tensor<1x2xf32>}
// CHECK: %[[OTHER:.*]] = onnx.Gemm %{{.*}}, %[[L]] {transB = 1 : i64}
// CHECK: onnx.Clip %[[GATE]]
// CHECK: onnx.Clip %[[OTHER]]
// CHECK: onnx.Sigmoid
// CHECK: onnx.Gemm
// CHECK-LABEL: modular.module @moe.expert.1
// CHECK: dense<{{\[\[}}5.000000e+00, 6.000000e+00]]>
// CHECK: dense<{{\[\[}}7.000000e+00, 8.000000e+00]]>
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x?x2xf32>{{.*}}, %[[S:.*]]: tensor<?x2xf32>
// CHECK: %[[ROWS:.*]] = onnx.Reshape %[[X]]
// CHECK: %[[R:.*]] = modular.route @moe.router(%[[S]]) : (tensor<?x2xf32>) -> !modular.route<2, 1>
// CHECK: %[[P:.*]] = modular.apply %[[R]] [@moe.expert.0, @moe.expert.1](%[[ROWS]])
// CHECK: %[[SUM:.*]] = modular.aggregate weighted_sum %[[P]]
// CHECK: onnx.Reshape %[[SUM]], %{{.*}} -> tensor<?x?x2xf32>
func.func @main(%x: tensor<?x?x2xf32> {modular.dims = ["b", "s", "2"]}, %s: tensor<?x2xf32>) -> tensor<*xf32> {
  %w1 = onnx.Constant {value = dense<[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]> : tensor<2x2x2xf32>} : () -> tensor<2x2x2xf32>
  %w2 = onnx.Constant {value = dense<1.0> : tensor<2x2x1xf32>} : () -> tensor<2x2x1xf32>
  %y = "onnx.com.microsoft.MoE"(%x, %s, %w1, %w2) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>, k = 1 : i64, activation_type = "swiglu",
      swiglu_fusion = 1 : i64, swiglu_limit = 7.0 : f32, normalize_routing_weights = 1 : i64}
      : (tensor<?x?x2xf32>, tensor<?x2xf32>, tensor<2x2x2xf32>, tensor<2x2x1xf32>) -> tensor<*xf32> loc(fused<"moe">["/moe/MoE"])
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<?x2xf32>, %s: tensor<?x2xf32>) -> tensor<*xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<2x2x2xf32>} : () -> tensor<2x2x2xf32>
  // expected-error @+1 {{not supported: MoE: activation geglu}}
  %y = "onnx.com.microsoft.MoE"(%x, %s, %w, %w) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>, activation_type = "geglu"}
      : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<2x2x2xf32>, tensor<2x2x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<?x2xf32>, %s: tensor<?x2xf32>) -> tensor<*xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<2x2x2xf32>} : () -> tensor<2x2x2xf32>
  // expected-error @+1 {{MoE: expected k from 1 to the 2 experts, found 3}}
  %y = "onnx.com.microsoft.MoE"(%x, %s, %w, %w) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>, k = 3 : i64}
      : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<2x2x2xf32>, tensor<2x2x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<?x2xf32>, %s: tensor<?x2xf32>) -> tensor<*xf32> {
  %w = onnx.Constant {value = dense<1.0> : tensor<2x2x2xf32>} : () -> tensor<2x2x2xf32>
  %v = onnx.Constant {value = dense<1.0> : tensor<2x2x3xf32>} : () -> tensor<2x2x3xf32>
  // expected-error @+1 {{MoE: expected constant weights of (experts, 1 · inner, hidden) and (experts, hidden, inner)}}
  %y = "onnx.com.microsoft.MoE"(%x, %s, %v, %w) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>}
      : (tensor<?x2xf32>, tensor<?x2xf32>, tensor<2x2x3xf32>, tensor<2x2x2xf32>) -> tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// A parameter that equals another is given by an Identity: it is that one.

// CHECK-LABEL: func.func @main
// CHECK: %[[W:.*]] = onnx.Constant
// CHECK-NOT: onnx.Identity
// CHECK: onnx.Add %{{.*}}, %[[W]]
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %w = onnx.Constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %same = onnx.Identity %w : (tensor<2xf32>) -> tensor<2xf32>
  %y = onnx.Add %x, %same : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
