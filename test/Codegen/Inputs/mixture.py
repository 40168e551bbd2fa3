"""Prints a stage that is a mixture of SwiGLU experts: mixture.py TYPE MODULES SLOTS.

Input x is f32, computed with in TYPE. Its weights are those of `parameters`, which run_mixture.py reads too.
"""
import sys

import numpy as np

WIDTH, HIDDEN = 37, 50


def rounded(array, element):
    """The nearest value of the element type, as f32, and its bytes."""
    if element == "bf16":
        bits = np.float32(array).view(np.uint32)
        bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
        return (bits << 16).astype(np.uint32).view(np.float32), bits.astype(np.uint16).tobytes()
    narrow = np.asarray(array, {"f32": np.float32, "f16": np.float16}[element])
    return narrow.astype(np.float32), narrow.tobytes()


SHAPES = {"gate": (HIDDEN, WIDTH), "up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH), "gate_bias": (HIDDEN,), "down_bias": (WIDTH,)}


def parameters(element, modules):
    """For each module, name: (values, bytes)."""
    rng = np.random.default_rng(7)
    return [{name: rounded(rng.standard_normal(shape) / 6, element) for name, shape in SHAPES.items()} for _ in range(modules)]


def main(element, modules, slots):
    modules, slots = int(modules), int(slots)
    arguments, slot = [], 0
    for e, values in enumerate(parameters(element, modules)):
        for name, shape in SHAPES.items():
            kind = f"tensor<{'x'.join(map(str, shape))}x{element}>"
            arguments.append(f'%{name}{e}: {kind} {{modular.slot = {slot} : i64, test.value = dense<"0x{values[name][1].hex()}"> : {kind}}}')
            slot += 1
    x, h = f"tensor<?x{WIDTH}x{element}>", f"tensor<?x{HIDDEN}x{element}>"
    offsets = f"tensor<{modules + 1}xi32>"

    def group(name):
        kind = f"tensor<{'x'.join(map(str, SHAPES[name]))}x{element}>"
        return ", ".join(f"%{name}{e}" for e in range(modules)) + " : " + ", ".join([kind] * modules)

    def cast(name, source, start, end, result):
        op = {-1: "arith.truncf", 0: None, 1: "arith.extf"}[(end == "f32") - (start == "f32")]
        body = f"%c = {op} %a : {start} to {end}\n    linalg.yield %c : {end}" if op else f"linalg.yield %a : {end}"
        kind = lambda t: f"tensor<?x{WIDTH}x{t}>"
        return f"""  %{name}_init = tensor.empty(%rows) : {kind(end)}
  %{result} = linalg.generic {{indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}} ins({source} : {kind(start)})
      outs(%{name}_init : {kind(end)}) {{
  ^bb0(%a: {start}, %o: {end}):
    {body}
  }} -> {kind(end)}
"""

    one = f"%one = arith.constant 1.0 : f32"
    widen = lambda to, name: f"%{to} = arith.extf %{name} : {element} to f32" if element != "f32" else f"%{to} = arith.addf %{name}, %zero : f32"
    narrow = f"%r = arith.truncf %q : f32 to {element}" if element != "f32" else "%r = arith.addf %q, %zero : f32"
    print(f"""#id = affine_map<(m, n) -> (m, n)>
func.func @mixture(%rows: index {{modular.symbol = "rows"}},
   %x32: tensor<?x{WIDTH}xf32> {{modular.dims = ["rows", "{WIDTH}"]}}, %keys: tensor<?x{slots}xi64> {{modular.dims = ["rows", "{slots}"]}},
   %w: tensor<?x{slots}xf32> {{modular.dims = ["rows", "{slots}"]}},
   {(","+chr(10)+"   ").join(arguments)})
   -> (tensor<?x{WIDTH}xf32> {{modular.dims = ["rows", "{WIDTH}"]}}) attributes {{modular.stage}} {{
  {one}
  %zero = arith.constant -0.0 : f32
  %slots = arith.constant {slots} : index
  %all = arith.muli %rows, %slots : index
{cast("in", "%x32", "f32", element, "x")}
  %io = tensor.empty(%all) : tensor<?xi32>
  %if = tensor.empty() : {offsets}
  %ip = tensor.empty(%rows) : tensor<?x{slots}xi32>
  %order, %offsets, %position = dispatch.plan ins(%keys : tensor<?x{slots}xi64>) outs(%io, %if, %ip : tensor<?xi32>, {offsets}, tensor<?x{slots}xi32>)
      -> tensor<?xi32>, {offsets}, tensor<?x{slots}xi32>
  %ih = tensor.empty(%all) : {h}
  %gate = dispatch.segmented_matmul ins(%x : {x}) order(%order : tensor<?xi32>) slots {slots} offsets(%offsets : {offsets})
      weights({group("gate")}) segment_extras({group("gate_bias")}) outs(%ih : {h}) {{transposed}} epilogue {{
  ^bb0(%s: {element}, %b: {element}):
    %t = arith.addf %s, %b : {element}
    dispatch.yield %t : {element}
  }} -> {h}
  %up = dispatch.segmented_matmul ins(%x : {x}) order(%order : tensor<?xi32>) slots {slots} offsets(%offsets : {offsets})
      weights({group("up")}) outs(%ih : {h}) -> {h}
  %silu = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}} ins(%gate, %up : {h}, {h}) outs(%ih : {h}) {{
  ^bb0(%g: {element}, %u: {element}, %o: {element}):
    {widen("g32", "g")}
    {widen("u32", "u")}
    %n = arith.negf %g32 : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %v = arith.divf %g32, %d : f32
    %q = arith.mulf %v, %u32 : f32
    {narrow}
    linalg.yield %r : {element}
  }} -> {h}
  %id = tensor.empty(%all) : {x}
  %down = dispatch.segmented_matmul ins(%silu : {h}) offsets(%offsets : {offsets}) weights({group("down")})
      segment_extras({group("down_bias")}) outs(%id : {x}) epilogue {{
  ^bb0(%s: {element}, %b: {element}):
    %t = arith.addf %s, %b : {element}
    dispatch.yield %t : {element}
  }} -> {x}
  %ic = tensor.empty(%rows) : {x}
  %sum = dispatch.combine ins(%down : {x}) position(%position : tensor<?x{slots}xi32>) weights(%w : tensor<?x{slots}xf32>) outs(%ic : {x}) -> {x}
{cast("out", "%sum", element, "f32", "y")}
  return %y : tensor<?x{WIDTH}xf32>
}}""")


if __name__ == "__main__":
    main(*sys.argv[1:])
