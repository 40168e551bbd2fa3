// RUN: %graft-opt %s --graft-merge-modules | FileCheck %s

// Parameters of the same bytes are one, modules that compute the same of them are one, and so are modules that apply those; what differs, be it in a
// scale, stays. A frozen parameter of the backbone stays its own, though its bytes are those of another.

// CHECK: modular.parameter @q
// CHECK-NEXT: modular.parameter @k
// CHECK-NEXT: modular.parameter @topic.A
// CHECK-NOT: modular.parameter
modular.parameter @q = dense<1.0> : tensor<2x2xf32>
modular.parameter @k = dense<1.0> : tensor<2x2xf32>
modular.parameter @topic.A = dense<[[1.0, 2.0]]> : tensor<1x2xf32>
modular.parameter @lang.A = dense<[[1.0, 2.0]]> : tensor<1x2xf32>
modular.parameter @w1 = dense<[[1.0, 2.0]]> : tensor<1x2xf32>
// CHECK: modular.router @adapters
modular.router @adapters fixed by task over ["topic", "lang", "strong"]
// CHECK: modular.module @topic parameter
// CHECK-NOT: modular.module @lang
// CHECK: modular.module @strong parameter
// CHECK: modular.module @e0 function
// CHECK-NOT: modular.module @e1
// CHECK: modular.module @square function
// CHECK: modular.module @outer0 function
// CHECK: modular.apply %{{.*}} [@e0, @e0]
// CHECK-NOT: modular.module @outer1
modular.module @topic parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @topic.A, @up scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @lang parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @lang.A, @up scale 1.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.module @strong parameter(%w: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %0 = modular.low_rank %w, @lang.A, @up scale 2.0 : tensor<2x2xf32>
  modular.yield %0 : tensor<2x2xf32>
}
modular.parameter @up = dense<[[3.0], [4.0]]> : tensor<2x1xf32>
modular.module @e0 function(%x: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %w = modular.site "expert.0.weight" of @topic.A : tensor<1x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @e1 function(%x: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %w = modular.site "expert.1.weight" of @w1 : tensor<1x2xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @square function(%x: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %w = modular.site "expert.2.weight" of @w1 : tensor<1x2xf32>
  %s = onnx.Mul %x, %x : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %y = onnx.MatMul %s, %w : (tensor<?x1xf32>, tensor<1x2xf32>) -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @outer0 function(%x: tensor<?x1xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [@e0, @e1](%x) : !modular.route<2, 1>, (tensor<?x1xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
modular.module @outer1 function(%x: tensor<?x1xf32>, %c: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x2xf32> {
  %r = modular.route_of %c, %w : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
  %p = modular.apply %r [@e1, @e0](%x) : !modular.route<2, 1>, (tensor<?x1xf32>) -> !modular.parts<tensor<?x2xf32>>
  %y = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  modular.yield %y : tensor<?x2xf32>
}
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x2xf32>, %h: tensor<?x1xf32>, %c: tensor<?x1xi64>, %g: tensor<?x1xf32>) -> (tensor<2x2xf32>, tensor<?x2xf32>) {
  %r = modular.route @adapters : !modular.route<3>
  // CHECK: modular.site "q" of @q
  %w = modular.site "q" of @q : tensor<2x2xf32>
  // CHECK: modular.adapt %{{.*}} with %{{.*}} {lang = @topic, strong = @strong, topic = @topic}
  %W = modular.adapt %w with %r {topic = @topic, lang = @lang, strong = @strong} : tensor<2x2xf32>, !modular.route<3> to tensor<2x2xf32>
  // CHECK: modular.site "k" of @k
  %k = modular.site "k" of @k : tensor<2x2xf32>
  %a = onnx.MatMul %x, %W : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = onnx.MatMul %a, %k : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %o = modular.route_of %c, %g : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<3, 1>
  // CHECK: modular.apply %{{.*}} [@outer0, @outer0, @outer0]
  %p = modular.apply %o [@outer0, @outer1, @outer0](%h, %c, %g) : !modular.route<3, 1>, (tensor<?x1xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> !modular.parts<tensor<?x2xf32>>
  %z = modular.aggregate sum %p : !modular.parts<tensor<?x2xf32>> -> tensor<?x2xf32>
  return %y, %z : tensor<2x2xf32>, tensor<?x2xf32>
}
