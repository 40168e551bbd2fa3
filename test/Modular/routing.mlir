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
