//===- Compare.cpp - A tensor against what was expected ---------*- C++ -*-===//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//===----------------------------------------------------------------------===//

#include "graft/Commands/Compare.h"

#include <cmath>
#include <limits>

using namespace graft::commands;

Comparison graft::commands::compare(const TensorView &found, const TensorView &expected,
                                    const Tolerance &tolerance) {
  Comparison result;
  if (found.dims != expected.dims) {
    result.shapeMismatch =
        "expected the shape " + shapeText(expected.dims) + ", found " + shapeText(found.dims);
    return result;
  }
  result.elements = found.count();
  long double differences = 0, norm = 0, largest = 0, worstExcess = -1;
  for (size_t i = 0; i < result.elements; ++i) {
    long double a = found.element(i), b = expected.element(i);
    if (a == b) {
      if (std::isfinite(b))
        norm += b * b;
      continue;
    }
    long double difference = std::fabs(a - b);
    long double excess = difference - (tolerance.absolute + tolerance.relative * std::fabs(b));
    bool matches = excess <= 0; // false for NaN
    differences += difference * difference;
    norm += b * b;
    if (std::isnan(difference))
      excess = std::numeric_limits<long double>::infinity();
    if (excess > worstExcess) {
      worstExcess = excess;
      result.worst = i;
    }
    // A NaN stays.
    if (!(difference <= largest) && !std::isnan(largest))
      largest = difference;
    result.mismatches += !matches;
  }
  result.largestDifference = double(largest);
  result.relativeError = differences == 0 ? 0 : double(std::sqrt(differences) / std::sqrt(norm));
  return result;
}
