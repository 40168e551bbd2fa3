//===- Reduction.td - Reductions along axes --------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_REDUCTION_TD
#define GRAFT_ONNX_REDUCTION_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_ReduceSumOp : Onnx_PureOp<"ReduceSum"> {
  let summary = "Sum";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceMeanOp : Onnx_PureOp<"ReduceMean"> {
  let summary = "Mean";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceMaxOp : Onnx_PureOp<"ReduceMax"> {
  let summary = "Greatest";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceMinOp : Onnx_PureOp<"ReduceMin"> {
  let summary = "Least";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceProdOp : Onnx_PureOp<"ReduceProd"> {
  let summary = "Product";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceL1Op : Onnx_PureOp<"ReduceL1"> {
  let summary = "Sum of absolute values";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceL2Op : Onnx_PureOp<"ReduceL2"> {
  let summary = "Square root of the sum of squares";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceLogSumOp : Onnx_PureOp<"ReduceLogSum"> {
  let summary = "Logarithm of the sum";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceLogSumExpOp : Onnx_PureOp<"ReduceLogSumExp"> {
  let summary = "Logarithm of the sum of exponentials";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ReduceSumSquareOp : Onnx_PureOp<"ReduceSumSquare"> {
  let summary = "Sum of squares";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$axes, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$noop_with_empty_axes);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ArgMaxOp : Onnx_PureOp<"ArgMax"> {
  let summary = "Index of the greatest along an axis";
  let arguments = (ins AnyTensor:$data, Onnx_IntOr<"0">:$axis, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$select_last_index);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_ArgMinOp : Onnx_PureOp<"ArgMin"> {
  let summary = "Index of the least along an axis";
  let arguments = (ins AnyTensor:$data, Onnx_IntOr<"0">:$axis, Onnx_IntOr<"1">:$keepdims,
                       Onnx_IntOr<"0">:$select_last_index);
  let results = (outs AnyTensor:$reduced);
}

def Onnx_TopKOp : Onnx_PureOp<"TopK"> {
  let summary = "The k greatest or least along an axis, the lower index first among equals";
  let arguments = (ins AnyTensor:$X, AnyTensor:$K, Onnx_IntOr<"-1">:$axis,
                       Onnx_IntOr<"1">:$largest, Onnx_IntOr<"1">:$sorted);
  let results = (outs AnyTensor:$Values, AnyTensor:$Indices);
}

def Onnx_CumSumOp : Onnx_PureOp<"CumSum"> {
  let summary = "Running sum along an axis";
  let arguments = (ins AnyTensor:$x, AnyTensor:$axis, Onnx_IntOr<"0">:$exclusive,
                       Onnx_IntOr<"0">:$reverse);
  let results = (outs AnyTensor:$y);
}

def Onnx_CumProdOp : Onnx_PureOp<"CumProd"> {
  let summary = "Running product along an axis";
  let arguments = (ins AnyTensor:$x, AnyTensor:$axis, Onnx_IntOr<"0">:$exclusive,
                       Onnx_IntOr<"0">:$reverse);
  let results = (outs AnyTensor:$y);
}

#endif // GRAFT_ONNX_REDUCTION_TD
