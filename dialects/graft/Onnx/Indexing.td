//===- Indexing.td - Gathering, scattering and what depends on data *- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_INDEXING_TD
#define GRAFT_ONNX_INDEXING_TD

include "graft/Onnx/OnnxBase.td"
include "graft/Onnx/LinearInParameter.td"

def Onnx_GatherOp : Onnx_PureOp<"Gather", [DeclareOpInterfaceMethods<LinearInParameterOpInterface>]> {
  let summary = "Slices picked along an axis by index";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_IntOr<"0">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_GatherElementsOp : Onnx_PureOp<"GatherElements"> {
  let summary = "Elements picked along an axis by index";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_IntOr<"0">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_GatherNDOp : Onnx_PureOp<"GatherND"> {
  let summary = "Slices picked by coordinates";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, Onnx_IntOr<"0">:$batch_dims);
  let results = (outs AnyTensor:$output);
}

def Onnx_ScatterElementsOp : Onnx_PureOp<"ScatterElements"> {
  let summary = "Elements replaced along an axis by index";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates,
                       Onnx_IntOr<"0">:$axis, Onnx_StringOr<"none">:$reduction);
  let results = (outs AnyTensor:$output);
}

def Onnx_ScatterNDOp : Onnx_PureOp<"ScatterND"> {
  let summary = "Slices replaced by coordinates";
  let arguments = (ins AnyTensor:$data, AnyTensor:$indices, AnyTensor:$updates,
                       Onnx_StringOr<"none">:$reduction);
  let results = (outs AnyTensor:$output);
}

def Onnx_NonZeroOp : Onnx_UnaryOp<"NonZero", "Coordinates of the elements that are not zero">;

def Onnx_OneHotOp : Onnx_PureOp<"OneHot"> {
  let summary = "On-value at each index along a new axis, off-value elsewhere";
  let arguments = (ins AnyTensor:$indices, AnyTensor:$depth, AnyTensor:$values,
                       Onnx_IntOr<"-1">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_CompressOp : Onnx_PureOp<"Compress"> {
  let summary = "Slices kept by a condition";
  let arguments = (ins AnyTensor:$input, AnyTensor:$condition, OptionalAttr<Onnx_Int>:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_TriluOp : Onnx_PureOp<"Trilu"> {
  let summary = "The upper or lower triangle, zero elsewhere";
  let arguments = (ins AnyTensor:$input, Optional<AnyTensor>:$k, Onnx_IntOr<"1">:$upper);
  let results = (outs AnyTensor:$output);
}

def Onnx_ReverseSequenceOp : Onnx_PureOp<"ReverseSequence"> {
  let summary = "Each row's first elements reversed";
  let arguments = (ins AnyTensor:$input, AnyTensor:$sequence_lens, Onnx_IntOr<"1">:$batch_axis,
                       Onnx_IntOr<"0">:$time_axis);
  let results = (outs AnyTensor:$Y);
}

#endif // GRAFT_ONNX_INDEXING_TD
