//===- Segments.h - Modules whose rows can be computed together -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_SEGMENTS_H
#define GRAFT_ANALYSIS_SEGMENTS_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Modular/Modular.h"

namespace graft {

/// An op that stands at the same place in the body of every module of a class.
struct SegmentedOp {
  enum Kind {
    RowWise, ///< makes of each row something that depends on no other row, nor on the module
    Product, ///< a MatMul or Gemm of the rows' vectors with a matrix of each module's own
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

/// Modules whose rows stand in one tensor, sorted by module: their bodies, in lockstep, differ in
/// parameters only. Or a single module with any body.
struct ModuleClass {
  llvm::SmallVector<unsigned> modules; ///< ascending
  std::vector<SegmentedOp> ops;        ///< none for a single module
};

/// How the modules of an apply are computed on the rows that take them, and on no others.
struct Segmentation {
  std::vector<ModuleClass> classes; ///< each module is in one
  /// There is one class, of vectors, and its rows have a place for each slot of the route, which
  /// mostly is filled: all sizes follow from shapes. Else a class has as many rows as slots chose
  /// it, which only data tells.
  bool hasPlaceForEachSlot = false;
};

/// Whether `axis` is the last one of a ranked value.
bool isLastAxis(int64_t axis, mlir::Value value);

/// Whether the op makes each vector along the last dimension of the vectors at the same place in
/// its operands, whatever they are: elementwise ops, and Softmax and Split along that dimension.
bool keepsVectorsApart(mlir::Operation *op);

/// How to compute an inlined apply, of whose inputs `shapes` knows; nothing if a module may let
/// rows see each other, or gives what cannot be summed as it is.
std::optional<Segmentation> segmentModules(modular::ApplyOp apply, const SymbolicShapes &shapes);

} // namespace graft

#endif // GRAFT_ANALYSIS_SEGMENTS_H
