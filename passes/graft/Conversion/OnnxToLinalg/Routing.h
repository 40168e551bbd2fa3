//===- Routing.h - How the modules of a route are lowered -------*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_ROUTING_H
#define GRAFT_CONVERSION_ONNXTOLINALG_ROUTING_H

#include "graft/Analysis/Segments.h"
#include "graft/Conversion/OnnxToLinalg/Lowering.h"

namespace graft::lowering {

/// What the modules of an apply gave, sorted by module.
struct SegmentedParts {
  Tensor rows;     ///< (positions, …): a row for each slot that is not empty
  Tensor position; ///< (rows, slots): where a slot's row is, -1 if it is empty
};

/// Lowers an apply whose bodies are `ops` in lockstep: each module sees the rows that take it and
/// no others.
mlir::FailureOr<SegmentedParts> lowerSegmented(Lowering &l, modular::ApplyOp apply,
                                               modular::RouteOfOp route,
                                               llvm::ArrayRef<SegmentedOp> ops);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_ROUTING_H
