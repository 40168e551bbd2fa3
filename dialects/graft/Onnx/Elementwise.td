//===- Elementwise.td - Elementwise arithmetic, logic and activations *- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_ELEMENTWISE_TD
#define GRAFT_ONNX_ELEMENTWISE_TD

include "graft/Onnx/OnnxBase.td"

def Onnx_AddOp : Onnx_BinaryOp<"Add", "Elementwise sum">;
def Onnx_SubOp : Onnx_BinaryOp<"Sub", "Elementwise difference">;
def Onnx_MulOp : Onnx_BinaryOp<"Mul", "Elementwise product">;
def Onnx_DivOp : Onnx_BinaryOp<"Div", "Elementwise quotient, truncated for integers">;

def Onnx_PowOp : Onnx_PureOp<"Pow"> {
  let summary = "`X` to the power of `Y`, in the type of `X`";
  let arguments = (ins AnyTensor:$X, AnyTensor:$Y);
  let results = (outs AnyTensor:$Z);
}

def Onnx_ModOp : Onnx_PureOp<"Mod"> {
  let summary = "Remainder with the sign of the divisor, or C's fmod";
  let arguments = (ins AnyTensor:$A, AnyTensor:$B, Onnx_IntOr<"0">:$fmod);
  let results = (outs AnyTensor:$C);
}

def Onnx_BitShiftOp : Onnx_PureOp<"BitShift"> {
  let summary = "Integers shifted left or right";
  let arguments = (ins AnyTensor:$X, AnyTensor:$Y, StrAttr:$direction);
  let results = (outs AnyTensor:$Z);
}

def Onnx_BitwiseAndOp : Onnx_BinaryOp<"BitwiseAnd", "Bits of both">;
def Onnx_BitwiseOrOp : Onnx_BinaryOp<"BitwiseOr", "Bits of either">;
def Onnx_BitwiseXorOp : Onnx_BinaryOp<"BitwiseXor", "Bits of exactly one">;
def Onnx_BitwiseNotOp : Onnx_UnaryOp<"BitwiseNot", "Bits inverted">;
def Onnx_AndOp : Onnx_BinaryOp<"And", "Both are true">;
def Onnx_OrOp : Onnx_BinaryOp<"Or", "Either is true">;
def Onnx_XorOp : Onnx_BinaryOp<"Xor", "Exactly one is true">;
def Onnx_NotOp : Onnx_UnaryOp<"Not", "Logical negation">;
def Onnx_EqualOp : Onnx_BinaryOp<"Equal", "Elementwise A = B">;
def Onnx_GreaterOp : Onnx_BinaryOp<"Greater", "Elementwise A > B">;
def Onnx_GreaterOrEqualOp : Onnx_BinaryOp<"GreaterOrEqual", "Elementwise A ≥ B">;
def Onnx_LessOp : Onnx_BinaryOp<"Less", "Elementwise A < B">;
def Onnx_LessOrEqualOp : Onnx_BinaryOp<"LessOrEqual", "Elementwise A ≤ B">;
def Onnx_MinOp : Onnx_VariadicOp<"Min", "Elementwise least of any number of tensors", "min">;
def Onnx_MaxOp : Onnx_VariadicOp<"Max", "Elementwise greatest of any number of tensors", "max">;
def Onnx_MeanOp : Onnx_VariadicOp<"Mean", "Elementwise mean of any number of tensors", "mean">;
def Onnx_SumOp : Onnx_VariadicOp<"Sum", "Elementwise sum of any number of tensors", "sum">;

def Onnx_WhereOp : Onnx_PureOp<"Where"> {
  let summary = "`X` where the condition holds, `Y` elsewhere";
  let arguments = (ins AnyTensor:$condition, AnyTensor:$X, AnyTensor:$Y);
  let results = (outs AnyTensor:$output);
}

def Onnx_ClipOp : Onnx_PureOp<"Clip", [AttrSizedOperandSegments]> {
  let summary = "Values limited to [min, max]";
  let arguments = (ins AnyTensor:$input, Optional<AnyTensor>:$min, Optional<AnyTensor>:$max);
  let results = (outs AnyTensor:$output);
}

def Onnx_SqrtOp : Onnx_UnaryOp<"Sqrt", "Square root">;
def Onnx_ExpOp : Onnx_UnaryOp<"Exp", "Exponential", "input", "output">;
def Onnx_LogOp : Onnx_UnaryOp<"Log", "Natural logarithm", "input", "output">;
def Onnx_ErfOp : Onnx_UnaryOp<"Erf", "Error function", "input", "output">;
def Onnx_NegOp : Onnx_UnaryOp<"Neg", "Negation">;
def Onnx_AbsOp : Onnx_UnaryOp<"Abs", "Absolute value">;
def Onnx_SignOp : Onnx_UnaryOp<"Sign", "-1, 0 or 1", "input", "output">;
def Onnx_ReciprocalOp : Onnx_UnaryOp<"Reciprocal", "1 / x">;
def Onnx_FloorOp : Onnx_UnaryOp<"Floor", "Largest integer not above">;
def Onnx_CeilOp : Onnx_UnaryOp<"Ceil", "Smallest integer not below">;
def Onnx_RoundOp : Onnx_UnaryOp<"Round", "Nearest integer, halves to even">;
def Onnx_SinOp : Onnx_UnaryOp<"Sin", "Sine", "input", "output">;
def Onnx_CosOp : Onnx_UnaryOp<"Cos", "Cosine", "input", "output">;
def Onnx_TanOp : Onnx_UnaryOp<"Tan", "Tangent", "input", "output">;
def Onnx_AsinOp : Onnx_UnaryOp<"Asin", "Inverse sine", "input", "output">;
def Onnx_AcosOp : Onnx_UnaryOp<"Acos", "Inverse cosine", "input", "output">;
def Onnx_AtanOp : Onnx_UnaryOp<"Atan", "Inverse tangent", "input", "output">;
def Onnx_SinhOp : Onnx_UnaryOp<"Sinh", "Hyperbolic sine", "input", "output">;
def Onnx_CoshOp : Onnx_UnaryOp<"Cosh", "Hyperbolic cosine", "input", "output">;
def Onnx_AsinhOp : Onnx_UnaryOp<"Asinh", "Inverse hyperbolic sine", "input", "output">;
def Onnx_AcoshOp : Onnx_UnaryOp<"Acosh", "Inverse hyperbolic cosine", "input", "output">;
def Onnx_AtanhOp : Onnx_UnaryOp<"Atanh", "Inverse hyperbolic tangent", "input", "output">;
def Onnx_IsNaNOp : Onnx_UnaryOp<"IsNaN", "Is not a number">;

def Onnx_IsInfOp : Onnx_PureOp<"IsInf"> {
  let summary = "Is infinite, of the signs asked for";
  let arguments = (ins AnyTensor:$X, Onnx_IntOr<"1">:$detect_negative,
                       Onnx_IntOr<"1">:$detect_positive);
  let results = (outs AnyTensor:$Y);
}

def Onnx_CastOp : Onnx_PureOp<"Cast"> {
  let summary = "Conversion to the result's element type";
  let arguments = (ins AnyTensor:$input, Onnx_StringOr<"up">:$round_mode,
                       Onnx_IntOr<"1">:$saturate, Onnx_Int:$to);
  let results = (outs AnyTensor:$output);
}

def Onnx_CastLikeOp : Onnx_PureOp<"CastLike"> {
  let summary = "Conversion to the element type of another tensor";
  let arguments = (ins AnyTensor:$input, AnyTensor:$target_type, Onnx_StringOr<"up">:$round_mode,
                       Onnx_IntOr<"1">:$saturate);
  let results = (outs AnyTensor:$output);
}

def Onnx_IdentityOp : Onnx_UnaryOp<"Identity", "The tensor itself", "input", "output">;

def Onnx_DropoutOp : Onnx_PureOp<"Dropout", [AttrSizedOperandSegments]> {
  let summary = "The tensor itself: dropout as inference has it";
  let arguments = (ins AnyTensor:$data, Optional<AnyTensor>:$ratio,
                       Optional<AnyTensor>:$training_mode, OptionalAttr<Onnx_Int>:$seed);
  let results = (outs AnyTensor:$output, Optional<AnyTensor>:$mask);
}

#endif // GRAFT_ONNX_ELEMENTWISE_TD
