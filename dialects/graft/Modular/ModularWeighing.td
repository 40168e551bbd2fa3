//===- ModularWeighing.td - How routers mask scores and weigh what they select -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_WEIGHING_TD
#define GRAFT_MODULAR_WEIGHING_TD

include "graft/Modular/ModularSelection.td"
include "mlir/IR/EnumAttr.td"

def Modular_MaskGroupsOp : Modular_RouterStep<"mask_groups", [AllTypesMatch<["scores", "masked"]>]> {
  let summary = "Leaves only the modules of the best groups (group-limited routing)";
  let description = [{
    Modules stand in `groups` groups of equally many, in order. A group's score is the sum of its `top` greatest scores, a NaN counting as −∞. The `keep`
    groups of the greatest scores, of equal ones the lower first, keep their modules' scores; all others become −∞ (DeepSeek-V2, 2024).

    Constraints:
    - (mask_groups-C1) scores are (rows, modules), and groups divide the modules;
    - (mask_groups-C2) 1 ≤ keep ≤ groups, and 1 ≤ top ≤ modules of a group.

    Example:
    ```mlir
    %masked = modular.mask_groups %scores groups 4 keep 2 by top 2 : tensor<?x16xf32>
    ```
  }];
  let arguments = (ins Modular_Scores:$scores, I64Attr:$groups, I64Attr:$keep, I64Attr:$top);
  let results = (outs Modular_Scores:$masked);
  let assemblyFormat = "$scores `groups` $groups `keep` $keep `by` `top` $top attr-dict `:` type($scores)";
}

def Modular_Normalization : I32EnumAttr<"Normalization", "how the weights of a row's modules are brought together", [
    I32EnumAttrCase<"None", 0, "nothing">,
    I32EnumAttrCase<"Sum", 1, "sum">,
    I32EnumAttrCase<"Softmax", 2, "softmax">]> {
  let cppNamespace = "::graft::modular";
  let genSpecializedAttr = 0;
}
def Modular_NormalizationAttr : EnumAttr<Modular_Dialect, Modular_Normalization, "normalization">;

def Modular_WeighOp : Modular_RouterStep<"weigh"> {
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
}

def Modular_WeighEvenlyOp : Modular_RouterStep<"weigh_evenly"> {
  let summary = "Gives each chosen module the same weight (hard routing)";
  let description = [{
    A filled slot weighs 1, or under `shared` 1/n in a row of n filled slots; an empty slot weighs 0.

    Constraints:
    - (weigh_evenly-C1) chosen and the result are (rows, slots);
    - (weigh_evenly-C2) there is at least one module.

    Example:
    ```mlir
    %weights = modular.weigh_evenly %chosen among 8 : tensor<?x2xi64> -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins Modular_Chosen:$chosen, I64Attr:$modules, UnitAttr:$shared);
  let results = (outs Modular_Scores:$weights);
  let assemblyFormat = "$chosen `among` $modules (`shared` $shared^)? attr-dict `:` type($chosen) `->` type($weights)";
}

#endif // GRAFT_MODULAR_WEIGHING_TD
