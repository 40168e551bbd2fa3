//===- RaiseCheck.h - Whether a mixture gives what it stands for -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_RAISECHECK_H
#define GRAFT_TRANSFORMS_RAISECHECK_H

#include "graft/Reference/Evaluator.h"

#include "mlir/IR/Operation.h"

#include <random>

namespace graft::raise {

/// What a comparison of a mixture with the graph that it stands for has shown.
struct Verdict {
  enum Kind {
    Agrees,
    Disagrees,
    Fails,    ///< the graph cannot be computed on routes that the router may choose
    Unchecked ///< it holds what is not evaluated here
  } kind = Unchecked;
  mlir::Operation *op = nullptr; ///< where it fails, or what is not evaluated
  std::string why;
};

/// Draws numbers for a few rows, so that a router's choice covers its experts. The seed is fixed.
class Draws {
public:
  /// `hit`: how many experts take part in a draw, each draw others; all unless given.
  Draws(int64_t experts, int64_t slots, std::optional<int64_t> hit = std::nullopt);

  int64_t rows() const { return count; }
  /// What is chosen, (rows, slots), without an expert twice in a row.
  std::vector<double> chosen(int64_t rows);
  /// The same, whichever they are: no two experts go together.
  std::vector<double> anyOf(int64_t rows);
  /// Scores of (rows, experts) whose greatest are spread over the experts.
  std::vector<double> scores(int64_t rows);
  std::vector<double> normal(int64_t elements);
  /// Between 0.1 and 1.
  std::vector<double> weights(int64_t elements);
  /// On to the next draw.
  void next() { ++turn; }

private:
  /// The expert in a slot of a row, before what is random.
  int64_t expertOf(int64_t row, int64_t slot) const;

  int64_t experts, slots, hit, count, turn = 0;
  std::mt19937_64 random{20};
};

/// Values for the symbols in an input's leading dimensions, so that it has about `rows` rows, and
/// for those of the function's arguments.
llvm::StringMap<int64_t> chooseSymbols(const SymbolicShapes &shapes, mlir::Value input,
                                       int64_t rows);

/// Computes `before` and `after`, the aggregate of a mixture and what is made of it by ops that
/// stand between `begin` and the op of `before`, for drawn values of what those ops read, until
/// every expert was chosen for some row and, unless all are for all, not for another.
Verdict compare(const SymbolicShapes &shapes, mlir::Operation *begin, mlir::Value before,
                mlir::Value after, std::optional<int64_t> hit = std::nullopt);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_RAISECHECK_H
