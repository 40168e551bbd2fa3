// RUN: %graft-opt %s | FileCheck %s

// The example of the documentation of every op.

// CHECK: modular.parameter @query.weight = #modular.weight<"query.weight"> : tensor<384x384xf32>
modular.parameter @query.weight = #modular.weight<"query.weight"> : tensor<384x384xf32>
modular.parameter @topic.query.A = #modular.weight<"topic.query.A"> : tensor<8x384xf32>
modular.parameter @topic.query.B = #modular.weight<"topic.query.B"> : tensor<384x8xf32>
modular.parameter @m = dense<1.0> : tensor<384xf32>
modular.parameter @bias = dense<0.5> : tensor<384xf32>
modular.parameter @classifier.weight = #modular.weight<"classifier.weight"> : tensor<9x384xf32>
modular.parameter @tokens = #modular.weight<"tokens"> : tensor<2x384xf32>

// CHECK-LABEL: modular.module @topic.query parameter(%{{.*}}: tensor<384x384xf32>) -> tensor<384x384xf32> {
// CHECK: %[[A:.*]] = modular.low_rank %{{.*}}, @topic.query.A, @topic.query.B scale 2.000000e+00 : tensor<384x384xf32>
// CHECK: modular.yield %[[A]] : tensor<384x384xf32>
modular.module @topic.query parameter(%w: tensor<384x384xf32>) -> tensor<384x384xf32> {
  %0 = modular.low_rank %w, @topic.query.A, @topic.query.B scale 2.0 : tensor<384x384xf32>
  modular.yield %0 : tensor<384x384xf32>
}
// CHECK: modular.low_rank {{.*}} magnitude @m
modular.module @dora parameter(%w: tensor<384x384xf32>) -> tensor<384x384xf32> {
  %0 = modular.low_rank %w, @topic.query.A, @topic.query.B scale 2.0 magnitude @m : tensor<384x384xf32>
  modular.yield %0 : tensor<384x384xf32>
}
// CHECK: modular.delta %{{.*}}, @bias scale 2.000000e+00 : tensor<384xf32>
modular.module @shift parameter(%b: tensor<384xf32>) -> tensor<384xf32> {
  %0 = modular.delta %b, @bias scale 2.0 : tensor<384xf32>
  modular.yield %0 : tensor<384xf32>
}
// CHECK: modular.replace %{{.*}}, @classifier.weight : tensor<2x384xf32> to tensor<9x384xf32>
modular.module @head parameter(%w: tensor<2x384xf32>) -> tensor<9x384xf32> {
  %0 = modular.replace %w, @classifier.weight : tensor<2x384xf32> to tensor<9x384xf32>
  modular.yield %0 : tensor<9x384xf32>
}
// CHECK: modular.replace_columns %{{.*}}, @tokens at [3, 17] : tensor<384x30522xf32>
modular.module @vocabulary parameter(%w: tensor<384x30522xf32>) -> tensor<384x30522xf32> {
  %0 = modular.replace_columns %w, @tokens at [3, 17] : tensor<384x30522xf32>
  modular.yield %0 : tensor<384x30522xf32>
}

// CHECK: modular.router @adapters fixed by task over ["topic", "lang"]
modular.router @adapters fixed by task over ["topic", "lang"]
// CHECK: modular.task @both routes @adapters to ["topic", "lang"]
modular.task @both routes @adapters to ["topic", "lang"]
modular.task @base routes @adapters to []

// CHECK-LABEL: func.func @main
func.func @main() -> tensor<384x384xf32> {
  // CHECK: %[[R:.*]] = modular.route @adapters : !modular.route<2>
  %r = modular.route @adapters : !modular.route<2>
  // CHECK: %[[W:.*]] = modular.site "layer.0.attention.query.weight" of @query.weight transposed : tensor<384x384xf32>
  %w = modular.site "layer.0.attention.query.weight" of @query.weight transposed : tensor<384x384xf32>
  // CHECK: modular.adapt %[[W]] with %[[R]] {topic = @topic.query} : tensor<384x384xf32>, !modular.route<2> to tensor<384x384xf32>
  %a = modular.adapt %w with %r {topic = @topic.query} : tensor<384x384xf32>, !modular.route<2> to tensor<384x384xf32>
  return %a : tensor<384x384xf32>
}

func.func private @body(%batch: index {modular.symbol = "batch"}, %x: tensor<?x384xf32>, %w: tensor<384x384xf32> {modular.slot = 0 : i64}) -> tensor<?x384xf32>

// CHECK: modular.stage @root runs @body on [@query.weight] [0] to [1] for ["base", "both"]
modular.stage @root runs @body on [@query.weight] [0] to [1] for ["base", "both"]
// CHECK: modular.stage @leaf runs @body after @root on [@query.weight] [1] to [2] for ["both"]
modular.stage @leaf runs @body after @root on [@query.weight] [1] to [2] for ["both"]
