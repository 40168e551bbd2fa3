//===- ModularParameters.td - Frozen parameters, the sites that use them, and adapts -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_PARAMETERS_TD
#define GRAFT_MODULAR_PARAMETERS_TD

include "graft/Modular/ModularDialect.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Modular_ParameterOp : Modular_Op<"parameter", [Symbol]> {
  let summary = "A named constant tensor: frozen, or one of a module's own";
  let description = [{
    Declares the parameter `θ` of a sub-function of the backbone, or `φ` of a module. Its bytes are never written at run time.

    Constraints:
    - (parameter-C1) the type of `value` is a ranked tensor of static shape.

    Example:
    ```mlir
    modular.parameter @query.weight = #modular.weight<"query.weight"> : tensor<384x384xf32>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypedAttrInterface:$value);
  let assemblyFormat = "$sym_name `=` $value attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getType() { return ::llvm::cast<::mlir::RankedTensorType>(getValue().getType()); }
  }];
}

def Modular_SiteOp : Modular_Op<"site", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "One use of a frozen parameter, where modules may enter";
  let description = [{
    A site is a use, not a parameter: exporters merge, tie and transpose weights, so that one parameter may have several sites. `path` is the
    module path of the use in the model that was exported, with the parameter's role at its end. Modules see the parameter in its canonical form:
    a matrix is (out, in), whatever its use; a parameter of rank 3 and more is (dim 0, product of the others). `transposed` says that
    the stored matrix is (in, out).

    Constraints:
    - (site-C1) `parameter` names a `modular.parameter`;
    - (site-C2) the result has the parameter's type;
    - (site-C3) only a matrix is `transposed`.

    Example:
    ```mlir
    %w = modular.site "layer.0.attention.query.weight" of @query.weight transposed : tensor<384x384xf32>
    ```
  }];
  let arguments = (ins StrAttr:$path, FlatSymbolRefAttr:$parameter, UnitAttr:$transposed);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$path `of` $parameter (`transposed` $transposed^)? attr-dict `:` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The type that modules see: see the description of the op.
    ::mlir::RankedTensorType getCanonicalType() {
      return ::graft::modular::getCanonicalType(getResult().getType(), getTransposed());
    }
  }];
}

def Modular_AdaptOp : Modular_Op<"adapt", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Parameter composition: a site's parameter with the modules of a route";
  let description = [{
    `θ ⊕ φ`: the value of `site` after the modules that `route` takes. `modules` says, by the router's names, which module enters here; a name
    that is absent leaves this site as it is. Modules that add do so to the site's own value, in any order; at most one module of a route may
    replace it, and enters first. Folding evaluates this op for a route that is known; keeping a side branch distributes it over its use.

    Constraints:
    - (adapt-C1) `route` comes from a `modular.route`, and each key of `modules` is one of its router's names;
    - (adapt-C2) each value of `modules` names a module that composes parameters;
    - (adapt-C3) a module's argument has the site's canonical type, its result the canonical type of this op's result, `?` fitting any size.

    Example:
    ```mlir
    %W = modular.adapt %w with %r {topic = @topic.layer.0.attention.query} : tensor<384x384xf32>, !modular.route<2> to tensor<384x384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$site, Modular_RouteType:$route, DictionaryAttr:$modules);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$site `with` $route $modules attr-dict `:` type($site) `,` qualified(type($route)) `to` type($result)";
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_PARAMETERS_TD
