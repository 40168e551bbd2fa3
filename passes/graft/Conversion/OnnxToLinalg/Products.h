//===- Products.h - Products of matrices, for lowerings that need one -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_PRODUCTS_H
#define GRAFT_CONVERSION_ONNXTOLINALG_PRODUCTS_H

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

namespace graft::lowering {

/// A matrix operand with the transposes that were taken off it.
struct Matrix {
  Tensor tensor;
  bool transposed = false;
  bool isParameter = false;
};
Matrix matrixOf(Lowering &l, mlir::Value value);

/// (batch…, m, k) times (batch…, k, n), of any element type; the batches broadcast.
Tensor productOfMatrices(Lowering &l, Tensor a, Tensor w);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_PRODUCTS_H
