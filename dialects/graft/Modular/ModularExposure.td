//===- ModularExposure.td - What the host sees of routes -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_EXPOSURE_TD
#define GRAFT_MODULAR_EXPOSURE_TD

include "graft/Modular/ModularRouters.td"

def Modular_ExposeOp : Modular_Op<"expose", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Shows a route to the host, which may change it";
  let description = [{
    Stands on the route of router `router`, the library's router `number`, when the router's body is inlined. The results are what the host leaves of the
    operands: themselves, unless a run gives routes. Where the weights are computed from what is chosen there is one on that before they are, so
    that routes that are given are weighed by the router, or, where a capacity empties slots of it afterwards, so that the host knows whose the weights
    were; the one with `weights` is the last word. One that is `fixed` shows what is compiled in: no host may change it, and it stays although nothing reads its results.

    Constraints:
    - (expose-C1) the operands are (rows, slots), and there is a result for each, of its type.

    Example:
    ```mlir
    %c, %w = modular.expose 0 "gate"(%chosen, %weights) : (tensor<?x2xi64>, tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins I64Attr:$number, StrAttr:$router, Modular_Chosen:$chosen, Optional<Modular_Scores>:$weights, UnitAttr:$fixed);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "(`fixed` $fixed^)? $number $router `(` operands `)` attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_EXPOSURE_TD
