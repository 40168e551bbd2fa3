//===- Recurrent.td - Recurrent layers -------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_RECURRENT_TD
#define GRAFT_ONNX_RECURRENT_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_LSTMOp : Onnx_PureOp<"LSTM", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "Long short-term memory";
  let arguments = (ins AnyTensor:$X, AnyTensor:$W, AnyTensor:$R, Optional<AnyTensor>:$B,
                       Optional<AnyTensor>:$sequence_lens, Optional<AnyTensor>:$initial_h,
                       Optional<AnyTensor>:$initial_c, Optional<AnyTensor>:$P,
                       Onnx_Floats:$activation_alpha, Onnx_Floats:$activation_beta,
                       Onnx_Strings:$activations, OptionalAttr<F32Attr>:$clip,
                       Onnx_StringOr<"forward">:$direction, OptionalAttr<Onnx_Int>:$hidden_size,
                       Onnx_IntOr<"0">:$input_forget, Onnx_IntOr<"0">:$layout);
  let results = (outs Optional<AnyTensor>:$Y, Optional<AnyTensor>:$Y_h,
                      Optional<AnyTensor>:$Y_c);
}

def Onnx_GRUOp : Onnx_PureOp<"GRU", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "Gated recurrent unit";
  let arguments = (ins AnyTensor:$X, AnyTensor:$W, AnyTensor:$R, Optional<AnyTensor>:$B,
                       Optional<AnyTensor>:$sequence_lens, Optional<AnyTensor>:$initial_h,
                       Onnx_Floats:$activation_alpha, Onnx_Floats:$activation_beta,
                       Onnx_Strings:$activations, OptionalAttr<F32Attr>:$clip,
                       Onnx_StringOr<"forward">:$direction, OptionalAttr<Onnx_Int>:$hidden_size,
                       Onnx_IntOr<"0">:$layout, Onnx_IntOr<"0">:$linear_before_reset);
  let results = (outs Optional<AnyTensor>:$Y, Optional<AnyTensor>:$Y_h);
}

def Onnx_RNNOp : Onnx_PureOp<"RNN", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "Elman's recurrent layer";
  let arguments = (ins AnyTensor:$X, AnyTensor:$W, AnyTensor:$R, Optional<AnyTensor>:$B,
                       Optional<AnyTensor>:$sequence_lens, Optional<AnyTensor>:$initial_h,
                       Onnx_Floats:$activation_alpha, Onnx_Floats:$activation_beta,
                       Onnx_Strings:$activations, OptionalAttr<F32Attr>:$clip,
                       Onnx_StringOr<"forward">:$direction, OptionalAttr<Onnx_Int>:$hidden_size,
                       Onnx_IntOr<"0">:$layout);
  let results = (outs Optional<AnyTensor>:$Y, Optional<AnyTensor>:$Y_h);
}

#endif // GRAFT_ONNX_RECURRENT_TD
