//===- OnnxOps.cpp - Verification and folding of the onnx dialect's ops -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace graft::onnx;

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

LogicalResult ConstantOp::verify() {
  if (getValue().getType() != getOutput().getType())
    return emitOpError("has a value of type ")
           << getValue().getType() << " but a result of type " << getOutput().getType();
  return success();
}

#define GET_OP_CLASSES
#include "graft/Onnx/OnnxOps.cpp.inc"
