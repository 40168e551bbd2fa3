//===- PanelPacking.h - Activations into panels, while they are in cache -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_PANELPACKING_H
#define GRAFT_CODEGEN_CPU_KERNELS_PANELPACKING_H

#include "graft/Codegen/Cpu/Kernels/KernelBuilder.h"

namespace graft {

/// A matrix of columns × depth inside of a memref.
struct PanelSource {
  mlir::Value memref;
  /// Where element (column, k) is.
  std::function<KernelBuilder::Values(mlir::Value column, mlir::Value k)> at;
  /// Elements of one column (k runs) or of one k (the column runs) are neighbours in memory, or
  /// neither.
  bool depthContiguous, columnsContiguous;
};

/// panel[k][c] = source(first + c, start + k) for c in [0, P) and k in [0, depth); columns from
/// `limit` on repeat the last one, or are zero. `depth` is at most the panel's first dimension;
/// nothing past `start + depth` is read.
void packPanel(KernelBuilder &b, const PanelSource &source, mlir::Value panel,
               llvm::ArrayRef<mlir::Value> panelPrefix, mlir::Value first, mlir::Value limit,
               mlir::Value start, mlir::Value depth);

/// sums[r][v] += Σ_k a(r, k) · panel[k][v] for k in [0, depth), k ascending.
KernelBuilder::Values
accumulateTile(KernelBuilder &b, unsigned rows, unsigned vectors, mlir::Value depth,
               KernelBuilder::Values sums,
               llvm::function_ref<mlir::Value(unsigned row, mlir::Value k)> left,
               llvm::function_ref<mlir::Value(unsigned vector, mlir::Value k)> right);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_PANELPACKING_H
