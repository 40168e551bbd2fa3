// RUN: %graft-opt %s --graft-outline-parallel | FileCheck %s

// A loop that reduces is sequential. The inner one of a nest is, too. Scratch on the stack that only the loop uses becomes the body's own.

// CHECK-LABEL: func.func @stage(%{{.*}}: !llvm.ptr {modular.role = "host"}
// CHECK: %[[SUM:.*]] = scf.for {{.*}} iter_args
// CHECK: arith.addf
// CHECK-NOT: scf.parallel
// CHECK: %[[MANY:.*]] = arith.cmpi sge
// CHECK: scf.if %[[MANY]]
// CHECK: func.call @stage.0.fork(
// CHECK: else
// CHECK: func.call @stage.0(
// CHECK: return

// CHECK-LABEL: func.func private @stage.0(
// CHECK: memref.alloca
// CHECK: scf.for
// CHECK: arith.remui
// CHECK: arith.divui
// CHECK: scf.for
// CHECK-NOT: scf.parallel
// CHECK: call @kernel(%{{.*}}, %{{.*}}) : (!llvm.ptr, memref<?xf32>)
// CHECK-LABEL: func.func private @stage.0.fork
// CHECK-SAME: modular.fork = @stage.0

// A function that the stage calls gets the host and may fork itself.
// CHECK-LABEL: func.func private @kernel(%{{.*}}: !llvm.ptr
// CHECK: call @kernel.0.fork
func.func @stage(%n: index {modular.symbol = "n"}, %x: memref<?xf32>, %y: memref<?xf32>) attributes {modular.stage} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %scratch = memref.alloca() : memref<8xf32>
  %sum = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%zero) -> f32 {
    %v = memref.load %x[%i] : memref<?xf32>
    scf.reduce(%v : f32) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      scf.reduce.return %s : f32
    }
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %n) step (%c1, %c1) {
    scf.parallel (%k) = (%c0) to (%n) step (%c1) {
      memref.store %sum, %scratch[%c0] : memref<8xf32>
      %v = memref.load %scratch[%c0] : memref<8xf32>
      memref.store %v, %y[%k] : memref<?xf32>
      scf.reduce
    }
    func.call @kernel(%y) : (memref<?xf32>) -> ()
    scf.reduce
  }
  return
}

func.func private @kernel(%y: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %y, %c0 : memref<?xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %y[%i] : memref<?xf32>
    %w = arith.addf %v, %v : f32
    memref.store %w, %y[%i] : memref<?xf32>
    scf.reduce
  }
  return
}
