// RUN: %graft-opt %s --graft-lower-host-calls | FileCheck %s

// What follows a check of sizes is not reached if it fails, and results have no elements then.
// CHECK-LABEL: func.func @sizes
// CHECK-SAME: (%[[HOST:.*]]: !llvm.ptr, %[[OK:.*]]: i1, %[[N:.*]]: index, %[[X:.*]]: memref<?xf32>)
// CHECK: cf.cond_br %[[OK]], ^[[REST:.*]], ^[[FAILED:bb[0-9]+]]
// CHECK: ^[[REST]]:
// CHECK: memref.load %[[X]]
// CHECK: return
// CHECK: ^[[FAILED]]:
// CHECK: call @graft_fail(%[[HOST]], %{{.*}})
// CHECK: %[[EMPTY:.*]] = memref.view
// CHECK: return %[[EMPTY]] : memref<?xf32>
func.func @sizes(%host: !llvm.ptr, %ok: i1, %n: index, %x: memref<?xf32>) -> memref<?xf32> {
  dispatch.check %ok, "sizes differ"
  %v = memref.load %x[%n] : memref<?xf32>
  memref.store %v, %x[%n] : memref<?xf32>
  return %x : memref<?xf32>
}

// In a loop the code goes on.
// CHECK-LABEL: func.func @loop
// CHECK: scf.for
// CHECK: scf.if
// CHECK-NEXT: llvm.mlir.addressof
// CHECK-NEXT: func.call @graft_fail
// CHECK: memref.store
func.func @loop(%host: !llvm.ptr, %ok: i1, %n: index, %x: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v = arith.constant 0.0 : f32
  scf.for %i = %c0 to %n step %c1 {
    dispatch.check %ok, "index out of range"
    memref.store %v, %x[%c0] : memref<?xf32>
  }
  return
}

// A route goes to the host if its table has a place for who looks, and somebody does.
// CHECK-LABEL: func.func @route
// CHECK-SAME: (%[[HOST:.*]]: !llvm.ptr, %[[C:.*]]: memref<?x2xi64>, %[[W:.*]]: memref<?x2xf32>)
// CHECK: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: call @graft_route(%[[HOST]], %{{.*}}, %{{.*}}, %{{.*}}, %[[NULL]])
// CHECK: call @graft_route(%[[HOST]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
func.func @route(%host: !llvm.ptr, %c: memref<?x2xi64>, %w: memref<?x2xf32>) {
  dispatch.exchange 7(%c) : (memref<?x2xi64>) -> ()
  dispatch.exchange 7(%c, %w) : (memref<?x2xi64>, memref<?x2xf32>) -> ()
  return
}
// A route within a module says which rows came there.
// CHECK-LABEL: func.func @within
// CHECK-SAME: (%[[HOST:.*]]: !llvm.ptr, %[[C:.*]]: memref<?x2xi64>, %[[P:.*]]: memref<?xi64>, %[[N:.*]]: index)
// CHECK: %[[COUNT:.*]] = memref.dim %[[P]]
// CHECK: %[[CAME:.*]] = arith.index_cast %[[COUNT]] : index to i64
// CHECK: memref.extract_aligned_pointer_as_index %[[P]]
// CHECK: %[[TOTAL:.*]] = arith.index_cast %[[N]] : index to i64
// CHECK: call @graft_route_within(%[[HOST]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[CAME]], %{{.*}}, %[[TOTAL]])
func.func @within(%host: !llvm.ptr, %c: memref<?x2xi64>, %p: memref<?xi64>, %n: index) {
  dispatch.exchange 7(%c) at %p of %n : (memref<?x2xi64>, memref<?xi64>, index) -> ()
  return
}
// CHECK-LABEL: func.func private @graft_route
// CHECK: %[[SIZE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i32
// CHECK: %[[LEAST:.*]] = llvm.mlir.constant(56 : i32)
// CHECK: arith.cmpi uge, %[[SIZE]], %[[LEAST]]
// CHECK: scf.if
// CHECK: llvm.icmp "ne"
// CHECK: scf.if
// CHECK: llvm.call %{{.*}}(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
// CHECK-LABEL: func.func private @graft_route_within
// CHECK: llvm.mlir.constant(96 : i32)
