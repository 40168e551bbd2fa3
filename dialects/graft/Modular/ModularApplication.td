//===- ModularApplication.td - Applying the modules of a route and bringing together what they give -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_APPLICATION_TD
#define GRAFT_MODULAR_APPLICATION_TD

include "graft/Modular/ModularRouters.td"
include "mlir/IR/EnumAttr.td"

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

def Modular_Aggregation : I32EnumAttr<"Aggregation", "how the results of a row's modules become one", [
    I32EnumAttrCase<"WeightedSum", 0, "weighted_sum">,
    I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"Mean", 2, "mean">]> {
  let cppNamespace = "::graft::modular";
  let genSpecializedAttr = 0;
}
def Modular_AggregationAttr : EnumAttr<Modular_Dialect, Modular_Aggregation, "aggregation">;

def Modular_AggregateOp : Modular_Op<"aggregate", [Pure, DeclareOpInterfaceMethods<Modular_AggregatorOpInterface>]> {
  let summary = "Brings together what the modules of each row's route gave";
  let description = [{
    Over the filled slots s of a row, in order: `Σ w_s · y_s` (`weighted_sum`), `Σ y_s` (`sum`) or `Σ y_s / n` with n filled slots (`mean`). A row
    without any gets 0. What is not chosen for a row has no effect on it, be it NaN.

    Constraints:
    - (aggregate-C1) the parts are those of a `modular.apply`;
    - (aggregate-C2) the result has the type that the parts' type has.

    Example:
    ```mlir
    %y = modular.aggregate weighted_sum %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins Modular_AggregationAttr:$aggregation, Modular_PartsType:$parts);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "`` $aggregation $parts attr-dict `:` qualified(type($parts)) `->` type($result)";
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_APPLICATION_TD
