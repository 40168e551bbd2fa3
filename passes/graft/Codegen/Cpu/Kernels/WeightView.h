//===- WeightView.h - Matrices that are views of weights ---------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CODEGEN_CPU_KERNELS_WEIGHTVIEW_H
#define GRAFT_CODEGEN_CPU_KERNELS_WEIGHTVIEW_H

#include "mlir/IR/Value.h"

#include <optional>

namespace graft {

/// Where the elements of a tensor lie in a weight that the library stores: in elements from its
/// first, of the row-major weight.
struct WeightView {
  /// Steps of one dimension, the innermost last. Neighbours that come to one step are one.
  struct Step {
    int64_t size, stride;
  };
  using Dimension = llvm::SmallVector<Step, 2>;

  mlir::BlockArgument weight;
  int64_t offset = 0;
  llvm::SmallVector<Dimension, 4> dimensions;
};

/// What a value is of an argument of static shape through reshapes, slices and transpositions that
/// are known at compile time, or nothing.
std::optional<WeightView> viewOfWeight(mlir::Value value);

} // namespace graft

#endif // GRAFT_CODEGEN_CPU_KERNELS_WEIGHTVIEW_H
