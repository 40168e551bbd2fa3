//===- Exposure.cpp - What the host sees of routes -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Modular/Exposure.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace graft::modular;

#define GET_OP_CLASSES
#include "graft/Modular/ModularExposure.cpp.inc"

void ExposeOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  if (getFixed())
    effects.emplace_back(MemoryEffects::Write::get());
}

LogicalResult ExposeOp::verify() {
  RankedTensorType chosen = getChosen().getType();
  bool ok = getNumResults() == getNumOperands() && chosen.getRank() == 2 &&
            (!getWeights() || succeeded(verifyCompatibleShape(chosen, getWeights().getType())));
  for (auto [operand, result] : llvm::zip(getOperandTypes(), getResultTypes()))
    ok = ok && getElementTypeOrSelf(operand) == getElementTypeOrSelf(result) &&
         succeeded(verifyCompatibleShape(operand, result));
  if (ok)
    return success();
  return emitOpError() << "(expose-C1) expects tensors of (rows, slots) and results of their "
                          "types, found ("
                       << getOperandTypes() << ") and (" << getResultTypes() << ")";
}
