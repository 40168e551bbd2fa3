// RUN: %graft-opt %s | %graft-opt | FileCheck %s

// What routes row by row, and what is applied and aggregated: the documentation's examples.

// CHECK-LABEL: modular.router @gate(%{{.*}}: tensor<?x4xf32>) over ["e0", "e1", "e2"] {
modular.router @gate(%x: tensor<?x4xf32>) over ["e0", "e1", "e2"] {
  // CHECK: %[[CHOSEN:.*]] = modular.select_top 2 of %{{.*}} : tensor<?x4xf32> -> tensor<?x2xi64>
  %chosen = modular.select_top 2 of %x : tensor<?x4xf32> -> tensor<?x2xi64>
  // CHECK: modular.weigh %[[CHOSEN]] by %{{.*}} normalized by softmax : tensor<?x2xi64>, tensor<?x4xf32> -> tensor<?x2xf32>
  %weights = modular.weigh %chosen by %x normalized by softmax : tensor<?x2xi64>, tensor<?x4xf32> -> tensor<?x2xf32>
  modular.yield %chosen, %weights : tensor<?x2xi64>, tensor<?x2xf32>
}

// CHECK-LABEL: modular.router @soft(
modular.router @soft(%x: tensor<?x3xf32>) over ["e0", "e1", "e2"] {
  // CHECK: modular.select_all of %{{.*}} : tensor<?x3xf32> -> tensor<?x3xi64>
  %chosen = modular.select_all of %x : tensor<?x3xf32> -> tensor<?x3xi64>
  // CHECK: modular.weigh {{.*}} normalized by sum
  %weights = modular.weigh %chosen by %x normalized by sum : tensor<?x3xi64>, tensor<?x3xf32> -> tensor<?x3xf32>
  modular.yield %chosen, %weights : tensor<?x3xi64>, tensor<?x3xf32>
}

modular.module @e0 function(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  modular.yield %x : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x4xf32>, %c: tensor<?x2xi64>, %w: tensor<?x2xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: %[[G:.*]] = modular.route @gate(%{{.*}}) : (tensor<?x4xf32>) -> !modular.route<3, 2>
  %g = modular.route @gate(%x) : (tensor<?x4xf32>) -> !modular.route<3, 2>
  // CHECK: %[[P:.*]] = modular.apply %[[G]] [@e0, @e0, @e0](%{{.*}}) : !modular.route<3, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  %p = modular.apply %g [@e0, @e0, @e0](%x) : !modular.route<3, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  // CHECK: modular.aggregate weighted_sum %[[P]] : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  // CHECK: modular.expose 0 "gate"(%{{.*}}) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  %shown = modular.expose 0 "gate"(%c) : (tensor<?x2xi64>) -> tensor<?x2xi64>
  // CHECK: modular.expose 0 "gate"(%{{.*}}, %{{.*}}) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  %last:2 = modular.expose 0 "gate"(%shown, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
  // CHECK: %[[R:.*]] = modular.route_of %{{.*}}, %{{.*}} : tensor<?x2xi64>, tensor<?x2xf32> -> !modular.route<1, 2>
  %r = modular.route_of %c, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !modular.route<1, 2>
  // CHECK: modular.apply %[[R]] [](%{{.*}}) : {{.*}} {
  // CHECK-NEXT: ^bb0(%[[ROWS:.*]]: tensor<?x4xf32>):
  // CHECK-NEXT: modular.yield %[[ROWS]] : tensor<?x4xf32>
  %q = modular.apply %r [](%x) : !modular.route<1, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>> {
  ^bb0(%rows: tensor<?x4xf32>):
    modular.yield %rows : tensor<?x4xf32>
  }
  // CHECK: modular.aggregate mean
  %z = modular.aggregate mean %q : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}

// Every way to select, to limit and to weigh.

// CHECK-LABEL: modular.router @steps(
modular.router @steps(%x: tensor<?x16xf32>, %ids: tensor<?xi64>) over ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "e10", "e11", "e12", "e13", "e14", "e15"] {
  // CHECK: modular.mask_groups %{{.*}} groups 4 keep 2 by top 2 : tensor<?x16xf32>
  %masked = modular.mask_groups %x groups 4 keep 2 by top 2 : tensor<?x16xf32>
  // CHECK: modular.select_above 5.000000e-01 of %{{.*}} : tensor<?x16xf32> -> tensor<?x16xi64>
  %above = modular.select_above 5.000000e-01 of %masked : tensor<?x16xf32> -> tensor<?x16xi64>
  // CHECK: modular.select_hash 7 of %{{.*}} among 16 : tensor<?xi64> -> tensor<?x1xi64>
  %hash = modular.select_hash 7 of %ids among 16 : tensor<?xi64> -> tensor<?x1xi64>
  // CHECK: modular.select_rows factor 2.000000e+00 of %{{.*}} : tensor<?x16xf32> -> tensor<?x16xi64>
  %rows = modular.select_rows factor 2.000000e+00 of %x : tensor<?x16xf32> -> tensor<?x16xi64>
  // CHECK: modular.select_rows count 4 of
  %other = modular.select_rows count 4 of %x : tensor<?x16xf32> -> tensor<?x16xi64>
  // CHECK: %[[KEPT:.*]] = modular.limit %{{.*}} to factor 1.250000e+00 among 16 : tensor<?x16xi64>
  %kept = modular.limit %above to factor 1.250000e+00 among 16 : tensor<?x16xi64>
  // CHECK: modular.limit %[[KEPT]] to count 3 among 16
  %less = modular.limit %kept to count 3 among 16 : tensor<?x16xi64>
  // CHECK: modular.weigh_evenly %{{.*}} among 16 shared : tensor<?x16xi64> -> tensor<?x16xf32>
  %weights = modular.weigh_evenly %less among 16 shared : tensor<?x16xi64> -> tensor<?x16xf32>
  modular.yield %less, %weights : tensor<?x16xi64>, tensor<?x16xf32>
}

// CHECK-LABEL: modular.aggregator @greatest(%{{.*}}: tensor<?x2x4xf32>, %{{.*}}: tensor<?x2xi64>, %{{.*}}: tensor<?x2xf32>) -> tensor<?x4xf32> {
modular.aggregator @greatest(%slots: tensor<?x2x4xf32>, %chosen: tensor<?x2xi64>, %weights: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %axes = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.ReduceMax %slots, %axes {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  modular.yield %y : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @aggregates
func.func @aggregates(%x: tensor<?x4xf32>, %m: tensor<4x4xf32>) -> (tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %g = modular.route @gate(%x) : (tensor<?x4xf32>) -> !modular.route<3, 2>
  %p = modular.apply %g [@e0, @e0, @e0](%x) : !modular.route<3, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
  // CHECK: modular.aggregate concatenation %{{.*}} : !modular.parts<tensor<?x4xf32>> -> tensor<?x8xf32>
  %wide = modular.aggregate concatenation %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x8xf32>
  // CHECK: modular.aggregate_attention %{{.*}} from %{{.*}} by %{{.*}}, %{{.*}}, %{{.*}} scale 5.000000e-01 : !modular.parts<tensor<?x4xf32>>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
  %a = modular.aggregate_attention %p from %x by %m, %m, %m scale 0.5 : !modular.parts<tensor<?x4xf32>>, tensor<?x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
  // CHECK: modular.aggregate_by @greatest %{{.*}} : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  %b = modular.aggregate_by @greatest %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
  // CHECK: modular.collect %{{.*}} : !modular.parts<tensor<?x4xf32>> -> tensor<?x2x4xf32>
  %s = modular.collect %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x2x4xf32>
  return %wide, %a, %b : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
