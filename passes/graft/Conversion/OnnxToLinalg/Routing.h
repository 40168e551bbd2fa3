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

/// What the modules of an apply gave, for the slots that chose one.
struct Parts {
  Tensor values;   ///< (positions, columns): a part is a row, flattened
  Tensor position; ///< (rows, slots): where a slot's part stands, or -1 if it is empty
};

/// Computes the modules of an apply, each on the rows that take it and on no others.
mlir::FailureOr<Parts> lowerParts(Lowering &l, modular::ApplyOp apply,
                                  const Segmentation &segmentation);

/// Whether a module shows what a router within it chooses.
bool showsRoutes(mlir::Region &body);

/// The places of the rows of a module of `apply`: row `i` of it is what `rowOf` makes of `i`, among
/// the rows that are routed there, or none where that is -1.
Lowering::Places
placesWithin(Lowering &l, modular::ApplyOp apply, const Polynomial &count,
             llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &, mlir::Value)> rowOf);

/// Lowers what one module makes of all rows into the insertion point, given its arguments.
mlir::FailureOr<Tensor> lowerBody(Lowering &l, mlir::Block &body);

} // namespace graft::lowering

#endif // GRAFT_CONVERSION_ONNXTOLINALG_ROUTING_H
