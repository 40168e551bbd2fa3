// RUN: %graft-opt %s --graft-inline-modules --split-input-file | FileCheck %s
// RUN: %graft-opt %s --graft-inline-modules=dense=true --split-input-file | FileCheck %s

// The host sees each route once, with the weights; where these are computed from what is chosen, it may change that before.

modular.parameter @w = dense<1.0> : tensor<2x2xf32>
// CHECK: module attributes {modular.routers = [
// CHECK-SAME: {bytes = array<i64: 16, 0>, modules = ["e0", "e1"], name = "gate", slots = 1 : i64, weighs = true, weights = f32},
// CHECK-SAME: {bytes = array<i64: 16, 0>, modules = ["e0", "e1"], name = "soft", slots = 2 : i64, weighs = false, weights = f32},
// CHECK-SAME: {bytes = array<i64: 0, 16>, modules = ["e0", "e1"], name = "gate#2", slots = 1 : i64, weighs = true, weights = f32}]}
modular.router @gate(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %chosen = modular.select_top 1 of %x : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %x normalized by nothing : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.router @soft(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %chosen = modular.select_all of %x : tensor<?x2xf32> -> tensor<?x2xi64>
  modular.yield %chosen, %x : tensor<?x2xi64>, tensor<?x2xf32>
}
modular.module @linear function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "w" of @w : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-COUNT-5: modular.expose
// CHECK-NOT: modular.expose
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %r = modular.route @gate(%x) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %p = modular.apply %r [@linear, @same](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  %s = modular.route @soft(%y) : (tensor<?x2xf32>) -> !modular.route<2, 2>
  %q = modular.apply %s [@linear, @same](%y) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %z = modular.aggregate weighted_sum %q : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  %t = modular.route @gate(%z) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %u = modular.apply %t [@same, @linear](%z) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %v = modular.aggregate weighted_sum %u : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %v : tensor<?x2xf32>
}

// -----

// The weights are gathered for what the host leaves of the choice.

modular.router @gate(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %chosen = modular.select_top 1 of %x : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %x normalized by nothing : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  // CHECK: %{{.*}}, %[[CHOSEN:.*]] = onnx.TopK
  // CHECK: %[[LEFT:.*]] = modular.expose 0 "gate"(%[[CHOSEN]]) : (tensor<?x1xi64>) -> tensor<?x1xi64>
  // CHECK: onnx.GreaterOrEqual %[[LEFT]]
  // CHECK: onnx.GatherElements
  // CHECK: %[[WEIGHTS:.*]] = onnx.Where
  // CHECK: %[[LAST:.*]]:2 = modular.expose 0 "gate"(%[[LEFT]], %[[WEIGHTS]]) : (tensor<?x1xi64>, tensor<?x1xf32>) -> (tensor<?x1xi64>, tensor<?x1xf32>)
  // CHECK: modular.route_of %[[LAST]]#0, %[[LAST]]#1
  %r = modular.route @gate(%x) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %p = modular.apply %r [@same, @same](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// What a router takes as it is may be used elsewhere, where it stays what it was. A route within a module is shown there.

// CHECK: module attributes {modular.routers = [{{.*}}name = "given", {{.*}}, {{.*}}name = "inner", {{.*}}within = array<i64: 0, 0>}]}

modular.router @given(%c: tensor<?x1xi64>, %w: tensor<?x1xf32>) over ["mixture"] {
  modular.yield %c, %w : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.router @inner(%x: tensor<?x2xf32>) over ["a"] {
  %chosen = modular.select_top 1 of %x : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %x normalized by nothing : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.module @leaf function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
modular.module @mixture function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %r = modular.route @inner(%x) : (tensor<?x2xf32>) -> !modular.route<1, 1>
  %p = modular.apply %r [@leaf](%x) : !modular.route<1, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-SAME: %{{.*}}: tensor<?x2xf32>{{.*}}, %[[C:.*]]: tensor<?x1xi64>{{.*}}, %[[W:.*]]: tensor<?x1xf32>
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<?x1xi64> {modular.dims = ["n", "1"]},
                %w: tensor<?x1xf32> {modular.dims = ["n", "1"]}) -> (tensor<?x2xf32>, tensor<?x1xi64>) {
  // CHECK: modular.expose 0 "given"(%[[C]], %[[W]])
  // CHECK: modular.apply
  // CHECK: modular.expose 1 "inner"(%{{[^ ]*}}) :
  // CHECK: modular.expose 1 "inner"(%{{[^ ]*}}, %{{[^ ]*}}) :
  // CHECK-NOT: modular.expose
  // CHECK: return %{{.*}}, %[[C]]
  %r = modular.route @given(%c, %w) : (tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.route<1, 1>
  %p = modular.apply %r [@mixture](%x) : !modular.route<1, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y, %c : tensor<?x2xf32>, tensor<?x1xi64>
}

// -----

// A capacity that empties slots after they were weighed: the host sees what the weights are of, and then what is left.

// CHECK: module attributes {modular.routers = [{{.*}}name = "full", slots = 1 : i64, weighs = false, weights = f32}]}
modular.router @full(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %all = modular.select_top 1 of %x : tensor<?x2xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %all by %x normalized by nothing : tensor<?x1xi64>, tensor<?x2xf32> -> tensor<?x1xf32>
  %kept = modular.limit %all to count 3 among 2 : tensor<?x1xi64>
  modular.yield %kept, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  // CHECK: %{{.*}}, %[[ALL:.*]] = onnx.TopK
  // CHECK: modular.expose 0 "full"(%[[ALL]]) : (tensor<?x1xi64>) -> tensor<?x1xi64>
  // CHECK: onnx.GatherElements
  // CHECK: %[[LAST:.*]]:2 = modular.expose 0 "full"(%{{.*}}, %{{.*}}) :
  // CHECK-NOT: modular.expose
  // CHECK: modular.route_of %[[LAST]]#0, %[[LAST]]#1
  %r = modular.route @full(%x) : (tensor<?x2xf32>) -> !modular.route<2, 1>
  %p = modular.apply %r [@same, @same](%x) : !modular.route<2, 1>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Steps of one recurrence: routers that choose among the very same modules, in the same order.

// CHECK: module attributes {modular.routers = [{{.*}}name = "gate", {{.*}}name = "gate#2", same_modules_as = 0 : i64, {{.*}}name = "gate#3", slots
modular.parameter @w = dense<1.0> : tensor<2x2xf32>
modular.parameter @v = dense<2.0> : tensor<2x2xf32>
modular.router @gate(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %chosen = modular.select_all of %x : tensor<?x2xf32> -> tensor<?x2xi64>
  modular.yield %chosen, %x : tensor<?x2xi64>, tensor<?x2xf32>
}
modular.module @one function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "w" of @w : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @two function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = modular.site "v" of @v : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-COUNT-3: modular.expose
// CHECK-NOT: modular.expose
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}) -> tensor<?x2xf32> {
  %r = modular.route @gate(%x) : (tensor<?x2xf32>) -> !modular.route<2, 2>
  %p = modular.apply %r [@one, @two](%x) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  %s = modular.route @gate(%y) : (tensor<?x2xf32>) -> !modular.route<2, 2>
  %q = modular.apply %s [@one, @two](%y) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %z = modular.aggregate weighted_sum %q : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  %t = modular.route @gate(%z) : (tensor<?x2xf32>) -> !modular.route<2, 2>
  %u = modular.apply %t [@two, @one](%z) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
  %v = modular.aggregate weighted_sum %u : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %v : tensor<?x2xf32>
}

// -----

// What tokens give the modules is shown beside the mean that their row gives; no host changes it.

// CHECK: module attributes {modular.routers = [{{.*}}name = "gate", slots = 2 : i64, weighs = false, weights = f32}, {{.*}}name = "gate.tokens", slots = 2 : i64, tokens_of = 0 : i64, weighs = true, weights = f32}]}
modular.router @gate(%x: tensor<?x?x2xf32>) over ["e0", "e1"] attributes {modular.token_weights} {
  %one = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %mean = onnx.ReduceMean %x, %one {keepdims = 0 : i64} : (tensor<?x?x2xf32>, tensor<1xi64>) -> tensor<?x2xf32>
  %chosen = modular.select_all of %mean : tensor<?x2xf32> -> tensor<?x2xi64>
  modular.yield %chosen, %mean : tensor<?x2xi64>, tensor<?x2xf32>
}
modular.module @same function(%x: tensor<?x?x2xf32>) -> tensor<?x?x2xf32> {
  modular.yield %x : tensor<?x?x2xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x?x2xf32> {modular.dims = ["n", "t", "2"]}) -> tensor<?x?x2xf32> {
  // CHECK: modular.expose 0 "gate"(%{{.*}}, %{{.*}}) :
  // CHECK: %[[ROWS:.*]] = onnx.Reshape
  // CHECK: %[[UNUSED:.*]] = onnx.Equal %[[ROWS]]
  // CHECK: %[[CHOSEN:.*]] = onnx.Where %[[UNUSED]]
  // CHECK: modular.expose fixed 1 "gate.tokens"(%[[CHOSEN]], %[[ROWS]])
  %r = modular.route @gate(%x) : (tensor<?x?x2xf32>) -> !modular.route<2, 2>
  %p = modular.apply %r [@same, @same](%x) : !modular.route<2, 2>, (tensor<?x?x2xf32>) -> !modular.parts<tensor<?x?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x?x2xf32>> -> tensor<?x?x2xf32>
  return %y : tensor<?x?x2xf32>
}

// -----

// A route in a branch of the backbone is taken perhaps, and stays hidden; its name is kept.

// CHECK: module attributes {modular.hidden_routers = ["gate"]}
modular.router @gate(%x: tensor<?x2xf32>) over ["e0", "e1"] {
  %chosen = modular.select_all of %x : tensor<?x2xf32> -> tensor<?x2xi64>
  modular.yield %chosen, %x : tensor<?x2xi64>, tensor<?x2xf32>
}
modular.module @same function(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  modular.yield %x : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
// CHECK-NOT: modular.expose
func.func @main(%x: tensor<?x2xf32> {modular.dims = ["n", "2"]}, %c: tensor<i1>) -> tensor<?x2xf32> {
  %y = onnx.If %c : (tensor<i1>) -> tensor<?x2xf32> {
    %r = modular.route @gate(%x) : (tensor<?x2xf32>) -> !modular.route<2, 2>
    %p = modular.apply %r [@same, @same](%x) : !modular.route<2, 2>, (tensor<?x2xf32>) -> !modular.parts<tensor<?x2xf32>>
    %s = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
    onnx.Yield %s : tensor<?x2xf32>
  } else {
    onnx.Yield %x : tensor<?x2xf32>
  }
  return %y : tensor<?x2xf32>
}
