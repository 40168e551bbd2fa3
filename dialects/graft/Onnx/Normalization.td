//===- Normalization.td - Normalisation ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_NORMALIZATION_TD
#define GRAFT_ONNX_NORMALIZATION_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_BatchNormalizationOp : Onnx_PureOp<"BatchNormalization", [AttrSizedResultSegments]> {
  let summary = "Normalised by given mean and variance";
  let arguments = (ins AnyTensor:$X, AnyTensor:$scale, AnyTensor:$B, AnyTensor:$input_mean,
                       AnyTensor:$input_var, Onnx_FloatOr<"1e-05f">:$epsilon,
                       Onnx_FloatOr<"0.9f">:$momentum, Onnx_IntOr<"0">:$training_mode);
  let results = (outs AnyTensor:$Y, Optional<AnyTensor>:$running_mean,
                      Optional<AnyTensor>:$running_var);
}

def Onnx_LayerNormalizationOp : Onnx_PureOp<"LayerNormalization", [AttrSizedResultSegments]> {
  let summary = "Normalised over the dimensions from an axis on";
  let arguments = (ins AnyTensor:$X, AnyTensor:$Scale, Optional<AnyTensor>:$B,
                       Onnx_IntOr<"-1">:$axis, Onnx_FloatOr<"1e-05f">:$epsilon,
                       Onnx_IntOr<"1">:$stash_type);
  let results = (outs AnyTensor:$Y, Optional<AnyTensor>:$Mean, Optional<AnyTensor>:$InvStdDev);
}

def Onnx_RMSNormalizationOp : Onnx_PureOp<"RMSNormalization"> {
  let summary = "Divided by the root of the mean square over the dimensions from an axis on";
  let arguments = (ins AnyTensor:$X, AnyTensor:$scale, Onnx_IntOr<"-1">:$axis,
                       Onnx_FloatOr<"1e-05f">:$epsilon, Onnx_IntOr<"1">:$stash_type);
  let results = (outs AnyTensor:$Y);
}

def Onnx_InstanceNormalizationOp : Onnx_PureOp<"InstanceNormalization"> {
  let summary = "Normalised over space";
  let arguments = (ins AnyTensor:$input, AnyTensor:$scale, AnyTensor:$B,
                       Onnx_FloatOr<"1e-05f">:$epsilon);
  let results = (outs AnyTensor:$output);
}

def Onnx_GroupNormalizationOp : Onnx_PureOp<"GroupNormalization"> {
  let summary = "Normalised over space and groups of channels";
  let arguments = (ins AnyTensor:$X, AnyTensor:$scale, AnyTensor:$bias,
                       Onnx_FloatOr<"1e-05f">:$epsilon, Onnx_Int:$num_groups,
                       Onnx_IntOr<"1">:$stash_type);
  let results = (outs AnyTensor:$Y);
}

def Onnx_LRNOp : Onnx_PureOp<"LRN"> {
  let summary = "Normalised across neighbouring channels";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1e-04f">:$alpha, Onnx_FloatOr<"0.75f">:$beta,
                       Onnx_FloatOr<"1.0f">:$bias, Onnx_Int:$size);
  let results = (outs AnyTensor:$Y);
}

def Onnx_LpNormalizationOp : Onnx_PureOp<"LpNormalization"> {
  let summary = "Divided by the p-norm along an axis";
  let arguments = (ins AnyTensor:$input, Onnx_IntOr<"-1">:$axis, Onnx_IntOr<"2">:$p);
  let results = (outs AnyTensor:$output);
}

def Onnx_MeanVarianceNormalizationOp : Onnx_PureOp<"MeanVarianceNormalization"> {
  let summary = "Normalised over axes";
  let arguments = (ins AnyTensor:$X, Onnx_Ints:$axes);
  let results = (outs AnyTensor:$Y);
}

#endif // GRAFT_ONNX_NORMALIZATION_TD
