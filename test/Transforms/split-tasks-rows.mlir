// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks | FileCheck %s
// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks=rows=false | FileCheck %s --check-prefix=APART
// RUN: %graft-opt %s --graft-plan-residency=fold=always --graft-split-tasks | FileCheck %s --check-prefix=APART
// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks --convert-onnx-to-linalg --canonicalize --cse | FileCheck %s --check-prefix=LOWER

// Three tasks with modules of ranks 1 and 2 beside the second and third product, and one whose bias is its own: rows of the three, and of base, run
// together from where they part.

// APART-NOT: modular.row_product
// APART-NOT: modular.keys
modular.parameter @first = dense<1.0> : tensor<2x2xf32>
modular.parameter @second = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
modular.parameter @third = dense<2.0> : tensor<3x2xf32>
modular.parameter @bias = dense<0.5> : tensor<3xf32>
modular.parameter @A1 = dense<[[1.0, 10.0]]> : tensor<1x2xf32>
modular.parameter @B1 = dense<[[100.0], [1000.0]]> : tensor<2x1xf32>
modular.parameter @A2 = dense<2.0> : tensor<2x2xf32>
modular.parameter @B2 = dense<3.0> : tensor<2x2xf32>
modular.parameter @B3 = dense<4.0> : tensor<3x2xf32>
modular.parameter @own = dense<0.25> : tensor<3xf32>

modular.module @a.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A1, @B1 scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @b.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A2, @B2 scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @b.third parameter(%w: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %0 = modular.low_rank %w, @A2, @B3 scale 1.0 : tensor<3x2xf32>
  modular.yield %0 : tensor<3x2xf32>
}
modular.module @c.bias parameter(%w: tensor<3xf32>) -> tensor<3xf32> {
  %0 = modular.replace %w, @own : tensor<3xf32> to tensor<3xf32>
  modular.yield %0 : tensor<3xf32>
}
modular.router @adapters fixed by task over ["a", "b", "c"]
modular.task @base routes @adapters to []
modular.task @a routes @adapters to ["a"]
modular.task @b routes @adapters to ["b"]
modular.task @c routes @adapters to ["a", "c"]
modular.task @both routes @adapters to ["a", "b"]

func.func @main(%x: tensor<?x?x2xf32> {modular.name = "x", modular.dims = ["batch", "seq", "2"]}) -> (tensor<?x?x3xf32> {modular.name = "y"}) {
  %r = modular.route @adapters : !modular.route<3>
  %w1 = modular.site "first.weight" of @first transposed : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w1 : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %w2 = modular.site "second.weight" of @second transposed : tensor<2x2xf32>
  %W2 = modular.adapt %w2 with %r {a = @a.second, b = @b.second} : tensor<2x2xf32>, !modular.route<3> to tensor<2x2xf32>
  %1 = onnx.MatMul %0, %W2 : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %w3 = modular.site "third.weight" of @third : tensor<3x2xf32>
  %W3 = modular.adapt %w3 with %r {b = @b.third} : tensor<3x2xf32>, !modular.route<3> to tensor<3x2xf32>
  %t3 = onnx.Transpose %W3 {perm = [1, 0]} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %2 = onnx.MatMul %1, %t3 : (tensor<?x?x2xf32>, tensor<2x3xf32>) -> tensor<?x?x3xf32>
  %s = modular.site "third.bias" of @bias : tensor<3xf32>
  %S = modular.adapt %s with %r {c = @c.bias} : tensor<3xf32>, !modular.route<3> to tensor<3xf32>
  %3 = onnx.Add %2, %S : (tensor<?x?x3xf32>, tensor<3xf32>) -> tensor<?x?x3xf32>
  return %3 : tensor<?x?x3xf32>
}

// CHECK: module attributes {modular.apart = {c = "has weights of its own at 'third.bias'"}}
// What two adapters add at one site is one module of the sum of their ranks.
// CHECK: modular.parameter @"a/second.weight.down+b/second.weight.down" = {{.*}}tensor<3x2xf32>
// CHECK: func.func private @[[BODY:.*]](%{{.*}}: index {modular.symbol = "batch"}, %{{.*}}: index {modular.symbol = "seq"}, %[[X:.*]]: tensor<?x?x2xf32> {{.*}}, %[[K:.*]]: tensor<?x1xi64> {modular.dims = ["batch", "1"]}, %[[W2:.*]]: tensor<2x2xf32> {modular.slot = 0 : i64},
// CHECK: %[[Y:.*]] = modular.row_product %[[X]] by %[[W2]] keys %[[K]] of 4 modules [1, 2, 3](%{{.*}}, %{{.*}}, %{{.*}}) (%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<?x?x2xf32>, tensor<2x2xf32>, tensor<?x1xi64>, tensor<1x2xf32>, tensor<2x2xf32>, tensor<3x2xf32>, tensor<2x1xf32>, tensor<2x2xf32>, tensor<2x3xf32>) -> tensor<?x?x2xf32>
// CHECK: modular.row_product %[[Y]] by %{{.*}} keys %[[K]] of 4 modules [2, 3](
// CHECK: onnx.Add
// CHECK: modular.stage @{{.*}} runs @[[BODY]] after @stage0 on [@second, {{.*}}] [1, [[KEYS:[0-9]+]]] to [[[OUT:[0-9]+]]] for ["base", "a", "b", "both"] {modular.keys = [[KEYS]] : i64, modular.outputs = array<i64: [[OUT]]>}

// One plan, and two segmented products a site, however many tasks.
// LOWER: %[[PLAN:.*]]:3 = dispatch.plan
// LOWER-NOT: dispatch.plan
// LOWER: %[[F:.*]] = linalg.generic {{.*}} ins(%[[PLAN]]#1 : tensor<5xi32>)
// LOWER: %[[H:.*]] = dispatch.segmented_matmul ins(%[[X:.*]] : tensor<?x?x2xf32>) offsets(%[[F]] : tensor<5xi32>) weights(%{{.*}}, %{{.*}}, %{{.*}} : tensor<1x2xf32>, tensor<2x2xf32>, tensor<3x2xf32>) outs(%{{.*}} : tensor<?x?x16xf32>) {columns = array<i64: 1, 2, 3>, modules = array<i64: 1, 2, 3>, transposed}
// LOWER: dispatch.segmented_matmul ins(%[[H]] : tensor<?x?x16xf32>) offsets(%[[F]] : tensor<5xi32>) weights(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x2xf32>, tensor<2x1xf32>, tensor<2x2xf32>, tensor<2x3xf32>) shared(%[[X]] : tensor<?x?x2xf32>) outs(%{{.*}} : tensor<?x?x2xf32>) {modules = array<i64: 1, 2, 3>, transposed}
// LOWER-COUNT-2: dispatch.segmented_matmul {{.*}} offsets(%[[F]] :
// LOWER-NOT: dispatch.segmented_matmul
