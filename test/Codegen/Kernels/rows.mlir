// RUN: %graft-opt %s --convert-dispatch-to-kernels | FileCheck %s

// CHECK-LABEL: func.func @calls
func.func @calls(%x: memref<?x?x384xf32>, %g: memref<384xf32>, %y: memref<?x?x384xf32>, %q: memref<?x?x12x32xf32>, %k: memref<?x12x32x?xf32>,
                 %o: memref<?x?x12x32xf32>, %m: memref<384xf32>, %s: memref<?x12x?x?xf32>, %t: memref<?x12x?x?xf32>) {
  // CHECK: call @graft_kernel.layer_norm(
  dispatch.layer_norm ins(%x : memref<?x?x384xf32>) weight(%g : memref<384xf32>) outs(%y : memref<?x?x384xf32>) {epsilon = 1.0e-5 : f32}
  // Another epsilon is another kernel.
  // CHECK: call @graft_kernel.layer_norm_0(
  dispatch.layer_norm ins(%x : memref<?x?x384xf32>) weight(%g : memref<384xf32>) outs(%y : memref<?x?x384xf32>) {epsilon = 1.0e-6 : f32}
  // CHECK: call @graft_kernel.attention_32(
  dispatch.attention ins(%q, %k, %q : memref<?x?x12x32xf32>, memref<?x12x32x?xf32>, memref<?x?x12x32xf32>) outs(%o : memref<?x?x12x32xf32>)
      {scale = 1.0 : f32, q_layout = "bshd", k_layout = "bhds", v_layout = "bshd", out_layout = "bshd"}
  // CHECK: call @graft_kernel.softmax(
  dispatch.softmax ins(%s : memref<?x12x?x?xf32>) outs(%t : memref<?x12x?x?xf32>)
  // CHECK: call @graft_kernel.batch_matmul(
  dispatch.batch_matmul ins(%s, %t : memref<?x12x?x?xf32>, memref<?x12x?x?xf32>) outs(%s : memref<?x12x?x?xf32>)
  // A mask is not for the softmax kernel, a head whose elements aren't neighbours not for attention's.
  // CHECK: dispatch.softmax
  dispatch.softmax ins(%x : memref<?x?x384xf32>) mask(%m : memref<384xf32>) outs(%y : memref<?x?x384xf32>)
  // CHECK: dispatch.attention
  dispatch.attention ins(%q, %q, %k : memref<?x?x12x32xf32>, memref<?x?x12x32xf32>, memref<?x12x32x?xf32>) outs(%o : memref<?x?x12x32xf32>)
      {scale = 1.0 : f32, q_layout = "bshd", k_layout = "bshd", v_layout = "bhds", out_layout = "bshd"}
  return
}

// Scratch memory stands outside of the loop over tasks, in whose body it would pile up.
// CHECK-LABEL: func.func private @graft_kernel.attention_32(
// CHECK-COUNT-5: memref.alloca
// CHECK: scf.for
// CHECK-NOT: memref.alloca
// CHECK: return
