//===- ModularAggregation.td - Bringing together what the modules of a route give -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_AGGREGATION_TD
#define GRAFT_MODULAR_AGGREGATION_TD

include "graft/Modular/ModularApplication.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/FunctionInterfaces.td"

def Modular_Aggregation : I32EnumAttr<"Aggregation", "how the results of a row's modules become one", [
    I32EnumAttrCase<"WeightedSum", 0, "weighted_sum">,
    I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"Mean", 2, "mean">,
    I32EnumAttrCase<"Concatenation", 3, "concatenation">]> {
  let cppNamespace = "::graft::modular";
  let genSpecializedAttr = 0;
}
def Modular_AggregationAttr : EnumAttr<Modular_Dialect, Modular_Aggregation, "aggregation">;

/// An op that makes one tensor of parts, which are its operand 0; a plugin's is written the same way.
class Modular_AggregateBase<string mnemonic, list<string> methods, list<Trait> traits = []>
    : Modular_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<Modular_AggregatorOpInterface, methods>], traits)>;

def Modular_AggregateOp : Modular_AggregateBase<"aggregate", ["buildSlotWeights", "buildResult"]> {
  let summary = "Brings together what the modules of each row's route gave";
  let description = [{
    Over the filled slots s of a row, in order: `Σ w_s · y_s` (`weighted_sum`), `Σ y_s` (`sum`) or `Σ y_s / n` with n filled slots (`mean`). A row
    without any gets 0. `concatenation` puts the slots' results side by side along the last dimension, 0 where a slot is empty. What is not chosen for a
    row has no effect on it, be it NaN.

    Constraints:
    - (aggregate-C1) the parts are those of a `modular.apply`;
    - (aggregate-C2) the result has the type that the parts' type has; a concatenation's last dimension, which is known, is as many times theirs as there
      are slots.

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

def Modular_AggregateAttentionOp : Modular_AggregateBase<"aggregate_attention", ["buildResult"]> {
  let summary = "Attends from each row to what its modules gave (AdapterFusion)";
  let description = [{
    `Σ_s a_s · (y_s · Vᵀ)` over the filled slots s, with `a = softmax_s(scale · (x · Qᵀ) · (y_s · Kᵀ))` and x the row of `query`; weights are (out, in),
    and without V the slots' results are summed as they are (Pfeiffer et al., *AdapterFusion*, 2021). A row without a filled slot gets 0.

    Constraints:
    - (aggregate_attention-C1) the parts are those of a `modular.apply`, of rank 2, and the result has their rows;
    - (aggregate_attention-C2) Q is (k, width of the query), K is (k, width of the parts), V is (width of the result, width of the parts).

    Example:
    ```mlir
    %y = modular.aggregate_attention %p from %x by %Q, %K, %V scale 1.0 : !modular.parts<tensor<?x4xf32>>, tensor<?x4xf32>,
      tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins Modular_PartsType:$parts, AnyRankedTensor:$query, AnyRankedTensor:$Q, AnyRankedTensor:$K, Optional<AnyRankedTensor>:$V,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $parts `from` $query `by` $Q `,` $K (`,` $V^)? (`scale` $scale^)? attr-dict `:` qualified(type($parts)) `,` type($query) `,` type($Q) `,` type($K)
    (`,` type($V)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Modular_AggregatorOp : Modular_Op<"aggregator", [IsolatedFromAbove, FunctionOpInterface]> {
  let summary = "An aggregator of one's own: any function of what the slots hold";
  let description = [{
    A function of the slots' results, (rows, slots, …), 0 in a slot that is empty, of what is chosen, (rows, slots), −1 in a slot that is empty, of its
    weights, (rows, slots), and of whatever else `modular.aggregate_by` gives it.

    Constraints:
    - (aggregator-C1) the first arguments are tensors of (rows, slots, …), (rows, slots) of i64 and (rows, slots) of a float type, of as many slots;
    - (aggregator-C2) the body is one block that ends in a `modular.yield` of the one result.

    Example:
    ```mlir
    modular.aggregator @greatest(%slots: tensor<?x2x4xf32>, %chosen: tensor<?x2xi64>, %weights: tensor<?x2xf32>) -> tensor<?x4xf32> {
      %axes = onnx.Constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
      %y = onnx.ReduceMax %slots, %axes {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
      modular.yield %y : tensor<?x4xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type, OptionalAttr<StrAttr>:$sym_visibility,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::mlir::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
  }];
}

def Modular_AggregateByOp : Modular_Op<"aggregate_by", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Brings together what the modules gave by an aggregator of one's own";
  let description = [{
    What the aggregator makes of the slots, of what is chosen, of its weights and of `inputs`.

    Constraints:
    - (aggregate_by-C1) the parts are those of a `modular.apply`;
    - (aggregate_by-C2) `aggregator` names a `modular.aggregator`, whose arguments and result have the types of what it is given and of the result, `?`
      fitting any size.

    Example:
    ```mlir
    %y = modular.aggregate_by @greatest %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$aggregator, Modular_PartsType:$parts, Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $aggregator $parts (`with` $inputs^)? attr-dict `:` qualified(type($parts)) (`,` type($inputs)^)? `->` type($result)
  }];
  let hasVerifier = 1;
}

def Modular_CollectOp : Modular_Op<"collect", [Pure]> {
  let summary = "What is in each slot of each row, as a tensor";
  let description = [{
    (rows, slots, …) with the result of the module in that slot, 0 where a slot is empty. An aggregator that is no weighted sum becomes a function of it when
    modules are inlined.

    Constraints:
    - (collect-C1) the parts are those of a `modular.apply`;
    - (collect-C2) the result has the parts' type with the slots as dimension 1.

    Example:
    ```mlir
    %s = modular.collect %p : !modular.parts<tensor<?x4xf32>> -> tensor<?x2x4xf32>
    ```
  }];
  let arguments = (ins Modular_PartsType:$parts);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$parts attr-dict `:` qualified(type($parts)) `->` type($result)";
  let hasVerifier = 1;
}

#endif // GRAFT_MODULAR_AGGREGATION_TD
