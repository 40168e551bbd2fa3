// RUN: %graft-opt %s --graft-place-on-device --split-input-file | FileCheck %s

// A loop is a kernel with a thread an iteration, what follows a kernel of one thread, and the host computes how large they are. Equal
// messages have one number.
// CHECK-LABEL: module attributes {gpu.container_module, modular.checks = ["expected numbers", "expected no 0"]}
// CHECK: func.func @stage.cuda(%[[HOST:.*]]: !llvm.ptr {modular.role = "host"}, %{{.*}}: memref<2xindex> {{{.*}}}, %[[N:.*]]: index {{{.*}}}, %[[X:.*]]: memref<?x8xf32> {{{.*}}}, %[[Y:.*]]: memref<?x8xf32>
// CHECK: %[[ROWS:.*]] = arith.maxsi
// CHECK: %[[SOME:.*]] = arith.muli %{{.*}}, %[[ROWS]]
// CHECK: %[[TOTAL:.*]] = arith.muli %[[SOME]], %{{.*}}
// CHECK: %[[NEEDED:.*]] = arith.ceildivsi %[[TOTAL]], %{{.*}}
// CHECK: %[[BLOCKS:.*]] = arith.minui %[[NEEDED]], %{{.*}}
// CHECK: memref.extract_aligned_pointer_as_index %[[X]]
// CHECK: %[[XP:.*]] = llvm.inttoptr
// CHECK: %[[XN:.*]] = memref.dim %[[X]]
// CHECK: memref.extract_aligned_pointer_as_index %[[Y]]
// CHECK: %[[YP:.*]] = llvm.inttoptr
// CHECK: %[[YN:.*]] = memref.dim %[[Y]]
// CHECK: gpu.launch_func @device::@stage_loop_0 blocks in (%[[BLOCKS]], %{{.*}}, %{{.*}}) threads in (%[[T:.*]], %{{.*}}, %{{.*}}) args({{.*}}%[[XP]] : !llvm.ptr, %[[XN]] : index, %[[YP]] : !llvm.ptr, %[[YN]] : index
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %[[HOST]]
// CHECK: %[[STATUS:.*]] = llvm.load %[[FIELD]]
// CHECK: gpu.launch_func @device::@stage_steps_1 blocks in (%[[ONE:.*]], %{{.*}}, %{{.*}}) threads in (%{{.*}}) args({{.*}}%[[STATUS]] : !llvm.ptr)
// CHECK: return
// CHECK: gpu.module @device
// CHECK: gpu.func @stage_loop_0({{.*}}) kernel attributes {known_block_size = array<i32: 256, 1, 1>}
// CHECK: %[[THREAD:.*]] = gpu.thread_id x
// CHECK: %[[BLOCK:.*]] = gpu.block_id x
// CHECK: scf.for %[[AT:.*]] =
// CHECK: %[[COLUMN:.*]] = arith.remui %[[AT]]
// CHECK: %[[ROW:.*]] = arith.divui %[[AT]]
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[ROW]], %[[COLUMN]]]
// CHECK: gpu.func @stage_steps_1({{.*}}%[[WORD:[a-z0-9]+]]: !llvm.ptr) kernel attributes {known_block_size = array<i32: 1, 1, 1>}
// CHECK: %[[OK:.*]] = arith.cmpf oge
// CHECK: %[[FAILS:.*]] = arith.xori %[[OK]]
// CHECK: scf.if %[[FAILS]]
// CHECK: %[[NUMBER:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.cmpxchg %[[WORD]], %{{.*}}, %[[NUMBER]]
// CHECK: %[[OTHER:.*]] = llvm.mlir.constant(2 : i32)
// CHECK: llvm.cmpxchg %[[WORD]], %{{.*}}, %[[OTHER]]
// CHECK: %[[AGAIN:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.cmpxchg %[[WORD]], %{{.*}}, %[[AGAIN]]
// CHECK: memref.store
func.func @stage.cuda(%offsets: memref<2xindex> {modular.role = "offsets"}, %n: index {modular.symbol = "n"}, %x: memref<?x8xf32> {modular.dims = ["n", "8"]},
                      %y: memref<?x8xf32> {modular.dims = ["n", "8"], modular.output = 0 : i64}) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %c8) step (%c1, %c1) {
    %v = memref.load %x[%i, %j] : memref<?x8xf32>
    memref.store %v, %y[%i, %j] : memref<?x8xf32>
    scf.reduce
  }
  %s = memref.load %x[%c0, %c0] : memref<?x8xf32>
  %ok = arith.cmpf oge, %s, %s : f32
  dispatch.check %ok, "expected numbers"
  %no = arith.cmpf une, %s, %zero : f32
  dispatch.check %no, "expected no 0"
  dispatch.check %ok, "expected numbers"
  memref.store %s, %y[%c0, %c1] : memref<?x8xf32>
  return
}

// -----

// What stands between two launches is one run of steps; what computes sizes does not cut it. Routes are shown to nobody.
// CHECK-LABEL: func.func @runs.cuda
// CHECK-NOT: dispatch.exchange
// CHECK: gpu.launch_func @device::@runs_steps_0
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.launch_func @device::@runs_loop_1
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.launch_func @device::@runs_steps_2
// CHECK-NOT: gpu.launch_func
// CHECK: return
func.func @runs.cuda(%offsets: memref<2xindex> {modular.role = "offsets"}, %n: index {modular.symbol = "n"}, %x: memref<?xf32>, %k: memref<?x2xi64>, %y: memref<?xf32>)
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = memref.load %x[%c0] : memref<?xf32>
  %size = memref.load %offsets[%c1] : memref<2xindex>
  %m = arith.addi %n, %size : index
  memref.store %a, %y[%c1] : memref<?xf32>
  dispatch.exchange 0(%k) : (memref<?x2xi64>) -> ()
  scf.parallel (%i) = (%c0) to (%m) step (%c2) {
    %b = memref.load %x[%i] : memref<?xf32>
    memref.store %b, %y[%i] : memref<?xf32>
    scf.reduce
  }
  scf.for %i = %c0 to %n step %c1 {
    %b = memref.load %x[%i] : memref<?xf32>
    memref.store %b, %y[%c0] : memref<?xf32>
  }
  return
}

// -----

// A constant table has a copy in the device's module. A small buffer of a thread's own is the thread's.
// CHECK-LABEL: func.func @tables.cuda
// CHECK-NOT: memref.alloc
// CHECK: gpu.launch_func @device::@tables_loop_0
// CHECK: gpu.module @device
// CHECK: memref.global "private" constant @table : memref<4xf32> = dense<
// CHECK: gpu.func @tables_loop_0
// CHECK: memref.alloca() : memref<4xf32>
// CHECK: memref.get_global @table
// CHECK-NOT: memref.dealloc
// CHECK: gpu.return
memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
func.func @tables.cuda(%n: index {modular.symbol = "n"}, %y: memref<?xf32>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %table = memref.get_global @table : memref<4xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %own = memref.alloc() : memref<4xf32>
    %j = arith.remui %i, %c4 : index
    %v = memref.load %table[%j] : memref<4xf32>
    memref.store %v, %own[%c0] : memref<4xf32>
    %w = memref.load %own[%c0] : memref<4xf32>
    memref.store %w, %y[%i] : memref<?xf32>
    memref.dealloc %own : memref<4xf32>
    scf.reduce
  }
  return
}

// -----

// A memref with strides and an offset is passed as what its type leaves open.
// CHECK-LABEL: func.func @strided.cuda
// CHECK-SAME: (%{{.*}}: !llvm.ptr {{{.*}}}, %{{.*}}: index {{{.*}}}, %[[X:.*]]: memref<?x8xf32, strided<[?, 1], offset: ?>>,
// CHECK: %{{.*}}, %[[OFFSET:.*]], %[[SIZES:.*]]:2, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata %[[X]]
// CHECK: gpu.launch_func @device::@strided_loop_0 {{.*}}%[[OFFSET]] : index, %[[SIZES]]#0 : index, %[[STRIDES]]#0 : index
// CHECK: gpu.func @strided_loop_0
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [%{{.*}}], sizes: [%{{.*}}, 8], strides: [%{{.*}}, 1]
func.func @strided.cuda(%n: index {modular.symbol = "n"}, %x: memref<?x8xf32, strided<[?, 1], offset: ?>>, %y: memref<?xf32>)
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %x[%i, %c0] : memref<?x8xf32, strided<[?, 1], offset: ?>>
    memref.store %v, %y[%i] : memref<?xf32>
    scf.reduce
  }
  return
}

// -----

// A stage is placed whole or not at all: the device's function goes with its shapes and kernels, the CPU's says why. Other stages stay.
// CHECK-LABEL: module attributes {gpu.container_module, modular.checks = []}
// CHECK: func.func @allocates({{.*}}) attributes {modular.on_host = "memory whose size depends on data", modular.stage}
// CHECK-NOT: @allocates.cuda
// CHECK: func.func @sizes({{.*}}) attributes {modular.on_host = "a number that data decides", modular.stage}
// CHECK-NOT: @sizes.cuda
// CHECK: func.func @results({{.*}}) -> memref<?xf32> attributes {modular.on_host = "a result whose size depends on data", modular.stage}
// CHECK-NOT: @results.cuda
// CHECK: func.func @foreign({{.*}}) attributes {modular.on_host = "memref.copy", modular.stage}
// CHECK-NOT: @foreign.cuda
// CHECK: func.func @chooses({{.*}}) attributes {modular.on_host = "a buffer that data chooses", modular.stage}
// CHECK-NOT: @chooses.cuda
// CHECK: func.func @fits({{.*}}) attributes {modular.stage}
// CHECK: func.func @fits.cuda(
// CHECK: gpu.module @device
// CHECK: gpu.func @fits_steps
// CHECK-NOT: gpu.func
func.func @allocates(%n: index {modular.symbol = "n"}) attributes {modular.stage} {
  return
}
func.func @allocates.cuda(%n: index {modular.symbol = "n"}) attributes {modular.stage, modular.device} {
  %m = memref.alloc(%n) : memref<?xf32>
  memref.dealloc %m : memref<?xf32>
  return
}
func.func @graft_shape.allocates.cuda(%n: index) -> index {
  return %n : index
}

func.func @sizes(%k: memref<?xi64>, %y: memref<?xi64>) attributes {modular.stage} {
  return
}
func.func @sizes.cuda(%k: memref<?xi64>, %y: memref<?xi64>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %d = memref.load %k[%c0] : memref<?xi64>
  %n = arith.index_cast %d : i64 to index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %d, %y[%i] : memref<?xi64>
    scf.reduce
  }
  return
}

func.func @results(%x: memref<?xf32>) -> memref<?xf32> attributes {modular.stage} {
  return %x : memref<?xf32>
}
func.func @results.cuda(%x: memref<?xf32>) -> memref<?xf32> attributes {modular.stage, modular.device} {
  return %x : memref<?xf32>
}

func.func @foreign(%x: memref<?xf32>, %y: memref<?xf32>) attributes {modular.stage} {
  return
}
func.func @foreign.cuda(%x: memref<?xf32>, %y: memref<?xf32>) attributes {modular.stage, modular.device} {
  memref.copy %x, %y : memref<?xf32> to memref<?xf32>
  return
}

func.func @chooses(%k: memref<?xi1>, %x: memref<?xf32>, %y: memref<?xf32>) attributes {modular.stage} {
  return
}
func.func @chooses.cuda(%k: memref<?xi1>, %x: memref<?xf32>, %y: memref<?xf32>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %b = memref.load %k[%c0] : memref<?xi1>
  %one = scf.if %b -> memref<?xf32> {
    scf.yield %x : memref<?xf32>
  } else {
    scf.yield %y : memref<?xf32>
  }
  memref.store %zero, %one[%c0] : memref<?xf32>
  return
}

func.func @fits(%y: memref<?xf32>) attributes {modular.stage} {
  return
}
func.func @fits.cuda(%y: memref<?xf32>) attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  memref.store %zero, %y[%c0] : memref<?xf32>
  return
}

// -----

// What the host knows of sizes is checked by the host, before anything is launched.
// CHECK-LABEL: module attributes {gpu.container_module, modular.checks = []}
module {
  // CHECK: func.func @sizes.cuda
  // CHECK: dispatch.check %{{.*}}, "expected few rows"
  // CHECK: gpu.launch_func
  func.func @sizes.cuda(%n: index {modular.symbol = "n"}, %x: memref<?xf32>) attributes {modular.stage, modular.device} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %zero = arith.constant 0.0 : f32
    %few = arith.cmpi ult, %n, %c8 : index
    dispatch.check %few, "expected few rows"
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      memref.store %zero, %x[%i] : memref<?xf32>
    }
    return
  }
}
