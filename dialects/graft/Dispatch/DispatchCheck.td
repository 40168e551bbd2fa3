//===- DispatchCheck.td - What must hold at run time --------------------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_CHECK_TD
#define GRAFT_DISPATCH_CHECK_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_CheckOp : Dispatch_Op<"check", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Reports a failure to the host unless a condition holds";
  let description = [{
    The first failure of a run sticks and becomes the run's error. At the top of a function it ends the run: what follows may rely on it.
    Within a loop or a branch execution goes on, and what follows must be safe (indices clamped) all the same.

    1. (check-C1) the message is not empty

    Example: `dispatch.check %inside, "Gather: index out of range"`
  }];
  let arguments = (ins I1:$condition, StrAttr:$message);
  let assemblyFormat = "$condition `,` $message attr-dict";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

#endif // GRAFT_DISPATCH_CHECK_TD
