//===- BodyRows.h - How a module treats the rows that take it ---*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_BODYROWS_H
#define GRAFT_ANALYSIS_BODYROWS_H

#include "graft/Analysis/RowIndependence.h"

#include "mlir/IR/IRMapping.h"

namespace graft {

/// Proves that the body of a module, a region with the rows' values as its arguments, makes of each
/// row something that depends on that row and on parameters alone.
class BodyRows {
public:
  /// `inputs` are what the arguments stand for: dimensions that are equal in `shapes` are equal in
  /// the body.
  BodyRows(mlir::Region &body, mlir::ValueRange inputs, const SymbolicShapes &shapes);

  /// Whether rows are kept apart.
  explicit operator bool() const { return rows && *rows; }
  /// Whether position p along dimension 0 of a value of the body is row p's.
  bool isByRow(mlir::Value value) const;

private:
  mlir::OwningOpRef<mlir::func::FuncOp> function; ///< the body as a function of its own
  mlir::IRMapping mapping;
  std::optional<RowIndependence> rows;
};

} // namespace graft

#endif // GRAFT_ANALYSIS_BODYROWS_H
