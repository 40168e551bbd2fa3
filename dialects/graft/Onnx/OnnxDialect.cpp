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
  addOperations<
#define GET_OP_LIST
#include "graft/Onnx/OnnxOps.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "graft/Onnx/OnnxOps.cpp.inc"
