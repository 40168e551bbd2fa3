// RUN: %graft-opt %s --graft-prune-modules=profile=%S/Inputs/profile.json | FileCheck %s
// RUN: echo '{"routers": [{"router": "gate", "modules": ["a", "b"], "tasks": []}]}' > %t.other.json
// RUN: not graft-opt %s --graft-prune-modules=profile=%t.other.json 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: echo '{"routers": [{"router": "gate", "modules": ["a", "b", "c"], "tasks": []}]}' > %t.empty.json
// RUN: not graft-opt %s --graft-prune-modules=profile=%t.empty.json 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: echo '{"routers": [{"router": "gate", "modules": ["a", "b", "c"], "tasks": [{"load": {"rows": [1, -2, 0], "weight": [1, 1, 1]}}]}]}' > %t.form.json
// RUN: not graft-opt %s --graft-prune-modules=profile=%t.form.json 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not graft-opt %s --graft-prune-modules=profile=%t.none.json 2>&1 | FileCheck %s --check-prefix=NONE

// A module that no row of any task took is left out; the others are numbered anew. A router that the profile does not name keeps its own.

// OTHER: error: {{.*}}other.json: expected the routers of this model with their modules, found router 'gate' of 2 modules
// EMPTY: error: {{.*}}empty.json: router 'gate': expected rows that take a module, found none
// FORM: error: {{.*}}form.json: expected what 'graft run --routing-stats' writes
// NONE: error: {{.*}}none.json: expected a routing profile, found No such file or directory

// CHECK: modular.router @gate(%{{.*}}: tensor<?x3xf32>) over ["a", "c"] {
modular.router @gate(%x: tensor<?x3xf32>) over ["a", "b", "c"] {
  // CHECK: %[[CHOSEN:.*]] = modular.select_top 1
  %chosen = modular.select_top 1 of %x : tensor<?x3xf32> -> tensor<?x1xi64>
  %weights = modular.weigh %chosen by %x normalized by nothing : tensor<?x1xi64>, tensor<?x3xf32> -> tensor<?x1xf32>
  // CHECK: %[[NUMBERS:.*]] = onnx.Constant {value = dense<[0, -1, 1]> : tensor<3xi64>}
  // CHECK: onnx.Gather %[[NUMBERS]], %{{.*}}
  // CHECK: %[[ANEW:.*]] = onnx.Where
  // CHECK: modular.yield %[[ANEW]], %{{.*}}
  modular.yield %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32>
}
// CHECK: modular.router @other(%{{.*}}) over ["a", "b", "c"]
modular.router @other(%c: tensor<?x1xi64>, %w: tensor<?x1xf32>) over ["a", "b", "c"] {
  modular.yield %c, %w : tensor<?x1xi64>, tensor<?x1xf32>
}
modular.module @a function(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  modular.yield %x : tensor<?x3xf32>
}
modular.module @b function(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = onnx.Sqrt %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  modular.yield %y : tensor<?x3xf32>
}
modular.module @c function(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %y = onnx.Neg %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  modular.yield %y : tensor<?x3xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<?x3xf32>, %k: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  // CHECK: modular.route @gate(%{{.*}}) : (tensor<?x3xf32>) -> !modular.route<2, 1>
  // CHECK: modular.apply %{{.*}} [@a, @c](%{{.*}}) : !modular.route<2, 1>
  %r = modular.route @gate(%x) : (tensor<?x3xf32>) -> !modular.route<3, 1>
  %p = modular.apply %r [@a, @b, @c](%x) : !modular.route<3, 1>, (tensor<?x3xf32>) -> !modular.parts<tensor<?x3xf32>>
  %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x3xf32>> -> tensor<?x3xf32>
  %s = modular.route @other(%k, %w) : (tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.route<3, 1>
  // CHECK: modular.apply %{{.*}} [@a, @b, @c](%{{.*}}) : !modular.route<3, 1>
  %q = modular.apply %s [@a, @b, @c](%x) : !modular.route<3, 1>, (tensor<?x3xf32>) -> !modular.parts<tensor<?x3xf32>>
  %z = modular.aggregate weighted_sum %q : !modular.parts<tensor<?x3xf32>> -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}
