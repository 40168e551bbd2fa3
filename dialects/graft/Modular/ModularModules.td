//===- ModularModules.td - Modules and the steps of parameter composition -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_MODULES_TD
#define GRAFT_MODULAR_MODULES_TD

include "graft/Modular/ModularDialect.td"
include "graft/Modular/ModularInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Modular_Composition : I32EnumAttr<"Composition", "how a module enters a sub-function", [
    I32EnumAttrCase<"Parameter", 0, "parameter">,
    I32EnumAttrCase<"Input", 1, "input">,
    I32EnumAttrCase<"Function", 2, "function">]> {
  let cppNamespace = "::graft::modular";
  let genSpecializedAttr = 0;
}
def Modular_CompositionAttr : EnumAttr<Modular_Dialect, Modular_Composition, "composition">;

def Modular_ModuleOp : Modular_Op<"module", [IsolatedFromAbove, FunctionOpInterface,
    DeclareOpInterfaceMethods<Modular_ModuleOpInterface, ["collectParameters", "replacesParameter"]>]> {
  let summary = "A module: what its parameters make of what it is given";
  let description = [{
    A function with parameters of its own. Under parameter composition it takes a parameter in canonical form and yields it adapted; under
    input and function composition it takes and yields activations, and its body may be any ops.

    Constraints:
    - (module-C1) the body is one block that ends in `modular.yield` of the function's result types;
    - (module-C2) under parameter composition there are one argument and one result, both ranked tensors, and each op before the yield is a step of
      parameter composition whose first operand is what the step before it gave.

    Example:
    ```mlir
    modular.module @topic.query parameter(%w: tensor<384x384xf32>) -> tensor<384x384xf32> {
      %0 = modular.low_rank %w, @topic.query.A, @topic.query.B scale 2.0 : tensor<384x384xf32>
      modular.yield %0 : tensor<384x384xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Modular_CompositionAttr:$composition, TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<StrAttr>:$sym_visibility, OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::mlir::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
  }];
}

def Modular_YieldOp : Modular_Op<"yield", [Pure, Terminator, ParentOneOf<["ModuleOp", "RouterOp", "ApplyOp", "AggregatorOp"]>]> {
  let summary = "Ends the body of a module, a router or an aggregator";
  let description = "Hands the results to whoever applies the module or asks the router. Example: `modular.yield %0 : tensor<384x384xf32>`";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

class Modular_CompositionStep<string mnemonic, list<string> overridden = [], list<Trait> traits = []>
    : Modular_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
        DeclareOpInterfaceMethods<Modular_ParameterCompositionOpInterface, overridden>], traits)>;

def Modular_LowRankOp : Modular_CompositionStep<"low_rank", [], [AllTypesMatch<["parameter", "result"]>]> {
  let summary = "Adds a scaled product of two thin matrices (LoRA)";
  let description = [{
    `θ + s·B·A` with `A` of (rank, in) and `B` of (out, rank) (Hu et al., *LoRA*, 2021). With a `magnitude` m of (out), the rows of the sum are
    brought to that length: `diag(m / ‖θ + s·B·A‖) · (θ + s·B·A)` (Liu et al., *DoRA*, 2024).

    Constraints:
    - (low_rank-C1) `down` and `up` (and `magnitude`) name parameters;
    - (low_rank-C2) for a canonical parameter of (out, in), `down` is (rank, in), `up` (out, rank), `magnitude` (out).

    Example:
    ```mlir
    %0 = modular.low_rank %w, @A, @B scale 2.0 magnitude @m : tensor<384x384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$parameter, FlatSymbolRefAttr:$down, FlatSymbolRefAttr:$up, F64Attr:$scale,
                       OptionalAttr<FlatSymbolRefAttr>:$magnitude);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$parameter `,` $down `,` $up `scale` $scale (`magnitude` $magnitude^)? attr-dict `:` type($result)";
}

def Modular_DeltaOp : Modular_CompositionStep<"delta", [], [AllTypesMatch<["parameter", "result"]>]> {
  let summary = "Adds a scaled tensor of the parameter's own shape";
  let description = [{
    `θ + s·Δ`. A task vector, or the bias that a LoRA's second matrix may have.

    Constraints:
    - (delta-C1) `value` names a parameter with as many elements as the result.

    Example:
    ```mlir
    %0 = modular.delta %b, @lora_bias scale 2.0 : tensor<384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$parameter, FlatSymbolRefAttr:$value, F64Attr:$scale);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$parameter `,` $value `scale` $scale attr-dict `:` type($result)";
}

def Modular_ReplaceOp : Modular_CompositionStep<"replace"> {
  let summary = "Takes another tensor in the parameter's place";
  let description = [{
    `φ`, whatever `θ` was: a trained bias, a norm, or a head of another size (PEFT's `modules_to_save`).

    Constraints:
    - (replace-C1) `value` names a parameter with as many elements as the result.

    Example:
    ```mlir
    %0 = modular.replace %w, @classifier.weight : tensor<2x384xf32> to tensor<9x384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$parameter, FlatSymbolRefAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$parameter `,` $value attr-dict `:` type($parameter) `to` type($result)";
}

def Modular_ReplaceColumnsOp : Modular_CompositionStep<"replace_columns", [], [AllTypesMatch<["parameter", "result"]>]> {
  let summary = "Takes other values for some inputs of a matrix";
  let description = [{
    Column `indices[i]` of the canonical (out, in) matrix becomes row i of `values`, which is (indices, out): for an embedding, whose canonical
    form is (dimension, vocabulary), the trained vectors of some tokens (PEFT's trainable tokens).

    Constraints:
    - (replace_columns-C1) the parameter is a matrix (out, in) and `values` names a parameter of (size of `indices`, out);
    - (replace_columns-C2) indices are distinct and lie in [0, in).

    Example:
    ```mlir
    %0 = modular.replace_columns %w, @tokens at [3, 17] : tensor<384x30522xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$parameter, FlatSymbolRefAttr:$values, DenseI64ArrayAttr:$indices);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$parameter `,` $values `at` $indices attr-dict `:` type($result)";
}

#endif // GRAFT_MODULAR_MODULES_TD
