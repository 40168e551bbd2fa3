// RUN: %graft-opt %s --graft-parallelize-loops --canonicalize | FileCheck %s

// Structured ops become loops, parallel dimensions outside of sums; copies are such ops.
// CHECK-LABEL: func.func @structured
// CHECK-SAME: (%[[A:.*]]: memref<?x16xf32>, %[[C:.*]]: memref<?x16xf32>, %[[S:.*]]: memref<16xf32>)
func.func @structured(%a: memref<?x16xf32>, %c: memref<?x16xf32>, %s: memref<16xf32>) attributes {modular.stage, modular.device} {
  // CHECK-NOT: memref.copy
  // CHECK: scf.parallel (%[[I:.*]], %[[J:.*]]) =
  // CHECK: memref.store %{{.*}}, %[[C]][%[[I]], %[[J]]]
  memref.copy %a, %c : memref<?x16xf32> to memref<?x16xf32>
  // CHECK: scf.parallel (%[[K:[^,]*]]) =
  // CHECK: scf.for %[[L:.*]] =
  // CHECK: memref.load %[[A]][%[[L]], %[[K]]]
  // CHECK: memref.store %{{.*}}, %[[S]][%[[K]]]
  // CHECK-NOT: linalg
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>], iterator_types = ["reduction", "parallel"]}
      ins(%a : memref<?x16xf32>) outs(%s : memref<16xf32>) {
  ^bb0(%v: f32, %sum: f32):
    %t = arith.addf %sum, %v : f32
    linalg.yield %t : f32
  }
  return
}
