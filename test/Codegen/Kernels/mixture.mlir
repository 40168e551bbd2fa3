// RUN: %graft-opt %s --convert-dispatch-to-kernels | FileCheck %s

// The code is the same for all modules: what differs goes through a table on the stack, which ops that need as many numbers share.
// CHECK-LABEL: func.func @products
// CHECK-SAME: (%[[X:.*]]: memref<?x64xf32>, %[[F:.*]]: memref<4xi32>, %[[A:.*]]: memref<2x64x32xf32>, %[[B:.*]]: memref<2x64x32xf32>, %[[C:.*]]: memref<2x64x32xf32>
func.func @products(%x: memref<?x64xf32>, %offsets: memref<4xi32>, %a: memref<2x64x32xf32>, %b: memref<2x64x32xf32>, %c: memref<2x64x32xf32>,
                    %p: memref<48xf32>, %q: memref<48xf32>, %r: memref<48xf32, strided<[1], offset: 5>>, %y: memref<?x48xf32>) {
  // CHECK-DAG: %[[TABLE:.*]] = memref.alloca() {alignment = 64 : i64, dispatch.table} : memref<7xindex>
  // CHECK-DAG: %[[LONGER:.*]] = memref.alloca() {alignment = 64 : i64, dispatch.table} : memref<10xindex>
  // CHECK: %[[AT:.*]] = memref.extract_aligned_pointer_as_index %[[A]]
  // CHECK: memref.store %[[AT]], %[[TABLE]][%{{.*}}]
  // The blocks of each module's rows are counted before the call.
  // CHECK: %[[BLOCKS:.*]] = scf.for
  // CHECK: memref.load %{{.*}} : memref<4xi32,
  // CHECK: memref.store %{{.*}}, %[[TABLE]][%{{.*}}]
  // CHECK: arith.muli %[[BLOCKS]]
  // CHECK: scf.parallel
  // CHECK: call @graft_kernel.segmented_matmul_48x64x32(%{{.*}}, %{{.*}}, %[[TABLE]], %{{.*}}, %{{.*}}, %{{.*}})
  dispatch.segmented_matmul ins(%x : memref<?x64xf32>) offsets(%offsets : memref<4xi32>)
      weights(%a, %b, %c : memref<2x64x32xf32>, memref<2x64x32xf32>, memref<2x64x32xf32>) outs(%y : memref<?x48xf32>)
  // CHECK: call @graft_kernel.segmented_matmul_48x64x32(%{{.*}}, %{{.*}}, %[[TABLE]], %{{.*}}, %{{.*}}, %{{.*}})
  dispatch.segmented_matmul ins(%x : memref<?x64xf32>) offsets(%offsets : memref<4xi32>)
      weights(%c, %b, %a : memref<2x64x32xf32>, memref<2x64x32xf32>, memref<2x64x32xf32>) outs(%y : memref<?x48xf32>)
  // CHECK: %[[BASE:.*]] = memref.extract_aligned_pointer_as_index %{{.*}} : memref<48xf32, strided<[1], offset: 5>>
  // CHECK: arith.addi %[[BASE]]
  // CHECK: call @graft_kernel.segmented_matmul_48x64x32_0(%{{.*}}, %{{.*}}, %[[LONGER]], %{{.*}}, %{{.*}}, %{{.*}})
  dispatch.segmented_matmul ins(%x : memref<?x64xf32>) offsets(%offsets : memref<4xi32>)
      weights(%c, %b, %a : memref<2x64x32xf32>, memref<2x64x32xf32>, memref<2x64x32xf32>)
      segment_extras(%p, %q, %r : memref<48xf32>, memref<48xf32>, memref<48xf32, strided<[1], offset: 5>>) outs(%y : memref<?x48xf32>) epilogue {
  ^bb0(%s: f32, %e: f32):
    %0 = arith.addf %s, %e : f32
    dispatch.yield %0 : f32
  }
  return
}

// CHECK-LABEL: func.func @routing
func.func @routing(%keys: memref<?x2xi64>, %o: memref<?xi32>, %f: memref<4xi32>, %p: memref<?x2xi32>, %x: memref<?x64xf16>, %g: memref<?x64xf16>,
                   %w: memref<?x2xf32>, %y: memref<?x64xf16>) {
  // CHECK: call @graft_kernel.plan_3(
  dispatch.plan ins(%keys : memref<?x2xi64>) outs(%o, %f, %p : memref<?xi32>, memref<4xi32>, memref<?x2xi32>)
  // CHECK: call @graft_kernel.gather(
  dispatch.gather ins(%x : memref<?x64xf16>) order(%o : memref<?xi32>) slots 2 offsets(%f : memref<4xi32>) outs(%g : memref<?x64xf16>)
  // CHECK: call @graft_kernel.combine(
  dispatch.combine ins(%g : memref<?x64xf16>) position(%p : memref<?x2xi32>) weights(%w : memref<?x2xf32>) outs(%y : memref<?x64xf16>)
  return
}

// What no kernel fits is left to plain loops.
// CHECK-LABEL: func.func @left_alone
func.func @left_alone(%x: memref<?x64xf32>, %o: memref<?xi32>, %offsets: memref<2xi32>, %w: memref<64x48xf32>, %p: memref<2x64x32xf32>, %y: memref<?x48xf32>,
                      %xd: memref<?x64xf64>, %yd: memref<?x64xf64>, %position: memref<?x2xi32>, %keys: memref<?x2xi64, strided<[3, 1]>>,
                      %i: memref<?x2xi32>) {
  // Not packed.
  // CHECK: dispatch.segmented_matmul
  dispatch.segmented_matmul ins(%x : memref<?x64xf32>) offsets(%offsets : memref<2xi32>) weights(%w : memref<64x48xf32>) outs(%y : memref<?x48xf32>)
  // Rows that are not gathered yet.
  // CHECK: dispatch.segmented_matmul
  dispatch.segmented_matmul ins(%x : memref<?x64xf32>) order(%o : memref<?xi32>) slots 2 offsets(%offsets : memref<2xi32>)
      weights(%p : memref<2x64x32xf32>) outs(%y : memref<?x48xf32>)
  // f64.
  // CHECK: dispatch.combine
  dispatch.combine ins(%xd : memref<?x64xf64>) position(%position : memref<?x2xi32>) outs(%yd : memref<?x64xf64>)
  // Keys that lie apart.
  // CHECK: dispatch.plan
  dispatch.plan ins(%keys : memref<?x2xi64, strided<[3, 1]>>) outs(%o, %offsets, %i : memref<?xi32>, memref<2xi32>, memref<?x2xi32>)
  return
}

// CHECK: func.func private @graft_kernel.segmented_matmul_48x64x32(%{{.*}}: memref<?x64xf32, strided<[64, 1], offset: ?>>, %{{.*}}: memref<4xi32
// CHECK-SAME: %[[T:.*]]: memref<7xindex>
// The module of a block is searched, and its weight's address read; tiles of few rows are exact. Nothing is written for each module.
// CHECK-COUNT-2: arith.cmpi ule
// CHECK: memref.load %[[T]]
// CHECK: llvm.inttoptr
// CHECK-NOT: llvm.inttoptr
// CHECK: scf.index_switch
// CHECK: case 14
