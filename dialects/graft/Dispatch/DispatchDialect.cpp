//===- DispatchDialect.cpp - The dispatch dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Dispatch/Exchange.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace graft::dispatch;

#include "graft/Dispatch/DispatchDialect.cpp.inc"

void DispatchDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "graft/Dispatch/DispatchOps.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "graft/Dispatch/DispatchExchange.cpp.inc"
      >();
  attachBufferization(getContext());
  attachExchangeBufferization(getContext());
}
