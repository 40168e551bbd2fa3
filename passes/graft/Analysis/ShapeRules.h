//===- ShapeRules.h - The shapes of the onnx dialect's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_SHAPERULES_H
#define GRAFT_ANALYSIS_SHAPERULES_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"

#include "llvm/ADT/StringMap.h"

namespace graft::rules {

using Dims = llvm::SmallVector<Polynomial, 4>;
using Results = llvm::SmallVectorImpl<SymbolicTensor>;
/// Fills in the dims of an op's results. False if the operands do not tell them.
using Rule = bool (*)(SymbolicShapes &, mlir::Operation *, Results &);

/// `axis` counted from the front, or nothing if it is out of range.
inline std::optional<int64_t> normalize(int64_t axis, int64_t rank) {
  if (axis < 0)
    axis += rank;
  return axis >= 0 && axis < rank ? std::optional(axis) : std::nullopt;
}

/// Which of `rank` dimensions are among `axes`, or nothing if one is out of range.
inline std::optional<llvm::SmallVector<bool>> marked(llvm::ArrayRef<int64_t> axes, int64_t rank) {
  llvm::SmallVector<bool> result(rank, false);
  for (int64_t axis : axes) {
    std::optional<int64_t> position = normalize(axis, rank);
    if (!position)
      return std::nullopt;
    result[*position] = true;
  }
  return result;
}

inline const Dims &dimsOf(SymbolicShapes &shapes, mlir::Operation *op, unsigned operand) {
  return shapes.get(op->getOperand(operand)).dims;
}

/// The rules of the ops that arrange elements: Reshape, Slice, Concat, Resize and so on.
void addRulesOfShapes(llvm::StringMap<Rule> &table);

} // namespace graft::rules

#endif // GRAFT_ANALYSIS_SHAPERULES_H
