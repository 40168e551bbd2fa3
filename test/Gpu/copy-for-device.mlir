// RUN: %graft-opt %s --graft-copy-for-device | FileCheck %s

// The copy stands beside the stage, and is the same but for its name and the attribute.
// CHECK: func.func @stage(
// CHECK-SAME: tensor<8xf32> {modular.slot = 3 : i64})
// CHECK-SAME: attributes {modular.stage} {
// CHECK: arith.addf
// CHECK: func.func @stage.cuda(
// CHECK-SAME: tensor<8xf32> {modular.slot = 3 : i64})
// CHECK-SAME: attributes {modular.device, modular.stage} {
// CHECK: arith.addf
// CHECK-NOT: @stage.cuda
func.func @stage(%x: tensor<8xf32>, %w: tensor<8xf32> {modular.slot = 3 : i64}) -> tensor<8xf32> attributes {modular.stage} {
  %y = arith.addf %x, %w : tensor<8xf32>
  return %y : tensor<8xf32>
}

// Functions that are no stages, and stages without a body, have one place.
// CHECK: func.func @other(
// CHECK-NOT: @other.cuda
func.func @other(%x: tensor<8xf32>) -> tensor<8xf32> {
  return %x : tensor<8xf32>
}

// CHECK: func.func private @elsewhere(
// CHECK-NOT: @elsewhere.cuda
func.func private @elsewhere(tensor<8xf32>) -> tensor<8xf32> attributes {modular.stage}
