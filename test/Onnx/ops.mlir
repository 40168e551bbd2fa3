// RUN: %graft-opt %s | FileCheck %s

// CHECK-LABEL: func.func @optional
func.func @optional(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>, %b: tensor<4xf32>, %one: tensor<f32>)
    -> tensor<?x4xf32> {
  // CHECK: onnx.Gemm %{{.*}}, %{{.*}}, %{{.*}} {transB = 1 : i64} :
  %0 = onnx.Gemm %x, %w, %b {transB = 1 : i64}
      : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  // CHECK: onnx.Gemm %{{.*}}, %{{.*}} :
  %1 = onnx.Gemm %0, %w : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  // An optional operand that is left out in the middle is absent.
  // CHECK: onnx.Clip %{{.*}}, %{{.*}} {{[{<]*}}operandSegmentSizes = array<i32: 1, 0, 1>
  %2 = onnx.Clip %1, %one {operandSegmentSizes = array<i32: 1, 0, 1>}
      : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @results
func.func @results(%x: tensor<?x2x4xf32>, %w: tensor<1x12x4xf32>, %r: tensor<1x12x3xf32>)
    -> tensor<1x2x3xf32> {
  // CHECK: onnx.LSTM {{.*}}resultSegmentSizes = array<i32: 0, 1, 0>
  %0 = onnx.LSTM %x, %w, %r {hidden_size = 3 : i64,
      operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 0, 1, 0>}
      : (tensor<?x2x4xf32>, tensor<1x12x4xf32>, tensor<1x12x3xf32>) -> tensor<1x2x3xf32>
  return %0 : tensor<1x2x3xf32>
}

// CHECK-LABEL: func.func @control
func.func @control(%c: tensor<i1>, %x: tensor<4xf32>, %n: tensor<i64>) -> (tensor<4xf32>, tensor<4xf32>) {
  // CHECK: onnx.If %{{.*}} : (tensor<i1>) -> tensor<4xf32> {
  %0 = onnx.If %c : (tensor<i1>) -> tensor<4xf32> {
    %1 = onnx.Relu %x : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %1 : tensor<4xf32>
  } else {
    onnx.Yield %x : tensor<4xf32>
  }
  // CHECK: onnx.Loop
  %2 = onnx.Loop %n, %c, %x {operandSegmentSizes = array<i32: 1, 1, 1>}
      : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%i: tensor<i64>, %go: tensor<i1>, %v: tensor<4xf32>):
    %3 = onnx.Add %v, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %go, %3 : tensor<i1>, tensor<4xf32>
  }
  return %0, %2 : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<2xi64>, tensor<4x4xf32>) {
  // CHECK: onnx.Constant {value = dense<[1, -1]> : tensor<2xi64>}
  %0 = onnx.Constant {value = dense<[1, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  // CHECK: onnx.Constant {value = #modular.weight<"w"> : tensor<4x4xf32>}
  %1 = onnx.Constant {value = #modular.weight<"w"> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  return %0, %1 : tensor<2xi64>, tensor<4x4xf32>
}

// An op that the dialect does not know prints all the same.
// CHECK-LABEL: func.func @unknown
func.func @unknown(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: "onnx.Det"(%{{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
  %0 = "onnx.Det"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
