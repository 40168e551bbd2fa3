// RUN: %graft-opt %s --graft-place-on-device --split-input-file | FileCheck %s --check-prefix=LAUNCH
// RUN: %graft-opt %s --graft-place-on-device --graft-merge-kernels --graft-lower-launches --split-input-file | FileCheck %s

// A launch says how many bytes it is given, by the symbols of the stage; what is given twice, in another shape, counts once. A kernel
// has the sum over its launches.
// LAUNCH-LABEL: func.func @symbols(
// LAUNCH: gpu.launch_func @device::@symbols_loop_0 {{.*}}{modular.traffic = {least = "64*n"}}
// LAUNCH: gpu.launch_func @device::@symbols_loop_1 {{.*}}{modular.traffic = {least = "32*n + 400"}}
// CHECK: gpu.func @symbols_loop_0({{.*}}modular.traffic = {launches = 1 : i64, least = "64*n"}
// CHECK: gpu.func @symbols_loop_1({{.*}}modular.traffic = {launches = 1 : i64, least = "32*n + 400"}
func.func @symbols(%offsets: memref<2xindex> {modular.role = "offsets"}, %n: index {modular.symbol = "n"}, %x: memref<?x8xf32> {modular.dims = ["n", "8"]},
                   %w: memref<100xf32> {modular.slot = 0 : i64}, %y: memref<?x8xf32> {modular.dims = ["n", "8"], modular.output = 0 : i64})
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %flat = memref.collapse_shape %x [[0, 1]] : memref<?x8xf32> into memref<?xf32>
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %u = memref.load %x[%i, %j] : memref<?x8xf32>
    %v = memref.load %flat[%i] : memref<?xf32>
    %s = arith.addf %u, %v : f32
    memref.store %s, %y[%i, %j] : memref<?x8xf32>
    scf.reduce
  }
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %v = memref.load %w[%j] : memref<100xf32>
    memref.store %v, %y[%i, %j] : memref<?x8xf32>
    scf.reduce
  }
  return
}

// -----

// Two launches of one kernel, of other sizes.
// LAUNCH-LABEL: func.func @sizes(
// CHECK-LABEL: func.func @sizes(
// CHECK: gpu.func @sizes_loop_0({{.*}}modular.traffic = {launches = 2 : i64, least = "8*m + 8*n"}
// CHECK-NOT: gpu.func
func.func @sizes(%offsets: memref<2xindex> {modular.role = "offsets"}, %n: index {modular.symbol = "n"}, %m: index {modular.symbol = "m"},
                 %x: memref<?xf32> {modular.dims = ["n"]}, %v: memref<?xf32> {modular.dims = ["m"]},
                 %y: memref<?xf32> {modular.dims = ["n"], modular.output = 0 : i64}, %z: memref<?xf32> {modular.dims = ["m"], modular.output = 1 : i64})
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %u = memref.load %x[%i] : memref<?xf32>
    memref.store %u, %y[%i] : memref<?xf32>
    scf.reduce
  }
  scf.parallel (%i) = (%c0) to (%m) step (%c1) {
    %u = memref.load %v[%i] : memref<?xf32>
    memref.store %u, %z[%i] : memref<?xf32>
    scf.reduce
  }
  return
}
