// RUN: %graft-opt %s --graft-plan-residency=fold=always --graft-split-tasks | FileCheck %s --check-prefixes=CHECK,FOLD
// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks | FileCheck %s --check-prefixes=CHECK,BRANCH

// Two tasks part at the second product: what comes before is one stage, computed once.

modular.parameter @first = dense<1.0> : tensor<2x2xf32>
modular.parameter @second = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
modular.parameter @A = dense<[[1.0, 10.0]]> : tensor<1x2xf32>
modular.parameter @B = dense<[[100.0], [1000.0]]> : tensor<2x1xf32>

// CHECK-NOT: modular.module
modular.module @topic.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A, @B scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.router @adapters fixed by task over ["topic"]
// CHECK: modular.task @base routes @adapters to [] {modular.outputs = array<i64: 2>, modular.stage = @stage1}
modular.task @base routes @adapters to []
// CHECK: modular.task @topic routes @adapters to ["topic"] {modular.outputs = array<i64: 3>, modular.stage = @stage2}
modular.task @topic routes @adapters to ["topic"]

// CHECK: func.func private @main(tensor<?x2xf32> {modular.dims = ["batch", "2"], modular.name = "x"}) -> (tensor<?x2xf32> {modular.name = "y"})
func.func @main(%x: tensor<?x2xf32> {modular.name = "x", modular.dims = ["batch", "2"]}) -> (tensor<?x2xf32> {modular.name = "y"}) {
  %r = modular.route @adapters : !modular.route<1>
  %w1 = modular.site "first.weight" of @first transposed : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %w2 = modular.site "second.weight" of @second transposed : tensor<2x2xf32>
  %W2 = modular.adapt %w2 with %r {topic = @topic.second} : tensor<2x2xf32>, !modular.route<1> to tensor<2x2xf32>
  %1 = onnx.MatMul %0, %W2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// The trunk.
// CHECK: func.func private @body0(%{{.*}}: index {modular.symbol = "batch"}, %[[X:.*]]: tensor<?x2xf32> {modular.dims = ["batch", "2"]}, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}) -> (tensor<?x2xf32>
// CHECK: onnx.MatMul %[[X]], %[[W]]
// CHECK: modular.stage @stage0 runs @body0 on [@first] [0] to [1] for ["base", "topic"]

// The leaf without modules has the trunk's very body.
// CHECK: modular.stage @stage1 runs @body0 after @stage0 on [@second] [1] to [2] for ["base"]
// Folded, the task's leaf has it too.
// FOLD: modular.stage @stage2 runs @body0 after @stage0 on [@"topic/second.weight"] [1] to [3] for ["topic"]

// BRANCH: func.func private @body1(%{{.*}}: index {{.*}}, %[[X:.*]]: tensor<?x2xf32> {{.*}}, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[A:.*]]: tensor<1x2xf32> {modular.slot = 1 : i64}, %[[B:.*]]: tensor<2x1xf32> {modular.slot = 2 : i64})
// BRANCH: %[[Y:.*]] = onnx.MatMul %[[X]], %[[W]]
// BRANCH: %[[AT:.*]] = onnx.Transpose %[[A]]
// BRANCH: %[[LOW:.*]] = onnx.MatMul %[[X]], %[[AT]] {{.*}} -> tensor<?x1xf32>
// BRANCH: %[[BT:.*]] = onnx.Transpose %[[B]]
// BRANCH: %[[D:.*]] = onnx.MatMul %[[LOW]], %[[BT]]
// BRANCH: onnx.Add %[[Y]], %[[D]]
// BRANCH: modular.stage @stage2 runs @body1 after @stage0 on [@second, @"topic/second.weight.down", @"topic/second.weight.up"] [1] to [3] for ["topic"]
