//===- ModularSelection.td - How routers select -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_SELECTION_TD
#define GRAFT_MODULAR_SELECTION_TD

include "graft/Modular/ModularRouters.td"

/// A step of a router; a plugin's is written the same way.
class Modular_RouterStep<string mnemonic, list<Trait> traits = []>
    : Modular_Op<mnemonic, !listconcat([Pure, DeclareOpInterfaceMethods<Modular_RouterStepOpInterface>], traits)> {
  let hasVerifier = 1;
}

def Modular_SelectTopOp : Modular_RouterStep<"select_top"> {
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
}

def Modular_SelectAllOp : Modular_RouterStep<"select_all"> {
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
}

def Modular_SelectAboveOp : Modular_RouterStep<"select_above"> {
  let summary = "Chooses the modules whose score is above a threshold";
  let description = [{
    Slot i holds module i if its score is greater than `threshold`, and stays empty otherwise: as many modules as pass, differing from row to row. A NaN does
    not pass.

    Constraints:
    - (select_above-C1) scores and result are (rows, modules);
    - (select_above-C2) the threshold is no NaN.

    Example:
    ```mlir
    %chosen = modular.select_above 5.000000e-01 of %scores : tensor<?x8xf32> -> tensor<?x8xi64>
    ```
  }];
  let arguments = (ins F64Attr:$threshold, Modular_Scores:$scores);
  let results = (outs Modular_Chosen:$chosen);
  let assemblyFormat = "$threshold `of` $scores attr-dict `:` type($scores) `->` type($chosen)";
}

def Modular_SelectHashOp : Modular_RouterStep<"select_hash"> {
  let summary = "Chooses a module by a hash of each row's number";
  let description = [{
    `((48271 · id + seed) mod (2³¹ − 1)) mod modules`, remainders not negative: a fixed assignment of token or user ids (Roller et al., *Hash Layers*,
    2021). The id is taken modulo 2³¹ − 1 first, as the seed is.

    Constraints:
    - (select_hash-C1) ids are (rows), the result is (rows, 1);
    - (select_hash-C2) there is at least one module.

    Example:
    ```mlir
    %chosen = modular.select_hash 7 of %ids among 8 : tensor<?xi64> -> tensor<?x1xi64>
    ```
  }];
  let arguments = (ins I64Attr:$seed, Modular_Chosen:$ids, I64Attr:$modules);
  let results = (outs Modular_Chosen:$chosen);
  let assemblyFormat = "$seed `of` $ids `among` $modules attr-dict `:` type($ids) `->` type($chosen)";
}

def Modular_SelectRowsOp : Modular_RouterStep<"select_rows"> {
  let summary = "Lets each module choose its rows (expert choice)";
  let description = [{
    Each module takes the rows of its greatest scores, of equal scores the lower row, a NaN counting as less than any number: `count` rows, or
    `⌈factor · rows / modules⌉`, and never more than there are (Zhou et al., *Mixture-of-Experts with Expert Choice Routing*, 2022). Slot i of a row holds
    module i if that chose the row. A row's route depends on the other rows. A factor is taken to six decimals.

    Constraints:
    - (select_rows-C1) scores and result are (rows, modules);
    - (select_rows-C2) there is either a count from 1 to 2²⁴, or a factor of at least 0.000001 and at most the number of modules.

    Example:
    ```mlir
    %chosen = modular.select_rows factor 2.000000e+00 of %scores : tensor<?x8xf32> -> tensor<?x8xi64>
    %other = modular.select_rows count 4 of %scores : tensor<?x8xf32> -> tensor<?x8xi64>
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$count, OptionalAttr<F64Attr>:$factor, Modular_Scores:$scores);
  let results = (outs Modular_Chosen:$chosen);
  let assemblyFormat = "(`count` $count^)? (`factor` $factor^)? `of` $scores attr-dict `:` type($scores) `->` type($chosen)";
}

def Modular_LimitOp : Modular_RouterStep<"limit", [AllTypesMatch<["chosen", "kept"]>]> {
  let summary = "Empties the slots that go beyond a module's capacity";
  let description = [{
    A module keeps the first `count` slots that hold it, or the first `⌈factor · rows · slots / modules⌉`; the others are emptied: those rows are dropped
    there. First come the first slots of all rows, in the order of rows, then the second slots, and so on. A row's route depends on the rows before it, and, for
    later slots, on all. A factor is taken to six decimals.

    Constraints:
    - (limit-C1) chosen and result are (rows, slots);
    - (limit-C2) there is either a count from 1 to 2²⁴, or a factor from 0.000001 to 1000000;
    - (limit-C3) there is at least one module.

    Example:
    ```mlir
    %kept = modular.limit %chosen to factor 1.250000e+00 among 8 : tensor<?x2xi64>
    ```
  }];
  let arguments = (ins Modular_Chosen:$chosen, OptionalAttr<I64Attr>:$count, OptionalAttr<F64Attr>:$factor, I64Attr:$modules);
  let results = (outs Modular_Chosen:$kept);
  let assemblyFormat = "$chosen `to` (`count` $count^)? (`factor` $factor^)? `among` $modules attr-dict `:` type($chosen)";
}

#endif // GRAFT_MODULAR_SELECTION_TD
