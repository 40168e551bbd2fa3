//===- ModularApplication.td - Applying the modules of a route -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_APPLICATION_TD
#define GRAFT_MODULAR_APPLICATION_TD

include "graft/Modular/ModularRouters.td"

def Modular_ApplyOp : Modular_Op<"apply", [RecursiveMemoryEffects, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Function composition: the modules of each row's route on that row";
  let description = [{
    `f_i(x)` for the modules i of a route and no others. `modules` has a module for each of the router's names, in order. Where the modules are
    inlined there is a region for each instead, which may use the values around it.

    Constraints:
    - (apply-C1) the route is one per row, and there is a module, or a region, for each of its modules;
    - (apply-C2) each of `modules` names a module that composes functions;
    - (apply-C3) each module or region takes the inputs, dimension 0 being the rows that it is chosen for, and gives one tensor of
      the type in the result's, `?` fitting any size.

    Example:
    ```mlir
    %p = modular.apply %r [@e0, @e1, @e2](%x) : !modular.route<3, 2>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
    ```
  }];
  let arguments = (ins Modular_RouteType:$route, Variadic<AnyRankedTensor>:$inputs,
                       DefaultValuedAttr<TypedArrayAttrBase<FlatSymbolRefAttr, "modules">, "{}">:$modules);
  let results = (outs Modular_PartsType:$parts);
  let regions = (region VariadicRegion<SizedRegion<1>>:$bodies);
  let assemblyFormat = [{
    $route $modules `(` $inputs `)` attr-dict `:` qualified(type($route)) `,` `(` type($inputs) `)` `->` qualified(type($parts)) $bodies
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether the modules are regions of the op.
    bool isInlined() { return !getBodies().empty(); }
  }];
}

#endif // GRAFT_MODULAR_APPLICATION_TD
