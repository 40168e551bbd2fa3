// RUN: %graft-opt %s --graft-fuse-epilogues | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#last = affine_map<(d0, d1) -> (d1)>
#row = affine_map<(d0, d1) -> (d0)>

// LoRA, bias, activation and residual: one op.
// CHECK-LABEL: func @all
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[Z:.*]]: tensor<?x2xf32>, %[[W:.*]]: tensor<8x16xf32>, %[[B:.*]]: tensor<2x16xf32>, %[[BIAS:.*]]: tensor<16xf32>, %[[R:.*]]: tensor<?x16xf32>, %[[INIT:.*]]: tensor<?x16xf32>)
func.func @all(%x: tensor<?x8xf32>, %z: tensor<?x2xf32>, %w: tensor<8x16xf32>, %b: tensor<2x16xf32>, %bias: tensor<16xf32>, %r: tensor<?x16xf32>,
               %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %half = arith.constant 0.5 : f32
  // CHECK-NOT: linalg.generic
  // CHECK: %[[Y:.*]] = dispatch.matmul ins(%[[X]], %[[Z]] : {{.*}}) weights(%[[W]], %[[B]] : {{.*}}) extras(%[[BIAS]], %[[R]] : {{.*}}) outs({{.*}}) epilogue {
  // CHECK: ^bb0(%[[S:.*]]: f32, %[[N:.*]]: f32, %[[E:.*]]: f32)
  // CHECK: %[[H:.*]] = arith.constant 5.0{{.*}}
  // CHECK: %[[T:.*]] = arith.addf %[[S]], %[[N]]
  // CHECK: %[[U:.*]] = arith.mulf %[[T]], %[[H]]
  // CHECK: %[[V:.*]] = arith.addf %[[U]], %[[E]]
  // CHECK: dispatch.yield %[[V]]
  // CHECK-NOT: linalg.generic
  // CHECK: return %[[Y]]
  %0 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%w : tensor<8x16xf32>) outs(%init : tensor<?x16xf32>) -> tensor<?x16xf32>
  %1 = dispatch.matmul ins(%z : tensor<?x2xf32>) weights(%b : tensor<2x16xf32>) outs(%init : tensor<?x16xf32>) -> tensor<?x16xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%1, %0 : tensor<?x16xf32>, tensor<?x16xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %q, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %3 = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel"]} ins(%2, %bias : tensor<?x16xf32>, tensor<16xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %4 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%3 : tensor<?x16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.mulf %p, %half : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %5 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%4, %r : tensor<?x16xf32>, tensor<?x16xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %5 : tensor<?x16xf32>
}

// Products of half precision: their sum is rounded once. They stay in order, whichever is longer.
// CHECK-LABEL: func @half
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf16>, %[[Z:.*]]: tensor<?x12xf16>, %[[W:.*]]: tensor<8x16xf16>, %[[B:.*]]: tensor<12x16xf16>, %[[INIT:.*]]: tensor<?x16xf16>)
func.func @half(%x: tensor<?x8xf16>, %z: tensor<?x12xf16>, %w: tensor<8x16xf16>, %b: tensor<12x16xf16>, %init: tensor<?x16xf16>) -> tensor<?x16xf16> {
  // CHECK: %[[Y:.*]] = dispatch.matmul ins(%[[X]], %[[Z]] : {{.*}}) weights(%[[W]], %[[B]] : {{.*}}) outs(%[[INIT]] : tensor<?x16xf16>) -> tensor<?x16xf16>
  // CHECK-NEXT: return %[[Y]]
  %0 = dispatch.matmul ins(%x : tensor<?x8xf16>) weights(%w : tensor<8x16xf16>) outs(%init : tensor<?x16xf16>) -> tensor<?x16xf16>
  %1 = dispatch.matmul ins(%z : tensor<?x12xf16>) weights(%b : tensor<12x16xf16>) outs(%init : tensor<?x16xf16>) -> tensor<?x16xf16>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %1 : tensor<?x16xf16>, tensor<?x16xf16>)
      outs(%init : tensor<?x16xf16>) {
  ^bb0(%p: f16, %q: f16, %o: f16):
    %P = arith.extf %p : f16 to f32
    %Q = arith.extf %q : f16 to f32
    %S = arith.addf %P, %Q : f32
    %s = arith.truncf %S : f32 to f16
    linalg.yield %s : f16
  } -> tensor<?x16xf16>
  return %2 : tensor<?x16xf16>
}

// A gate: one product's epilogue reads the other's result, after what it has done with its bias by module.
// CHECK-LABEL: func @gate
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[F:.*]]: tensor<3xi32>, %[[W:.*]]: tensor<8x16xf32>, %[[B:.*]]: tensor<16xf32>, %[[INIT:.*]]: tensor<?x16xf32>)
func.func @gate(%x: tensor<?x8xf32>, %f: tensor<3xi32>, %w: tensor<8x16xf32>, %b: tensor<16xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK: %[[UP:.*]] = dispatch.segmented_matmul ins(%[[X]] : {{.*}}) offsets(%[[F]] : {{.*}}) weights(%[[W]], %[[W]] : {{.*}}) outs(%[[INIT]] : tensor<?x16xf32>) ->
  // CHECK: %[[Y:.*]] = dispatch.segmented_matmul ins(%[[X]] : {{.*}}) offsets(%[[F]] : {{.*}}) weights(%[[W]], %[[W]] : {{.*}}) extras(%[[UP]] : tensor<?x16xf32>)
  // CHECK-SAME: segment_extras(%[[B]], %[[B]] : {{.*}}) outs({{.*}}) epilogue {
  // CHECK: ^bb0(%[[S:.*]]: f32, %[[U:.*]]: f32, %[[BIAS:.*]]: f32)
  // CHECK: %[[T:.*]] = arith.addf %[[S]], %[[BIAS]]
  // CHECK: %[[R:.*]] = arith.mulf %[[T]], %[[U]]
  // CHECK: dispatch.yield %[[R]]
  // CHECK-NOT: linalg.generic
  // CHECK: return %[[Y]]
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<3xi32>) weights(%w, %w : tensor<8x16xf32>, tensor<8x16xf32>)
      segment_extras(%b, %b : tensor<16xf32>, tensor<16xf32>) outs(%init : tensor<?x16xf32>) epilogue {
  ^bb0(%s: f32, %c: f32):
    %t = arith.addf %s, %c : f32
    dispatch.yield %t : f32
  } -> tensor<?x16xf32>
  %1 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<3xi32>) weights(%w, %w : tensor<8x16xf32>, tensor<8x16xf32>)
      outs(%init : tensor<?x16xf32>) -> tensor<?x16xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %1 : tensor<?x16xf32>, tensor<?x16xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.mulf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %2 : tensor<?x16xf32>
}

// The sum of two products by module is left to one of the epilogues: each has a weight for each row.
// CHECK-LABEL: func @added
// CHECK: dispatch.segmented_matmul
// CHECK: dispatch.segmented_matmul {{.*}} extras(
func.func @added(%x: tensor<?x8xf32>, %f: tensor<2xi32>, %w: tensor<8x16xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<2xi32>) weights(%w : tensor<8x16xf32>) outs(%init : tensor<?x16xf32>)
      -> tensor<?x16xf32>
  %1 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<2xi32>) weights(%w : tensor<8x16xf32>) outs(%init : tensor<?x16xf32>)
      -> tensor<?x16xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %1 : tensor<?x16xf32>, tensor<?x16xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %2 : tensor<?x16xf32>
}

// A second reader, an operand by row, or a read of the index: left alone.
// CHECK-LABEL: func @left_alone
func.func @left_alone(%x: tensor<?x8xf32>, %w: tensor<8x16xf32>, %r: tensor<?xf32>, %init: tensor<?x16xf32>)
    -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  // CHECK: dispatch.matmul
  // CHECK: linalg.generic
  %0 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%w : tensor<8x16xf32>) outs(%init : tensor<?x16xf32>) -> tensor<?x16xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<?x16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = arith.negf %p : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  // CHECK: dispatch.matmul
  // CHECK: linalg.generic
  %2 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%w : tensor<8x16xf32>) outs(%1 : tensor<?x16xf32>) -> tensor<?x16xf32>
  %3 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%2, %r : tensor<?x16xf32>, tensor<?xf32>)
      outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  // CHECK: dispatch.matmul
  // CHECK: linalg.generic
  %4 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%w : tensor<8x16xf32>) outs(%3 : tensor<?x16xf32>) -> tensor<?x16xf32>
  %5 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%4 : tensor<?x16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%p: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i32
    %k = arith.sitofp %j : i32 to f32
    %s = arith.addf %p, %k : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %0, %1, %3, %5 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
