//===- Einsum.h - The equation of an Einsum -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_EINSUM_H
#define GRAFT_ANALYSIS_EINSUM_H

#include "graft/Analysis/SymbolicShapes.h"

namespace graft {

/// An equation with a label for each dimension: its letter, or, for the dimensions that an ellipsis
/// stands for, how far from the last of them, negative.
struct EinsumEquation {
  using Labels = llvm::SmallVector<int>;
  llvm::SmallVector<Labels> operands;
  Labels result;

  /// Nothing if the text is no equation, or does not fit the operands' ranks.
  static std::optional<EinsumEquation> parse(llvm::StringRef text, llvm::ArrayRef<int64_t> ranks);

  /// What each label counts, given the operands' dimensions.
  std::map<int, Polynomial> sizes(llvm::ArrayRef<llvm::ArrayRef<Polynomial>> dims) const;
};

} // namespace graft

#endif // GRAFT_ANALYSIS_EINSUM_H
