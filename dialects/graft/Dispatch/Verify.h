//===- Verify.h - What the verifiers of dispatch ops share -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_VERIFY_H
#define GRAFT_DISPATCH_VERIFY_H

#include "graft/Dispatch/Dispatch.h"

namespace graft::dispatch::detail {
inline mlir::ShapedType shaped(mlir::Value value) {
  return llvm::cast<mlir::ShapedType>(value.getType());
}

/// Equal, or not known to differ.
inline bool agree(int64_t a, int64_t b) {
  return a == b || mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b);
}

/// Reports that something countable is not what it has to be.
llvm::LogicalResult differ(mlir::Operation *op, const llvm::Twine &what, int64_t expected,
                           int64_t actual);

llvm::LogicalResult verifyElement(mlir::Operation *op, const llvm::Twine &what,
                                  mlir::ShapedType type, mlir::Type element);

/// Checks that each of the named types has rank 2.
llvm::LogicalResult
verifyMatrices(mlir::Operation *op,
               llvm::ArrayRef<std::pair<llvm::StringRef, mlir::ShapedType>> types);

/// Checks element type, rank and dimensions.
llvm::LogicalResult verifySameShape(mlir::Operation *op, llvm::StringRef what,
                                    mlir::ShapedType type, mlir::ShapedType expected);

/// Checks the segments of a plan: rank 1 and one more than `modules`, or any number of modules if
/// that is 0.
llvm::LogicalResult verifyOffsets(mlir::Operation *op, mlir::Value offsets, int64_t modules);

/// Checks the order in which rows are read, where there is one, and how many that makes of `from`.
llvm::LogicalResult verifyOrder(mlir::Operation *op, mlir::Value order, int64_t slots, int64_t from,
                                int64_t rows);

/// Adds the result of a destination op that fills `init`.
void addInitResult(mlir::OperationState &state, mlir::Value init);
} // namespace graft::dispatch::detail

#endif // GRAFT_DISPATCH_VERIFY_H
