//===- LoopBranch.h - What one expert of an unrolled loop computes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_LOOPBRANCH_H
#define GRAFT_TRANSFORMS_LOOPBRANCH_H

#include "graft/Transforms/RaiseRouting.h"

#include "llvm/ADT/MapVector.h"

namespace graft::raise {

/// What `value` is under ops that only change its shape, its own type's casts among them.
mlir::Value peel(mlir::Value value);

/// A function of the rows that one expert is chosen for: ops on vectors along the last dimension,
/// whose parameters are the expert's own or its part of stacked ones.
class LoopBranch {
public:
  explicit LoopBranch(Raising &raising) : raising(&raising) {}

  /// Looks at how `branch` comes about. Its rows are gathered or, where `dense` is given, all of
  /// that value's. False if that is not understood, and then `obstacle` says why.
  bool match(mlir::Value branch, mlir::Value dense);

  mlir::Value input;                   ///< what the rows are gathered from, (…, n)
  mlir::Value places;                  ///< by which indices; null if dense
  bool ofSequences = false;            ///< whether a row is all that stands at one of dimension 0
  mlir::Value number;                  ///< what picks the parts of stacked parameters, if data does
  int64_t experts = 0;                 ///< the parts of those
  mlir::Operation *obstacle = nullptr; ///< the op that is not understood

  /// What the branch makes of `rows`; where data picks the parts, those of `expert`.
  mlir::Value build(onnx::GraphBuilder &b, mlir::Value rows, int64_t expert) const;

private:
  /// A parameter, or a matrix of a stack, maybe transposed.
  struct Part {
    mlir::Value parameter;
    std::optional<int64_t> index; ///< in the stack
    bool isByNumber = false;
    bool isTransposed = false;
  };
  std::optional<Part> partOf(mlir::Value value);
  bool visit(mlir::Value value);
  bool visitInput(mlir::Value value);
  bool setInput(mlir::Value value, mlir::Value source);
  /// Vectors times a matrix, (in, out) or transposed.
  struct Product {
    mlir::Value vectors, matrix;
    bool isTransposed;
  };
  std::optional<Product> productOf(mlir::Operation *op) const;
  bool visitProduct(mlir::Operation *op, const Product &product);
  bool fail(mlir::Operation *op) {
    obstacle = obstacle ? obstacle : op;
    return false;
  }
  mlir::Value buildPart(onnx::GraphBuilder &b, const Part &part, int64_t expert,
                        mlir::IRMapping &mapping) const;
  mlir::RankedTensorType rowsType(mlir::Value value) const;

  SymbolicShapes &shapes() const { return raising->shapes(); }

  Raising *raising;
  mlir::Value dense;
  llvm::MapVector<mlir::Value, Part> parts;
  llvm::SetVector<mlir::Value> inputs;
  llvm::SetVector<mlir::Operation *> ops; ///< in order of definition
  mlir::Value result;
};

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_LOOPBRANCH_H
