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
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "graft/Dispatch/DispatchDialect.h.inc"

#define GET_OP_CLASSES
#include "graft/Dispatch/DispatchOps.h.inc"

#endif // GRAFT_DISPATCH_DISPATCH_H
