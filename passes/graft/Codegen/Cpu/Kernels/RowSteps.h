//===- RowSteps.h - Steps over a row by vectors ------------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_ROWSTEPS_H
#define GRAFT_CODEGEN_CPU_KERNELS_ROWSTEPS_H

#include "graft/Codegen/Cpu/Kernels/KernelCall.h"

namespace graft {

/// Steps over a row by vectors; what is left is done under a mask.
struct RowSteps {
  using Value = mlir::Value;
  using Values = KernelBuilder::Values;

  RowSteps(KernelBuilder &b, Value size);

  /// body(i, carried, mask) for each vector.
  Values each(mlir::ValueRange inits,
              llvm::function_ref<Values(Value, mlir::ValueRange, Value)> body);

  KernelBuilder &b;
  Value size, whole, mask;
  bool fixed = false, hasRest = true;
};

/// The last dimension's size, a constant if it is static.
mlir::Value rowSize(KernelBuilder &b, mlir::Value rows);

/// A task a row, of so many elements a ns.
KernelCall::Work planRows(KernelBuilder &b, mlir::Value rows, int64_t perNs);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_ROWSTEPS_H
