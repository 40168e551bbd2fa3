//===- Control.td - Control flow -------------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_CONTROL_TD
#define GRAFT_ONNX_CONTROL_TD

include "graft/Onnx/OnnxBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Onnx_YieldOp : Onnx_Op<"Yield", [Pure, Terminator, ReturnLike]> {
  let summary = "The outputs of a nested graph";
  let arguments = (ins Variadic<AnyTensor>:$outputs);
  let assemblyFormat = "($outputs^ `:` type($outputs))? attr-dict";
  let builders = [OpBuilder<(ins), [{ (void)$_builder; }]>]; // an implicit terminator yields nothing
}

def Onnx_IfOp : Onnx_Op<"If", [RecursiveMemoryEffects, SingleBlock,
                               SingleBlockImplicitTerminator<"::graft::onnx::YieldOp">]> {
  let summary = "One of two graphs";
  let description = "The nested graphs use the values around them as ONNX lets them.";
  let arguments = (ins AnyTensor:$cond);
  let results = (outs Variadic<AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$then_branch, SizedRegion<1>:$else_branch);
  let assemblyFormat = [{
    $cond attr-dict `:` functional-type($cond, $outputs) $then_branch `else` $else_branch
  }];
}

def Onnx_LoopOp : Onnx_Op<"Loop", [AttrSizedOperandSegments, RecursiveMemoryEffects, SingleBlock,
                                   SingleBlockImplicitTerminator<"::graft::onnx::YieldOp">]> {
  let summary = "A graph repeated";
  let description = [{
    The body's arguments are the iteration's number, the condition and the carried values; it yields the
    condition, the carried values and what is to be stacked over the iterations.
  }];
  let arguments = (ins Optional<AnyTensor>:$M, Optional<AnyTensor>:$cond,
                       Variadic<AnyTensor>:$v_initial);
  let results = (outs Variadic<AnyTensor>:$v_final_and_scan_outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results) $body";
}

#endif // GRAFT_ONNX_CONTROL_TD
