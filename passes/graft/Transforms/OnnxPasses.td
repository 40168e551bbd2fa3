//===- OnnxPasses.td - Passes within the onnx dialect ------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_ONNXPASSES_TD
#define GRAFT_TRANSFORMS_ONNXPASSES_TD

include "mlir/Pass/PassBase.td"

def InferShapesPass : Pass<"graft-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Set the types of onnx ops from the shapes of what they use";
  let description = [{
    Computes each dimension as a polynomial of the arguments' and sets the types of all results: static where the polynomial is a constant,
    dynamic elsewhere. Old result types count only for ops whose shape has no rule. The function's results follow, with their `modular.dims`.
  }];
}

def RaiseOnnxPass : Pass<"graft-raise-onnx", "::mlir::func::FuncOp"> {
  let summary = "Recognise layer norm, RMS norm, GELU and attention that an exporter took apart";
  let description = [{
    Matches by data flow, whatever the names: `LayerNormalization` and `RMSNormalization` from means and roots, `Gelu` from Erf or Tanh, and
    `Attention` from `softmax(scale · Q Kᵀ + mask) V` with heads split and keys and values repeated as exporters do.
  }];
}

def PrintRowsPass : Pass<"graft-print-rows", "::mlir::func::FuncOp"> {
  let summary = "Say whether the rows of a batch can't see each other, or which op lets them";
  let description = [{
    Remarks, at the function, that row r of its results depends on row r of its arguments alone, so that tasks may share a batch; or, at the
    op at which the proof ends, why it does. `graft compile` writes the same into the library's manifest.
  }];
}

#endif // GRAFT_TRANSFORMS_ONNXPASSES_TD
