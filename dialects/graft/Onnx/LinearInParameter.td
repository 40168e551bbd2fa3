//===- LinearInParameter.td - Ops that are linear in a parameter -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_LINEARINPARAMETER_TD
#define GRAFT_ONNX_LINEARINPARAMETER_TD

include "mlir/IR/OpBase.td"

def LinearInParameterOpInterface : OpInterface<"LinearInParameterOpInterface"> {
  let cppNamespace = "::graft::onnx";
  let description = [{
    An op that is linear in one operand, its parameter: `op(x; W + Δ) = op(x; W) + op'(x; Δ)` where
    `op'` leaves a bias out. This is how a pass moves an `adapt` of the parameter over the op, whatever
    the op is. A parameter is seen as (out, in); how the op stores it is the op's business.
  }];
  let methods = [
    InterfaceMethod<"The number of the operand that is the parameter.", "unsigned",
                    "getParameterOperandNumber">,
    InterfaceMethod<[{
      Whether the parameter is stored as (in, out), the transpose of how adapters see it. Dimensions of
      a kernel follow after both.
    }], "bool", "isParameterTransposed">,
    InterfaceMethod<[{
      Builds, after the op, what a low-rank delta `Δ = B·A` of the parameter adds to the op's result:
      `a` is (rank, in, kernel…) and `b` is (out, rank, 1…), as PEFT stores them, with any scale already
      multiplied into `b`. The value has the type of the op's result. Fails, having built nothing, where the
      delta does not distribute over this op (a convolution in groups).
    }], "::mlir::FailureOr<::mlir::Value>", "buildLowRankDelta",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::Value":$a, "::mlir::Value":$b)>
  ];
}

#endif // GRAFT_ONNX_LINEARINPARAMETER_TD
