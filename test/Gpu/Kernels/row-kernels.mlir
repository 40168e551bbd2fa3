// RUN: %graft-opt %s --convert-dispatch-to-device | FileCheck %s

// A row of which little is known is read by loops: four elements ahead, and what is left.
// CHECK-LABEL: func.func @softmax(
// CHECK-COUNT-3: arith.muli
// CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c8
// CHECK: %[[MOST:.*]] = arith.minui %[[BLOCKS]], %c1048576
// CHECK: gpu.launch_func @device::@softmax_softmax_[[#SOFTMAX:]] blocks in (%[[MOST]], {{.*}}) threads in (%c256
// CHECK-NOT: dispatch
func.func @softmax(%x: memref<?x12x?x?xf32>, %m: memref<?x1x1x?xf32>, %y: memref<?x12x?x?xf32>) attributes {modular.device} {
  dispatch.softmax ins(%x : memref<?x12x?x?xf32>) mask(%m : memref<?x1x1x?xf32>) outs(%y : memref<?x12x?x?xf32>) {scale = 0.5 : f32}
  return
}

// CHECK-LABEL: func.func @norms(
// CHECK: gpu.launch_func @device::@norms_layer_norm_[[#]]
// CHECK: gpu.launch_func @device::@norms_rms_norm_[[#]]
// CHECK-NOT: dispatch
func.func @norms(%x: memref<?x100xf32>, %r: memref<?x100xf32>, %g: memref<100xf32>, %b: memref<100xf32>, %y: memref<?x100xf32>)
    attributes {modular.device} {
  // The residual may be where the result goes.
  dispatch.layer_norm ins(%x : memref<?x100xf32>) residual(%y : memref<?x100xf32>) weight(%g : memref<100xf32>) bias(%b : memref<100xf32>)
      outs(%y : memref<?x100xf32>) {epsilon = 1.0e-5 : f32}
  dispatch.layer_norm ins(%x : memref<?x100xf32>) weight(%g : memref<100xf32>) outs(%y : memref<?x100xf32>) {epsilon = 1.0e-5 : f32, rms}
  return
}

// CHECK-LABEL: func.func @types(
// CHECK: gpu.launch_func @device::@types_softmax_[[#HALF:]]
// CHECK: gpu.launch_func @device::@types_softmax_[[#BRAIN:]]
// CHECK: gpu.launch_func @device::@types_softmax_[[#GAPS:]]
// CHECK: dispatch.softmax ins({{.*}} : memref<?x400xf64>)
func.func @types(%h: memref<?x400xf16>, %i: memref<?x400xbf16>, %s: memref<?x400xf32, strided<[800, 1]>>, %t: memref<?x400xf32>, %d: memref<?x400xf64>)
    attributes {modular.device} {
  dispatch.softmax ins(%h : memref<?x400xf16>) outs(%h : memref<?x400xf16>)
  dispatch.softmax ins(%i : memref<?x400xbf16>) outs(%i : memref<?x400xbf16>)
  dispatch.softmax ins(%s : memref<?x400xf32, strided<[800, 1]>>) outs(%t : memref<?x400xf32>)
  // Sums are f32.
  dispatch.softmax ins(%d : memref<?x400xf64>) outs(%d : memref<?x400xf64>)
  return
}

// CHECK-LABEL: func.func @host(
// CHECK-NEXT: dispatch.softmax
func.func @host(%x: memref<?x400xf32>) {
  dispatch.softmax ins(%x : memref<?x400xf32>) outs(%x : memref<?x400xf32>)
  return
}

// CHECK: gpu.module @device

// Two sums and the greatest of all lanes, with 5 exchanges each.
// CHECK: gpu.func @softmax_softmax_[[#SOFTMAX]]({{.*}}known_block_size = array<i32: 256, 1, 1>
// CHECK: scf.for
// CHECK-COUNT-4: arith.maximumf
// CHECK: scf.for
// CHECK: arith.maximumf
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: math.exp
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: arith.divf
// CHECK: memref.store
// CHECK-NOT: nvvm.shfl
// CHECK: gpu.return

// A row of 100 is 4 elements a lane, the last of them only of some lanes, read once from both.
// CHECK: gpu.func @norms_layer_norm_
// CHECK-COUNT-6: memref.load
// CHECK: arith.cmpi ult
// CHECK: scf.if
// CHECK-COUNT-2: memref.load
// CHECK-NOT: memref.load %{{.*}}[%{{.*}}, %{{.*}}]
// CHECK: gpu.func @norms_rms_norm_
// CHECK: math.sqrt
// CHECK-NOT: arith.subf
// CHECK: gpu.return

// CHECK: gpu.func @types_softmax_[[#HALF]]
// CHECK: arith.extf {{.*}} : f16 to f32
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: gpu.func @types_softmax_[[#BRAIN]]
// CHECK: arith.extf {{.*}} : bf16 to f32
// CHECK: gpu.func @types_softmax_[[#GAPS]]
// CHECK: memref.reinterpret_cast
