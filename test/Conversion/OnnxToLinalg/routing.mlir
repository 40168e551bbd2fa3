// RUN: %graft-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics | FileCheck %s

// Modules that differ in parameters only: one plan, the rows of all of them sorted by module, biases and what follows in the
// epilogues, and a sum in the order of the slots.

// CHECK-LABEL: func.func @segmented
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x2xf32>{{[^%]*}}%[[C:[a-z0-9]+]]: tensor<?x1xi64>{{[^%]*}}%[[W:[a-z0-9]+]]: tensor<?x1xf32>
// CHECK-SAME: %[[A0:[a-z0-9]+]]: tensor<2x3xf32>{{[^%]*}}%[[A1:[a-z0-9]+]]: tensor<2x3xf32>
// CHECK-NOT: dispatch.matmul
// CHECK: %[[PLAN:.*]]:3 = dispatch.plan ins(%[[C]] : tensor<?x1xi64>)
// CHECK: %[[UP:.*]] = dispatch.segmented_matmul ins(%[[X]] : tensor<?x2xf32>) order(%[[PLAN]]#0 : tensor<?xi32>) slots 1
// CHECK-SAME: offsets(%[[PLAN]]#1 : tensor<3xi32>) weights(%[[A0]], %[[A1]] : {{.*}}) segment_extras(%{{.*}}, %{{.*}} : tensor<3xf32>, tensor<3xf32>)
// CHECK-NOT: transposed
// CHECK: arith.addf
// CHECK: %[[ACTIVE:.*]] = linalg.generic {{.*}} ins(%[[UP]] : tensor<?x3xf32>)
// CHECK: %[[DOWN:.*]] = dispatch.segmented_matmul ins(%[[ACTIVE]] : tensor<?x3xf32>) offsets(%[[PLAN]]#1 : tensor<3xi32>)
// CHECK-SAME: {transposed}
// CHECK: dispatch.combine ins(%[[DOWN]] : tensor<?x2xf32>) position(%[[PLAN]]#2 : tensor<?x1xi32>) weights(%[[W]] : tensor<?x1xf32>)
func.func @segmented(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["n", "1"]}, %w: tensor<?x1xf32> {modular.dims = ["n", "1"]},
    %a0: tensor<2x3xf32> {modular.slot = 0 : i64}, %a1: tensor<2x3xf32> {modular.slot = 1 : i64}, %b0: tensor<3xf32> {modular.slot = 2 : i64},
    %b1: tensor<3xf32> {modular.slot = 3 : i64}, %d: tensor<2x3xf32> {modular.slot = 4 : i64}) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>> {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.MatMul %rows, %a0 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
    %1 = onnx.Add %b0, %0 : (tensor<3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
    %2 = onnx.Relu %1 : (tensor<?x3xf32>) -> tensor<?x3xf32>
    %3 = onnx.Gemm %2, %d {transB = 1 : i64} : (tensor<?x3xf32>, tensor<2x3xf32>) -> tensor<?x2xf32>
    modular.yield %3 : tensor<?x2xf32>
  }, {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.MatMul %rows, %a1 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
    %1 = onnx.Add %b1, %0 : (tensor<3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
    %2 = onnx.Relu %1 : (tensor<?x3xf32>) -> tensor<?x3xf32>
    %3 = onnx.Gemm %2, %d {transB = 1 : i64} : (tensor<?x3xf32>, tensor<2x3xf32>) -> tensor<?x2xf32>
    modular.yield %3 : tensor<?x2xf32>
  }
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Bodies that differ: modules 0 and 2 are alike and are a class, numbered 0 and 1 in the one plan; module 1, whose norm has weights of its own, is
// number 2. Each class works on its own piece of the parts, if it has rows.

// CHECK-LABEL: func.func @classes
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x2xf32>{{[^%]*}}%[[C:[a-z0-9]+]]: tensor<?x1xi64>
// CHECK: %[[NUMBER:.*]] = arith.constant dense<[0, 2, 1]> : tensor<3xi64>
// CHECK: %[[KEYS:.*]] = linalg.generic {{.*}} ins(%[[C]] : tensor<?x1xi64>)
// CHECK: %[[PLAN:.*]]:3 = dispatch.plan ins(%[[KEYS]] : tensor<?x1xi64>)
// CHECK: %[[PARTS:.*]] = tensor.empty(%{{.*}}) : tensor<?x2xf32>
// CHECK: %[[FIRST:.*]] = scf.if
// CHECK: %[[ROWS:.*]] = dispatch.gather ins(%[[X]] : tensor<?x2xf32>) order(%{{.*}} : tensor<?xi32>) slots 1 offsets(%[[OFFSETS:.*]] : tensor<3xi32>)
// CHECK: dispatch.segmented_matmul ins(%[[ROWS]] : tensor<?x2xf32>) offsets(%[[OFFSETS]] : tensor<3xi32>) weights(%{{.*}}, %{{.*}} : tensor<2x2xf32>, tensor<2x2xf32>)
// CHECK: tensor.insert_slice %{{.*}} into %[[PARTS]]
// CHECK: } else {
// CHECK: scf.yield %[[PARTS]]
// CHECK: %[[SECOND:.*]] = scf.if
// CHECK: dispatch.gather
// CHECK: dispatch.layer_norm
// CHECK: tensor.insert_slice %{{.*}} into %[[FIRST]]
// CHECK: dispatch.combine ins(%[[SECOND]] : tensor<?x2xf32>) position(%[[PLAN]]#2 : tensor<?x1xi32>)
func.func @classes(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["n", "1"]}, %w: tensor<?x1xf32> {modular.dims = ["n", "1"]},
    %a0: tensor<2x2xf32> {modular.slot = 0 : i64}, %a1: tensor<2x2xf32> {modular.slot = 1 : i64}, %g: tensor<2xf32> {modular.slot = 2 : i64}) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<3, 1>
  %p = modular.apply %r [](%x) : !modular.route<3, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>> {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.MatMul %rows, %a0 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    modular.yield %0 : tensor<?x2xf32>
  }, {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.LayerNormalization %rows, %g {resultSegmentSizes = array<i32: 1, 0, 0>} : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    modular.yield %0 : tensor<?x2xf32>
  }, {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.MatMul %rows, %a1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    modular.yield %0 : tensor<?x2xf32>
  }
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Rows that are sequences: a module's vectors are as many as its rows have, and its products skip no place between them.

// CHECK-LABEL: func.func @sequences
// CHECK: %[[ROWS:.*]] = dispatch.gather {{.*}} outs(%{{.*}} : tensor<?x6xf32>)
// CHECK: %[[FLAT:.*]] = tensor.collapse_shape {{.*}} : tensor<?x3x2xf32> into tensor<?x2xf32>
// CHECK: %[[SCALED:.*]] = linalg.generic
// CHECK: arith.muli
// CHECK: dispatch.segmented_matmul ins(%[[FLAT]] : tensor<?x2xf32>) offsets(%[[SCALED]] : tensor<3xi32>)
// CHECK: dispatch.combine ins(%{{.*}} : tensor<?x6xf32>)
func.func @sequences(%x: tensor<?x3x2xf32> {modular.dims = ["n", "3", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["n", "1"]}, %w: tensor<?x1xf32> {modular.dims = ["n", "1"]},
    %a0: tensor<2x2xf32> {modular.slot = 0 : i64}, %a1: tensor<2x2xf32> {modular.slot = 1 : i64}) -> tensor<?x3x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [](%x) : !modular.route<2, 1>, (tensor<?x3x2xf32>) -> !modular.parts<tensor<?x3x2xf32>> {
  ^bb0(%rows: tensor<?x3x2xf32>):
    %0 = onnx.MatMul %rows, %a0 : (tensor<?x3x2xf32>, tensor<2x2xf32>) -> tensor<?x3x2xf32>
    modular.yield %0 : tensor<?x3x2xf32>
  }, {
  ^bb0(%rows: tensor<?x3x2xf32>):
    %0 = onnx.MatMul %rows, %a1 : (tensor<?x3x2xf32>, tensor<2x2xf32>) -> tensor<?x3x2xf32>
    modular.yield %0 : tensor<?x3x2xf32>
  }
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x3x2xf32>> -> tensor<?x3x2xf32>
  return %y : tensor<?x3x2xf32>
}

// -----

// The oracle: every module on all rows; what a row does not take has no effect on it, be it NaN.

// CHECK-LABEL: func.func @dense
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x2xf32>
// CHECK-NOT: dispatch.plan
// CHECK: %[[PART0:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x2xf32>)
// CHECK: math.sqrt
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[PART0]], %{{.*}}, %{{.*}} : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x1xf32>, tensor<?x1xi1>)
// CHECK: arith.select
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[X]], %{{.*}}, %{{.*}} : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x1xf32>, tensor<?x1xi1>)
func.func @dense(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["n", "1"]}, %w: tensor<?x1xf32> {modular.dims = ["n", "1"]}) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [](%x) {modular.dense} : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>> {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.Sqrt %rows : (tensor<?x2xf32>) -> tensor<?x2xf32>
    modular.yield %0 : tensor<?x2xf32>
  }, {
  ^bb0(%rows: tensor<?x2xf32>):
    modular.yield %rows : tensor<?x2xf32>
  }
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

modular.module @e0 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
func.func @symbols(%x: tensor<?x2xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<1, 1>
  %p = modular.apply %r [@e0](%x) : !modular.route<1, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  // expected-error @+1 {{not supported: aggregate: it is not inlined (graft-inline-modules)}}
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// What the host leaves of a route is what counts.

// CHECK-LABEL: func.func @exposed
// CHECK-SAME: %[[C:[a-z0-9]+]]: tensor<?x2xi64>{{[^%]*}}%[[W:[a-z0-9]+]]: tensor<?x2xf32>
// CHECK: %[[FIRST:.*]] = dispatch.exchange 1(%[[C]]) : (tensor<?x2xi64>) -> tensor<?x2xi64>
// CHECK: %[[LAST:.*]]:2 = dispatch.exchange 1(%[[FIRST]], %[[W]])
// CHECK: return %[[LAST]]#0, %[[LAST]]#1
func.func @exposed(%c: tensor<?x2xi64> {modular.dims = ["n", "2"]}, %w: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  %0 = modular.expose 1 "gate"(%c) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  %1:2 = modular.expose 1 "gate"(%0, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  return %1#0, %1#1 : tensor<?x2xi64>, tensor<?x2xf32>
}
