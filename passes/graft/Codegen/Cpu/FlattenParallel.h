//===- FlattenParallel.h - The iterations of a loop as one range -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_FLATTENPARALLEL_H
#define GRAFT_CODEGEN_CPU_FLATTENPARALLEL_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace graft {

/// How many iterations a parallel loop has: by dimension, and in all. Computed before the loop.
struct FlatRange {
  FlatRange(mlir::OpBuilder &builder, mlir::scf::ParallelOp loop);

  llvm::SmallVector<mlir::Value> counts;
  mlir::Value total;
};

/// Maps the loop's induction variables to what they are in iteration `number`, the last dimension
/// running first. `mapping` has the loop's bounds and steps that are not 0 and 1, and all counts
/// but the first.
void mapIteration(mlir::OpBuilder &builder, mlir::scf::ParallelOp loop, const FlatRange &range,
                  mlir::Value number, mlir::IRMapping &mapping);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_FLATTENPARALLEL_H
