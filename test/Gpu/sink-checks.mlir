// A check of what all elements were and-ed to becomes a check of each element.
// RUN: %graft-opt %s --graft-sink-checks --split-input-file | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
// CHECK-LABEL: func @all(
// CHECK-SAME: %[[X:.*]]: memref<?xi64>
// CHECK-NOT: linalg
// CHECK: scf.for
// CHECK:   %[[V:.*]] = memref.load %[[X]]
// CHECK:   %[[HOLDS:.*]] = arith.cmpi slt, %[[V]]
// CHECK-NEXT: dispatch.check %[[HOLDS]], "out of range"
// CHECK-NOT: memref.store
// CHECK-NOT: dispatch.check
// CHECK: return
func.func @all(%x: memref<?xi64>, %arena: memref<?xi8>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %true = arith.constant true
  %c8 = arith.constant 8 : i64
  %all = memref.view %arena[%c0][] : memref<?xi8> to memref<i1>
  linalg.fill ins(%true : i1) outs(%all : memref<i1>)
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%x : memref<?xi64>) outs(%all : memref<i1>) {
  ^bb0(%in: i64, %out: i1):
    %holds = arith.cmpi slt, %in, %c8 : i64
    %both = arith.andi %out, %holds : i1
    linalg.yield %both : i1
  }
  %sum = memref.load %all[] : memref<i1>
  dispatch.check %sum, "out of range"
  return
}

// -----

// What was not true at first, and what is not and-ed, says something else.
#id = affine_map<(d0) -> (d0)>
#none = affine_map<(d0) -> ()>
// CHECK-LABEL: func @any(
// CHECK: linalg.fill
// CHECK: linalg.generic
// CHECK: dispatch.check
func.func @any(%x: memref<?xi1>, %all: memref<i1>) attributes {modular.stage, modular.device} {
  %false = arith.constant false
  linalg.fill ins(%false : i1) outs(%all : memref<i1>)
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]} ins(%x : memref<?xi1>) outs(%all : memref<i1>) {
  ^bb0(%in: i1, %out: i1):
    %either = arith.ori %out, %in : i1
    linalg.yield %either : i1
  }
  %sum = memref.load %all[] : memref<i1>
  dispatch.check %sum, "there is none"
  return
}
