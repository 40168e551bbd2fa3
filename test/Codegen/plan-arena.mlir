// RUN: graft-opt %s --graft-plan-arena=instrumented | FileCheck %s --check-prefix=APART
// RUN: graft-opt %s --graft-plan-arena | FileCheck %s
// RUN: graft-opt %s --graft-plan-arena --graft-outline-parallel --graft-lower-host-calls | FileCheck %s --check-prefix=HOST

// APART-LABEL: func.func @stage
// APART-COUNT-4: memref.alloc
// APART: return

// The first two buffers hand over at the second loop; the third is used within a sequential loop, the fourth by
// parallel iterations, which need one each.

// CHECK-LABEL: func.func @stage
// CHECK-SAME: memref<?xi8> {modular.role = "arena"}, %{{.*}}: memref<3xindex> {modular.role = "offsets"}
// CHECK-SAME: modular.buffers = array<i64: [[A:[0-9]+]], [[B:[0-9]+]], [[B]], [[C:[0-9]+]], [[C]], [[C]]>
// CHECK-COUNT-3: memref.view
// CHECK: scf.parallel
// CHECK: memref.alloc

// The bytes of the third are those of n * n elements.
// CHECK-LABEL: func.func @graft_shape.stage
// CHECK: arith.muli

// HOST-LABEL: func.func private @stage.0(%{{.*}}: !llvm.ptr, %{{.*}}: index, %{{.*}}: index
// HOST: memref.alloca
// HOST: scf.for
// HOST: func.func private @stage.0.fork
// HOST-SAME: modular.fork = @stage.0
func.func @stage(%n: index {modular.symbol = "n"}, %x: memref<?xf32> {modular.dims = ["n"]},
                 %y: memref<?xf32> {modular.dims = ["n"], modular.output = 0 : i64}) attributes {modular.stage} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc(%n) : memref<?xf32>
  %b = memref.alloc(%n) : memref<?xf32>
  memref.copy %x, %a : memref<?xf32> to memref<?xf32>
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xf32>
    memref.store %v, %b[%i] : memref<?xf32>
  }
  scf.for %i = %c0 to %n step %c1 {
    %nn = arith.muli %n, %n : index
    %c = memref.alloc(%nn) : memref<?xf32>
    %v = memref.load %b[%i] : memref<?xf32>
    memref.store %v, %c[%i] : memref<?xf32>
    %w = memref.load %c[%i] : memref<?xf32>
    memref.store %w, %y[%i] : memref<?xf32>
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %d = memref.alloc() : memref<4xf32>
    %v = memref.load %y[%i] : memref<?xf32>
    memref.store %v, %d[%c0] : memref<4xf32>
    %w = memref.load %d[%c0] : memref<4xf32>
    memref.store %w, %y[%i] : memref<?xf32>
    scf.reduce
  }
  return
}

// The first op of the function is a buffer itself: views stand where it stood.
// CHECK-LABEL: func.func @starts_with_buffers
// CHECK-COUNT-2: memref.view
// CHECK-NOT: memref.alloc
func.func @starts_with_buffers(%x: memref<4xf32> {modular.dims = ["4"]},
                               %y: memref<4xf32> {modular.dims = ["4"], modular.output = 0 : i64}) attributes {modular.stage} {
  %a = memref.alloc() : memref<4xf32>
  %b = memref.alloc() : memref<4xf32>
  memref.copy %x, %a : memref<4xf32> to memref<4xf32>
  memref.copy %a, %b : memref<4xf32> to memref<4xf32>
  memref.copy %b, %y : memref<4xf32> to memref<4xf32>
  return
}
