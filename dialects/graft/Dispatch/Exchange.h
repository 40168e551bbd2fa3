//===- Exchange.h - Routes between code and host -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_EXCHANGE_H
#define GRAFT_DISPATCH_EXCHANGE_H

#include "graft/Dispatch/Dispatch.h"

// Apart from the other ops, since few files look at it.
#define GET_OP_CLASSES
#include "graft/Dispatch/DispatchExchange.h.inc"

namespace graft::dispatch {
/// Makes the op bufferizable; called when the dialect is loaded.
void attachExchangeBufferization(mlir::MLIRContext *context);
} // namespace graft::dispatch

#endif // GRAFT_DISPATCH_EXCHANGE_H
