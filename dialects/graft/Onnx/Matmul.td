//===- Matmul.td - Products of matrices ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_MATMUL_TD
#define GRAFT_ONNX_MATMUL_TD

include "graft/Onnx/OnnxBase.td"
include "graft/Onnx/LinearInParameter.td"

def Onnx_MatMulOp : Onnx_PureOp<"MatMul", [DeclareOpInterfaceMethods<LinearInParameterOpInterface>]> {
  let summary = "Matrix product as numpy's matmul";
  let arguments = (ins AnyTensor:$A, AnyTensor:$B);
  let results = (outs AnyTensor:$Y);
}

def Onnx_GemmOp : Onnx_PureOp<"Gemm", [DeclareOpInterfaceMethods<LinearInParameterOpInterface>]> {
  let summary = "alpha·A'·B' + beta·C";
  let arguments = (ins AnyTensor:$A, AnyTensor:$B, Optional<AnyTensor>:$C,
                       Onnx_FloatOr<"1.0f">:$alpha, Onnx_FloatOr<"1.0f">:$beta,
                       Onnx_IntOr<"0">:$transA, Onnx_IntOr<"0">:$transB);
  let results = (outs AnyTensor:$Y);
}

def Onnx_EinsumOp : Onnx_PureOp<"Einsum"> {
  let summary = "Sum of products over the labels that the result lacks";
  let arguments = (ins Variadic<AnyTensor>:$Inputs, StrAttr:$equation);
  let results = (outs AnyTensor:$Output);
}

def Onnx_AttentionOp : Onnx_PureOp<"Attention", [AttrSizedOperandSegments, AttrSizedResultSegments]> {
  let summary = "Scaled dot-product attention of any number of heads";
  let arguments = (ins AnyTensor:$Q, AnyTensor:$K, AnyTensor:$V, Optional<AnyTensor>:$attn_mask,
                       Optional<AnyTensor>:$past_key, Optional<AnyTensor>:$past_value,
                       Optional<AnyTensor>:$nonpad_kv_seqlen, Onnx_IntOr<"0">:$is_causal,
                       OptionalAttr<Onnx_Int>:$kv_num_heads, Onnx_IntOr<"-1">:$left_window_size,
                       OptionalAttr<Onnx_Int>:$q_num_heads,
                       Onnx_IntOr<"0">:$qk_matmul_output_mode,
                       Onnx_IntOr<"-1">:$right_window_size, OptionalAttr<F32Attr>:$scale,
                       Onnx_FloatOr<"0.0f">:$softcap, OptionalAttr<Onnx_Int>:$softmax_precision);
  let results = (outs AnyTensor:$Y, Optional<AnyTensor>:$present_key,
                      Optional<AnyTensor>:$present_value, Optional<AnyTensor>:$qk_matmul_output);
}

def Onnx_RotaryEmbeddingOp : Onnx_PureOp<"RotaryEmbedding"> {
  let summary = "Positions as rotations of pairs of channels";
  let arguments = (ins AnyTensor:$X, AnyTensor:$cos_cache, AnyTensor:$sin_cache,
                       Optional<AnyTensor>:$position_ids, Onnx_IntOr<"0">:$interleaved,
                       OptionalAttr<Onnx_Int>:$num_heads, Onnx_IntOr<"0">:$rotary_embedding_dim);
  let results = (outs AnyTensor:$Y);
}

#endif // GRAFT_ONNX_MATMUL_TD
