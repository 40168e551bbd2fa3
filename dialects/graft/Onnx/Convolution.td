//===- Convolution.td - Convolution and pooling ----------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_CONVOLUTION_TD
#define GRAFT_ONNX_CONVOLUTION_TD

include "graft/Onnx/OnnxBase.td"
include "graft/Onnx/LinearInParameter.td"

def Onnx_ConvOp : Onnx_PureOp<"Conv", [DeclareOpInterfaceMethods<LinearInParameterOpInterface>]> {
  let summary = "Convolution";
  let arguments = (ins AnyTensor:$X, AnyTensor:$W, Optional<AnyTensor>:$B,
                       Onnx_StringOr<"NOTSET">:$auto_pad, Onnx_Ints:$dilations,
                       Onnx_IntOr<"1">:$group, Onnx_Ints:$kernel_shape, Onnx_Ints:$pads,
                       Onnx_Ints:$strides);
  let results = (outs AnyTensor:$Y);
}

def Onnx_ConvTransposeOp : Onnx_PureOp<"ConvTranspose"> {
  let summary = "Transposed convolution";
  let arguments = (ins AnyTensor:$X, AnyTensor:$W, Optional<AnyTensor>:$B,
                       Onnx_StringOr<"NOTSET">:$auto_pad, Onnx_Ints:$dilations,
                       Onnx_IntOr<"1">:$group, Onnx_Ints:$kernel_shape,
                       Onnx_Ints:$output_padding, Onnx_Ints:$output_shape, Onnx_Ints:$pads,
                       Onnx_Ints:$strides);
  let results = (outs AnyTensor:$Y);
}

def Onnx_MaxPoolOp : Onnx_PureOp<"MaxPool"> {
  let summary = "Greatest of each window";
  let arguments = (ins AnyTensor:$X, Onnx_StringOr<"NOTSET">:$auto_pad,
                       Onnx_IntOr<"0">:$ceil_mode, Onnx_Ints:$dilations,
                       I64ArrayAttr:$kernel_shape, Onnx_Ints:$pads,
                       Onnx_IntOr<"0">:$storage_order, Onnx_Ints:$strides);
  let results = (outs AnyTensor:$Y, Optional<AnyTensor>:$Indices);
}

def Onnx_AveragePoolOp : Onnx_PureOp<"AveragePool"> {
  let summary = "Mean of each window";
  let arguments = (ins AnyTensor:$X, Onnx_StringOr<"NOTSET">:$auto_pad,
                       Onnx_IntOr<"0">:$ceil_mode, Onnx_IntOr<"0">:$count_include_pad,
                       Onnx_Ints:$dilations, I64ArrayAttr:$kernel_shape, Onnx_Ints:$pads,
                       Onnx_Ints:$strides);
  let results = (outs AnyTensor:$Y);
}

def Onnx_LpPoolOp : Onnx_PureOp<"LpPool"> {
  let summary = "p-norm of each window";
  let arguments = (ins AnyTensor:$X, Onnx_StringOr<"NOTSET">:$auto_pad,
                       Onnx_IntOr<"0">:$ceil_mode, Onnx_Ints:$dilations,
                       I64ArrayAttr:$kernel_shape, Onnx_IntOr<"2">:$p, Onnx_Ints:$pads,
                       Onnx_Ints:$strides);
  let results = (outs AnyTensor:$Y);
}

def Onnx_GlobalAveragePoolOp : Onnx_UnaryOp<"GlobalAveragePool", "Mean of all spatial positions">;
def Onnx_GlobalMaxPoolOp : Onnx_UnaryOp<"GlobalMaxPool", "Greatest of all spatial positions">;

#endif // GRAFT_ONNX_CONVOLUTION_TD
