//===- OnnxToLinalgPasses.h - From onnx to linalg and dispatch -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_H
#define GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace graft {

#define GEN_PASS_DECL
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h.inc"

} // namespace graft

#endif // GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_H
