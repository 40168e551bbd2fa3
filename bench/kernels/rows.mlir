// What is done row by row, and attention: MiniLM's shapes, dynamic in batch and sequence.
func.func @layer_norm(%x: memref<?x384xf32>, %r: memref<?x384xf32>, %g: memref<384xf32>, %b: memref<384xf32>, %y: memref<?x384xf32>)
    attributes {llvm.emit_c_interface} {
  dispatch.layer_norm ins(%x : memref<?x384xf32>) residual(%r : memref<?x384xf32>) weight(%g : memref<384xf32>) bias(%b : memref<384xf32>)
      outs(%y : memref<?x384xf32>) {epsilon = 1.0e-12 : f32}
  return
}
func.func @softmax(%x: memref<?x?xf32>, %y: memref<?x?xf32>) attributes {llvm.emit_c_interface} {
  dispatch.softmax ins(%x : memref<?x?xf32>) outs(%y : memref<?x?xf32>) {scale = 0.5 : f32}
  return
}
func.func @attention(%q: memref<?x?x12x32xf32>, %k: memref<?x?x12x32xf32>, %v: memref<?x?x12x32xf32>, %m: memref<?x1x1x?xf32>,
                     %o: memref<?x?x12x32xf32>) attributes {llvm.emit_c_interface} {
  dispatch.attention ins(%q, %k, %v : memref<?x?x12x32xf32>, memref<?x?x12x32xf32>, memref<?x?x12x32xf32>) mask(%m : memref<?x1x1x?xf32>)
      outs(%o : memref<?x?x12x32xf32>)
      {scale = 0.176776692 : f32, q_layout = "bshd", k_layout = "bshd", v_layout = "bshd", out_layout = "bshd"}
  return
}
// Grouped queries, causal, a bool mask, transposed keys, head sizes that fill no vector.
func.func @grouped(%q: memref<?x6x?x20xf32>, %k: memref<?x2x20x?xf32>, %v: memref<?x2x?x36xf32>, %m: memref<?x?xi1>, %o: memref<?x6x?x36xf32>)
    attributes {llvm.emit_c_interface} {
  dispatch.attention ins(%q, %k, %v : memref<?x6x?x20xf32>, memref<?x2x20x?xf32>, memref<?x2x?x36xf32>) mask(%m : memref<?x?xi1>)
      outs(%o : memref<?x6x?x36xf32>) {scale = 0.3 : f32, causal, k_layout = "bhds"}
  return
}
func.func @batch_matmul(%a: memref<?x3x?x?xf32>, %b: memref<1x3x?x?xf32>, %o: memref<?x3x?x?xf32>) attributes {llvm.emit_c_interface} {
  dispatch.batch_matmul ins(%a, %b : memref<?x3x?x?xf32>, memref<1x3x?x?xf32>) outs(%o : memref<?x3x?x?xf32>) {transpose_b}
  return
}
func.func @batch_matmul_t(%a: memref<?x?x?xf32>, %b: memref<?x?x?xf32>, %o: memref<?x?x?xf32>) attributes {llvm.emit_c_interface} {
  dispatch.batch_matmul ins(%a, %b : memref<?x?x?xf32>, memref<?x?x?xf32>) outs(%o : memref<?x?x?xf32>) {transpose_a}
  return
}
