// REQUIRES: avx2, oracles
// RUN: write-stage %s %t.so so generic
// RUN: %python %S/Inputs/run_half.py %t.so
// RUN: write-stage %s %t.native.so so native
// RUN: %python %S/Inputs/run_half.py %t.native.so
// RUN: %graft-opt %s --graft-pack-weights --graft-bufferize=cpu=avx512 --convert-dispatch-to-kernels | FileCheck %s

// Half precision has kernels too: they compute in f32, and round what they store.
// CHECK-LABEL: func.func private @graft_kernel.matmul_48x600(
// CHECK: arith.extf %{{.*}} : vector<16xf16> to vector<16xf32>
// CHECK: vector.fma %{{.*}} : vector<16xf32>
// CHECK: arith.truncf %{{.*}} : vector<16xf32> to vector<16xf16>
// CHECK-LABEL: func.func private @graft_kernel.matmul_48x600_0(
// CHECK: arith.extf %{{.*}} : vector<16xbf16> to vector<16xf32>
// CHECK-LABEL: func.func private @graft_kernel.batch_matmul(
// CHECK-LABEL: func.func private @graft_kernel.softmax(
// CHECK-NOT: dispatch.

#m = affine_map<(m, n) -> (m, n)>
#n = affine_map<(m, n) -> (n)>
#x = affine_map<(m, k) -> (m, k)>
func.func @half(%rows: index {modular.symbol = "rows"},
   %x: tensor<?x600xf16> {modular.dims = ["rows", "600"]},
   %w: tensor<600x48xf16> {modular.slot = 0 : i64, test.value = dense<0.0625> : tensor<600x48xf16>},
   %b: tensor<48xf16> {modular.slot = 1 : i64, test.value = dense<0.5> : tensor<48xf16>},
   %wb: tensor<600x48xbf16> {modular.slot = 2 : i64, test.value = dense<0.0625> : tensor<600x48xbf16>})
   -> (tensor<?x48xf16> {modular.dims = ["rows", "48"]}, tensor<?x48xf32> {modular.dims = ["rows", "48"]},
       tensor<?x?xf16> {modular.dims = ["rows", "rows"]}, tensor<?x600xf16> {modular.dims = ["rows", "600"]}) attributes {modular.stage} {
  %e = tensor.empty(%rows) : tensor<?x48xf16>
  %y = dispatch.matmul ins(%x : tensor<?x600xf16>) weights(%w : tensor<600x48xf16>) outs(%e : tensor<?x48xf16>) -> tensor<?x48xf16>
  %z = linalg.generic {indexing_maps = [#m, #n, #m], iterator_types = ["parallel", "parallel"]}
     ins(%y, %b : tensor<?x48xf16>, tensor<48xf16>) outs(%e : tensor<?x48xf16>) {
  ^bb0(%s: f16, %c: f16, %o: f16):
    %s32 = arith.extf %s : f16 to f32
    %c32 = arith.extf %c : f16 to f32
    %sum = arith.addf %s32, %c32 : f32
    %h = arith.truncf %sum : f32 to f16
    linalg.yield %h : f16
  } -> tensor<?x48xf16>

  %eb = tensor.empty(%rows) : tensor<?x600xbf16>
  %xb = linalg.generic {indexing_maps = [#x, #x], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x600xf16>) outs(%eb : tensor<?x600xbf16>) {
  ^bb0(%s: f16, %o: bf16):
    %s32 = arith.extf %s : f16 to f32
    %h = arith.truncf %s32 : f32 to bf16
    linalg.yield %h : bf16
  } -> tensor<?x600xbf16>
  %e48 = tensor.empty(%rows) : tensor<?x48xbf16>
  %yb = dispatch.matmul ins(%xb : tensor<?x600xbf16>) weights(%wb : tensor<600x48xbf16>) outs(%e48 : tensor<?x48xbf16>) -> tensor<?x48xbf16>
  %ef = tensor.empty(%rows) : tensor<?x48xf32>
  %zb = linalg.generic {indexing_maps = [#m, #m], iterator_types = ["parallel", "parallel"]} ins(%yb : tensor<?x48xbf16>) outs(%ef : tensor<?x48xf32>) {
  ^bb0(%s: bf16, %o: f32):
    %s32 = arith.extf %s : bf16 to f32
    linalg.yield %s32 : f32
  } -> tensor<?x48xf32>

  // Sums over more than a block of K are rounded once.
  %x1 = tensor.expand_shape %x [[0, 1], [2]] output_shape [1, %rows, 600] : tensor<?x600xf16> into tensor<1x?x600xf16>
  %ep = tensor.empty(%rows, %rows) : tensor<1x?x?xf16>
  %p = dispatch.batch_matmul ins(%x1, %x1 : tensor<1x?x600xf16>, tensor<1x?x600xf16>) outs(%ep : tensor<1x?x?xf16>) {transpose_b} -> tensor<1x?x?xf16>
  %p2 = tensor.collapse_shape %p [[0, 1], [2]] : tensor<1x?x?xf16> into tensor<?x?xf16>
  %es = tensor.empty(%rows) : tensor<?x600xf16>
  %s = dispatch.softmax ins(%x : tensor<?x600xf16>) outs(%es : tensor<?x600xf16>) {scale = 1.0 : f32} -> tensor<?x600xf16>
  return %z, %zb, %p2, %s : tensor<?x48xf16>, tensor<?x48xf32>, tensor<?x?xf16>, tensor<?x600xf16>
}
