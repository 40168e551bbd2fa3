// REQUIRES: avx2, oracles
// RUN: write-stage %s %t.so so generic
// RUN: %python %S/Inputs/run_features.py %t.so
// RUN: llvm-nm -D %t.so | FileCheck %s
// RUN: rm -rf %t.split && write-stage %s %t.split split generic
// RUN: %python %S/Inputs/run_features.py %t.split/base.so %t.split/weights.bin
// RUN: ls %t.split | FileCheck %s --check-prefix=FOLDER

// CHECK-NOT: {{ [Uw] }}
// CHECK: graft_artifact_query
// FOLDER-NOT: tmp
// FOLDER: base.so
// FOLDER: weights.bin

#m0 = affine_map<(i) -> (i)>

// How many elements are greater than the bound, and which: the size depends on data.
func.func @nonzero(%n: index {modular.symbol = "n"}, %x: tensor<?xf32> {modular.dims = ["n"]},
                   %bound: tensor<f32> {modular.slot = 0 : i64, test.value = dense<0.25> : tensor<f32>})
    -> (tensor<?xi64> {modular.dims = ["found"]}, tensor<?xf32> {modular.dims = ["n"]},
        tensor<?x2xf32> {modular.dims = ["2*n + (n - 1)", "2"]}) attributes {modular.stage} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.extract %bound[] : tensor<f32>
  %count = scf.for %i = %c0 to %n step %c1 iter_args(%found = %c0) -> (index) {
    %v = tensor.extract %x[%i] : tensor<?xf32>
    %above = arith.cmpf ogt, %v, %b : f32
    %one = arith.extui %above : i1 to i64
    %step = arith.index_cast %one : i64 to index
    %next = arith.addi %found, %step : index
    scf.yield %next : index
  }
  %empty = tensor.empty(%count) : tensor<?xi64>
  %result:2 = scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0, %out = %empty) -> (index, tensor<?xi64>) {
    %v = tensor.extract %x[%i] : tensor<?xf32>
    %above = arith.cmpf ogt, %v, %b : f32
    %next:2 = scf.if %above -> (index, tensor<?xi64>) {
      %number = arith.index_cast %i : index to i64
      %stored = tensor.insert %number into %out[%at] : tensor<?xi64>
      %more = arith.addi %at, %c1 : index
      scf.yield %more, %stored : index, tensor<?xi64>
    } else {
      scf.yield %at, %out : index, tensor<?xi64>
    }
    scf.yield %next#0, %next#1 : index, tensor<?xi64>
  }
  %ok = arith.cmpi sgt, %count, %c0 : index
  dispatch.check %ok, "nothing is above the bound"

  // A value carried by a loop that is computed anew each time.
  %e = tensor.empty(%n) : tensor<?xf32>
  %c3 = arith.constant 3 : index
  %carried = scf.for %k = %c0 to %c3 step %c1 iter_args(%h = %x) -> (tensor<?xf32>) {
    %f = tensor.empty(%n) : tensor<?xf32>
    %g = linalg.generic {indexing_maps = [#m0, #m0], iterator_types = ["parallel"]}
        ins(%h : tensor<?xf32>) outs(%f : tensor<?xf32>) {
      ^bb0(%in: f32, %o: f32):
        %s = math.sin %in : f32
        %t = arith.addf %s, %in : f32
        linalg.yield %t : f32
    } -> tensor<?xf32>
    scf.yield %g : tensor<?xf32>
  }

  // Columns of a matrix, written side by side: strided copies. The size is a polynomial of n.
  %c2 = arith.constant 2 : index
  %twice = arith.muli %n, %c2 : index
  %less = arith.subi %n, %c1 : index
  %rows = arith.addi %twice, %less : index
  %zero = arith.constant 0.0 : f32
  %wide = tensor.empty(%rows) : tensor<?x2xf32>
  %clear = linalg.fill ins(%zero : f32) outs(%wide : tensor<?x2xf32>) -> tensor<?x2xf32>
  %left = tensor.insert_slice %x into %clear[0, 0] [%n, 1] [1, 1] : tensor<?xf32> into tensor<?x2xf32>
  %both = tensor.insert_slice %carried into %left[%less, 1] [%n, 1] [1, 1] : tensor<?xf32> into tensor<?x2xf32>
  return %result#1, %carried, %both : tensor<?xi64>, tensor<?xf32>, tensor<?x2xf32>
}
