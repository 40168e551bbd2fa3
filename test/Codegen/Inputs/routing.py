"""Prints a mixture of small linear modules whose router and aggregator are of one kind: routing.py KIND.

Its parameters are those below, which run_routing.py reads too. Inputs are x, scores, ids and a route: chosen and weights.
"""
import sys

import numpy as np

WIDTH, OUT, MODULES = 5, 3, 8
rng = np.random.default_rng(5)
MATRICES = rng.standard_normal((MODULES, WIDTH, OUT)).astype(np.float32)
BIASES = rng.standard_normal((MODULES, OUT)).astype(np.float32)
QUERY, KEY, VALUE = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, WIDTH), (4, OUT), (6, OUT)))

S, I = f"tensor<?x{MODULES}xf32>", "tensor<?xi64>"


def chosen(slots):
    return f"tensor<?x{slots}xi64>"


def weighed(slots, how):
    return f"%w = modular.weigh %c by %scores normalized by {how} : {chosen(slots)}, {S} -> tensor<?x{slots}xf32>"


def evenly(slots, shared=""):
    return f"%w = modular.weigh_evenly %c among {MODULES} {shared} : {chosen(slots)} -> tensor<?x{slots}xf32>"


# KIND: slots, the router's steps from %scores and %ids to %c and %w, and the aggregator.
KINDS = {
    "top": (2, f"%c = modular.select_top 2 of %scores : {S} -> {chosen(2)}\n  {weighed(2, 'softmax')}", "weighted_sum"),
    "all": (MODULES, f"%c = modular.select_all of %scores : {S} -> {chosen(MODULES)}\n  {weighed(MODULES, 'softmax')}", "weighted_sum"),
    "above": (MODULES, f"%c = modular.select_above 0.25 of %scores : {S} -> {chosen(MODULES)}\n  {weighed(MODULES, 'sum')}", "weighted_sum"),
    "hash": (1, f"%c = modular.select_hash -3 of %ids among {MODULES} : {I} -> {chosen(1)}\n  {evenly(1)}", "weighted_sum"),
    "rows-factor": (MODULES, f"%c = modular.select_rows factor 1.5 of %scores : {S} -> {chosen(MODULES)}\n  {weighed(MODULES, 'nothing')}", "weighted_sum"),
    "rows-count": (MODULES, f"%c = modular.select_rows count 3 of %scores : {S} -> {chosen(MODULES)}\n  {evenly(MODULES, 'shared')}", "weighted_sum"),
    "limit-factor": (2, f"%a = modular.select_top 2 of %scores : {S} -> {chosen(2)}\n  %c = modular.limit %a to factor 0.75 among {MODULES} : {chosen(2)}\n  {weighed(2, 'sum')}", "weighted_sum"),
    "limit-count": (2, f"%a = modular.select_top 2 of %scores : {S} -> {chosen(2)}\n  %c = modular.limit %a to count 1 among {MODULES} : {chosen(2)}\n  {weighed(2, 'nothing')}", "sum"),
    "groups": (2, f"%m = modular.mask_groups %scores groups 4 keep 2 by top 2 : {S}\n  %c = modular.select_top 2 of %m : {S} -> {chosen(2)}\n  {weighed(2, 'sum')}", "mean"),
    "top-p": (MODULES, f"%c = topp.select 0.7 at most {MODULES} of %scores : {S}\n  {weighed(MODULES, 'softmax')}", "weighted_sum"),
    "concatenation": (2, None, "concatenation"),
    "attention": (2, None, "attention"),
    "own": (2, None, "own"),
}


def constant(name, array):
    kind = f"tensor<{'x'.join(map(str, array.shape))}xf32>"
    return f'  %{name} = onnx.Constant {{value = dense<"0x{array.tobytes().hex()}"> : {kind}}} : () -> {kind}\n', kind


def main(kind):
    slots, steps, aggregator = KINDS[kind]
    rows, part = f"tensor<?x{WIDTH}xf32>", f"tensor<?x{OUT}xf32>"
    names = ", ".join(f'"m{e}"' for e in range(MODULES))
    route = f"!modular.route<{MODULES}, {slots}>"
    if steps:
        print(f"modular.router @router(%scores: {S}, %ids: {I}) over [{names}] {{\n  {steps}\n"
              f"  modular.yield %c, %w : {chosen(slots)}, tensor<?x{slots}xf32>\n}}")
    for e in range(MODULES):
        (matrix, m), (bias, v) = constant("m", MATRICES[e]), constant("b", BIASES[e])
        print(f"modular.module @m{e} function(%x: {rows}) -> {part} {{\n{matrix}{bias}"
              f"  %p = onnx.MatMul %x, %m : ({rows}, {m}) -> {part}\n  %y = onnx.Add %p, %b : ({part}, {v}) -> {part}\n"
              f"  modular.yield %y : {part}\n}}")
    print(f"modular.aggregator @own(%s: tensor<?x{slots}x{OUT}xf32>, %c: {chosen(slots)}, %w: tensor<?x{slots}xf32>, %x: {rows}) -> {part} {{\n"
          f"  %axes = onnx.Constant {{value = dense<1> : tensor<1xi64>}} : () -> tensor<1xi64>\n"
          f"  %y = onnx.ReduceMax %s, %axes {{keepdims = 0 : i64}} : (tensor<?x{slots}x{OUT}xf32>, tensor<1xi64>) -> {part}\n"
          f"  modular.yield %y : {part}\n}}")
    parts = f"!modular.parts<{part}>"
    result, width, extra = f"%y = modular.aggregate {aggregator} %p : {parts} -> {part}", OUT, ""
    if aggregator == "concatenation":
        width = slots * OUT
        result = f"%y = modular.aggregate concatenation %p : {parts} -> tensor<?x{width}xf32>"
    elif aggregator == "own":
        result = f"%y = modular.aggregate_by @own %p with %x : {parts}, {rows} -> {part}"
    elif aggregator == "attention":
        width = len(VALUE)
        consts = [constant(n, a) for n, a in (("q", QUERY), ("k", KEY), ("v", VALUE))]
        extra = "".join(text for text, _ in consts)
        result = (f"%y = modular.aggregate_attention %p from %x by %q, %k, %v scale 0.5 : {parts}, {rows}, "
                  f"{', '.join(t for _, t in consts)} -> tensor<?x{width}xf32>")
    asked = (f"modular.route @router(%scores, %ids) : ({S}, {I}) -> {route}" if steps else
             f"modular.route_of %chosen, %weights : {chosen(slots)}, tensor<?x{slots}xf32> -> {route}")
    dims = lambda *d: "{modular.dims = [" + ", ".join(f'"{x}"' for x in d) + "]}"
    print(f"""func.func @main(%rows: index {{modular.symbol = "rows"}}, %x: {rows} {dims("rows", WIDTH)}, %scores: {S} {dims("rows", MODULES)},
    %ids: {I} {dims("rows")}, %chosen: {chosen(slots)} {dims("rows", slots)}, %weights: tensor<?x{slots}xf32> {dims("rows", slots)})
    -> (tensor<?x{width}xf32> {dims("rows", width)}) attributes {{modular.stage}} {{
{extra}  %r = {asked}
  %p = modular.apply %r [{", ".join(f"@m{e}" for e in range(MODULES))}](%x) : {route}, ({rows}) -> {parts}
  {result}
  return %y : tensor<?x{width}xf32>
}}""")


if __name__ == "__main__":
    main(sys.argv[1])
