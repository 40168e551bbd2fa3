//===- OnnxDialect.cpp - The onnx dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Onnx/Onnx.h"

using namespace mlir;
using namespace graft::onnx;

#include "graft/Onnx/OnnxDialect.cpp.inc"

void OnnxDialect::initialize() {
  allowUnknownOperations(); // ops of ONNX that have no lowering import and print all the same
  allowUnknownTypes();      // !onnx.unknown is the element type of their results
  addOperations<
#define GET_OP_LIST
#include "graft/Onnx/OnnxOps.cpp.inc"
      >();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type,
                                            Location loc) {
  auto typed = dyn_cast<TypedAttr>(value);
  if (!typed || typed.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, type, typed);
}
