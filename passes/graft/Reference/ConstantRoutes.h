//===- ConstantRoutes.h - Routes that no input decides -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_REFERENCE_CONSTANTROUTES_H
#define GRAFT_REFERENCE_CONSTANTROUTES_H

#include "graft/Reference/Evaluator.h"

namespace graft::reference {

/// What every row takes: by slot a module, −1 for none, and its weight.
struct ConstantRoute {
  llvm::SmallVector<int64_t> chosen;
  llvm::SmallVector<double> weights;

  bool operator==(const ConstantRoute &other) const {
    return chosen == other.chosen && weights == other.weights;
  }
};

/// Evaluates values that are the same for all rows of a batch, whatever their number: what is made
/// row by row of parameters and constants that are repeated for each row. One row stands for all.
class ConstantRows {
public:
  using ReadArgument = std::function<std::optional<Tensor>(mlir::BlockArgument)>;

  /// \param read the value of a parameter; nothing for other arguments
  explicit ConstantRows(ReadArgument read) : read(std::move(read)) {}

  /// The route of `chosen` and `weights`, (rows, slots), among `modules`; nothing if rows may
  /// differ.
  std::optional<ConstantRoute> get(mlir::Value chosen, mlir::Value weights, int64_t modules);

private:
  enum class Kind {
    Unknown,  ///< depends on an input, or on which row it is
    Constant, ///< on neither, nor on the number of rows
    Row       ///< (rows, …), of which one row is evaluated
  };
  Kind visit(mlir::Value value);
  Kind evaluate(mlir::Value value);
  Kind repeat(mlir::Value result, mlir::Value row);

  ReadArgument read;
  Evaluator at;
  llvm::DenseMap<mlir::Value, Kind> kinds;
};

} // namespace graft::reference

#endif // GRAFT_REFERENCE_CONSTANTROUTES_H
