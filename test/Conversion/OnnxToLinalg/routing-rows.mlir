// RUN: %graft-opt %s --convert-onnx-to-linalg | FileCheck %s

// Rows that nothing proves to be as many are counted before they are gathered by number.

// CHECK-LABEL: func.func @other_rows
// CHECK-DAG: dispatch.check {{.*}}weights have another number of rows than what is chosen
// CHECK-DAG: dispatch.check {{.*}}an input has another number of rows
// CHECK: dispatch.combine
func.func @other_rows(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["m", "1"]}, %w: tensor<?x1xf32> {modular.dims = ["k", "1"]})
    -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<1, 1>
  %p = modular.apply %r [](%x) : !modular.route<1, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>> {
  ^bb0(%rows: tensor<?x2xf32>):
    %0 = onnx.Relu %rows : (tensor<?x2xf32>) -> tensor<?x2xf32>
    modular.yield %0 : tensor<?x2xf32>
  }
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
