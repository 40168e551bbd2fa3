// RUN: %graft-opt %s --graft-linalg-to-loops --canonicalize | FileCheck %s

// All but the innermost dimension of elementwise work is parallel.
// CHECK-LABEL: func @elementwise
func.func @elementwise(%x: memref<?x?x384xf32>, %b: memref<384xf32>, %y: memref<?x?x384xf32>) {
  // CHECK: scf.parallel (%[[I:.*]], %[[J:.*]]) =
  // CHECK-NEXT: scf.for %[[K:.*]] =
  // CHECK: memref.load %{{.*}}[%[[I]], %[[J]], %[[K]]]
  // CHECK: memref.load %{{.*}}[%[[K]]]
  // CHECK: memref.store %{{.*}}[%[[I]], %[[J]], %[[K]]]
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %b : memref<?x?x384xf32>, memref<384xf32>) outs(%y : memref<?x?x384xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  }
  return
}

// A reduction is not; one dimension, or a reduction on the outside, has no parallel loop.
// CHECK-LABEL: func @reductions
func.func @reductions(%x: memref<?x?xf32>, %y: memref<?xf32>) {
  // CHECK: scf.parallel (%{{.*}}) =
  // CHECK: scf.for
  linalg.reduce ins(%x : memref<?x?xf32>) outs(%y : memref<?xf32>) dimensions = [1] (%p: f32, %q: f32) {
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  }
  // CHECK-NOT: scf.parallel
  // CHECK: scf.for
  // CHECK: scf.for
  linalg.reduce ins(%x : memref<?x?xf32>) outs(%y : memref<?xf32>) dimensions = [0] (%p: f32, %q: f32) {
    %s = arith.addf %p, %q : f32
    linalg.yield %s : f32
  }
  %zero = arith.constant 0.0 : f32
  // CHECK: scf.for
  linalg.fill ins(%zero : f32) outs(%y : memref<?xf32>)
  return
}
