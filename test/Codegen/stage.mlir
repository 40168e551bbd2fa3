// RUN: %graft-opt %s --graft-bufferize=cpu=generic | FileCheck %s --check-prefix=BUFFER
// RUN: graft-opt %s --graft-fuse=cpu=generic --graft-bufferize=cpu=generic --graft-generate=cpu=generic | FileCheck %s --check-prefix=LLVM

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#row = affine_map<(d0, d1, d2) -> (d2)>

// The product is a buffer of the arena; the sum is written where the caller wants it.

// BUFFER-LABEL: func.func @stage0
// BUFFER-SAME: %[[ARENA:[a-z0-9]+]]: memref<?xi8> {modular.role = "arena"}
// BUFFER-NOT: memref.alloc
// BUFFER: memref.view
// BUFFER-NOT: memref.copy
// BUFFER: return
// BUFFER-LABEL: func.func @graft_shape.stage0

// LLVM-DAG: llvm.func @graft_shape.stage0(
// LLVM-DAG: llvm.func @graft_run.stage0({{.*}}modular.buffers = array<i64: {{[0-9]+}}, {{[0-9]+}}>
func.func @stage0(%batch: index {modular.symbol = "batch"}, %seq: index {modular.symbol = "seq"},
                  %x: tensor<?x?x8xf32> {modular.dims = ["batch", "seq", "8"]},
                  %w: tensor<8x16xf32> {modular.slot = 0 : i64},
                  %b: tensor<16xf32> {modular.slot = 1 : i64})
    -> (tensor<?x?x16xf32> {modular.dims = ["batch", "seq", "16"]}) attributes {modular.stage} {
  %c0 = arith.constant 0.0 : f32
  %empty = tensor.empty(%batch, %seq) : tensor<?x?x16xf32>
  %zero = linalg.fill ins(%c0 : f32) outs(%empty : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %product = linalg.generic {
      indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>,
                       affine_map<(d0, d1, d2, d3) -> (d3, d2)>,
                       affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x?x8xf32>, tensor<8x16xf32>) outs(%zero : tensor<?x?x16xf32>) {
    ^bb0(%l: f32, %r: f32, %acc: f32):
      %m = math.fma %l, %r, %acc : f32
      linalg.yield %m : f32
  } -> tensor<?x?x16xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row, #id],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%product, %b : tensor<?x?x16xf32>, tensor<16xf32>) outs(%empty : tensor<?x?x16xf32>) {
    ^bb0(%l: f32, %r: f32, %out: f32):
      %s = arith.addf %l, %r : f32
      %t = math.tanh %s : f32
      linalg.yield %t : f32
  } -> tensor<?x?x16xf32>
  return %sum : tensor<?x?x16xf32>
}
