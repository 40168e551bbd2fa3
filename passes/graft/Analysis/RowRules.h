//===- RowRules.h - What the rules of rows share --------------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ANALYSIS_ROWRULES_H
#define GRAFT_ANALYSIS_ROWRULES_H

#include "graft/Analysis/RowIndependence.h"
#include "graft/Onnx/Onnx.h"

namespace graft::rowrules {

inline constexpr const char *numberAsData = "uses the number of a row as data";

inline int64_t intAttr(mlir::Operation *op, llvm::StringRef name, int64_t otherwise) {
  auto attribute = op->getAttrOfType<mlir::IntegerAttr>(name);
  return attribute ? attribute.getInt() : otherwise;
}

inline int64_t wrap(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// As polynomials, without remainder.
bool divides(const Polynomial &divisor, const Polynomial &p);

} // namespace graft::rowrules

#endif // GRAFT_ANALYSIS_ROWRULES_H
