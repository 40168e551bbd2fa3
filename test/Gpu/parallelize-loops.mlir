// RUN: %graft-opt %s --graft-parallelize-loops | FileCheck %s

// Perfectly nested loops are one loop of two dimensions, and a host's offset is a bound that the host knows.
// CHECK-LABEL: func.func @parallel
// CHECK-SAME: (%[[OFFSETS:.*]]: memref<2xindex> {{{.*}}}, %[[N:[a-z0-9]+]]: index {{{.*}}}, %[[X:[a-z0-9]+]]: memref<?x8xf32>, %[[Y:[a-z0-9]+]]: memref<?x8xf32>)
func.func @parallel(%offsets: memref<2xindex> {modular.role = "offsets"}, %n: index {modular.symbol = "n"}, %x: memref<?x8xf32>, %y: memref<?x8xf32>)
    attributes {modular.stage, modular.device} {
  // CHECK-DAG: %[[ZERO:.*]] = arith.constant 0 : index
  // CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : index
  // CHECK-DAG: %[[EIGHT:.*]] = arith.constant 8 : index
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  // CHECK: scf.parallel (%[[I:.*]], %[[J:.*]]) = (%[[ZERO]], %[[ZERO]]) to (%[[N]], %[[EIGHT]]) step (%[[ONE]], %[[ONE]])
  // CHECK-NEXT: %[[V:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
  // CHECK-NEXT: memref.store %[[V]], %[[Y]][%[[I]], %[[J]]]
  scf.for %i = %c0 to %n step %c1 {
    scf.for %j = %c0 to %c8 step %c1 {
      %v = memref.load %x[%i, %j] : memref<?x8xf32>
      memref.store %v, %y[%i, %j] : memref<?x8xf32>
    }
  }
  // Rows are independent, what a row sums up is not: the inner loop stays.
  // CHECK: scf.parallel (%[[R:.*]]) = (%[[ZERO]]) to (%[[N]])
  // CHECK: scf.for
  // CHECK: memref.store %{{.*}}, %[[Y]][%[[R]], %[[ZERO]]]
  scf.for %i = %c0 to %n step %c1 {
    scf.for %j = %c0 to %c8 step %c1 {
      %v = memref.load %x[%i, %j] : memref<?x8xf32>
      %s = memref.load %y[%i, %c0] : memref<?x8xf32>
      %t = arith.addf %s, %v : f32
      memref.store %t, %y[%i, %c0] : memref<?x8xf32>
    }
  }
  // CHECK: %[[B:.*]] = memref.load %[[OFFSETS]]
  // CHECK: scf.parallel (%{{.*}}) = (%[[ZERO]]) to (%[[B]])
  %b = memref.load %offsets[%c0] : memref<2xindex>
  scf.for %i = %c0 to %b step %c1 {
    %v = memref.load %x[%c0, %c0] : memref<?x8xf32>
    memref.store %v, %y[%i, %c0] : memref<?x8xf32>
  }
  return
}

// CHECK-LABEL: func.func @left_alone
// CHECK-NOT: scf.parallel
// CHECK-LABEL: func.func @for_the_cpu
func.func @left_alone(%n: index {modular.symbol = "n"}, %k: memref<?xi64>, %y: memref<?x8xf32>, %z: memref<?x8xf32>) -> f32
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // Bounds that only the device knows.
  %d = memref.load %k[%c0] : memref<?xi64>
  %e = arith.index_cast %d : i64 to index
  scf.for %i = %c0 to %e step %c1 {
    memref.store %zero, %y[%i, %c0] : memref<?x8xf32>
  }
  // Iterations that write the same element,
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %z[%i, %c0] : memref<?x8xf32>
    memref.store %v, %y[%c0, %c0] : memref<?x8xf32>
  }
  // elements that data chooses,
  scf.for %i = %c0 to %n step %c1 {
    %f = memref.load %k[%i] : memref<?xi64>
    %g = arith.index_cast %f : i64 to index
    memref.store %zero, %y[%g, %c0] : memref<?x8xf32>
  }
  // and what the next one reads, be it by another index or through another view.
  scf.for %i = %c0 to %n step %c1 {
    %j = arith.addi %i, %c1 : index
    %v = memref.load %y[%j, %c0] : memref<?x8xf32>
    memref.store %v, %y[%i, %c0] : memref<?x8xf32>
  }
  %view = memref.subview %y[0, 0] [%n, 8] [1, 1] : memref<?x8xf32> to memref<?x8xf32, strided<[8, 1]>>
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %view[%i, %c0] : memref<?x8xf32, strided<[8, 1]>>
    memref.store %v, %y[%i, %c0] : memref<?x8xf32>
  }
  // A carried value.
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %v = memref.load %y[%i, %c0] : memref<?x8xf32>
    %t = arith.addf %s, %v : f32
    scf.yield %t : f32
  }
  // A call may do anything.
  scf.for %i = %c0 to %n step %c1 {
    func.call @something(%i) : (index) -> ()
    memref.store %zero, %y[%i, %c0] : memref<?x8xf32>
  }
  return %sum : f32
}
func.func private @something(index)

func.func @for_the_cpu(%n: index {modular.symbol = "n"}, %y: memref<?xf32>) attributes {modular.stage} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  // CHECK: scf.for
  // CHECK-NOT: scf.parallel
  scf.for %i = %c0 to %n step %c1 {
    memref.store %zero, %y[%i] : memref<?xf32>
  }
  return
}
