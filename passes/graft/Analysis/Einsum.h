//===- Einsum.h - The equation of an Einsum -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_EINSUM_H
#define GRAFT_ANALYSIS_EINSUM_H

#include "graft/Analysis/SymbolicShapes.h"
#include "graft/Onnx/Onnx.h"

namespace graft {

/// An equation with a label for each dimension: its letter, or, for the dimensions that an ellipsis
/// stands for, how far from the last of them, negative.
struct EinsumEquation {
  using Labels = llvm::SmallVector<int>;
  llvm::SmallVector<Labels> operands;
  Labels result;

  /// Nothing if the text is no equation, or does not fit the operands' ranks.
  static std::optional<EinsumEquation> parse(llvm::StringRef text, llvm::ArrayRef<int64_t> ranks);
  /// The op's, if the shapes of its operands are known.
  static std::optional<EinsumEquation> of(onnx::EinsumOp op, const SymbolicShapes &shapes);

  /// What each label counts, given the operands' dimensions.
  std::map<int, Polynomial> sizes(llvm::ArrayRef<llvm::ArrayRef<Polynomial>> dims) const;

  /// The equation with a letter for each label; nothing if there are more labels than letters.
  std::optional<std::string> str() const;

  /// One operand is vectors along its last dimension, the other a matrix that they are multiplied
  /// with.
  struct ProductOfVectors {
    unsigned matrix;   ///< which operand
    bool isTransposed; ///< it is (out, in)
  };
  /// Nothing if it is no such product.
  std::optional<ProductOfVectors> asProductOfVectors() const;
};

} // namespace graft

#endif // GRAFT_ANALYSIS_EINSUM_H
