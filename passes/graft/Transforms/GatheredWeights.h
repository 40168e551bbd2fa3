//===- GatheredWeights.h - What weights that are gathered per row compute -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_GATHEREDWEIGHTS_H
#define GRAFT_TRANSFORMS_GATHEREDWEIGHTS_H

#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/MapVector.h"

namespace graft::raise {

/// What is computed for every slot of every row with weights that are gathered by what is chosen:
/// `Σ_s w[r, s] · f(x[r]; W[chosen[r, s]])`.
///
/// A vector for each slot of each row may stand in any shape whose first dimensions are, together,
/// rows · slots, and which has one dimension more that is not 1: (rows, slots, n),
/// (rows · slots, 1, n), (rows, slots, n, 1). Modules are built of (rows, n).
class GatheredWeights {
public:
  using Value = mlir::Value;
  using Operation = mlir::Operation;

  explicit GatheredWeights(SymbolicShapes &shapes) : shapes(shapes) {}

  /// A sum over slots.
  bool matchSum(Operation *root);
  /// What the one slot of each row gives.
  bool matchOneSlot(Operation *root);

  Value chosen, weights; ///< a number for each slot of each row; without weights all are 1
  Value input;           ///< (…, n), a vector for each row
  int64_t experts = 0, slotCount = 0;
  bool isBounded = false;        ///< what is chosen lies within the experts
  Operation *obstacle = nullptr; ///< what is not understood of matrices that are gathered

  /// What module `number` makes of `rows` of the input.
  Value build(onnx::GraphBuilder &b, Value rows, int64_t number) const;
  /// The rows' results in the shape of the root.
  Value shape(onnx::GraphBuilder &b, Value rows, Value root) const;

private:
  bool matchReduced(onnx::ReduceSumOp sum);
  bool matchWeightedSum(onnx::MatMulOp sum);
  bool matchEinsum(onnx::EinsumOp sum);
  bool matchParts(Value data, Value scale);
  bool setRows(llvm::ArrayRef<Polynomial> rowDims, const Polynomial &slotDim);
  bool findChosen(Value data);
  bool hasPlace(Value root) const;
  bool isComplete();
  bool isWeighed(Value value) const;

  /// Looks at how the vectors come about; false if that is not understood.
  bool visit(Value vectors);
  bool visitProduct(Value vectors);
  bool visitEinsum(Value vectors);
  bool visitInput(Value vectors);
  bool visitOp(Value vectors);
  /// The stacked constant that `value` has been gathered from, by what is chosen.
  Value stackOf(Value value);

  llvm::ArrayRef<Polynomial> dims(Value value) const { return shapes.get(value).dims; }
  static Polynomial product(llvm::ArrayRef<Polynomial> dims) {
    Polynomial all(1);
    for (const Polynomial &dim : dims)
      all = all * dim;
    return all;
  }
  /// How many of the first dimensions are `count` together.
  std::optional<size_t> leading(Value value, const Polynomial &count) const;
  /// The dimension of the vectors, of which there are `count`, in order; the last if all are 1.
  std::optional<size_t> vectorDim(Value value, const Polynomial &count) const;
  bool isVectors(Value value) const { return vectorDim(value, positions).has_value(); }
  Polynomial width(Value value, const Polynomial &count) const {
    return dims(value)[*vectorDim(value, count)];
  }
  /// A number for each slot of each row.
  bool isRoute(Value value) const {
    return shapes.isKnown(value) && product(dims(value)) == positions &&
           leading(value, positions).has_value();
  }

  SymbolicShapes &shapes;
  Polynomial rows, positions;
  llvm::DenseSet<Value> dependent; ///< on what is chosen

  /// How a value of vectors is built again, in order of definition.
  struct Step {
    enum Kind { Input, Product, Parameter, Same, Op } kind;
    Value first;               ///< the vectors of a product, or what is the same
    Value stack;               ///< of a product or a parameter
    bool isTransposed = false; ///< the stack's matrices are (in, out)
  };
  llvm::MapVector<Value, Step> steps;
};

/// The first of the values that `value` is a reshape of, itself among them, for which `fits`.
mlir::Value throughReshapes(mlir::Value value, llvm::function_ref<bool(mlir::Value)> fits);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_GATHEREDWEIGHTS_H
