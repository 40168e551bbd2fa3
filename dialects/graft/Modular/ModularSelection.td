//===- ModularSelection.td - What a router is made of: selecting and weighing -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_SELECTION_TD
#define GRAFT_MODULAR_SELECTION_TD

include "graft/Modular/ModularRouters.td"
include "mlir/IR/EnumAttr.td"

/// An op that chooses modules by scores; a plugin's is written the same way.
class Modular_SelectOp<string mnemonic> : Modular_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<Modular_SelectionOpInterface>]>;

def Modular_SelectTopOp : Modular_SelectOp<"select_top"> {
  let summary = "Chooses the modules with the greatest scores";
  let description = [{
    The `count` modules of the greatest scores, the greatest first; of equal scores the lower number first. A NaN counts as less than any number.

    Constraints:
    - (select_top-C1) scores are (rows, modules), the result is (rows, count);
    - (select_top-C2) 1 ≤ count ≤ modules.

    Example:
    ```mlir
    %chosen = modular.select_top 2 of %scores : tensor<?x8xf32> -> tensor<?x2xi64>
    ```
  }];
  let arguments = (ins I64Attr:$count, Modular_Scores:$scores);
  let results = (outs Modular_Chosen:$chosen);
  let assemblyFormat = "$count `of` $scores attr-dict `:` type($scores) `->` type($chosen)";
  let hasVerifier = 1;
}

def Modular_SelectAllOp : Modular_SelectOp<"select_all"> {
  let summary = "Chooses every module for every row (soft routing)";
  let description = [{
    Slot i holds module i: what is left to decide are the weights.

    Constraints:
    - (select_all-C1) scores and result are (rows, modules).

    Example:
    ```mlir
    %chosen = modular.select_all of %scores : tensor<?x8xf32> -> tensor<?x8xi64>
    ```
  }];
  let arguments = (ins Modular_Scores:$scores);
  let results = (outs Modular_Chosen:$chosen);
  let assemblyFormat = "`of` $scores attr-dict `:` type($scores) `->` type($chosen)";
  let hasVerifier = 1;
}

def Modular_Normalization : I32EnumAttr<"Normalization", "how the weights of a row's modules are brought together", [
    I32EnumAttrCase<"None", 0, "nothing">,
    I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"Softmax", 2, "softmax">]> {
  let cppNamespace = "::graft::modular";
  let genSpecializedAttr = 0;
}
def Modular_NormalizationAttr : EnumAttr<Modular_Dialect, Modular_Normalization, "normalization">;

def Modular_WeighOp : Modular_Op<"weigh", [Pure]> {
  let summary = "Gives the chosen modules their weights";
  let description = [{
    The scores of the modules chosen, normalised over a row's filled slots: by `nothing`, by their `sum` or by `softmax`. An empty slot
    weighs 0. The scores need not be those that selected.

    Constraints:
    - (weigh-C1) chosen and the result are (rows, slots), scores (rows, modules).

    Example:
    ```mlir
    %weights = modular.weigh %chosen by %scores normalized by sum : tensor<?x2xi64>, tensor<?x8xf32> -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins Modular_Chosen:$chosen, Modular_Scores:$scores, Modular_NormalizationAttr:$normalization);
  let results = (outs Modular_Scores:$weights);
  let assemblyFormat = [{
    $chosen `by` $scores `normalized` `by` `` $normalization attr-dict `:` type($chosen) `,` type($scores) `->` type($weights)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Builds the op out of ops of the `onnx` dialect; the values stand for its operands.
    ::mlir::Value buildWeights(::mlir::OpBuilder &builder, ::mlir::Value chosen, ::mlir::Value scores);
  }];
}

#endif // GRAFT_MODULAR_SELECTION_TD
