//===- Evaluator.h - What onnx and modular ops mean, on numbers -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_REFERENCE_EVALUATOR_H
#define GRAFT_REFERENCE_EVALUATOR_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Reference/Tensor.h"

#include "llvm/ADT/StringMap.h"

#include <string>

namespace graft::reference {

/// Computes values of a function of one block on small tensors in double precision, op by op and
/// as the standard says: the measure of what passes make of a graph, so nothing here is clever.
class Evaluator {
public:
  /// Shapes of values that are not computed are asked of `shapes`, with `symbols` for the inputs'
  /// dimensions; both may be left out.
  explicit Evaluator(const SymbolicShapes *shapes = nullptr, llvm::StringMap<int64_t> symbols = {})
      : shapes(shapes), symbols(std::move(symbols)) {}

  /// Gives a value; what it is made of is not looked at.
  void set(mlir::Value value, Tensor tensor) {
    std::unique_ptr<Tensor> &held = tensors[value];
    if (held)
      *held = std::move(tensor);
    else
      held = std::make_unique<Tensor>(std::move(tensor));
  }
  /// The value of what is computed from values that are given, from constants and from shapes;
  /// null on failure. It stays where it is, whatever else is computed.
  const Tensor *get(mlir::Value value);
  const Tensor *lookup(mlir::Value value) const;

  const llvm::StringMap<int64_t> &symbolValues() const { return symbols; }

  /// Why a value was not computed.
  struct Failure {
    mlir::Operation *op = nullptr;
    std::string why;
    bool isUnknown = false; ///< the op, or what it depends on, is not known here
  };
  const Failure &failure() const { return failed; }
  bool fail(mlir::Operation *op, const llvm::Twine &why, bool isUnknown = false);

  /// The shape of a value that is computed, or that the symbols tell.
  std::optional<Shape> shapeOf(mlir::Value value) const;
  /// The elements of an integer operand.
  std::optional<llvm::SmallVector<int64_t>> integers(mlir::Value value) const;
  /// Sets a result of an op, whose element type tells the kind.
  bool result(mlir::Value value, llvm::ArrayRef<int64_t> shape, std::vector<double> values);

private:
  bool evaluate(mlir::Operation *op);
  bool evaluateConstant(mlir::Operation *op, mlir::Attribute value);
  bool evaluateShape(mlir::Operation *op);

  const SymbolicShapes *shapes;
  llvm::StringMap<int64_t> symbols;
  llvm::DenseMap<mlir::Value, std::unique_ptr<Tensor>> tensors;
  Failure failed;
};

/// What a route chooses and its weights, (rows, slots), from what is computed of its operands.
std::optional<llvm::SmallVector<Tensor>> evaluateRoute(Evaluator &at, mlir::Value route);

// The ops by topic: whether the op is of the topic, and then whether it could be computed.
using Known = std::optional<bool>;
Known evaluateElementwise(Evaluator &at, mlir::Operation *op);
Known evaluateArrangement(Evaluator &at, mlir::Operation *op);
Known evaluateIndexing(Evaluator &at, mlir::Operation *op);
Known evaluateProducts(Evaluator &at, mlir::Operation *op);
Known evaluateMixtures(Evaluator &at, mlir::Operation *op);

} // namespace graft::reference

#endif // GRAFT_REFERENCE_EVALUATOR_H
