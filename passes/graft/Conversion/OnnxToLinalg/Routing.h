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

/// Lowers an apply whose bodies are `ops` in lockstep, and the weighted sum of what they give: each
/// module sees the rows that take it and no others.
mlir::LogicalResult lowerSegmented(Lowering &l, modular::AggregateOp aggregate,
                                   modular::ApplyOp apply, modular::RouteOfOp route,
                                   llvm::ArrayRef<SegmentedOp> ops);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_ROUTING_H
