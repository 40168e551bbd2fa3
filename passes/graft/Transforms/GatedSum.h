//===- GatedSum.h - Sums over modules, each under its gate -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_GATEDSUM_H
#define GRAFT_TRANSFORMS_GATEDSUM_H

#include "graft/Transforms/RaiseRouting.h"

namespace graft::raise {

/// A sum over modules: a branch each, or one value with all of them along a dimension.
struct GatedSum {
  Gates gates;
  llvm::SmallVector<mlir::Value> branches;
  int64_t uses = 1; ///< of each branch, by the sum
  mlir::Value stack;
  int64_t axis = 0; ///< of the stack
  int64_t modules = 0;
  bool keepsAxis = false;                ///< of the stack, in the result, where it is 1
  mlir::Value like;                      ///< of the rows' dimensions, if gates are not
  mlir::Value rows;                      ///< has the dimensions that the rows become, if not null
  llvm::SmallVector<mlir::Value> others; ///< that are added to it
};

// What stands for the gates is built where `b` stands. False if it is no such sum.

/// A tree of additions with a term for each module.
bool parseTree(onnx::GraphBuilder &b, Raising &raising, onnx::AddOp op, GatedSum &result);
/// Σ over a dimension of gates, 1 along that of the results, times what has all branches.
bool parseStack(onnx::GraphBuilder &b, Raising &raising, onnx::ReduceSumOp sum, GatedSum &result);
/// Gates, (…, 1, modules), as a row that is multiplied with what has all branches, or
/// (…, modules, 1) as a column.
bool parseProduct(onnx::GraphBuilder &b, Raising &raising, onnx::MatMulOp op, GatedSum &result);
/// Σ over a label of an operand with all gates and of others with all branches.
bool parseEinsum(onnx::GraphBuilder &b, Raising &raising, onnx::EinsumOp op, GatedSum &result);
/// Each row's element of what has all branches, by a number, and maybe times a weight.
bool parsePick(onnx::GraphBuilder &b, Raising &raising, mlir::Operation *op, GatedSum &result);

// What the above share.

/// The type that the analysis knows: an exporter's may know less.
mlir::RankedTensorType knownType(const SymbolicShapes &shapes, mlir::Value value);
/// What weighs the modules, (…, modules), given the same with a dimension of 1 at `one`; where `b`
/// stands.
mlir::Value buildShares(onnx::GraphBuilder &b, const SymbolicShapes &shapes, mlir::Value gates,
                        int64_t axis, int64_t one);
/// Where the stack is what rows chose of another, which has all modules: takes that one, and what
/// they chose.
void unwrapPick(onnx::GraphBuilder &b, const SymbolicShapes &shapes, GatedSum &result);

} // namespace graft::raise

#endif // GRAFT_TRANSFORMS_GATEDSUM_H
