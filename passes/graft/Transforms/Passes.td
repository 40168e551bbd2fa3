//===- Passes.td - Passes from the modular dialect to itself -*- tablegen -*-===//
//
// Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAFT_TRANSFORMS_PASSES_TD
#define GRAFT_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def RaiseRoutingPass : Pass<"graft-raise-routing", "::mlir::ModuleOp"> {
  let summary = "Recognise mixtures that an exporter took apart";
  let description = [{
    Precondition: an imported module. What routes becomes a `modular.router`, its experts modules, and what they give is applied and
    aggregated in the place of the op or ops that it was.

    * `com.microsoft`'s MoE: softmax of the scores, the k greatest, their weights as they are or over their sum.
    * Sums of gated branches: `Σ_e w[…, e] · f_e(x)` with weights for all modules, or for those that a TopK chose, as a tree of additions, a sum over
      stacked branches, or a product or Einsum of the weights with what has all branches. A gate may have any shape and be found by sizes that are computed; what
      scales all terms alike weighs with it. There may be a term for each slot and module, and of all modules' results, stacked, those may be
      gathered that a row chose. The f_e may be one product or Einsum over a dimension of modules, or heads side by
      side: each becomes the part that is its own. Whatever they are, they keep rows apart, read something that all read, and have
      parameters of their own. Where they mix what is in a sequence, or a gate is one for all of it, rows are sequences. Columns of one product that a softmax weighs are the mean of a
      density, and stay. So do branches that are the same for all rows, attention over learned slots, and weights that are features of the rows, which
      parameters multiply elsewhere: a bilinear form.
    * Loops over experts, unrolled: each step takes the rows that one expert is chosen for, by a mask or by their numbers, and adds what the expert makes
      of them to those rows of the sum; rows may be whole sequences. Which expert a step is of is found by computing its rows for experts that are drawn. Where tracing
      ran over the experts that some rows had chosen, and read their numbers from data, it becomes a mixture of all, with a warning; if there are not as many steps
      as experts, or a size was frozen so that other routes would fail, it is refused unless `repair` says otherwise. Fewer steps than experts that are modules of
      their own are always refused: the parameters of the others are not in the file.
    * Gathered weights: `Σ_s w[r, s] · f(x[r]; W[chosen[r, s]])`, where each slot of each row has copies of the weights that were chosen for it, by a
      TopK, an ArgMax, a hash or the caller: products of matrices or Einsums, rows and slots in any number of dimensions. Without a sum, where a row
      has one slot.

    What is raised is computed, like the graph that it replaces, in double precision for a few drawn rows, until every expert was chosen for
    some row and not for another. If they differ the graph stays, with a warning; a remark says if an op of it can't be computed there.

    Leaves alone: all else. A choice of the greatest of scores whose numbers, masks or weights gate what has products of its own is said to be left, with the
    reason, if no mixture was seen behind it. Refuses a MoE whose attributes say what is not supported.
  }];
  let options = [
    Option<"repair", "repair", "bool", "false", "compile what was traced where an export froze it">,
  ];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

def PruneModulesPass : Pass<"graft-prune-modules", "::mlir::ModuleOp"> {
  let summary = "Leave out the modules that a routing profile never uses";
  let description = [{
    Precondition: a linked module, and a profile: what `graft run --routing-stats` wrote of it. A module that no row of any task took is left out of its
    router, whose other modules are numbered anew; a route that chooses it later finds its slot empty.

    Before: `modular.router @gate(…) over ["a", "b", "c"] { … modular.yield %chosen, %weights }`, `modular.apply %r [@a, @b, @c](%x)`
    After: `modular.router @gate(…) over ["a", "c"] { … modular.yield %renumbered, %weights }`, `modular.apply %r [@a, @c](%x)`

    Leaves alone: routers that the profile does not name, those fixed by task, and weights, which are not brought to another sum. Refuses a profile of another
    model, and one in which no row takes a module.
  }];
  let options = [
    Option<"profile", "profile", "std::string", "", "the file; nothing is done without">,
  ];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

def MergeModulesPass : Pass<"graft-merge-modules", "::mlir::ModuleOp"> {
  let summary = "Make modules that are the same one";
  let description = [{
    Precondition: a linked module. Parameters that modules read are one if their types and bytes are the same, and modules are one if they compute the same of the
    same parameters, whatever they and their sites are called: adapters of different tasks that were never trained at a site, copies of an expert. Tasks that
    part in nothing else then share a stage.

    Before: `modular.apply %r [@e0, @e1](%x)`, with bodies that are the same
    After: `modular.apply %r [@e0, @e0](%x)`, and no @e1

    Leaves alone: the parameters of the backbone, and which modules a route chooses.
  }];
  let dependentDialects = ["::graft::modular::ModularDialect"];
}

def InlineModulesPass : Pass<"graft-inline-modules", "::mlir::ModuleOp"> {
  let summary = "Make routers and modules part of the backbone";
  let description = [{
    Precondition: a function @main. The body of a router takes the place of each `modular.route`, its selections and weights as `onnx` ops;
    the bodies of modules become regions of the `modular.apply` that names them, and what they read of parameters moves out of the regions, so
    that it is bound for each task where all other parameters are. Aggregates become weighted sums. Bodies that route in turn are
    inlined as well; a module within itself is refused. What applies a module that may let rows see each other is marked to be computed for all rows.

    Before:
    ```mlir
    %r = modular.route @gate(%x) : (tensor<?x4xf32>) -> !modular.route<2, 1>
    %p = modular.apply %r [@e0, @e1](%x) : !modular.route<2, 1>, (tensor<?x4xf32>) -> !modular.parts<tensor<?x4xf32>>
    ```
    After:
    ```mlir
    %chosen = … %weights = …
    %r = modular.route_of %chosen, %weights : tensor<?x1xi64>, tensor<?x1xf32> -> !modular.route<2, 1>
    %w0 = modular.site … %w1 = modular.site …
    %p = modular.apply %r [](%x) : … { ^bb0(%x0: tensor<?x4xf32>): … %w0 … }, { ^bb0(%x1: tensor<?x4xf32>): … %w1 … }
    ```
    Leaves alone: routers fixed by task, modules that compose parameters.
  }];
  let options = [
    Option<"dense", "dense", "bool", "false", "mark what is applied to be computed for all rows: the oracle of what is sparse">,
  ];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

def PlanResidencyPass : Pass<"graft-plan-residency", "::mlir::ModuleOp"> {
  let summary = "Decide where each module lives: folded into a weight, or beside it";
  let description = [{
    Precondition: a linked module whose routes are known for each task. Evaluates every adapt for every task, compares the error of the fold
    with the tolerance and the bytes with the budget, and writes its choice to the adapt: `"branch"`, `"fold"`, or the
    parameter that holds the fold, where there was room to keep what was evaluated.

    Before: `%W = modular.adapt %w with %r {topic = @m} : …`
    After: `%W = modular.adapt %w with %r {topic = @m} {modular.residency = {topic = @"topic/q.weight"}} : …`

    Leaves alone: everything but that attribute; adds such parameters. Refuses a fold above the tolerance where there is no other way, and a budget below the least
    possible.
  }];
  let options = [
    Option<"policy", "fold", "::graft::FoldPolicy", "::graft::FoldPolicy::Auto", "whether modules go into the weights", [{::llvm::cl::values(
      clEnumValN(::graft::FoldPolicy::Auto, "auto", "by the cost model"),
      clEnumValN(::graft::FoldPolicy::Always, "always", "all"),
      clEnumValN(::graft::FoldPolicy::Never, "never", "where nothing else can be done"))}]>,
    Option<"tolerance", "tolerance", "double", "1e-3", "the largest error of a fold, relative to the change">,
    Option<"budget", "memory-budget", "int64_t", "-1", "bytes of weights, -1 for none">,
    Option<"lanes", "lanes", "unsigned", "16", "floats in a vector register: packed weights are padded to it">,
  ];
  let dependentDialects = ["::graft::modular::ModularDialect"];
}

def SplitTasksPass : Pass<"graft-split-tasks", "::mlir::ModuleOp"> {
  let summary = "Specialise the backbone for each task and cut it where tasks part";
  let description = [{
    Precondition: a function @main of one block, and at least one task; adapts may say `modular.residency`, and fold where they don't.
    What is folded is evaluated in double precision and becomes a new parameter; what is kept beside is distributed over the op that uses it:

    Before:
    ```mlir
    %w = modular.site "q.weight" of @q transposed : tensor<384x384xf32>
    %W = modular.adapt %w with %r {topic = @topic.q} : …
    %y = onnx.MatMul %x, %W : …
    ```
    After, folded:
    ```mlir
    func.func private @body0(%x: …, %W: … {modular.slot = 0 : i64}) -> … { %y = onnx.MatMul %x, %W : … }
    modular.stage @stage0 runs @body0 on [@q] [0] to [1] for ["base"]
    modular.stage @stage1 runs @body0 on [@topic/q.weight] [0] to [2] for ["topic"]
    ```
    After, beside: `@body1` computes `onnx.Add (onnx.MatMul %x, %W), (onnx.MatMul (onnx.MatMul %x, %At), %Bt)`.

    Where two tasks or more keep modules beside, one more body runs rows of such tasks together: its argument of keys says which task each row is, and
    `modular.row_product` takes the place of the products with modules beside them. Not in it: tasks that have weights of their own somewhere (folded or
    replaced), or whose modules scale (DoRA) or stand beside a lookup or a convolution; all tasks, where the backbone's rows depend on each other.
    ```mlir
    modular.stage @stage3 runs @body2 on [@q, @topic/q.weight.down, @topic/q.weight.up, …] [0, 4] to [5] for ["base", "topic", …] {modular.keys = 4, …}
    ```

    Modules, and parameters that no task reaches, are gone afterwards; @main stays as a declaration, whose attributes name the library's inputs and
    outputs. Leaves alone: routers and tasks.
  }];
  let options = [
    Option<"rows", "rows", "bool", "true", "add the body for rows of several tasks">,
  ];
  let dependentDialects = ["::graft::modular::ModularDialect", "::mlir::func::FuncDialect"];
}

def FoldRoutesPass : Pass<"graft-fold-routes", "::mlir::ModuleOp"> {
  let summary = "Evaluate routes that a task's parameters decide";
  let description = [{
    Precondition: stages, with modules inlined. A route that is computed row by row of parameters and constants, and repeated for each row, is the same for all
    rows and inputs: it is evaluated, and what it takes is computed for all rows, with neither a plan nor the modules that it does not take. Stages whose routes differ get
    bodies of their own, unless these differ in nothing but parameters. What the host sees of such a route is `fixed`.

    Before:
    ```mlir
    %rows = onnx.Expand %modules, %shape : …
    %chosen = … %rows … %weights = … %rows …
    %r = modular.route_of %chosen, %weights : tensor<?x3xi64>, tensor<?x3xf32> -> !modular.route<3, 3>
    %p = modular.apply %r [](%x) : … { … %w0 … }, { … %w1 … }, { … %w2 … }
    %y = modular.aggregate weighted_sum %p : …
    ```
    After, where the stage's parameter takes the third module:
    ```mlir
    %y = onnx.Gemm %x, %w2 : …
    ```

    Leaves alone: routes that an input decides or in which rows differ, what is marked `modular.dense`, and modules that make results of sizes that are not
    known.
  }];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

def CollapseProductsPass : Pass<"graft-collapse-products", "::mlir::ModuleOp"> {
  let summary = "Make one product of two that follow each other, or of which the sum is taken";
  let description = [{
    Precondition: stages. Of two products with parameters, of which the second reads the first and nothing else does, the parameters are multiplied in double precision and rounded
    once, if one product is less work: in·out instead of middle·(in + out) multiplications a row. Where several stages run the body, or there is one for rows of several
    tasks, what is between must be no narrower than either end: then no task has more to store, whichever parameter it shares with others. Of two products of one
    value whose sum is taken, the parameters are added. Chains and sums of any length and in each other become one product. Biases come along: that of a Gemm,
    or what an Add adds to a MatMul.

    Before: `%h = onnx.Gemm %x, %w1, %b1` and `%y = onnx.Gemm %h, %w2, %b2`, on [@w1, @b1, @w2, @b2]
    After: `%y = onnx.Gemm %x, %w, %b`, on [@w1*w2, @w1*w2.bias]

    Before: `%h = onnx.MatMul %x, %w1`, `%g = onnx.Gemm %x, %w2, %b2` and `%y = onnx.Add %h, %g`, on [@w1, @w2, @b2]
    After: `%y = onnx.Gemm %x, %w, %b`, on [@"(w1+w2)", @"(w1+w2).bias"]

    First, ops that are the same become one, and rows that become vectors and rows again stay rows, so that modules that were written one by one read the same value:
    `Reshape(Reshape(%a, %s), [-1, n])` is `%a`, and `Reshape(%a, %s) + Reshape(%b, %s)` is `Reshape(%a + %b, %s)`.

    Leaves alone: low-rank modules, whose middle is narrow, and the sum with what was to be kept beside a weight; products with something between them; parameters that something else reads and that would have to stay;
    products that the body for rows of several tasks has too, so that both give the same bits; what is within modules that are applied by route.
  }];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

def WidenProductsPass : Pass<"graft-widen-products", "::mlir::ModuleOp"> {
  let summary = "Make one product of narrow ones that read the same input";
  let description = [{
    Precondition: stages. Products of one value with parameters of at most 64 columns, as the first halves of low-rank modules, gates and bottleneck adapters have them, become one
    with the parameters side by side: fewer columns are padding, and the input is read once. Each result is a slice.

    Before: `%q = onnx.MatMul %x, %aq` and `%v = onnx.MatMul %x, %av`, on [@aq, @av]
    After: `%qv = onnx.MatMul %x, %w`, on [@aq+av], `%q = onnx.Slice %qv …` and `%v = onnx.Slice %qv …`

    Leaves alone: wider products; products whose parameters something else reads, in this stage or another; a bias for one and none for the other; what is within modules
    that are applied by route.
  }];
  let dependentDialects = ["::graft::modular::ModularDialect", "::graft::onnx::OnnxDialect"];
}

#endif // GRAFT_TRANSFORMS_PASSES_TD
