// RUN: %graft-opt %s --convert-dispatch-to-kernels | FileCheck %s
// RUN: %graft-opt %s --convert-dispatch-to-kernels="lanes=8 fma=false" | FileCheck %s --check-prefix=NARROW

// Two uses of one shape and epilogue share a kernel, whatever their leading dimensions.
// CHECK-LABEL: func.func @shared
func.func @shared(%x: memref<?x?x384xf32>, %w: memref<12x384x32xf32>, %b: memref<384xf32>, %y: memref<?x?x384xf32>,
                  %x1: memref<128x384xf32>, %y1: memref<128x384xf32>) {
  // CHECK: scf.parallel
  // CHECK: call @graft_kernel.matmul_384x384(
  // CHECK: } {dispatch.cost = 30000 : i64}
  dispatch.matmul ins(%x : memref<?x?x384xf32>) weights(%w : memref<12x384x32xf32>) extras(%b : memref<384xf32>) outs(%y : memref<?x?x384xf32>) epilogue {
  ^bb0(%s: f32, %n: f32):
    %0 = arith.addf %s, %n : f32
    dispatch.yield %0 : f32
  }
  // CHECK: call @graft_kernel.matmul_384x384(
  dispatch.matmul ins(%x1 : memref<128x384xf32>) weights(%w : memref<12x384x32xf32>) extras(%b : memref<384xf32>) outs(%y1 : memref<128x384xf32>) epilogue {
  ^bb0(%s: f32, %n: f32):
    %0 = arith.addf %s, %n : f32
    dispatch.yield %0 : f32
  }
  // Another epilogue is another kernel.
  // CHECK: call @graft_kernel.matmul_384x384_0(
  dispatch.matmul ins(%x1 : memref<128x384xf32>) weights(%w : memref<12x384x32xf32>) extras(%b : memref<384xf32>) outs(%y1 : memref<128x384xf32>) epilogue {
  ^bb0(%s: f32, %n: f32):
    %0 = arith.mulf %s, %n : f32
    dispatch.yield %0 : f32
  }
  return
}

// NARROW-LABEL: func.func @shared
// NARROW: dispatch.matmul
// NARROW-NOT: vector.fma

// Some columns of a matrix for each element of a batch are rows like any other, though the type's strides do not say so; of fewer matrices or rows they
// are not.
// CHECK-LABEL: func.func @columns
func.func @columns(%n: index, %s: index, %t: index, %w: memref<1x16x32xf32>, %y: memref<?x?x32xf32>) {
  %all = memref.alloc(%n, %s) : memref<?x?x48xf32>
  %part = memref.subview %all[0, 0, 32] [%n, %s, 16] [1, 1, 1] : memref<?x?x48xf32> to memref<?x?x16xf32, strided<[?, 48, 1], offset: 32>>
  // CHECK: %{{.*}} = memref.collapse_shape %{{.*}} {{\[\[}}0, 1], [2]] : memref<?x?x48xf32> into memref<?x48xf32>
  // CHECK: memref.subview %{{.*}}[0, 32] [%{{.*}}, 16] [1, 1]
  // CHECK: call @graft_kernel.matmul_32x16(
  dispatch.matmul ins(%part : memref<?x?x16xf32, strided<[?, 48, 1], offset: 32>>) weights(%w : memref<1x16x32xf32>) outs(%y : memref<?x?x32xf32>)
  %fewer = memref.subview %all[0, 0, 32] [%n, %t, 16] [1, 1, 1] : memref<?x?x48xf32> to memref<?x?x16xf32, strided<[?, 48, 1], offset: 32>>
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%fewer : memref<?x?x16xf32, strided<[?, 48, 1], offset: 32>>) weights(%w : memref<1x16x32xf32>) outs(%y : memref<?x?x32xf32>)
  return
}

// CHECK-LABEL: func.func @left_alone
func.func @left_alone(%x: memref<?x384xf32>, %w: memref<384x384xf32>, %y: memref<?x384xf32>, %xd: memref<?x384xf64>, %wd: memref<12x384x32xf64>,
                      %yd: memref<?x384xf64>, %p: memref<12x384x32xf32>, %xs: memref<?x384xf32, strided<[768, 2]>>) {
  // Not packed.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%x : memref<?x384xf32>) weights(%w : memref<384x384xf32>) outs(%y : memref<?x384xf32>)
  // Not f32.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%xd : memref<?x384xf64>) weights(%wd : memref<12x384x32xf64>) outs(%yd : memref<?x384xf64>)
  // Rows that are not dense.
  // CHECK: dispatch.matmul
  dispatch.matmul ins(%xs : memref<?x384xf32, strided<[768, 2]>>) weights(%p : memref<12x384x32xf32>) outs(%y : memref<?x384xf32>)
  return
}

// CHECK: func.func private @graft_kernel.matmul_384x384(%{{.*}}: memref<?x384xf32, strided<[384, 1], offset: ?>>
// CHECK-SAME: %{{.*}}: index, %{{.*}}: index)
// CHECK: scf.index_switch
// CHECK: case 14
// CHECK-COUNT-112: vector.fma
// CHECK: default
// The epilogue follows the tile.
// CHECK: vector.load
// CHECK: arith.addf %{{.*}} : vector<16xf32>
