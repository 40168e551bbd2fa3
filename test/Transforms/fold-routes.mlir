// RUN: %graft-opt %s --graft-inline-modules --graft-split-tasks --graft-fold-routes --split-input-file | FileCheck %s
// RUN: %graft-opt %s --graft-inline-modules=dense=true --graft-split-tasks --graft-fold-routes --split-input-file | FileCheck %s --check-prefix=DENSE

// Each task takes modules of its own: none is asked at run time, and what no task takes is gone.

// CHECK-NOT: modular.parameter @w1 =
// CHECK: modular.parameter @w2 =
// CHECK-NOT: modular.parameter @gate.other
modular.parameter @w0 = dense<1.0> : tensor<2x2xf32>
modular.parameter @w1 = dense<2.0> : tensor<2x2xf32>
modular.parameter @w2 = dense<3.0> : tensor<2x2xf32>
modular.parameter @gate.modules = dense<[1.0, 0.0, 0.0]> : tensor<3xf32>
modular.parameter @gate.other = dense<[0.0, 0.0, 1.0]> : tensor<3xf32>
modular.parameter @gate.both = dense<[0.5, 0.25, 1.0]> : tensor<3xf32>
modular.module @other.gate parameter(%w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = modular.replace %w, @gate.other : tensor<3xf32> to tensor<3xf32>
  modular.yield %0 : tensor<3xf32>
}
modular.module @both.gate parameter(%w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = modular.replace %w, @gate.both : tensor<3xf32> to tensor<3xf32>
  modular.yield %0 : tensor<3xf32>
}
modular.module @m0 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "w0" of @w0 : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @m1 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "w1" of @w1 : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @m2 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "w2" of @w2 : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.router @gate(%rows: tensor<?x3xf32>) over ["m0", "m1", "m2"] {
  %chosen = modular.select_above 4.000000e-01 of %rows : tensor<?x3xf32> -> tensor<?x3xi64>
  %weights = modular.weigh %chosen by %rows normalized by sum : tensor<?x3xi64>, tensor<?x3xf32> -> tensor<?x3xf32>
  modular.yield %chosen, %weights : tensor<?x3xi64>, tensor<?x3xf32>
}
modular.router @tasks fixed by task over ["other", "both"]
modular.task @base routes @tasks to []
modular.task @other routes @tasks to ["other"]
modular.task @both routes @tasks to ["both"]
func.func @main(%x: tensor<?x2xf32> {modular.name = "x", modular.dims = ["n", "2"]}) -> (tensor<?x2xf32> {modular.name = "y"}) {
  %t = modular.route @tasks : !modular.route<2>
  %s = modular.site "gate" of @gate.modules : tensor<3xf32>
  %m = modular.adapt %s with %t {other = @other.gate, both = @both.gate} : tensor<3xf32>, !modular.route<2> to tensor<3xf32>
  %three = onnx.Constant {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %n = onnx.Shape %x {start = 0, end = 1} : (tensor<?x2xf32>) -> tensor<1xi64>
  %shape = onnx.Concat %n, %three {axis = 0} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %rows = onnx.Expand %m, %shape : (tensor<3xf32>, tensor<2xi64>) -> tensor<?x3xf32>
  %r = modular.route @gate(%rows) : (tensor<?x3xf32>) -> !modular.route<3, 3>
  %p = modular.apply %r [@m0, @m1, @m2](%x) : !modular.route<3, 3>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Two tasks take one module each, of one body with other parameters.
// CHECK: func.func private @body0(%{{.*}}: index {{.*}}, %[[X:.*]]: tensor<?x2xf32> {{.*}}, %[[W:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[NUMBERS:.*]]: tensor<3xf32> {modular.slot = 1 : i64}, %[[FACTORS:.*]]: tensor<3xf32> {modular.slot = 2 : i64})
// CHECK-NOT: onnx.TopK
// CHECK-NOT: onnx.Where
// CHECK: %[[CAST:.*]] = onnx.Cast %[[NUMBERS]]
// CHECK: %[[CHOSEN:.*]] = onnx.Expand %[[CAST]]
// CHECK: %[[WEIGHTS:.*]] = onnx.Expand %[[FACTORS]]
// CHECK: modular.expose fixed 0 "gate"(%[[CHOSEN]], %[[WEIGHTS]])
// CHECK-NOT: modular.apply
// CHECK: %[[Y:.*]] = onnx.MatMul %[[X]], %[[W]]
// CHECK-NEXT: return %[[Y]]

// CHECK: func.func private @[[BOTH:.*]](%{{.*}}: index {{.*}}, %[[X:.*]]: tensor<?x2xf32> {{.*}}, %[[W0:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64}, %[[W2:.*]]: tensor<2x2xf32> {modular.slot = 1 : i64}, %[[WEIGHTS:.*]]: tensor<3xf32> {modular.slot = 2 : i64}
// CHECK-NOT: modular.apply
// CHECK: %[[P0:.*]] = onnx.MatMul %[[X]], %[[W0]]
// CHECK: %[[P2:.*]] = onnx.MatMul %[[X]], %[[W2]]
// CHECK: %[[F0:.*]] = onnx.Slice %[[WEIGHTS]]
// CHECK: %[[S0:.*]] = onnx.Mul %[[P0]], %[[F0]]
// CHECK: %[[F2:.*]] = onnx.Slice %[[WEIGHTS]]
// CHECK: %[[S2:.*]] = onnx.Mul %[[P2]], %[[F2]]
// CHECK: onnx.Add %[[S0]], %[[S2]]

// CHECK: modular.stage @stage0 runs @body0 on [@w0, @gate.chosen, @gate.weights] [0] to [1] for ["base"]
// CHECK: modular.stage @stage1 runs @body0 on [@w2, @{{.*}}, @{{.*}}] [0] to [2] for ["other"]
// CHECK: modular.stage @stage2 runs @[[BOTH]] on [@w0, @w2, @route.weights, @{{.*}}, @{{.*}}] [0] to [3] for ["both"]

// The oracle computes all modules.
// DENSE: modular.expose 0 "gate"
// DENSE: modular.apply
// DENSE: modular.stage @stage2 runs @body0 on

// -----

// Rows part under a capacity; and an input decides.

// CHECK: func.func private @body0
// CHECK: modular.expose 0 "limited"
// CHECK: modular.apply
// CHECK: modular.expose 1 "given"
// CHECK: modular.apply
// DENSE: func.func private @body0
modular.parameter @scores = dense<[1.0, 2.0]> : tensor<2xf32>
modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
modular.module @negated function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = onnx.Neg %x : (tensor<?x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.router @limited(%rows: tensor<?x2xf32>) over ["same", "negated"] {
  %all = modular.select_top 1 of %rows : tensor<?x2xf32> -> tensor<?x1xi64>
  %chosen = modular.limit %all to count 2 among 2 : tensor<?x1xi64>
  %weights = modular.weigh_evenly %chosen among 2 : tensor<?x1xi64> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.router @given(%rows: tensor<?x2xf32>) over ["same", "negated"] {
  %chosen = modular.select_top 1 of %rows : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %rows normalized by softmax : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.router @tasks fixed by task over []
modular.task @base routes @tasks to []
func.func @main(%x: tensor<?x2xf32> {modular.name = "x", modular.dims = ["n", "2"]}) -> (tensor<?x2xf32> {modular.name = "y"}) {
  %s = modular.site "scores" of @scores : tensor<2xf32>
  %two = onnx.Constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %n = onnx.Shape %x {start = 0, end = 1} : (tensor<?x2xf32>) -> tensor<1xi64>
  %shape = onnx.Concat %n, %two {axis = 0} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %rows = onnx.Expand %s, %shape : (tensor<2xf32>, tensor<2xi64>) -> tensor<?x2xf32>
  %r = modular.route @limited(%rows) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %p = modular.apply %r [@same, @negated](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  %t = modular.route @given(%y) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %q = modular.apply %t [@same, @negated](%y) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %z = modular.aggregate weighted_sum %q : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %z : tensor<?x2xf32>
}
