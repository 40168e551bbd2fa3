//===- ModularTasks.td - Tasks and the stages that they are paths of -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_MODULAR_TASKS_TD
#define GRAFT_MODULAR_TASKS_TD

include "graft/Modular/ModularInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

def Modular_TaskOp : Modular_Op<"task", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "An entry of the compiled library: the modules that it takes";
  let description = [{
    Fixes what the router `router` answers for this task. The task without modules is the backbone alone.

    Constraints:
    - (task-C1) `router` names a router, and each of `modules` is one of its names, at most once;
    - (task-C2) at most one of the task's modules replaces the parameter of any one site.

    Example:
    ```mlir
    modular.task @both routes @adapters to ["topic", "lang"]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$router, StrArrayAttr:$modules);
  let assemblyFormat = "$sym_name `routes` $router `to` $modules attr-dict";
}

def Modular_StageOp : Modular_Op<"stage", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A node of the tree of stages: a body and the parameters it runs on";
  let description = [{
    A task is a path in a tree of stages, cut where tasks part. Stages whose bodies differ only in their parameters share one function, whose
    arguments with `modular.slot = i` are bound to `parameters[i]`. `inputs` and `outputs` number the values that the function's
    other arguments and its results are, over the whole tree; the model's inputs come first. `tasks` are the tasks whose path runs through it.

    A stage with `modular.keys` runs rows of several tasks together: that value says for each row which of `tasks` it is, in ascending order, and
    `modular.outputs` are the backbone's outputs among its own and those of the stages above it. It is on no task's own path.

    Constraints:
    - (stage-C1) `body` names a function with an argument for each slot and each input, and a result for each output;
    - (stage-C2) each of `parameters` names a parameter of the type of its slot;
    - (stage-C3) `parent`, if any, names a stage.

    Example:
    ```mlir
    modular.stage @stage1 runs @body1 after @stage0 on [@query.weight] [3, 4] to [5] for ["topic"]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$body, OptionalAttr<FlatSymbolRefAttr>:$parent,
                       TypedArrayAttrBase<FlatSymbolRefAttr, "parameters">:$parameters, DenseI64ArrayAttr:$inputs,
                       DenseI64ArrayAttr:$outputs, StrArrayAttr:$tasks);
  let assemblyFormat = [{
    $sym_name `runs` $body (`after` $parent^)? `on` $parameters $inputs `to` $outputs `for` $tasks attr-dict
  }];
}

#endif // GRAFT_MODULAR_TASKS_TD
