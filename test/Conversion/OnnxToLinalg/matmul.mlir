// RUN: %graft-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @weight
// CHECK: dispatch.matmul ins(%{{.*}} : tensor<?x?x8xf32>) weights(%{{.*}} : tensor<8x4xf32>)
func.func @weight(%x: tensor<?x?x8xf32>, %w: tensor<8x4xf32> {modular.slot = 0 : i64}) -> tensor<?x?x4xf32> {
  %0 = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  return %0 : tensor<?x?x4xf32>
}

// -----

// The transpose of a weight is an orientation, not an op.
// CHECK-LABEL: func.func @transposed
// CHECK-NOT: linalg.transpose
// CHECK: dispatch.matmul {{.*}}weights(%{{.*}} : tensor<4x8xf32>) {{.*}}transposed = array<i1: true>
func.func @transposed(%x: tensor<?x8xf32>, %w: tensor<4x8xf32> {modular.slot = 0 : i64}) -> tensor<?x4xf32> {
  %t = onnx.Transpose %w {perm = [1, 0]} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %0 = onnx.MatMul %x, %t : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @gemm
// CHECK: dispatch.matmul {{.*}}extras(%{{.*}} : tensor<4xf32>) {{.*}}transposed = array<i1: true>
// CHECK: arith.addf
func.func @gemm(%x: tensor<?x8xf32>, %w: tensor<4x8xf32> {modular.slot = 0 : i64}, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Gemm %x, %w, %b {transB = 1 : i64} : (tensor<?x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @batch
// CHECK: dispatch.batch_matmul {{.*}}transpose_b
func.func @batch(%q: tensor<?x12x?x32xf32> {modular.dims = ["b", "12", "s", "32"]},
                 %k: tensor<?x12x?x32xf32> {modular.dims = ["b", "12", "s", "32"]}) -> tensor<?x12x?x?xf32> {
  %t = onnx.Transpose %k {perm = [0, 1, 3, 2]} : (tensor<?x12x?x32xf32>) -> tensor<?x12x32x?xf32>
  %0 = onnx.MatMul %q, %t : (tensor<?x12x?x32xf32>, tensor<?x12x32x?xf32>) -> tensor<?x12x?x?xf32>
  return %0 : tensor<?x12x?x?xf32>
}

// -----

// Integers have no kernel.
// CHECK-LABEL: func.func @integers
// CHECK: linalg.generic
// CHECK: arith.muli
func.func @integers(%a: tensor<2x3xi32>, %b: tensor<3x4xi32>) -> tensor<2x4xi32> {
  %0 = onnx.MatMul %a, %b : (tensor<2x3xi32>, tensor<3x4xi32>) -> tensor<2x4xi32>
  return %0 : tensor<2x4xi32>
}

// -----

// Attention takes heads in the order in which they are, and gives them in the order in which they are used.
// CHECK-LABEL: func.func @attention
// CHECK-NOT: linalg.transpose
// CHECK: dispatch.attention {{.*}}k_layout = "bshd", out_layout = "bshd", q_layout = "bshd", {{.*}}v_layout = "bshd"
// CHECK-NOT: linalg.transpose
func.func @attention(%q: tensor<?x?x2x8xf32> {modular.dims = ["b", "s", "2", "8"]},
                     %k: tensor<?x?x2x8xf32> {modular.dims = ["b", "s", "2", "8"]},
                     %v: tensor<?x?x2x8xf32> {modular.dims = ["b", "s", "2", "8"]}) -> tensor<?x?x2x8xf32> {
  %qt = onnx.Transpose %q {perm = [0, 2, 1, 3]} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %kt = onnx.Transpose %k {perm = [0, 2, 1, 3]} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %vt = onnx.Transpose %v {perm = [0, 2, 1, 3]} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
  %0 = onnx.Attention %qt, %kt, %vt {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>, resultSegmentSizes = array<i32: 1, 0, 0, 0>}
      : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %1 = onnx.Transpose %0 {perm = [0, 2, 1, 3]} : (tensor<?x2x?x8xf32>) -> tensor<?x?x2x8xf32>
  return %1 : tensor<?x?x2x8xf32>
}
