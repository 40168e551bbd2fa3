//===- OnnxToLinalgPasses.td - From onnx to linalg and dispatch --------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_TD
#define GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertOnnxToLinalgPass : Pass<"convert-onnx-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lower onnx ops to linalg, tensor and dispatch";
  let description = [{
    Tensors in, tensors out. Each distinct dimension becomes one index value at the function's start, computed from the arguments that have
    a `modular.symbol` or else from the tensors; equal dimensions share it. Integer tensors that only computed shapes vanish. What cannot be proven
    about shapes and indices is checked at run time by `dispatch.check`, and read within bounds whatever the data says.

    An op without a lowering is an error that begins with "not supported" and names the op and the node.
  }];
  let dependentDialects = [
    "::graft::dispatch::DispatchDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
}

#endif // GRAFT_CONVERSION_ONNXTOLINALG_ONNXTOLINALGPASSES_TD
