# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One mistake a case. A § stands where the error must point; the words after the arrow are what it must say."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Numerics"))
from spec_models import np, write_backbone, write_weights  # noqa: E402

folder = Path(sys.argv[1])
write_backbone(folder / "m.onnx")
write_weights(folder / "w.safetensors")
np.save(folder / "bad.npy", np.array([1, np.nan], np.float32))
np.save(folder / "ints.npy", np.zeros((6, 16), np.int64))
np.save(folder / "big.npy", np.zeros((6, 16), ">f4"))
(folder / "cut.npy").write_bytes((folder / "ints.npy").read_bytes()[:-8])

HEAD = "graft: 1\n"
MODULES = """modules:
  a: {linear: {weight: {tensor: "w.safetensors:l0.square", index: 0}}}
  b: {linear: {weight: {tensor: "w.safetensors:l0.square", index: 1}}}
  moe: {mixture: {router: gate, modules: [a, b]}}
"""
GATE = 'score: {linear: {weight: {tensor: "w.safetensors:l0.gate.weight", rows: [0, 2]}}}'
PLACE = "place: [{at: layers.0.mlp, replace: moe}]\n"


def router(text):
    return HEAD + MODULES + f"routers: {{gate: {{{text}}}}}\n" + PLACE


def module(text, use="x"):
    return HEAD + f"modules:\n  x: {text}\nplace: [{{at: layers.0.mlp, replace: {use}}}]\n"


def place(text, modules="  x: {identity: }"):
    return HEAD + f"modules:\n{modules}\nplace:\n- {text}\n"


TOP = GATE + ", select: {top: 1}"
CASES = [
    # YAML
    (HEAD + "modules: {a: §]\n", "not YAML: "),
    (HEAD + "§graft: 1\n", "expected each key once, found 'graft' again, as in line 1"),
    (HEAD + "modules: {a: {identity: }, §a: {zero: }}\n", "expected each key once, found 'a' again"),
    (HEAD + "modules: §!thing {a: {identity: }}\n", "expected no tag, found '!thing'"),
    (HEAD + "modules: &m {a: §*m}\n", "expected an alias of something else than what it stands in"),
    (HEAD + "---\n§graft: 1\n", "expected one document, found a second"),
    (HEAD + "modules: {§[a]: 1}\n", "expected a word as a key"),
    (HEAD + "place: " + "[" * 63 + "§[" + "]" * 64 + "\n", "expected at most 64 levels within each other, found more"),
    (HEAD + "x0: &x0 [" + "1, " * 30 + "]\n" + "".join(f"x{i}: &x{i} [" + f"*x{i - 1}, " * 30 + "]\n" for i in range(1, 3)) + "x3: ["
     + "*x2, " * 7 + "§*x2, " + "*x2, " * 8 + "]\n", "expected at most 200000 values with aliases counted in full, found more"),
    # Sections
    ("§- graft\n", "expected a spec, a map, found a list"),
    ("§modules: {}\n", "expected a spec with 'graft', found none"),
    ("graft: §2\n", "graft: expected a whole number of at least 1 and at most 1, found '2'"),
    (HEAD + "§module: {}\n", "expected a key of a spec, found 'module'; the nearest is 'modules'"),
    ("§graft: 1\n", "expected a spec with 'place', found none"),
    (HEAD + "place: §[]\n", "expected a place, found none"),
    (HEAD + "modules: {§'a b': {identity: }}\n", "expected a name of letters, digits, '_', '.' and '-' that begins with a letter or '_', found 'a b'"),
    (HEAD + "modules: {§layer: {identity: }}\n", "expected another name, found 'layer', which always means the same module"),
    (HEAD + "modules: §[a]\n", "expected a map of names to modules, found a list"),
    (HEAD + "routers: {r: §top}\n", "expected a router, a map, found 'top'"),
    (HEAD + "inputs: {x1: {§typ: float32, shape: [1]}}\n", "expected a key of an input, found 'typ'; the nearest is 'type'"),
    (HEAD + "inputs: {x1: {type: §float31, shape: [1]}}\n", "type: expected one of float64, float32, float16, bfloat16, int64, int32, int8, uint8, bool, found 'float31'"),
    (HEAD + "inputs: {x1: {type: float32, shape: [§0]}}\n", "shape: expected sizes of at least 1 and names, found '0'"),
    (HEAD + "inputs: {§x: {type: float32, shape: [1]}}\nplace: [{at: layers.0.mlp, replace: identity}]\n", "expected a name that the backbone has not, found 'x'"),
    # Modules
    (module("{§liner: {}}"), "expected a key of a module, found 'liner'; the nearest is 'linear'"),
    (module("§{count: 2}"), "expected a module with one of identity, zero, layer, linear,"),
    (module("{identity: , §zero: }"), "found 'identity' and 'zero'"),
    (module("{linear: §{bias: bad.npy}}"), "expected linear with 'weight', found none"),
    (module("{mlp: {up: a.npy, down: b.npy, activation: §swishh}}"), "activation: expected one of none, relu,"),
    (module("{identity: , scale: §.nan}"), "scale: expected a finite number, found '.nan'"),
    (module("{identity: , scale: §.inf}"), "scale: expected a finite number, found '.inf'"),
    (module("{identity: , scale: §'1'}"), "scale: expected a finite number, found '1'"),
    (module("{identity: , residual: §yes}"), "residual: expected true or false, found 'yes'"),
    (module("{identity: , count: §0}"), "count: expected a whole number of at least 1"),
    (module("{stack: §[]}"), "stack: expected a module, found none"),
    (module("{stack: §a}"), "stack: expected a list, found 'a'"),
    (module("{stack: [§y]}"), "expected the name of a module, found 'y'"),
    (module("{stack: [§idenity]}"), "expected the name of a module, found 'idenity'; the nearest is 'identity'"),
    (module("{stack: [§x]}"), "expected modules that are not within themselves, found x → x"),
    (module("{stack: [y]}\n  y: {sum: [identity, {stack: [§x]}]}"), "expected modules that are not within themselves, found x → y → x"),
    (module("{mixture: {router: {score: §x, select: all}, modules: [identity]}}"), "expected modules that are not within themselves, found x → x"),
    (module("{lora: §{down: a.npy, up: b.npy}}"), "expected lora with one of alpha, scale, found none"),
    (module("{split: §{modules: [identity, zero], sizes: [1]}}"), "expected split with a size for each module, found 1 sizes and 2 modules"),
    (module("{split: {axis: 1, modules: [identity, zero], sizes: §[rest, rest]}}"), "sizes: expected 'rest' once at most"),
    (module("{§split: {axis: 1, modules: [identity, zero], sizes: [1, 2]}}"), "sizes: expected 'rest' among the sizes of a dimension that varies, found 3"),
    (module("{§split: {axis: 2, modules: [identity, zero], sizes: [1, 2]}}"), "sizes: expected sizes of 16 in all, found 3"),
    (module("{§split: {axis: 3, modules: [identity, zero], sizes: [1, rest]}}"), "axis: expected one of the 3 dimensions"),
    (module('{linear: {weight: {tensor: "w.safetensors:l0.norm.weight"}}}'.replace("{tensor", "§{tensor")), "weight: expected (out, in) of ?x16, found 16 in l0.norm.weight"),
    (module('{linear: {weight: §"w.safetensors:l0.squre"}}'), "expected the name of a tensor of {folder}/w.safetensors, found 'l0.squre'; the nearest is 'l0.square'"),
    (module('{linear: {weight: §none.npy}}'), "{folder}/none.npy: "),
    (module('{linear: {weight: §weights.bin}}'), "weights.bin: expected a file of tensors (.npy, .safetensors or .onnx)"),
    (module('{linear: {weight: §cut.npy}}'), "cut.npy: expected as many bytes as its shape needs"),
    (module('{linear: {weight: §big.npy}}'), "big.npy: expected little-endian elements of a known type, found '>f4'"),
    (module('{linear: {weight: §ints.npy}}'), "weight: expected floats in ints, found i64"),
    (module('{linear: {weight: {tensor: "w.safetensors:l0.square", index: 0}, bias: §bad.npy}}'), "bias: expected (out) of 16, found 2 in bad"),
    (module('{stack: [{linear: {weight: {values: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6]]}, bias: §bad.npy}}]}'),
     "bias: expected finite numbers in bad, found NaN or an infinity at element 1"),
    (module('{linear: {weight: {tensor: "w.safetensors:l0.square", index: §6}}}'), "index: expected a place along the first dimension of l0.square, 6x16x16, found '6'"),
    (module('{linear: {weight: §{tensor: "w.safetensors:l0.gate.weight", rows: [2, 7]}}}'), "rows: expected rows of l0.gate.weight, 6x16, found [2, 7]"),
    (module('{linear: {weight: {tensor: "w.safetensors:l0.gate.weight", rows: §[2, 2]}}}'), "rows: expected [BEGIN, END] with an end behind the beginning"),
    (module('{linear: {weight: §"w.safetensors:l{layr}.square"}}'), "expected {{index}} within a module with 'count', or a capture of the place's path, found '{{layr}}'"),
    (module('{linear: {weight: §{tensor: "w.safetensors:l0.up.T", index: 0}}}'), "it would fit with 'layout: in,out'"),
    (module("{linear: {weight: [[1, 2], §[1]]}}"), "weight: expected lists of equal lengths, found one of 1"),
    (module("{linear: {weight: [[1, §x]]}}"), "weight: expected a finite number, found 'x'"),
    (module("{§glu: {gate: {tensor: 'w.safetensors:l0.up', index: 0}, up: {tensor: 'w.safetensors:l0.square', index: 0}, down: x.npy}}"),
     "expected gate and up of as many outputs, found 24 and 16"),
    (module("{residual: true, §linear: {weight: {tensor: 'w.safetensors:l0.up', index: 0}}}"), "residual: expected a module that gives ?x?x16 as it takes, found ?x?x24"),
    (module("{onnx: §none.onnx}"), "none.onnx: "),
    (module("{peft: {folder: §none, module: a}}"), "none"),
    (module("{identity: , count: 2}", "§x"), "expected one module, found the 2 of 'x'"),
    (module("{identity: , count: 2}", "§x.2"), "expected one of the 2 modules 'x', found 'x.2'"),
    # Routers
    (router(TOP + ", §selct: all"), "expected a key of a router, found 'selct'; the nearest is 'select'"),
    (HEAD + MODULES + f"routers: {{gate: §{{{GATE}}}}}\n" + PLACE, "expected a router with 'select', found none"),
    (HEAD + MODULES + "routers: {gate: §{select: all}}\n" + PLACE, "expected a router with 'score', found none"),
    (router(GATE + ", select: §every"), "select: expected one of all, found 'every'"),
    (router(GATE + ", select: {top: §0}"), "top: expected a whole number of at least 1, found '0'"),
    (router(GATE + ", select: {top: §3}"), "top: expected at most the 2 modules of the mixture, found 3"),
    (router(GATE + ", select: {top: §1.5}"), "top: expected a whole number of at least 1, found '1.5'"),
    (router(GATE + ", select: {op: §no.such}"), "expected the name of an op that is a step of a router, found 'no.such'; there are none"),
    (router(GATE + ", select: {op: §modular.select_all}"), "modular.select_all: expected an op that infers the type of its one result"),
    (router(GATE + ", select: {fixed: [§c]}"), "expected the name of a module of the mixture, found 'c'"),
    (router(GATE + ", select: {fixed: [a, §a]}"), "fixed: expected each module once, found 'a' twice"),
    (router("select: {fixed: [a]}, §bias: [1, 2]"), "bias: expected a router with 'score', found none"),
    (router("score: §{linear: {weight: 'w.safetensors:l0.gate.weight'}}, select: all"), "score: expected scores for the 2 modules of the mixture, found tensor<?x6xf32>"),
    (router("score: {constant: §[1, 2, 3]}, select: all"), "constant: expected a score for each module, of 2, found 3 in values"),
    (router(TOP + ", bias: §[1, 2, 3]"), "bias: expected a number for each module, of 2, found 3 in values"),
    (router("score: {input: §scores}, select: all"), "expected the name of an input or of a tensor of the backbone, found 'scores'"),
    (router("score: {input: §x}, select: all").replace(PLACE, "inputs: {x1: {type: float32, shape: [rows, 2]}}\n" + PLACE).replace("§x}", "§x1}"),
     "expected 'x1' to have 3 dimensions, a vector for each token, found tensor<?x2xf32>"),
    (router("score: {input: §x1}, select: all").replace(PLACE, "inputs: {x1: {type: float32, shape: [batch, other, 2]}}\n" + PLACE),
     "expected 'x1' to have the rows of 'layers.0.mlp', [batch, seq], found [batch, other]"),
    (router(TOP + ", weight: {by: §weights}"), "by: expected one of scores, logits, selecting, ones, found 'weights'"),
    (router(TOP + ", weight: {normalize: §l2}"), "normalize: expected one of none, sum, softmax, found 'l2'"),
    (router(TOP + ", weight: {scale: §nan}"), "scale: expected a finite number, found 'nan'"),
    (router(TOP + ", §pool: mean"), "pool: expected a router per sequence or batch"),
    (router(TOP + ", capacity: §0"), "capacity: expected a whole number of at least 1 and at most 16777216, found '0'"),
    (router(TOP + ", capacity: {factor: §0}"), "factor: expected a number from 0.000001 to 1000000, found '0'"),
    (router(TOP + ", groups: {count: 2, §keep: 3}"), "keep: expected at most the 2 groups, found 3"),
    (HEAD + MODULES.replace("router: gate", "router: §gte") + f"routers: {{gate: {{{TOP}}}}}\n" + PLACE, "expected the name of a router, found 'gte'; the nearest is 'gate'"),
    (HEAD + MODULES.replace("[a, b]", "[a, b, §a]") + f"routers: {{gate: {{{TOP}}}}}\n" + PLACE, "expected each module once, found 'a' twice"),
    (HEAD + MODULES.replace("[a, b]", "[a, §{linear: {weight: {tensor: 'w.safetensors:l0.up', index: 0}}}]") + f"routers: {{gate: {{{TOP}}}}}\n" + PLACE,
     "expected modules that give the same shape, since they are aggregated; found tensor<?x16xf32> of 'a' and tensor<?x24xf32> of 'moe.1'"),
    (HEAD + MODULES.replace("[a, b]", "[a, b], aggregate: {attention: {query: 'w.safetensors:l0.query', key: 'w.safetensors:l0.key', key_bias: §[1, 2]}}")
     + f"routers: {{gate: {{{TOP}}}}}\n" + PLACE, "key_bias: expected"),
    (HEAD + MODULES.replace("[a, b]", "[a, b], aggregate: §wsum") + f"routers: {{gate: {{{TOP}}}}}\n" + PLACE, "expected the name of an aggregator, found 'wsum'"),
    # Places
    (place("{§att: layers.0.mlp, replace: x}"), "expected a key of a place, found 'att'; the nearest is 'at'"),
    (place("§{at: layers.0.mlp}"), "expected a place with one of replace, after, beside, found none"),
    (place("{at: layers.0.mlp, replace: x, §after: x}"), "found 'replace' and 'after'"),
    (place("{at: §layers.0.mpl, replace: x}"), "expected the path of a module of the backbone, found 'layers.0.mpl'; the nearest is 'layers.0.mlp'"),
    (place("{at: §layer.*, replace: x}"), "expected the path of a module of the backbone, found 'layer.*'"),
    (place("{at: {node: §/layers.0/mlp/fc1/Mul}, replace: x}"), "expected the name of a node of the backbone, found '/layers.0/mlp/fc1/Mul'"),
    (place("{at: {tensor: §h3}, after: x}"), "expected the name of a tensor of the backbone, found 'h3'"),
    (place("{at: §{module: layers.0.mlp, node: a}, after: x}"), "expected at with one of module, node, tensor, found several"),
    (place("{at: §{input: x}, after: x}"), "expected at with 'output', found none"),
    (place("{at: {module: layers.0.mlp, output: §h1}, replace: x}"), "expected an output of 'layers.0.mlp', found 'h1'; there are '/layers.0/mlp/fc2/sum'"),
    (place("§{at: {input: h1, output: /layers.0/mlp/fc2/sum}, replace: x}"), "expected an input that is computed before the output"),
    (place("{at: layers.0.mlp, replace: §x}", "  x: {linear: {weight: {tensor: 'w.safetensors:l0.up', index: 0}}}"),
     "expected a module that gives what 'layers.0.mlp' gives, tensor<?x?x16xf32>, found tensor<?x?x24xf32>"),
    (place("{at: layers.0.mlp, replace: x}\n- §{at: layers.*.mlp, replace: x}"), "expected layers that are replaced once, found 'layers.0.mlp' again, as in line 5"),
]


def main():
    bad, seen = [], set()
    for text, words in CASES:
        assert text.count("§") == 1, text
        before = text[: text.index("§")]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        (folder / "s.yaml").write_text(text.replace("§", ""))
        command = ["graft", "compile", folder / "m.onnx", "--spec", folder / "s.yaml", "--emit", "modular", "-o", folder / "out.mlir"]
        done = subprocess.run(command, capture_output=True, text=True)
        wanted = f"error: {folder}/s.yaml:{line}:{column}: "
        words = words.replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}")
        if done.returncode != 1 or not done.stderr.startswith(wanted) or words not in done.stderr or done.stderr.count("\n") != 1 or (folder / "out.mlir").exists():
            bad.append(f"{text}\n  wanted {wanted}{words}\n  found {done.returncode} {done.stderr}")
        seen.add(words)
    print(f"{len(CASES)} mistakes")
    sys.exit("\n".join(bad) or 0)


main()
