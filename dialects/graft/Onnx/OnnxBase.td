//===- OnnxBase.td - Base classes of the onnx dialect's ops ------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_BASE_TD
#define GRAFT_ONNX_BASE_TD

include "graft/Onnx/OnnxDialect.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// ONNX's INT is a signed 64-bit integer.
def Onnx_Int : TypedSignlessIntegerAttrBase<I<64>, "int64_t", "64-bit integer attribute">;
class Onnx_IntOr<string value> : DefaultValuedAttr<Onnx_Int, value>;
class Onnx_FloatOr<string value> : DefaultValuedAttr<F32Attr, value>;
class Onnx_StringOr<string value> : DefaultValuedStrAttr<StrAttr, value>;
def Onnx_Ints : OptionalAttr<I64ArrayAttr>;
def Onnx_Floats : OptionalAttr<F32ArrayAttr>;
def Onnx_Strings : OptionalAttr<StrArrayAttr>;

/// An op of the standard, under its name there. Operands and results have ONNX's names and order; an
/// optional one that is left out is absent, not none. An op with more than one that is optional or
/// variadic has segment sizes.
class Onnx_StandardOp<string mnemonic, list<Trait> traits = []> : Onnx_Op<mnemonic, traits> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

class Onnx_PureOp<string mnemonic, list<Trait> traits = []>
    : Onnx_StandardOp<mnemonic, !listconcat(traits, [Pure])>;

class Onnx_UnaryOp<string mnemonic, string text, string operand = "X", string result = "Y">
    : Onnx_PureOp<mnemonic> {
  let summary = text;
  let arguments = !dag(ins, [AnyTensor], [operand]);
  let results = !dag(outs, [AnyTensor], [result]);
}

/// Both operands broadcast to a common shape.
class Onnx_BinaryOp<string mnemonic, string text> : Onnx_PureOp<mnemonic> {
  let summary = text;
  let arguments = (ins AnyTensor:$A, AnyTensor:$B);
  let results = (outs AnyTensor:$C);
}

/// All operands broadcast to a common shape.
class Onnx_VariadicOp<string mnemonic, string text, string result> : Onnx_PureOp<mnemonic> {
  let summary = text;
  let arguments = (ins Variadic<AnyTensor>:$data_0);
  let results = !dag(outs, [AnyTensor], [result]);
}

#endif // GRAFT_ONNX_BASE_TD
