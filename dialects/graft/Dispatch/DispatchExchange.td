//===- DispatchExchange.td - What the host sees and may change ----------*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_DISPATCH_EXCHANGE_TD
#define GRAFT_DISPATCH_EXCHANGE_TD

include "graft/Dispatch/DispatchDialect.td"

def Dispatch_ExchangeOp : Dispatch_Op<"exchange", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Lets the host see a route, and change it";
  let description = [{
    Router `number`'s route: what is chosen, and, once they are known, with which weights. The results are the operands as the host leaves them; as
    buffers they are changed in place. A host that does not look costs the load of a pointer. One that is
    `fixed` only shows, and stays although nothing reads its results.

    Within a module `places` says which row of the route around it each of the rows that came to the module is, or −1 where it is there but
    does not take the module, and `total` how many rows that route has, counting those that do not come to it either. The router has as many
    rows for each of them.

    1. (exchange-C1) chosen and the weights have rank 2 and the same shape
    2. (exchange-C2) on tensors there is a result for each of chosen and weights, of its type, and none on buffers
    3. (exchange-C3) the number is not negative
    4. (exchange-C4) places have rank 1, and there is a total where there are places

    Example:
    ```mlir
    %chosen, %weights = dispatch.exchange 0(%c, %w) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
    %inner = dispatch.exchange 1(%d) at %places of %n : (tensor<?x1xi64>, tensor<?xi64>, index) -> tensor<?x1xi64>
    ```
  }];
  let arguments = (ins I64Attr:$number, Dispatch_KeyShaped:$chosen, Optional<Dispatch_FloatShaped>:$weights, Optional<Dispatch_KeyShaped>:$places,
                       Optional<Index>:$total, UnitAttr:$fixed);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    (`fixed` $fixed^)? $number `(` $chosen (`,` $weights^)? `)` (`at` $places^ `of` $total)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// Chosen and the weights, if they are there.
    mlir::SmallVector<mlir::OpOperand *> getRouteOperands();
  }];
  let hasVerifier = 1;
}

#endif // GRAFT_DISPATCH_EXCHANGE_TD
