//===- DispatchDialect.td - The dispatch dialect ------------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_DIALECT_TD
#define GRAFT_DISPATCH_DIALECT_TD

include "mlir/IR/OpBase.td"

def Dispatch_Dialect : Dialect {
  let name = "dispatch";
  let cppNamespace = "::graft::dispatch";
  let summary = "Operations with kernels of their own, on tensors or memrefs";
}

class Dispatch_Op<string mnemonic, list<Trait> traits = []> : Op<Dispatch_Dialect, mnemonic, traits>;

#endif // GRAFT_DISPATCH_DIALECT_TD
