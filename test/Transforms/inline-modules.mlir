// RUN: %graft-opt %s --graft-inline-modules --split-input-file --verify-diagnostics | FileCheck %s
// RUN: %graft-opt %s --graft-inline-modules=dense=true --split-input-file --verify-diagnostics | FileCheck %s --check-prefix=DENSE

// A router's body takes the place of the question, modules become regions, and their parameters move out, to be bound for
// each task where all others are.

modular.parameter @w0 = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
modular.parameter @w1 = dense<[[-1.0, 0.5], [0.25, 2.0]]> : tensor<2x2xf32>
modular.parameter @g = dense<[[1.0, -1.0], [0.0, 1.0]]> : tensor<2x2xf32>
modular.parameter @d = dense<1.0> : tensor<2x2xf32>
// CHECK: modular.router @adapters fixed by task
modular.router @adapters fixed by task over ["topic"]
// CHECK: modular.module @topic parameter
modular.module @topic parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.delta %w, @d scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
// CHECK-NOT: modular.router @gate
// CHECK-NOT: modular.module @e
modular.router @gate(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %g = modular.site "gate.weight" of @g transposed : tensor<2x2xf32>
  %s = onnx.MatMul %x, %g : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %chosen = modular.select_top 1 of %s : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %s normalized by nothing : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.module @e0 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %r = modular.route @adapters : !modular.route<1>
  %w = modular.site "e0.weight" of @w0 transposed : tensor<2x2xf32>
  %W = modular.adapt %w with %r {topic = @topic} : tensor<2x2xf32>, !modular.route<1> to tensor<2x2xf32>
  %y = onnx.MatMul %x, %W : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @e1 function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "e1.weight" of @w1 transposed : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  // CHECK: %[[S:.*]] = onnx.MatMul %[[X]], %{{.*}} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  // A NaN counts as less than any number.
  // CHECK: %[[NAN:.*]] = onnx.IsNaN %[[S]]
  // CHECK: %[[ORDERED:.*]] = onnx.Where %[[NAN]], %{{.*}}, %[[S]]
  // CHECK: %{{.*}}, %[[CHOSEN:.*]] = onnx.TopK %[[ORDERED]]
  // CHECK: modular.expose 0 "gate"(%[[CHOSEN]])
  // CHECK: onnx.GatherElements %[[S]], %{{.*}} {axis = 1 : i64}
  // CHECK: %[[SHOWN:.*]]:2 = modular.expose 0 "gate"
  // CHECK: %[[R:.*]] = modular.route_of %[[SHOWN]]#0, %[[SHOWN]]#1 : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %r = modular.route @gate(%x) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  // CHECK: %[[W0:.*]] = modular.adapt %{{.*}} with %{{.*}} {topic = @topic}
  // CHECK: %[[W1:.*]] = modular.site "e1.weight"
  // CHECK: %[[P:.*]] = modular.apply %[[R]] [](%[[X]]) : !modular.route<2, 1>
  // CHECK-NEXT: ^bb0(%[[X0:.*]]: tensor<?x2xf32>):
  // CHECK-NEXT: onnx.MatMul %[[X0]], %[[W0]]
  // CHECK: }, {
  // CHECK-NEXT: ^bb0(%[[X1:.*]]: tensor<?x2xf32>):
  // CHECK-NEXT: onnx.MatMul %[[X1]], %[[W1]]
  // DENSE: modular.apply {{.*}} {modular.dense}
  %p = modular.apply %r [@e0, @e1](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  // CHECK: modular.aggregate weighted_sum %[[P]]
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// The mean of the filled slots is a weighted sum.

modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
modular.module @root function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %y = onnx.Sqrt %x : (tensor<?x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.*}}: tensor<?x2xf32>{{.*}}, %[[C:.*]]: tensor<?x2xi64>{{.*}}, %[[GIVEN:.*]]: tensor<?x2xf32>
func.func @main(%x: tensor<?x2xf32>, %c: tensor<?x2xi64>, %w: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !modular.route<2, 2>
  %p = modular.apply %r [@same, @root](%x) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  // CHECK: %[[COUNT:.*]] = onnx.ReduceSum
  // CHECK: %[[SHARE:.*]] = onnx.Div %{{.*}}, %[[COUNT]]
  // CHECK: %[[WEIGHTS:.*]] = onnx.Where %{{.*}}, %[[SHARE]], %{{.*}}
  // CHECK: modular.route_of %[[C]], %[[WEIGHTS]]
  // CHECK: modular.apply
  // CHECK-NOT: modular.dense
  // CHECK: modular.aggregate weighted_sum
  %y = modular.aggregate mean %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// A module that lets rows see each other is no function of rows: what that gives is what all rows give, and so it is computed.

modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
modular.module @mean function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %0 = onnx.Constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %m = onnx.ReduceMean %x, %0 {keepdims = 1 : i64} : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<1x2xf32>
  %y = onnx.Sub %x, %m : (tensor<?x2xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK: modular.apply {{.*}} {modular.dense}
func.func @main(%x: tensor<?x2xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [@same, @mean](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Modules may route in turn.

modular.router @outer(%c: tensor<?x1xi64>, %w: tensor<?x1xf32>) over ["mixture"] {
  modular.yield %c, %w : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.router @inner(%x: tensor<?x2xf32>) over ["a", "b"] {
  %chosen = modular.select_all of %x : tensor<?x2xf32> -> tensor<?x2xi64>
  modular.yield %chosen, %x : tensor<?x2xi64>, tensor<?x2xf32>
}
modular.module @leaf function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
modular.module @mixture function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %r = modular.route @inner(%x) : (tensor<?x2xf32>) -> !modular.route<2, 2>
  %p = modular.apply %r [@leaf, @leaf](%x) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x2xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route @outer(%c, %w) : (tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.route<1, 1>
  // CHECK: modular.apply
  // CHECK: modular.apply
  // CHECK: modular.aggregate weighted_sum
  // CHECK: modular.yield
  // CHECK: modular.aggregate weighted_sum
  %p = modular.apply %r [@mixture](%x) : !modular.route<1, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

modular.module @snake function(%x: tensor<?x2xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<1, 1>
  // expected-error @+1 {{expected modules that do not contain themselves, found @snake within itself}}
  %p = modular.apply %r [@snake](%x, %c, %w) : !modular.route<1, 1>, (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
func.func @main(%x: tensor<?x2xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<1, 1>
  %p = modular.apply %r [@snake](%x, %c, %w) : !modular.route<1, 1>, (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
