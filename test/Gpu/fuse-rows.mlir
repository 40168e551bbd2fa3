// Loops over the same rows become one, where rows share nothing and are short.
// RUN: %graft-opt %s --graft-fuse-rows --split-input-file | FileCheck %s

// CHECK-LABEL: func @router(
// CHECK: scf.parallel (%[[ROW:[^ ]*]]) =
// CHECK-NEXT: scf.for %[[A:.*]] =
// CHECK: memref.store {{.*}}[%[[ROW]], %[[A]]]
// CHECK: scf.for %[[B:.*]] =
// CHECK: memref.store {{.*}}[%[[ROW]], %[[B]]]
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @router(%n: index, %x: memref<?x8xf32>, %y: memref<?x8xf32>, %z: memref<?x2xf32>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %v = memref.load %x[%i, %j] : memref<?x8xf32>
    memref.store %v, %y[%i, %j] : memref<?x8xf32>
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c2) step (%c1, %c1) {
    %v = memref.load %y[%i, %c0] : memref<?x8xf32>
    memref.store %v, %z[%i, %j] : memref<?x2xf32>
  }
  return
}

// -----

// The second reads another row, the third has long rows.
// CHECK-LABEL: func @apart(
// CHECK-COUNT-3: scf.parallel
func.func @apart(%n: index, %x: memref<?x8xf32>, %y: memref<?x8xf32>, %z: memref<?x512xf32>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c512 = arith.constant 512 : index
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %v = memref.load %x[%i, %j] : memref<?x8xf32>
    memref.store %v, %y[%i, %j] : memref<?x8xf32>
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %v = memref.load %y[%c0, %j] : memref<?x8xf32>
    memref.store %v, %x[%i, %j] : memref<?x8xf32>
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c512) step (%c1, %c1) {
    %v = memref.load %x[%i, %c0] : memref<?x8xf32>
    memref.store %v, %z[%i, %j] : memref<?x512xf32>
  }
  return
}
