//===- VectorMath.h - Functions computed by polynomials ----------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_VECTORMATH_H
#define GRAFT_CODEGEN_CPU_KERNELS_VECTORMATH_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"

namespace graft {

/// e^x for f32 or a vector of it, to 1 ulp or so: 0 below -104, infinity above 88.73, NaN for NaN.
mlir::Value buildExp(mlir::ImplicitLocOpBuilder &b, mlir::Value x, bool fma);

/// e^x for x ≤ 0, where what is below -87.3 counts as 0: cheaper.
mlir::Value buildExpNonPositive(mlir::ImplicitLocOpBuilder &b, mlir::Value x, bool fma);

/// The error function of f32 or a vector of it, to 5e-7.
mlir::Value buildErf(mlir::ImplicitLocOpBuilder &b, mlir::Value x, bool fma);

/// math.exp and math.erf of f32, on scalars and vectors, become arithmetic; they are to be
/// preferred (benefit 2) over MLIR's own approximations, whose erf costs twice as much.
void populateVectorMathPatterns(mlir::RewritePatternSet &patterns, bool fma);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_VECTORMATH_H
