//===- ModularRouters.td - Routers, routes and tasks -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_ROUTERS_TD
#define GRAFT_MODULAR_ROUTERS_TD

include "graft/Modular/ModularDialect.td"
include "graft/Modular/ModularInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Modular_Chosen : RankedTensorOf<[I64]>;
def Modular_Scores : RankedTensorOf<[AnyFloat]>;

def Modular_RouterOp : Modular_Op<"router", [Symbol, IsolatedFromAbove, DeclareOpInterfaceMethods<Modular_RouterOpInterface>]> {
  let summary = "Chooses among modules, by the task or row by row";
  let description = [{
    Declares what is chosen among. A router that is *fixed by task* answers what the task says (`modular.task`), the same for each row: a
    task or language id in the survey's words. Any other has a body, which makes of its arguments, whose dimension 0 is the rows, a route for each row:
    what is chosen, (rows, slots), the number of a module or −1 where the slot stays empty, and with which weights, (rows, slots). The two are
    separate values: the scores that select need not be the scores that weigh.

    Constraints:
    - (router-C1) the names in `modules` are distinct and not empty;
    - (router-C2) a body ends in `modular.yield` of two tensors of rank 2, one of i64 and one of a float type, of as many slots, at least 1, and of
      rows that may be the same number.

    Example:
    ```mlir
    modular.router @adapters fixed by task over ["topic", "lang"]
    modular.router @gate(%x: tensor<?x4xf32>) over ["e0", "e1", "e2"] {
      %chosen = modular.select_top 2 of %x : tensor<?x4xf32> -> tensor<?x2xi64>
      %weights = modular.weigh %chosen by %x normalized by softmax : tensor<?x2xi64>, tensor<?x4xf32> -> tensor<?x2xf32>
      modular.yield %chosen, %weights : tensor<?x2xi64>, tensor<?x2xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrArrayAttr:$modules);
  let regions = (region MaxSizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the task decides: there is no body.
    bool isFixedByTask() { return getBody().empty(); }
  }];
}

def Modular_RouteOp : Modular_Op<"route", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Asks a router";
  let description = [{
    The route as a value: a constant where the router is fixed by task, once the task is known; for each row one where it has a body.

    Constraints:
    - (route-C1) `router` names a router;
    - (route-C2) the type has the router's number of modules, and the slots that its body yields;
    - (route-C3) the operands are what the router's body takes, `?` fitting any size.

    Example:
    ```mlir
    %r = modular.route @adapters : !modular.route<2>
    %g = modular.route @gate(%x) : (tensor<?x4xf32>) -> !modular.route<3, 2>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$router, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs Modular_RouteType:$result);
  let hasCustomAssemblyFormat = 1;
}

def Modular_RouteOfOp : Modular_Op<"route_of", [Pure]> {
  let summary = "A route from what is chosen and with which weights";
  let description = [{
    What a `modular.route` becomes when its router's body is inlined; also the route that a model is given as an input. A number outside
    [0, modules) leaves its slot empty.

    Constraints:
    - (route_of-C1) both operands are (rows, slots), with the slots of the result's type.

    Example:
    ```mlir
    %r = modular.route_of %chosen, %weights : tensor<?x2xi64>, tensor<?x2xf32> -> !modular.route<3, 2>
    ```
  }];
  let arguments = (ins Modular_Chosen:$chosen, Modular_Scores:$weights);
  let results = (outs Modular_RouteType:$result);
  let assemblyFormat = "$chosen `,` $weights attr-dict `:` type($chosen) `,` type($weights) `->` qualified(type($result))";
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_ROUTERS_TD
