// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks --graft-collapse-products --graft-widen-products | FileCheck %s
// RUN: %graft-opt %s --graft-plan-residency=fold=never --graft-split-tasks --graft-collapse-products --graft-widen-products \
// RUN:   --convert-onnx-to-linalg --canonicalize --cse | FileCheck %s --check-prefix=LOWER

// Two sites read one value. Task a has a module at both: its downs are one parameter, for rows of several tasks as in the task's own stage. Task b
// has one at the second only.

modular.parameter @first = dense<1.0> : tensor<2x2xf32>
modular.parameter @second = dense<2.0> : tensor<2x2xf32>
modular.parameter @A1 = dense<[[1.0, 2.0]]> : tensor<1x2xf32>
modular.parameter @A2 = dense<[[3.0, 4.0]]> : tensor<1x2xf32>
modular.parameter @A3 = dense<5.0> : tensor<1x2xf32>
modular.parameter @B = dense<[[100.0], [1000.0]]> : tensor<2x1xf32>

modular.module @a.first parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A1, @B scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @a.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A2, @B scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @b.second parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A3, @B scale 3.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.router @adapters fixed by task over ["a", "b"]
modular.task @base routes @adapters to []
modular.task @a routes @adapters to ["a"]
modular.task @b routes @adapters to ["b"]

func.func @main(%x: tensor<?x2xf32> {modular.name = "x", modular.dims = ["batch", "2"]}) -> (tensor<?x2xf32> {modular.name = "y"}) {
  %r = modular.route @adapters : !modular.route<2>
  %w1 = modular.site "first.weight" of @first transposed : tensor<2x2xf32>
  %W1 = modular.adapt %w1 with %r {a = @a.first} : tensor<2x2xf32>, !modular.route<2> to tensor<2x2xf32>
  %0 = onnx.MatMul %x, %W1 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %w2 = modular.site "second.weight" of @second transposed : tensor<2x2xf32>
  %W2 = modular.adapt %w2 with %r {a = @a.second, b = @b.second} : tensor<2x2xf32>, !modular.route<2> to tensor<2x2xf32>
  %1 = onnx.MatMul %x, %W2 : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.Mul %0, %1 : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  return %2 : tensor<?x2xf32>
}

// CHECK-DAG: modular.parameter @"a/first.weight.down+a/second.weight.down"
// CHECK: modular.row_product %[[X:.*]] by %{{.*}} keys %{{.*}} of 3 modules [1] starts [0](%[[DOWN:.*]]) (%{{.*}}) : (tensor<?x2xf32>, tensor<2x2xf32>, tensor<?x1xi64>, tensor<2x2xf32>, tensor<2x1xf32>)
// CHECK: modular.row_product %[[X]] by %{{.*}} keys %{{.*}} of 3 modules [1, 2] starts [1, 0](%[[DOWN]], %{{.*}}) (

// LOWER: dispatch.plan
// LOWER: %[[LOW:.*]] = dispatch.segmented_matmul {{.*}} {columns = array<i64: 2, 1>, modules = array<i64: 1, 2>, transposed}
// LOWER: dispatch.segmented_matmul ins(%[[LOW]] : {{.*}} {modules = array<i64: 1>, starts = array<i64: 0>, transposed}
// LOWER: dispatch.segmented_matmul ins(%[[LOW]] : {{.*}} {modules = array<i64: 1, 2>, starts = array<i64: 1, 0>, transposed}
// LOWER-NOT: dispatch.segmented_matmul
