// RUN: %graft-opt %s --convert-dispatch-to-device --split-input-file | FileCheck %s

// A product is a kernel of larger tiles and one of smaller ones, which the host chooses by the number of rows. The factors' next pieces
// are copied while the tensor cores work on those that are there; the epilogue is computed on the sums.
// CHECK-LABEL: func.func @plain.cuda(
// CHECK-SAME: %{{.*}}: !llvm.ptr {modular.role = "host"},
// CHECK-SAME: %[[Y:[a-z0-9]+]]: memref<?x?x24xf32>) attributes
// CHECK-NOT: dispatch.matmul
// CHECK: %[[N:.*]] = memref.dim %[[Y]]
// CHECK: %[[M:.*]] = memref.dim %[[Y]]
// CHECK: %[[ROWS:.*]] = arith.muli %{{.*}}, %[[M]]
// CHECK: %[[MANY:.*]] = arith.cmpi ugt, %[[ROWS]], %{{.*}}
// CHECK: %[[BUSY:.*]] = arith.cmpi ugt
// CHECK: %[[BOTH:.*]] = arith.andi %[[MANY]], %[[BUSY]]
// CHECK: scf.if %[[BOTH]] {
// CHECK: gpu.launch_func @device::@[[LARGE:plain_product_[0-9]+]] blocks
// CHECK: } else {
// CHECK: scf.if
// CHECK: gpu.launch_func @device::@[[SOME:plain_product_[0-9]+]] blocks
// CHECK: } else {
// CHECK: gpu.launch_func @device::@[[SMALL:plain_product_[0-9]+]] blocks
// CHECK: }
// CHECK: return
// CHECK: gpu.module @device
// CHECK-DAG: llvm.mlir.global internal @[[LARGE]]_a() {addr_space = 3 : i32
// CHECK-DAG: llvm.mlir.global internal @[[SMALL]]_a() {addr_space = 3 : i32
// CHECK: gpu.func @[[LARGE]]({{.*}} kernel attributes {{{.*}}nvvm.minctasm = 3 : i32
// CHECK: scf.for
// CHECK: nvvm.cp.async.shared.global
// CHECK: nvvm.cp.async.commit.group
// CHECK: nvvm.cp.async.wait.group
// CHECK: gpu.barrier
// CHECK: nvvm.cp.async.shared.global
// A low part by a high one, a high part by a low one, and last the two high ones: each adds to the one before.
// CHECK: nvvm.mma.sync A[%[[AL:[0-9]+]], %{{.*}}] B[%[[BH:[0-9]+]], %{{.*}}] {{.*}}multiplicandAPtxType = #nvvm.mma_type<tf32>
// CHECK: nvvm.mma.sync A[%[[AH:[0-9]+]], %{{.*}}] B[%[[BL:[0-9]+]], %{{.*}}] {{.*}}multiplicandAPtxType = #nvvm.mma_type<tf32>
// CHECK: nvvm.mma.sync A[%[[AH]], %{{.*}}] B[%[[BH]], %{{.*}}] {{.*}}multiplicandAPtxType = #nvvm.mma_type<tf32>
// CHECK: math.tanh
// CHECK: llvm.store
// CHECK: gpu.return
// CHECK: gpu.func @[[SMALL]](
// CHECK: nvvm.mma.sync
// CHECK: gpu.return
func.func @plain.cuda(%n: index {modular.symbol = "n"}, %x: memref<?x?x40xf32>, %w: memref<2x40x16xf32> {modular.slot = 0 : i64},
                      %b: memref<24xf32> {modular.slot = 1 : i64}, %y: memref<?x?x24xf32>) attributes {modular.stage, modular.device} {
  dispatch.matmul ins(%x : memref<?x?x40xf32>) weights(%w : memref<2x40x16xf32>) extras(%b : memref<24xf32>) outs(%y : memref<?x?x24xf32>) epilogue {
  ^bb0(%s: f32, %c: f32):
    %0 = arith.addf %s, %c : f32
    %1 = math.tanh %0 : f32
    dispatch.yield %1 : f32
  }
  return
}

// -----

// Rows are gathered by the plan's order as they are copied. Weights are found by their slots in the stage's parameters, whose table is the
// host's, so that there are as many kernels for three modules as for one.
// CHECK-LABEL: func.func @segments.cuda(
// CHECK-NOT: dispatch.segmented_matmul
// CHECK: scf.if
// CHECK: gpu.launch_func @device::@[[LARGE:segments_segments_[0-9]+]] blocks
// CHECK: } else {
// CHECK: gpu.launch_func @device::@[[SOME:segments_segments_[0-9]+]] blocks
// CHECK: } else {
// CHECK: gpu.launch_func @device::@[[SMALL:segments_segments_[0-9]+]] blocks
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.module @device
// CHECK-DAG: llvm.mlir.global internal constant @[[LARGE]]_weights(dense<[7, 5, 9]> : tensor<3xi32>)
// CHECK-DAG: llvm.mlir.global internal constant @[[LARGE]]_extras0(dense<[8, 6, 10]> : tensor<3xi32>)
// CHECK-DAG: llvm.mlir.global internal constant @[[SMALL]]_weights(dense<[7, 5, 9]> : tensor<3xi32>)
// CHECK: gpu.func @[[LARGE]](
// CHECK: nvvm.shfl.sync
// CHECK: nvvm.mma.sync
// CHECK: arith.addf
// CHECK: gpu.return
// CHECK: gpu.func @[[SOME]](
// CHECK: gpu.func @[[SMALL]](
// CHECK-NOT: gpu.func
func.func @segments.cuda(%n: index {modular.symbol = "n"}, %x: memref<?x40xf32>, %o: memref<?xi32>, %f: memref<4xi32>,
                         %u: memref<2x40x16xf32> {modular.slot = 7 : i64}, %v: memref<2x40x16xf32> {modular.slot = 5 : i64},
                         %w: memref<2x40x16xf32> {modular.slot = 9 : i64}, %a: memref<24xf32> {modular.slot = 8 : i64},
                         %b: memref<24xf32> {modular.slot = 6 : i64}, %c: memref<24xf32> {modular.slot = 10 : i64}, %y: memref<?x24xf32>)
    attributes {modular.stage, modular.device} {
  dispatch.segmented_matmul ins(%x : memref<?x40xf32>) order(%o : memref<?xi32>) slots 2 offsets(%f : memref<4xi32>)
      weights(%u, %v, %w : memref<2x40x16xf32>, memref<2x40x16xf32>, memref<2x40x16xf32>)
      segment_extras(%a, %b, %c : memref<24xf32>, memref<24xf32>, memref<24xf32>) outs(%y : memref<?x24xf32>) epilogue {
  ^bb0(%s: f32, %e: f32):
    %0 = arith.addf %s, %e : f32
    dispatch.yield %0 : f32
  }
  return
}

// -----

// One block sorts, by counters in its memory.
// CHECK-LABEL: func.func @plan.cuda(
// CHECK-NOT: dispatch.plan
// CHECK: %[[ONE:.*]] = arith.constant 1 : index
// CHECK: gpu.launch_func @device::@plan_plan_0 blocks in (%[[ONE]], %{{.*}}, %{{.*}}) threads
// CHECK: llvm.mlir.global internal @plan_plan_0_counters() {addr_space = 3 : i32
// CHECK: gpu.func @plan_plan_0(
// CHECK: nvvm.match.sync
// CHECK: gpu.barrier
func.func @plan.cuda(%keys: memref<?x2xi64>, %o: memref<?xi32>, %f: memref<4xi32>, %p: memref<?x2xi32>) attributes {modular.stage, modular.device} {
  dispatch.plan ins(%keys : memref<?x2xi64>) outs(%o, %f, %p : memref<?xi32>, memref<4xi32>, memref<?x2xi32>)
  return
}

// -----

// What no kernel fits is left to loops.
// CHECK-LABEL: func.func @left_alone.cuda
func.func @left_alone.cuda(%x: memref<?x40xf32>, %w: memref<40x24xf32> {modular.slot = 0 : i64}, %p: memref<2x40x16xf32> {modular.slot = 1 : i64}, %y: memref<?x24xf32>,
                           %xd: memref<?x40xf64>, %pd: memref<2x40x16xf64> {modular.slot = 2 : i64}, %yd: memref<?x24xf64>,
                           %xs: memref<?x40xf32, strided<[80, 2]>>, %ys: memref<?x24xf32, strided<[48, 1]>>, %f: memref<3xi32>, %q: memref<2x40x16xf32>,
                           %r: memref<2x64x16xf32> {modular.slot = 3 : i64}, %o: memref<?xi32>, %z: memref<6001xi32>, %i: memref<?x2xi32>,
                           %keys: memref<?x2xi64>, %ks: memref<?x2xi64, strided<[3, 1]>>, %b: i1) attributes {modular.stage, modular.device} {
  // Not packed.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%x : memref<?x40xf32>) weights(%w : memref<40x24xf32>) outs(%y : memref<?x24xf32>)
  // f64.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%xd : memref<?x40xf64>) weights(%pd : memref<2x40x16xf64>) outs(%yd : memref<?x24xf64>)
  // Memory with gaps.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%xs : memref<?x40xf32, strided<[80, 2]>>) weights(%p : memref<2x40x16xf32>) outs(%y : memref<?x24xf32>)
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%x : memref<?x40xf32>) weights(%p : memref<2x40x16xf32>) outs(%ys : memref<?x24xf32, strided<[48, 1]>>)
  // Not at the top of the function.
  // CHECK: scf.if
  // CHECK-NEXT: dispatch.matmul
  scf.if %b {
    dispatch.matmul ins(%x : memref<?x40xf32>) weights(%p : memref<2x40x16xf32>) outs(%y : memref<?x24xf32>)
  }
  // A module's weight that is no parameter.
  // CHECK: dispatch.segmented_matmul
  dispatch.segmented_matmul ins(%x : memref<?x40xf32>) offsets(%f : memref<3xi32>) weights(%p, %q : memref<2x40x16xf32>, memref<2x40x16xf32>)
      outs(%y : memref<?x24xf32>)
  // Keys that lie apart.
  // CHECK: dispatch.plan
  dispatch.plan ins(%ks : memref<?x2xi64, strided<[3, 1]>>) outs(%o, %f, %i : memref<?xi32>, memref<3xi32>, memref<?x2xi32>)
  // More modules than a block has counters for.
  // CHECK: dispatch.plan
  dispatch.plan ins(%keys : memref<?x2xi64>) outs(%o, %z, %i : memref<?xi32>, memref<6001xi32>, memref<?x2xi32>)
  // CHECK-NOT: gpu.launch_func
  return
}

// The CPU's function is the CPU's.
// CHECK-LABEL: func.func @left_alone(
// CHECK: dispatch.matmul
// CHECK-NOT: gpu.module
func.func @left_alone(%x: memref<?x40xf32>, %p: memref<2x40x16xf32> {modular.slot = 1 : i64}, %y: memref<?x24xf32>) attributes {modular.stage} {
  dispatch.matmul ins(%x : memref<?x40xf32>) weights(%p : memref<2x40x16xf32>) outs(%y : memref<?x24xf32>)
  return
}

// -----

// What only the epilogue of another product of the same rows reads is computed with it: one kernel, two weights.
// CHECK-LABEL: func.func @gate.cuda(
// CHECK-NOT: dispatch.segmented_matmul
// CHECK-COUNT-3: gpu.launch_func
// CHECK-NOT: gpu.launch_func
// CHECK: gpu.module @device
// CHECK-DAG: llvm.mlir.global internal constant @[[K:gate_segments_0]]_weights(dense<[2, 3]> : tensor<2xi32>)
// CHECK-DAG: llvm.mlir.global internal constant @[[K]]_gate(dense<[0, 1]> : tensor<2xi32>)
func.func @gate.cuda(%n: index {modular.symbol = "n"}, %x: memref<?x40xf16>, %f: memref<3xi32>, %arena: memref<?xi8> {modular.role = "arena"},
                     %a: memref<2x40x16xf16> {modular.slot = 0 : i64}, %b: memref<2x40x16xf16> {modular.slot = 1 : i64},
                     %c: memref<2x40x16xf16> {modular.slot = 2 : i64}, %d: memref<2x40x16xf16> {modular.slot = 3 : i64}, %y: memref<?x24xf16>)
    attributes {modular.stage, modular.device} {
  %c0 = arith.constant 0 : index
  %g = memref.view %arena[%c0][%n] : memref<?xi8> to memref<?x24xf16>
  dispatch.segmented_matmul ins(%x : memref<?x40xf16>) offsets(%f : memref<3xi32>) weights(%a, %b : memref<2x40x16xf16>, memref<2x40x16xf16>)
      outs(%g : memref<?x24xf16>)
  dispatch.segmented_matmul ins(%x : memref<?x40xf16>) offsets(%f : memref<3xi32>) weights(%c, %d : memref<2x40x16xf16>, memref<2x40x16xf16>)
      extras(%g : memref<?x24xf16>) outs(%y : memref<?x24xf16>) epilogue {
  ^bb0(%s: f16, %e: f16):
    %0 = arith.mulf %s, %e : f16
    dispatch.yield %0 : f16
  }
  return
}
