//===- Indexing.h - Indices that come from data -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_INDEXING_H
#define GRAFT_CONVERSION_ONNXTOLINALG_INDEXING_H

#include "graft/Conversion/OnnxToLinalg/Lowering.h"

#include "mlir/IR/Matchers.h"

namespace graft::lowering {

/// An index as ONNX has it, negative ones counted from the end, clamped so that it is inside
/// whatever the data says.
mlir::Value safeIndex(mlir::ImplicitLocOpBuilder &b, mlir::Value raw, mlir::Value size);

/// Fails the run if an index lies outside [-size, size); nothing is left to check where all are
/// constant.
void checkIndices(Lowering &l, mlir::Value onnxIndices, Tensor indices, mlir::Value size);

/// The same for tuples of indices along the last dimension, one for each of `sizes`.
void checkCoordinates(Lowering &l, Tensor indices, llvm::ArrayRef<mlir::Value> sizes);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_INDEXING_H
