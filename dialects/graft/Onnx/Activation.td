//===- Activation.td - Activation functions --------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_ACTIVATION_TD
#define GRAFT_ONNX_ACTIVATION_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_TanhOp : Onnx_UnaryOp<"Tanh", "Hyperbolic tangent", "input", "output">;
def Onnx_SigmoidOp : Onnx_UnaryOp<"Sigmoid", "1 / (1 + exp(-x))">;
def Onnx_ReluOp : Onnx_UnaryOp<"Relu", "max(0, x)">;

def Onnx_LeakyReluOp : Onnx_PureOp<"LeakyRelu"> {
  let summary = "x, or alpha·x below zero";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"0.01f">:$alpha);
  let results = (outs AnyTensor:$Y);
}

def Onnx_PReluOp : Onnx_PureOp<"PRelu"> {
  let summary = "x, or slope·x below zero";
  let arguments = (ins AnyTensor:$X, AnyTensor:$slope);
  let results = (outs AnyTensor:$Y);
}

def Onnx_EluOp : Onnx_PureOp<"Elu"> {
  let summary = "x, or alpha·(exp(x) - 1) below zero";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1.0f">:$alpha);
  let results = (outs AnyTensor:$Y);
}

def Onnx_SeluOp : Onnx_PureOp<"Selu"> {
  let summary = "Scaled Elu";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1.6732632f">:$alpha,
                       Onnx_FloatOr<"1.050701f">:$gamma);
  let results = (outs AnyTensor:$Y);
}

def Onnx_CeluOp : Onnx_PureOp<"Celu"> {
  let summary = "max(0, x) + min(0, alpha·(exp(x / alpha) - 1))";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1.0f">:$alpha);
  let results = (outs AnyTensor:$Y);
}

def Onnx_HardSigmoidOp : Onnx_PureOp<"HardSigmoid"> {
  let summary = "alpha·x + beta limited to [0, 1]";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"0.2f">:$alpha, Onnx_FloatOr<"0.5f">:$beta);
  let results = (outs AnyTensor:$Y);
}

def Onnx_HardSwishOp : Onnx_UnaryOp<"HardSwish", "x·HardSigmoid(x) with alpha 1/6, beta 1/2">;
def Onnx_MishOp : Onnx_UnaryOp<"Mish", "x·tanh(softplus(x))">;
def Onnx_SoftplusOp : Onnx_UnaryOp<"Softplus", "log(1 + exp(x))">;
def Onnx_SoftsignOp : Onnx_UnaryOp<"Softsign", "x / (1 + |x|)", "input", "output">;

def Onnx_GeluOp : Onnx_PureOp<"Gelu"> {
  let summary = "x·Φ(x), exact or by tanh";
  let arguments = (ins AnyTensor:$X, Onnx_StringOr<"none">:$approximate);
  let results = (outs AnyTensor:$Y);
}

def Onnx_SwishOp : Onnx_PureOp<"Swish"> {
  let summary = "x·sigmoid(alpha·x)";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1.0f">:$alpha);
  let results = (outs AnyTensor:$Y);
}

def Onnx_ThresholdedReluOp : Onnx_PureOp<"ThresholdedRelu"> {
  let summary = "x where it is above alpha, else 0";
  let arguments = (ins AnyTensor:$X, Onnx_FloatOr<"1.0f">:$alpha);
  let results = (outs AnyTensor:$Y);
}

def Onnx_ShrinkOp : Onnx_PureOp<"Shrink"> {
  let summary = "x moved by bias towards zero, 0 within lambd";
  let arguments = (ins AnyTensor:$input, Onnx_FloatOr<"0.0f">:$bias,
                       Onnx_FloatOr<"0.5f">:$lambd);
  let results = (outs AnyTensor:$output);
}

def Onnx_SoftmaxOp : Onnx_PureOp<"Softmax"> {
  let summary = "exp(x) over its sum along an axis";
  let arguments = (ins AnyTensor:$input, Onnx_IntOr<"-1">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_LogSoftmaxOp : Onnx_PureOp<"LogSoftmax"> {
  let summary = "Logarithm of Softmax";
  let arguments = (ins AnyTensor:$input, Onnx_IntOr<"-1">:$axis);
  let results = (outs AnyTensor:$output);
}

def Onnx_HardmaxOp : Onnx_PureOp<"Hardmax"> {
  let summary = "1 at the first largest element along an axis, else 0";
  let arguments = (ins AnyTensor:$input, Onnx_IntOr<"-1">:$axis);
  let results = (outs AnyTensor:$output);
}

#endif // GRAFT_ONNX_ACTIVATION_TD
