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
}

class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits>;

#endif // GRAFT_ONNX_DIALECT_TD
