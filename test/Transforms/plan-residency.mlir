// RUN: %graft-opt %s --graft-plan-residency=fold=always | FileCheck %s --check-prefix=FOLD
// RUN: %graft-opt %s --graft-plan-residency=fold=never | FileCheck %s --check-prefix=BRANCH
// RUN: %graft-opt %s "--graft-plan-residency=tolerance=0" | FileCheck %s --check-prefix=BRANCH
// RUN: not graft-opt %s "--graft-plan-residency=fold=always tolerance=0" 2>&1 | FileCheck %s --check-prefix=TOLERANCE
// RUN: not graft-opt %s "--graft-plan-residency=memory-budget=100" 2>&1 | FileCheck %s --check-prefix=BUDGET
// RUN: not graft-opt %s --graft-plan-residency=fold=sometimes 2>&1 | FileCheck %s --check-prefix=WORD

modular.parameter @w = dense<1.0> : tensor<2x2xf32>
modular.parameter @A = dense<0.1> : tensor<1x2xf32>
modular.parameter @B = dense<0.3> : tensor<2x1xf32>
modular.module @topic.w parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @A, @B scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.router @adapters fixed by task over ["topic"]
modular.task @base routes @adapters to []
modular.task @topic routes @adapters to ["topic"]

// The fold that planning has evaluated is a parameter, which the adapt names.
// FOLD: modular.parameter @"topic/first.weight" = #modular.weight<"topic/first.weight"> : tensor<2x2xf32>
// FOLD: modular.adapt {{.*}}modular.residency = {topic = @"topic/first.weight"}

// BRANCH-NOT: @"topic/
// BRANCH: modular.adapt {{.*}}modular.residency = {topic = "branch"}

// TOLERANCE: error: site 'first.weight', adapter 'topic': expected a fold with an error of at most 0.000000e+00 of the change, found {{[0-9.e-]+}}
// BUDGET: error: expected a memory budget of at least {{[0-9]+}} bytes, the least possible for these tasks, found 100
// WORD: sometimes
func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %r = modular.route @adapters : !modular.route<1>
  %s = modular.site "first.weight" of @w transposed : tensor<2x2xf32>
  %W = modular.adapt %s with %r {topic = @topic.w} : tensor<2x2xf32>, !modular.route<1> to tensor<2x2xf32>
  %y = onnx.MatMul %x, %W : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
