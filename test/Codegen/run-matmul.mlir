// REQUIRES: avx2, oracles
// RUN: write-stage %s %t.so so generic
// RUN: %python %S/Inputs/run_matmul.py %t.so | FileCheck %s --check-prefix=THREADS
// RUN: write-stage %s %t.native.so so native
// RUN: %python %S/Inputs/run_matmul.py %t.native.so
// The library needs nothing, and shows one function.
// RUN: llvm-nm -D %t.so | FileCheck %s --check-prefix=SYMBOLS
// AVX-512 code can be made anywhere.
// RUN: write-stage %s - asm avx512 | FileCheck %s --check-prefix=WIDE

// RUN: write-stage %s - llvm generic | FileCheck %s --check-prefix=TARGET

// THREADS: {{^}}forked
// SYMBOLS-NOT: {{ [Uw] }}
// SYMBOLS: T graft_artifact_query
// SYMBOLS-NOT: {{.}}
// A step of the inner loop multiplies and adds in one instruction.
// WIDE: prefetcht1
// WIDE-NEXT: prefetcht1
// WIDE-NEXT: vbroadcastss {{.*}}, %[[X:zmm[0-9]+]]
// WIDE-NEXT: vfmadd{{.*}} %[[X]],
// TARGET-DAG: "prefer-vector-width"="256"
// TARGET-NOT: declare {{.*}}@{{mem|exp|erf}}

func.func @mm(%rows: index {modular.symbol = "rows"},
   %x: tensor<?x64xf32> {modular.dims = ["rows", "64"]},
   %r: tensor<?x48xf32> {modular.dims = ["rows", "48"]},
   %w: tensor<64x48xf32> {modular.slot = 0 : i64, test.value = dense<0.125> : tensor<64x48xf32>},
   %b: tensor<48xf32> {modular.slot = 1 : i64, test.value = dense<0.5> : tensor<48xf32>})
   -> (tensor<?x48xf32> {modular.dims = ["rows", "48"]}, tensor<?x48xf32> {modular.dims = ["rows", "48"]}) attributes {modular.stage} {
  %e = tensor.empty(%rows) : tensor<?x48xf32>
  %y = dispatch.matmul ins(%x : tensor<?x64xf32>) weights(%w : tensor<64x48xf32>) outs(%e : tensor<?x48xf32>) -> tensor<?x48xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(m,n)->(m,n)>, affine_map<(m,n)->(n)>, affine_map<(m,n)->(m,n)>], iterator_types = ["parallel","parallel"]}
     ins(%y, %b : tensor<?x48xf32>, tensor<48xf32>) outs(%e : tensor<?x48xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    %t = math.erf %s : f32
    linalg.yield %t : f32
  } -> tensor<?x48xf32>
  %n = dispatch.layer_norm ins(%z : tensor<?x48xf32>) residual(%r : tensor<?x48xf32>) weight(%b : tensor<48xf32>) bias(%b : tensor<48xf32>) outs(%e : tensor<?x48xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x48xf32>
  return %z, %n : tensor<?x48xf32>, tensor<?x48xf32>
}
