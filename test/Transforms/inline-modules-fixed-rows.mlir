// RUN: %graft-opt %s --graft-inline-modules=dense=true | FileCheck %s

// The number of rows is fixed: densely, each module sees all of them, and the types within it say so.

modular.module @double function(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = onnx.Add %x, %x : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  modular.yield %y : tensor<?x3xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x3xf32>, %c: tensor<2x1xi64>, %w: tensor<2x1xf32>) -> tensor<2x3xf32> {
  %r = modular.route_of %c, %w : tensor<2x1xi64>, tensor<2x1xf32> -> !modular.route<1, 1>
  // CHECK: modular.apply {{.*}} {modular.dense}
  // CHECK: modular.yield %{{.*}} : tensor<2x3xf32>
  %p = modular.apply %r [@double](%x) : !modular.route<1, 1>, (tensor<2x3xf32>) -> !modular.parts<tensor<2x3xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<2x3xf32>> -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
