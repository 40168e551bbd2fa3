//===- Modular.h - The modular dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_MODULAR_H
#define GRAFT_MODULAR_MODULAR_H

#include "graft/Modular/WeightStore.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <memory>
#include <optional>
#include <vector>

#include "graft/Modular/ModularDialect.h.inc"
#include "graft/Modular/ModularEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "graft/Modular/ModularAttributes.h.inc"

#define GET_TYPEDEF_CLASSES
#include "graft/Modular/ModularTypes.h.inc"

namespace graft::modular {
/// `diag(c) · (θ + s·B·A)`, see ParameterCompositionOpInterface. `c` is one where there is no
/// magnitude.
struct LowRankForm {
  mlir::FlatSymbolRefAttr down; ///< A, of (rank, in)
  mlir::FlatSymbolRefAttr up;   ///< B, of (out, rank)
  double scale;
  mlir::FlatSymbolRefAttr magnitude; ///< of (out), or null
};

/// The form in which modules see a parameter: vectors as they are, matrices as (out, in), tensors
/// of higher rank as (dim 0, the rest).
mlir::RankedTensorType getCanonicalType(mlir::RankedTensorType stored, bool transposed);

/// The type with any number of rows, which are dimension 0.
mlir::RankedTensorType withAnyRows(mlir::RankedTensorType type);

/// What the slots of a route hold, (rows, slots, …), by the type of one module's results for all
/// rows.
mlir::RankedTensorType withSlots(mlir::RankedTensorType part, int64_t slots);

} // namespace graft::modular

#include "graft/Modular/ModularInterfaces.h.inc"

#define GET_OP_CLASSES
#include "graft/Modular/ModularOps.h.inc"

#endif // GRAFT_MODULAR_MODULAR_H
