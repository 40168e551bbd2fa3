//===- RowIndependence.h - Whether the rows of a batch can't see each other -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_ROWINDEPENDENCE_H
#define GRAFT_ANALYSIS_ROWINDEPENDENCE_H

#include "graft/Analysis/SymbolicShapes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

#include <string>

namespace graft {

/// Bounds of integers, both included.
struct IntegerRange {
  Polynomial least, most;
};

/// How a value depends on the rows of a batch of n.
///
/// * Same: not at all, whatever n is.
/// * Rows: position p along `dim` belongs to row (p / inner) mod n, and what is there is a function
///   of that row of the inputs alone, plus the row's number times `scale`. Numbers of rows are
///   made by exporters to pick from a batched tensor what belongs to the row; where `scale` is not
///   zero, that is all they may be used for.
/// * Mixed: anything else, and the op and the reason why.
struct RowState {
  enum Kind { Same, Rows, Mixed } kind = Same;
  int64_t dim = 0;
  Polynomial inner = 1;
  Polynomial scale;
  /// Of the value less the row's number times `scale`, where known.
  std::optional<IntegerRange> rest;
  /// If set, only this element of each vector along the last dimension has the row's number.
  std::optional<int64_t> column;
  mlir::Operation *culprit = nullptr;
  llvm::StringRef reason;

  static RowState same() { return RowState(); }
  static RowState rows(int64_t dim, Polynomial inner = 1) {
    RowState state;
    state.kind = Rows;
    state.dim = dim;
    state.inner = std::move(inner);
    return state;
  }
  bool isSame() const { return kind == Same; }
  bool isRows() const { return kind == Rows; }
  bool isMixed() const { return kind == Mixed; }
  /// Has the row's number in it.
  bool isNumber() const { return kind == Rows && scale != Polynomial(0); }
  RowState at(int64_t newDim) const {
    RowState moved = *this;
    moved.dim = newDim;
    return moved;
  }
};

/// Proves that row r of every result of a backbone, along dimension 0, is a function of row r of
/// its inputs alone: then rows of different tasks may be gathered into groups, run, and scattered
/// back.
///
/// A value that mixes rows ends the proof only if a result depends on it. Inputs whose first
/// dimensions are different symbols are taken to have as many rows: whoever runs row tasks sees to
/// it. Those with a `modular.slot` are parameters, the same for all rows.
class RowIndependence {
public:
  explicit RowIndependence(mlir::func::FuncOp main);

  explicit operator bool() const { return reason.empty(); }
  /// The op at which the proof ends, if it is an op's fault, and why.
  mlir::Operation *getCulprit() const { return culprit; }
  llvm::StringRef getReason() const { return reason; }
  /// How a value depends on the rows, where the inputs' first dimensions are one symbol.
  const RowState &get(mlir::Value value) const;

  /// Whether the elements of `value`, in row-major order, are those of the rows one after the
  /// other, as many for each.
  bool isInRowOrder(mlir::Value value) const;
  /// The symbols that inputs have as first dimension, all of which are the number of rows.
  llvm::ArrayRef<mlir::StringAttr> getRowSymbols() const { return rowSymbols.getArrayRef(); }

private:
  /// How the results of one kind of op depend on rows.
  struct Entry {
    enum Flags : unsigned {
      Numbers = 1,   ///< has a meaning for numbers of rows
      MakesRows = 2, ///< may make rows of what is the same for all
    };
    RowState (RowIndependence::*rule)(mlir::Operation *op) = nullptr;
    unsigned flags = 0;
    /// From this operand on there are sizes, whose states the rule looks at itself.
    unsigned firstSize = ~0u;
  };
  static const llvm::StringMap<Entry> &table();

  void unifySymbols(mlir::func::FuncOp main);
  bool seed(mlir::func::FuncOp main);
  void visit(mlir::Operation *op);
  RowState stateOf(mlir::Operation *op);
  RowState checked(mlir::Value value, RowState state);
  RowState ofElements(mlir::Value value, llvm::ArrayRef<Polynomial> elements);

  // One per way of treating dimensions; the current op's.
  RowState elementwise(mlir::Operation *op);
  RowState numbersOf(mlir::Operation *op, const RowState &common);
  RowState castLike(mlir::Operation *op);
  RowState alongAxis(mlir::Operation *op);
  RowState firstDim(mlir::Operation *op);
  RowState reduce(mlir::Operation *op);
  RowState reshape(mlir::Operation *op);
  RowState transpose(mlir::Operation *op);
  RowState fill(mlir::Operation *op);
  RowState range(mlir::Operation *op);
  RowState nonZero(mlir::Operation *op);
  RowState gather(mlir::Operation *op);
  RowState gatherND(mlir::Operation *op);
  RowState scatterND(mlir::Operation *op);
  RowState byElement(mlir::Operation *op);
  RowState matmul(mlir::Operation *op);
  RowState einsum(mlir::Operation *op);
  RowState gemm(mlir::Operation *op);
  RowState concat(mlir::Operation *op);
  RowState slice(mlir::Operation *op);
  RowState pad(mlir::Operation *op);
  RowState tile(mlir::Operation *op);
  RowState reverseSequence(mlir::Operation *op);
  RowState oneHot(mlir::Operation *op);
  RowState recurrent(mlir::Operation *op);
  RowState attention(mlir::Operation *op);
  RowState rotary(mlir::Operation *op);
  RowState aggregate(mlir::Operation *op);
  RowState expose(mlir::Operation *op);

  RowState mixed(llvm::StringRef why) const;
  const RowState &get(mlir::Operation *op, unsigned i) const { return get(op->getOperand(i)); }
  /// All operands from `first` on are the same for all rows.
  bool areSame(mlir::Operation *op, unsigned first) const;
  bool isSameAt(mlir::Operation *op, unsigned i) const;
  /// What the elements of `value` are computed from is known before any data is.
  bool isKnownBeforeData(mlir::Value value) const;
  bool dependsOnCount(const Polynomial &p) const;
  bool dependsOnData(const Polynomial &p) const;
  llvm::ArrayRef<Polynomial> dims(mlir::Value value) const { return shapes.get(value).dims; }
  int64_t rank(mlir::Value value) const { return shapes.get(value).rank(); }
  /// Positions along `state.dim` of `value` are those of the rows, once each.
  bool isWhole(mlir::Value value, const RowState &state) const;
  /// Index `column` of `state` picks nothing but the own row's positions, of which there are
  /// `inner`.
  bool picksOwnRow(const RowState &state, const Polynomial &inner) const;
  std::optional<IntegerRange> rangeOf(mlir::Value value, int depth = 0) const;
  std::optional<IntegerRange> rangeOfResult(mlir::Operation *op, int depth) const;

  /// A copy with one symbol for all rows, or null, and what values of the original are there.
  mlir::OwningOpRef<mlir::func::FuncOp> renamed;
  mlir::IRMapping copies;
  llvm::SetVector<mlir::StringAttr> rowSymbols;
  SymbolicShapes shapes;
  std::string symbol; ///< of the number of rows
  Polynomial count;
  llvm::DenseMap<mlir::Value, RowState> states;
  mlir::Operation *current = nullptr;
  mlir::Operation *culprit = nullptr;
  std::string reason;
};

} // namespace graft

#endif // GRAFT_ANALYSIS_ROWINDEPENDENCE_H
