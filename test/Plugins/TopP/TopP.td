//===- TopP.td - A router that takes as many modules as it needs -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

include "graft/Modular/ModularInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def TopP_Dialect : Dialect {
  let name = "topp";
  let cppNamespace = "::topp";
}

def TopP_SelectOp : Op<TopP_Dialect, "select", [Pure, InferTypeOpAdaptor,
    DeclareOpInterfaceMethods<Modular_RouterStepOpInterface>]> {
  let summary = "Chooses the fewest modules whose shares reach p together, and no more than most";
  let description = [{
    Shares are the softmax of a row's scores. The modules of the greatest shares are taken, the greatest first, until their sum is at least `p` or there
    are `most`; the slots behind them stay empty (Huang et al., *Harder Tasks Need More Experts*, 2024).
  }];
  let arguments = (ins F64Attr:$p, I64Attr:$most, RankedTensorOf<[AnyFloat]>:$scores);
  let results = (outs RankedTensorOf<[I64]>:$chosen);
  let assemblyFormat = "$p `at` `most` $most `of` $scores attr-dict `:` type($scores)";
  let hasVerifier = 1;
}
