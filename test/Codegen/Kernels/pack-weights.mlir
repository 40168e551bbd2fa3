// RUN: %graft-opt %s --graft-pack-weights | FileCheck %s

// Both orientations become panels; a narrow weight has panels of one vector; LoRA's pair is packed too.
// CHECK-LABEL: func @pack
// CHECK-SAME: tensor<2x8x32xf32> {dispatch.packing = {k = 8 : i64, layout = "panels", n = 40 : i64, panel = 32 : i64, source = 0 : i64, transposed = false}, modular.slot = 0 : i64}
// CHECK-SAME: tensor<1x8x16xf32> {dispatch.packing = {k = 8 : i64, layout = "panels", n = 4 : i64, panel = 16 : i64, source = 1 : i64, transposed = true}, modular.slot = 1 : i64}
// CHECK-SAME: tensor<2x4x32xf32>
func.func @pack(%x: tensor<?x8xf32>, %w: tensor<8x40xf32> {modular.slot = 0 : i64}, %a: tensor<4x8xf32> {modular.slot = 1 : i64},
                %b: tensor<4x40xf32> {modular.slot = 2 : i64}, %o: tensor<?x4xf32>, %p: tensor<?x40xf32>) -> tensor<?x40xf32> {
  // CHECK: weights(%{{.*}} : tensor<1x8x16xf32>) outs(%{{.*}} : tensor<?x4xf32>) -> tensor
  %0 = dispatch.matmul ins(%x : tensor<?x8xf32>) weights(%a : tensor<4x8xf32>) outs(%o : tensor<?x4xf32>) {transposed = array<i1: true>} -> tensor<?x4xf32>
  // CHECK: weights(%{{.*}}, %{{.*}} : tensor<2x8x32xf32>, tensor<2x4x32xf32>)
  %1 = dispatch.matmul ins(%x, %0 : tensor<?x8xf32>, tensor<?x4xf32>) weights(%w, %b : tensor<8x40xf32>, tensor<4x40xf32>) outs(%p : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %1 : tensor<?x40xf32>
}

// A weight that is used otherwise, or in both orientations, gets a slot for each form.
// CHECK-LABEL: func @shared
// CHECK-SAME: %[[PLAIN:[a-z0-9]+]]: tensor<32x32xf32> {modular.slot = 3 : i64}
// CHECK-SAME: tensor<1x32x32xf32> {dispatch.packing = {k = 32 : i64, layout = "panels", n = 32 : i64, panel = 32 : i64, source = 3 : i64, transposed = false}, modular.slot = 4 : i64}
// CHECK-SAME: tensor<1x32x32xf32> {dispatch.packing = {k = 32 : i64, layout = "panels", n = 32 : i64, panel = 32 : i64, source = 3 : i64, transposed = true}, modular.slot = 5 : i64}
func.func @shared(%x: tensor<?x32xf32>, %w: tensor<32x32xf32> {modular.slot = 3 : i64}, %o: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<32x32xf32>) {
  %0 = dispatch.matmul ins(%x : tensor<?x32xf32>) weights(%w : tensor<32x32xf32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  %1 = dispatch.matmul ins(%0 : tensor<?x32xf32>) weights(%w : tensor<32x32xf32>) outs(%o : tensor<?x32xf32>) {transposed = array<i1: true>} -> tensor<?x32xf32>
  // CHECK: return %{{.*}}, %[[PLAIN]]
  return %1, %w : tensor<?x32xf32>, tensor<32x32xf32>
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
