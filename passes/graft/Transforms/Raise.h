//===- Raise.h - Recognising what exporters took apart -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_RAISE_H
#define GRAFT_TRANSFORMS_RAISE_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"

#include <cmath>

namespace graft::raise {

/// What a pattern sees. Patterns look at data flow, never at names, and replace the root only: what
/// feeds it dies by itself.
struct Matcher {
  SymbolicShapes &shapes;

  /// The value of a constant with one element, behind casts and reshapes of it.
  std::optional<double> scalar(mlir::Value value) const;
  bool isScalar(mlir::Value value, double expected) const {
    auto constant = scalar(value);
    return constant && std::abs(*constant - expected) <= 1e-5 * std::abs(expected);
  }
  bool sameDims(mlir::Value a, mlir::Value b) const {
    return shapes.get(a).dims == shapes.get(b).dims;
  }
  /// Replaces `root` by a new op's first result, which the analysis learns.
  void replace(mlir::Operation *root, mlir::Operation *replacement) const;
};

/// If `op` is commutative in two operands: calls `match` with both orders until one fits.
template <typename F> bool eitherOrder(mlir::Operation *op, F match) {
  return match(op->getOperand(0), op->getOperand(1)) || match(op->getOperand(1), op->getOperand(0));
}

// Each returns whether it replaced the op.
bool raiseGelu(const Matcher &matcher, mlir::Operation *op);
bool raiseLayerNormalization(const Matcher &matcher, mlir::Operation *op);
bool raiseRMSNormalization(const Matcher &matcher, mlir::Operation *op);
bool raiseAttention(const Matcher &matcher, mlir::Operation *op);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_RAISE_H
