//===- OnnxPasses.h - Passes within the onnx dialect -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_ONNXPASSES_H
#define GRAFT_TRANSFORMS_ONNXPASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace graft {

#define GEN_PASS_DECL
#include "graft/Transforms/OnnxPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "graft/Transforms/OnnxPasses.h.inc"

/// Sets the types of all values of onnx ops, and the results' types and `modular.dims`, to what
/// SymbolicShapes finds from the arguments.
void inferShapes(mlir::func::FuncOp function);

} // namespace graft

#endif // GRAFT_TRANSFORMS_ONNXPASSES_H
