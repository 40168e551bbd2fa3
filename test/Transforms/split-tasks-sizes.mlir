// RUN: %graft-opt %s --graft-plan-residency=fold=always --graft-split-tasks | FileCheck %s

// Each stage that counts what is not zero calls its size dim.0; where the two meet they are no equals.

modular.parameter @first = dense<1.0> : tensor<2x2xf32>
modular.parameter @second = dense<2.0> : tensor<2x2xf32>
modular.parameter @A = dense<[[1.0, 10.0]]> : tensor<1x2xf32>
modular.parameter @B = dense<[[100.0], [1000.0]]> : tensor<2x1xf32>
modular.module @early.first parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A, @B scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @late.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A, @B scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.router @adapters fixed by task over ["early", "late"]
modular.task @base routes @adapters to []
modular.task @early routes @adapters to ["early"]
modular.task @late routes @adapters to ["late"]

// CHECK: func.func private @body0({{.*}}) -> (tensor<2x?xi64> {modular.dims = ["2", "dim.0"]})
// CHECK: modular.stage @stage0 runs @body0
// CHECK: func.func private @body1({{.*}}modular.dims = ["2", "dim.0"]}
// CHECK: modular.stage @stage1 runs @body1 after @stage0
// CHECK: func.func private @body2({{.*}}tensor<2x?xi64> {modular.dims = ["2", "dim.0.0"]}{{.*}}tensor<2x?xi64> {modular.dims = ["2", "dim.0.1"]}
// CHECK-SAME: -> ({{.*}}tensor<2x?xi64> {modular.dims = ["2", "dim.0.0 + dim.0.1"]}
func.func @main(%x: tensor<?x2xf32> {modular.name = "x", modular.dims = ["batch", "2"]})
    -> (tensor<?x2xf32> {modular.name = "y"}, tensor<2x?xi64> {modular.name = "found"}) {
  %r = modular.route @adapters : !modular.route<2>
  %n0 = onnx.NonZero %x : (tensor<?x2xf32>) -> tensor<2x?xi64>
  %w1 = modular.site "first.weight" of @first transposed : tensor<2x2xf32>
  %W1 = modular.adapt %w1 with %r {early = @early.first} : tensor<2x2xf32>, !modular.route<2> to tensor<2x2xf32>
  %0 = onnx.MatMul %x, %W1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %n1 = onnx.NonZero %0 : (tensor<?x2xf32>) -> tensor<2x?xi64>
  %w2 = modular.site "second.weight" of @second transposed : tensor<2x2xf32>
  %W2 = modular.adapt %w2 with %r {late = @late.second} : tensor<2x2xf32>, !modular.route<2> to tensor<2x2xf32>
  %1 = onnx.MatMul %0, %W2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %found = onnx.Concat %n0, %n1 {axis = 1 : i64} : (tensor<2x?xi64>, tensor<2x?xi64>) -> tensor<2x?xi64>
  return %1, %found : tensor<?x2xf32>, tensor<2x?xi64>
}
