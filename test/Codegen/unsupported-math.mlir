// RUN: graft-opt %s --graft-expand-math -verify-diagnostics

// There is no libm to fall back on.
func.func @erf(%x: f64) -> f64 {
  // expected-error @+1 {{not supported: math.erf of 'f64'}}
  %0 = math.erf %x : f64
  return %0 : f64
}
