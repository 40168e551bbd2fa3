// RUN: %graft-opt %s --graft-pack-weights | FileCheck %s

// Both orientations become panels; a narrow weight has panels of one vector; LoRA's pair is packed too.
// CHECK-LABEL: func @pack
// CHECK-SAME: tensor<2x8x32xf32> {dispatch.packing = {k = array<i64: 8, 40>, layout = "panels", n = array<i64: 40, 1>, offset = 0 : i64, panel = 32 : i64, source = 0 : i64}, modular.slot = 0 : i64}
// CHECK-SAME: tensor<1x8x16xf32> {dispatch.packing = {k = array<i64: 8, 1>, layout = "panels", n = array<i64: 4, 8>, offset = 0 : i64, panel = 16 : i64, source = 1 : i64}, modular.slot = 1 : i64}
// CHECK-SAME: tensor<2x4x32xf32>
func.func @pack(%x: tensor<?x8xf32>, %w: tensor<8x40xf32> {modular.slot = 0 : i64}, %a: tensor<4x8xf32> {modular.slot = 1 : i64},
                %b: tensor<4x40xf32> {modular.slot = 2 : i64}, %o: tensor<?x4xf32>, %p: tensor<?x40xf32>) -> tensor<?x40xf32> {
  // CHECK: weights(%{{.*}} : tensor<1x8x16xf32>) outs(%{{.*}} : tensor<?x4xf32>) -> tensor
  %0 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%a : tensor<4x8xf32>) outs(%o : tensor<?x4xf32>) {transposed = array<i1: true>} -> tensor<?x4xf32>
  // CHECK: weights(%{{.*}}, %{{.*}} : tensor<2x8x32xf32>, tensor<2x4x32xf32>)
  %1 = dispatch.matmul ins(%x, %0 : tensor<?x8xf32>, tensor<?x4xf32>) weights(%w, %b : tensor<8x40xf32>, tensor<4x40xf32>) outs(%p : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %1 : tensor<?x40xf32>
}

// The modules of a mixture: each weight has its panels, and those that were (N, K) no longer are.
// CHECK-LABEL: func @mixture
// CHECK-SAME: tensor<2x8x32xf32> {dispatch.packing = {k = array<i64: 8, 1>, layout = "panels", n = array<i64: 40, 8>, offset = 0 : i64, panel = 32 : i64, source = 0 : i64}, modular.slot = 0 : i64}
// CHECK-SAME: tensor<2x8x32xf32> {dispatch.packing = {k = array<i64: 8, 1>, layout = "panels", n = array<i64: 40, 8>, offset = 0 : i64, panel = 32 : i64, source = 1 : i64}, modular.slot = 1 : i64}
func.func @mixture(%x: tensor<?x8xf32>, %f: tensor<3xi32>, %w: tensor<40x8xf32> {modular.slot = 0 : i64}, %v: tensor<40x8xf32> {modular.slot = 1 : i64},
                   %o: tensor<?x40xf32>) -> tensor<?x40xf32> {
  // CHECK: dispatch.segmented_matmul {{.*}} weights(%{{.*}}, %{{.*}} : tensor<2x8x32xf32>, tensor<2x8x32xf32>) outs(%{{[^ ]+}} : tensor<?x40xf32>) ->
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<3xi32>) weights(%w, %v : tensor<40x8xf32>, tensor<40x8xf32>)
      outs(%o : tensor<?x40xf32>) {transposed} -> tensor<?x40xf32>
  return %0 : tensor<?x40xf32>
}

// One module's weight that has no slot keeps all of a mixture's as they are.
// CHECK-LABEL: func @mixture_left_alone
func.func @mixture_left_alone(%x: tensor<?x8xf32>, %f: tensor<3xi32>, %w: tensor<40x8xf32> {modular.slot = 0 : i64}, %v: tensor<40x8xf32>,
                              %o: tensor<?x40xf32>) -> tensor<?x40xf32> {
  // CHECK: weights(%{{.*}}, %{{.*}} : tensor<40x8xf32>, tensor<40x8xf32>) outs(%{{[^ ]+}} : tensor<?x40xf32>) {transposed}
  %0 = dispatch.segmented_matmul ins(%x : tensor<?x8xf32>) offsets(%f : tensor<3xi32>) weights(%w, %v : tensor<40x8xf32>, tensor<40x8xf32>)
      outs(%o : tensor<?x40xf32>) {transposed} -> tensor<?x40xf32>
  return %0 : tensor<?x40xf32>
}

// A weight that is used otherwise, or in both orientations, gets a slot for each form.
// CHECK-LABEL: func @shared
// CHECK-SAME: %[[PLAIN:[a-z0-9]+]]: tensor<32x32xf32> {modular.slot = 3 : i64}
// CHECK-SAME: tensor<1x32x32xf32> {dispatch.packing = {k = array<i64: 32, 32>, layout = "panels", n = array<i64: 32, 1>, offset = 0 : i64, panel = 32 : i64, source = 3 : i64}, modular.slot = 4 : i64}
// CHECK-SAME: tensor<1x32x32xf32> {dispatch.packing = {k = array<i64: 32, 1>, layout = "panels", n = array<i64: 32, 32>, offset = 0 : i64, panel = 32 : i64, source = 3 : i64}, modular.slot = 5 : i64}
func.func @shared(%x: tensor<?x32xf32>, %w: tensor<32x32xf32> {modular.slot = 3 : i64}, %o: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<32x32xf32>) {
  %0 = dispatch.matmul ins(%x : tensor<?x32xf32>) weights(%w : tensor<32x32xf32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %1 = dispatch.matmul ins(%0 : tensor<?x32xf32>) weights(%w : tensor<32x32xf32>) outs(%o : tensor<?x32xf32>) {transposed = array<i1: true>} -> tensor<?x32xf32>
  // CHECK: return %{{.*}}, %[[PLAIN]]
  return %1, %w : tensor<?x32xf32>, tensor<32x32xf32>
}

// A direction of a recurrent layer's weight, a kernel that was reshaped, and one that was transposed: each from the weight itself. The
// last form of a weight that nothing else reads takes its slot.
// CHECK-LABEL: func @views
// CHECK-SAME: tensor<2x16x32xf32> {dispatch.packing = {k = array<i64: 16, 1>, layout = "panels", n = array<i64: 40, 16>, offset = 640 : i64, panel = 32 : i64, source = 0 : i64}, modular.slot = 0 : i64}
// CHECK-SAME: tensor<1x16x16xf32> {dispatch.packing = {k = array<i64: 4, 2, 2, 24, 2, 1>, layout = "panels", n = array<i64: 3, 8>, offset = 0 : i64, panel = 16 : i64, source = 1 : i64}, modular.slot = 1 : i64}
// CHECK-SAME: tensor<2x16x32xf32> {dispatch.packing = {k = array<i64: 16, 1>, layout = "panels", n = array<i64: 40, 16>, offset = 0 : i64, panel = 32 : i64, source = 0 : i64}, modular.slot = 2 : i64}
// CHECK-NOT: extract_slice
// CHECK-NOT: shape
func.func @views(%x: tensor<?x16xf32>, %w: tensor<2x40x16xf32> {modular.slot = 0 : i64}, %c: tensor<2x3x4x2xf32> {modular.slot = 1 : i64},
                 %o: tensor<?x40xf32>, %p: tensor<?x3xf32>) -> (tensor<?x40xf32>, tensor<?x40xf32>, tensor<?x3xf32>) {
  %w0 = tensor.extract_slice %w[0, 0, 0] [1, 40, 16] [1, 1, 1] : tensor<2x40x16xf32> to tensor<40x16xf32>
  %w1 = tensor.extract_slice %w[1, 0, 0] [1, 40, 16] [1, 1, 1] : tensor<2x40x16xf32> to tensor<1x40x16xf32>
  %m1 = tensor.collapse_shape %w1 [[0, 1], [2]] : tensor<1x40x16xf32> into tensor<40x16xf32>
  %0 = dispatch.matmul ins(%x : tensor<?x16xf32>) weights(%w0 : tensor<40x16xf32>) outs(%o : tensor<?x40xf32>) {transposed = array<i1: true>} -> tensor<?x40xf32>
  %1 = dispatch.matmul ins(%x : tensor<?x16xf32>) weights(%m1 : tensor<40x16xf32>) outs(%o : tensor<?x40xf32>) {transposed = array<i1: true>} -> tensor<?x40xf32>
  %e = tensor.empty() : tensor<3x4x2x2xf32>
  %t = linalg.transpose ins(%c : tensor<2x3x4x2xf32>) outs(%e : tensor<3x4x2x2xf32>) permutation = [1, 2, 0, 3]
  %m = tensor.collapse_shape %t [[0], [1, 2, 3]] : tensor<3x4x2x2xf32> into tensor<3x16xf32>
  %2 = dispatch.matmul ins(%x : tensor<?x16xf32>) weights(%m : tensor<3x16xf32>) outs(%p : tensor<?x3xf32>) {transposed = array<i1: true>} -> tensor<?x3xf32>
  return %0, %1, %2 : tensor<?x40xf32>, tensor<?x40xf32>, tensor<?x3xf32>
}

// Lookups in a weight that is also multiplied with read its panels: it is stored once.
// CHECK-LABEL: func @tied
// CHECK-SAME: %[[I:.*]]: index, %[[X:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<2x8x32xf32> {dispatch.packing = {{.*}} modular.slot = 0 : i64}, %{{[a-z0-9]*}}: tensor<?x40xf32>)
// CHECK: dispatch.matmul ins(%[[X]] : {{.*}}) weights(%[[W]] :
// CHECK-DAG: %[[PANEL:.*]] = arith.divui %[[I]], %{{.*}}
// CHECK-DAG: %[[COLUMN:.*]] = arith.remui %[[I]], %{{.*}}
// CHECK: tensor.extract %[[W]][%[[PANEL]], %{{.*}}, %[[COLUMN]]]
func.func @tied(%i: index, %x: tensor<?x8xf32>, %w: tensor<40x8xf32> {modular.slot = 0 : i64}, %o: tensor<?x40xf32>) -> (tensor<?x40xf32>, f32) {
  %0 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%w : tensor<40x8xf32>) outs(%o : tensor<?x40xf32>) {transposed = array<i1: true>} -> tensor<?x40xf32>
  %three = arith.constant 3 : index
  %1 = tensor.extract %w[%i, %three] : tensor<40x8xf32>
  return %0, %1 : tensor<?x40xf32>, f32
}

// A slice that is no even step of a reshaped dimension stays, and so does its matmul.
// CHECK-LABEL: func @uneven
// CHECK: extract_slice
// CHECK: weights(%{{.*}} : tensor<3x4xf32>)
func.func @uneven(%x: tensor<?x3xf32>, %w: tensor<2x2x4x2xf32> {modular.slot = 0 : i64}, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %e = tensor.empty() : tensor<2x2x2x4xf32>
  %t = linalg.transpose ins(%w : tensor<2x2x4x2xf32>) outs(%e : tensor<2x2x2x4xf32>) permutation = [0, 3, 1, 2]
  %m = tensor.collapse_shape %t [[0, 1, 2], [3]] : tensor<2x2x2x4xf32> into tensor<8x4xf32>
  %s = tensor.extract_slice %m[0, 0] [3, 4] [1, 1] : tensor<8x4xf32> to tensor<3x4xf32>
  %0 = dispatch.matmul ins(%x : tensor<?x3xf32>) weights(%s : tensor<3x4xf32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// No slot, not f32, or one pair that can't: nothing changes.
// CHECK-LABEL: func @left_alone
func.func @left_alone(%x: tensor<?x32xf32>, %w: tensor<32x32xf32>, %v: tensor<32x32xf32> {modular.slot = 0 : i64}, %o: tensor<?x32xf32>,
                      %xd: tensor<?x32xf64>, %wd: tensor<32x32xf64> {modular.slot = 1 : i64}, %od: tensor<?x32xf64>) -> (tensor<?x32xf32>, tensor<?x32xf64>) {
  // CHECK: weights(%{{.*}}, %{{.*}} : tensor<32x32xf32>, tensor<32x32xf32>)
  %0 = dispatch.matmul ins(%x, %x : tensor<?x32xf32>, tensor<?x32xf32>) weights(%w, %v : tensor<32x32xf32>, tensor<32x32xf32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  // CHECK: weights(%{{.*}} : tensor<32x32xf64>)
  %1 = dispatch.matmul ins(%xd : tensor<?x32xf64>) weights(%wd : tensor<32x32xf64>) outs(%od : tensor<?x32xf64>) -> tensor<?x32xf64>
  return %0, %1 : tensor<?x32xf32>, tensor<?x32xf64>
}
