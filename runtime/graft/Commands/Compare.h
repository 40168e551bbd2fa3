//===- Compare.h - A tensor against what was expected -----------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#ifndef GRAFT_COMMANDS_COMPARE_H
#define GRAFT_COMMANDS_COMPARE_H

#include "graft/Commands/TensorFile.h"

namespace graft::commands {

struct Tolerance {
  double relative = 1e-4, absolute = 1e-5;
};

struct Comparison {
  std::string shapeMismatch; ///< words, or empty and the rest holds
  uint64_t elements = 0, mismatches = 0;
  double relativeError = 0; ///< norm of the difference over the norm of what was expected
  double largestDifference = 0;
  size_t worst = 0; ///< the element that is most above its tolerance

  bool passed() const { return shapeMismatch.empty() && mismatches == 0; }
};

/// Elementwise |a - b| <= absolute + relative * |b|. Equal infinities match, a NaN matches nothing.
/// Types may differ: numbers are compared.
Comparison compare(const TensorView &found, const TensorView &expected, const Tolerance &tolerance);

} // namespace graft::commands

#endif
