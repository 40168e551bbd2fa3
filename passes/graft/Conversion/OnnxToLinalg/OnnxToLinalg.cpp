//===- OnnxToLinalg.cpp - From onnx to linalg and dispatch -*- C++ -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h"

#include "graft/Conversion/OnnxToLinalg/Lowering.h"
#include "graft/Dispatch/Dispatch.h"

namespace graft {
#define GEN_PASS_DEF_CONVERTONNXTOLINALGPASS
#include "graft/Conversion/OnnxToLinalg/OnnxToLinalgPasses.h.inc"
} // namespace graft

namespace {
struct ConvertOnnxToLinalgPass : graft::impl::ConvertOnnxToLinalgPassBase<ConvertOnnxToLinalgPass> {
  void runOnOperation() override {
    if (getOperation().isExternal())
      return;
    graft::lowering::Lowering lowering(getOperation());
    if (failed(lowering.run()))
      signalPassFailure();
  }
};
} // namespace
