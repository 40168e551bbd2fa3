// REQUIRES: avx2, oracles
// RUN: write-stage %s %t.so so generic
// RUN: %python %S/Inputs/run_math.py %t.so

#m = affine_map<(i) -> (i)>
func.func @single(%n: index {modular.symbol = "n"}, %x: tensor<?xf32> {modular.dims = ["n"]},
                  %y: tensor<?xf32> {modular.dims = ["n"]}, %d: tensor<?xf64> {modular.dims = ["n"]})
    -> (tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]},
        tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]},
        tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]}, tensor<?xf32> {modular.dims = ["n"]},
        tensor<?xf64> {modular.dims = ["n"]}, tensor<?xf64> {modular.dims = ["n"]}, tensor<?xf64> {modular.dims = ["n"]},
        tensor<?xi64> {modular.dims = ["n"]}) attributes {modular.stage} {
  %e = tensor.empty(%n) : tensor<?xf32>
  %f = tensor.empty(%n) : tensor<?xf64>
  %g = tensor.empty(%n) : tensor<?xi64>
  %r:13 = linalg.generic {indexing_maps = [#m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m, #m], iterator_types = ["parallel"]}
      ins(%x, %y, %d : tensor<?xf32>, tensor<?xf32>, tensor<?xf64>)
      outs(%e, %e, %e, %e, %e, %e, %e, %e, %e, %f, %f, %f, %g : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
           tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf64>, tensor<?xf64>, tensor<?xf64>, tensor<?xi64>) {
    ^bb0(%a: f32, %b: f32, %c: f64, %o0: f32, %o1: f32, %o2: f32, %o3: f32, %o4: f32, %o5: f32, %o6: f32, %o7: f32, %o8: f32, %o9: f64,
         %o10: f64, %o11: f64, %o12: i64):
      %sin = math.sin %a : f32
      %cos = math.cos %a : f32
      %tanh = math.tanh %a : f32
      %erf = math.erf %a : f32
      %exp = math.exp %a : f32
      %pow = math.powf %a, %b : f32
      %rem = arith.remf %a, %b : f32
      %round = math.round %a : f32
      %sinh = math.sinh %a : f32
      %dexp = math.exp %c : f64
      %dlog = math.log %c : f64
      %dtanh = math.tanh %c : f64
      %ia = arith.fptosi %a : f32 to i64
      %ib = arith.fptosi %b : f32 to i64
      %ipow = math.ipowi %ia, %ib : i64
      linalg.yield %sin, %cos, %tanh, %erf, %exp, %pow, %rem, %round, %sinh, %dexp, %dlog, %dtanh, %ipow
        : f32, f32, f32, f32, f32, f32, f32, f32, f32, f64, f64, f64, i64
  } -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
        tensor<?xf64>, tensor<?xf64>, tensor<?xf64>, tensor<?xi64>)
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5, %r#6, %r#7, %r#8, %r#9, %r#10, %r#11, %r#12
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>,
      tensor<?xf64>, tensor<?xf64>, tensor<?xf64>, tensor<?xi64>
}
