//===- Constant.td - Constants and ranges ----------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_CONSTANT_TD
#define GRAFT_ONNX_CONSTANT_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_ConstantOp : Onnx_PureOp<"Constant", [ConstantLike]> {
  let summary = "A constant, small or a weight";
  let description = [{
    Small constants are dense elements, weights are `#modular.weight`. ONNX's other attributes (value_float and
    so on) are written as a tensor too.
  }];
  let arguments = (ins TypedAttrInterface:$value);
  let results = (outs AnyTensor:$output);
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Onnx_ConstantOfShapeOp : Onnx_PureOp<"ConstantOfShape"> {
  let summary = "One value in a given shape";
  let arguments = (ins AnyTensor:$input, OptionalAttr<ElementsAttr>:$value);
  let results = (outs AnyTensor:$output);
}

def Onnx_RangeOp : Onnx_PureOp<"Range"> {
  let summary = "start, start + delta, … below limit";
  let arguments = (ins AnyTensor:$start, AnyTensor:$limit, AnyTensor:$delta,
                       Onnx_IntOr<"1">:$stash_type);
  let results = (outs AnyTensor:$output);
}

def Onnx_EyeLikeOp : Onnx_PureOp<"EyeLike"> {
  let summary = "Ones on a diagonal, zeros elsewhere";
  let arguments = (ins AnyTensor:$input, OptionalAttr<Onnx_Int>:$dtype, Onnx_IntOr<"0">:$k);
  let results = (outs AnyTensor:$output);
}

#endif // GRAFT_ONNX_CONSTANT_TD
