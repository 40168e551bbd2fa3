//===- Segments.h - Modules whose rows can be computed together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_SEGMENTS_H
#define GRAFT_ANALYSIS_SEGMENTS_H

#include "graft/Modular/Modular.h"

namespace graft {

/// An op that stands at the same place in the body of every module of an apply.
struct SegmentedOp {
  enum Kind {
    RowWise, ///< makes of each row something that depends on no other row, nor on the module
    Product, ///< a MatMul or Gemm of the rows with a matrix of each module's own
    Shift,   ///< an elementwise op of the rows and a vector of each module's own
  } kind;
  llvm::SmallVector<mlir::Operation *> ops; ///< one of each body, in the order of the modules

  /// Operand `number` in each body.
  llvm::SmallVector<mlir::Value> operand(unsigned number) const {
    llvm::SmallVector<mlir::Value> values;
    for (mlir::Operation *op : ops)
      values.push_back(op->getOperand(number));
    return values;
  }
};

/// Whether `axis` is the last one of a ranked value.
bool isLastAxis(int64_t axis, mlir::Value value);

/// Whether the op makes each vector along the last dimension of the vectors at the same place in
/// its operands, whatever they are: elementwise ops, and Softmax and Split along that dimension.
bool keepsVectorsApart(mlir::Operation *op);

/// The bodies of an inlined apply in lockstep, if the rows of all modules can stand in one tensor,
/// sorted by module: the bodies differ only in parameters, and each op is of a kind above.
std::optional<std::vector<SegmentedOp>> segmentBodies(modular::ApplyOp apply);

} // namespace graft

#endif // GRAFT_ANALYSIS_SEGMENTS_H
