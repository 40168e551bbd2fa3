//===- DispatchExchange.td - What the host sees and may change ----------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_EXCHANGE_TD
#define GRAFT_DISPATCH_EXCHANGE_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_ExchangeOp : Dispatch_Op<"exchange", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Lets the host see a route, and change it";
  let description = [{
    Router `number`'s route: what is chosen, and, once they are known, with which weights. The results are the operands as the host leaves them; as
    buffers they are changed in place. A host that does not look costs the load of a pointer. One that is
    `fixed` only shows, and stays although nothing reads its results.

    1. (exchange-C1) chosen and the weights have rank 2 and the same shape
    2. (exchange-C2) on tensors there is a result for each operand, of its type, and none on buffers
    3. (exchange-C3) the number is not negative

    Example:
    ```mlir
    %chosen, %weights = dispatch.exchange 0(%c, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins I64Attr:$number, Dispatch_KeyShaped:$chosen, Optional<Dispatch_FloatShaped>:$weights, UnitAttr:$fixed);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "(`fixed` $fixed^)? $number `(` operands `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // GRAFT_DISPATCH_EXCHANGE_TD
