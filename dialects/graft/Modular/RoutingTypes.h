//===- RoutingTypes.h - What the types of routing ops have in common -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_ROUTINGTYPES_H
#define GRAFT_MODULAR_ROUTINGTYPES_H

#include "mlir/IR/BuiltinTypes.h"

namespace graft::modular::detail {

/// Whether a value of type `found` may stand where `expected` is said: sizes agree, `?` with any.
bool fits(mlir::Type expected, mlir::Type found);

/// Whether the two are what is chosen and with which weights: (rows, slots) both.
bool areRoute(mlir::Type chosen, mlir::Type weights);

/// Whether the two are scores of (rows, modules) and what is chosen of (rows, slots).
bool areScoresAndChosen(mlir::RankedTensorType scores, mlir::RankedTensorType chosen);

} // namespace graft::modular::detail

#endif // GRAFT_MODULAR_ROUTINGTYPES_H
