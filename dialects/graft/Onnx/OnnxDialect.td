//===- OnnxDialect.td - The onnx dialect ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_ONNX_DIALECT_TD
#define GRAFT_ONNX_DIALECT_TD

include "mlir/IR/OpBase.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::graft::onnx";
  let summary = "The imported backbone, op by op as ONNX names them";
  let description = [{
    The ops of the standard that have a lowering or a fold, with the semantics of its newest opset: the importer converts
    older models. Other ops of ONNX are unregistered ops of this dialect; they print and parse, and lowering refuses them.
  }];
  let hasConstantMaterializer = 1;
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

#endif // GRAFT_ONNX_DIALECT_TD
