//===- Dispatch.h - The dispatch dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_DISPATCH_H
#define GRAFT_DISPATCH_DISPATCH_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "graft/Dispatch/DispatchDialect.h.inc"
#include "graft/Dispatch/DispatchInterfaces.h.inc"

namespace graft::dispatch::detail {
/// Reads of the inputs and a write of the init for what is a memref; nothing for tensors.
void getDestinationEffects(
    mlir::Operation *op,
    llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>> &effects);
/// The result has the init's shape.
llvm::LogicalResult reifyFromInit(mlir::Operation *op, mlir::OpBuilder &builder,
                                  mlir::ReifiedRankedShapedTypeDims &dims);
} // namespace graft::dispatch::detail

namespace graft::dispatch {
/// Makes the ops bufferizable; called when the dialect is loaded.
void attachBufferization(mlir::MLIRContext *context);
} // namespace graft::dispatch

#define GET_OP_CLASSES
#include "graft/Dispatch/DispatchOps.h.inc"

#endif // GRAFT_DISPATCH_DISPATCH_H
