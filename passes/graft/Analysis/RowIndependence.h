//===- RowIndependence.h - Whether the rows of a batch can't see each other -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_ROWINDEPENDENCE_H
#define GRAFT_ANALYSIS_ROWINDEPENDENCE_H

#include "graft/Analysis/SymbolicShapes.h"

#include <string>

namespace graft {

/// Proves that row r of every result of a backbone, along dimension 0, is a function of row r of
/// its inputs alone: then rows of different tasks may be gathered into groups, run, and scattered
/// back.
///
/// Each value has at most one dimension that runs over the rows (times what a reshape has merged
/// behind it). An op without a rule that keeps the rows apart ends the proof.
class RowIndependence {
public:
  explicit RowIndependence(mlir::func::FuncOp main);

  explicit operator bool() const { return reason.empty(); }
  /// The op at which the proof ends, if it is an op's fault, and why.
  mlir::Operation *getCulprit() const { return culprit; }
  llvm::StringRef getReason() const { return reason; }

private:
  /// The dimension of a value that runs over the rows; nothing if the value is the same for all
  /// rows.
  using RowDim = std::optional<int64_t>;

  bool visit(mlir::Operation *op);
  std::optional<RowDim> visitBroadcast(mlir::Operation *op);
  std::optional<RowDim> visitMatMul(mlir::Operation *op);
  std::optional<RowDim> visitReshape(mlir::Operation *op, RowDim row);
  std::optional<RowDim> visitReduce(mlir::Operation *op, RowDim row);
  std::optional<RowDim> visitGather(mlir::Operation *op);
  bool visitRecurrent(mlir::Operation *op);
  RowDim get(mlir::Value value) const;
  bool dependsOnCount(const Polynomial &p) const;
  bool dependsOnCount(mlir::Value value);
  int64_t rank(mlir::Value value) const { return shapes.get(value).rank(); }
  bool fail(mlir::Operation *op, const llvm::Twine &why);

  SymbolicShapes shapes;
  std::string symbol; ///< of the number of rows
  llvm::DenseMap<mlir::Value, int64_t> rows;
  mlir::Operation *culprit = nullptr;
  std::string reason;
};

} // namespace graft

#endif // GRAFT_ANALYSIS_ROWINDEPENDENCE_H
