"""Compiles a spec that names a plugin's op, and compares with the rule written out row by row: spec_top_p.py PLUGIN FOLDER."""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

plugin, folder = sys.argv[1], Path(sys.argv[2])
WIDTH, OUT, MODULES, P, MOST = 6, 6, 5, 0.8, 4
SPEC = """graft: 1
modules:
  expert:
    count: 5
    linear: {weight: {tensor: experts.npy, index: "{index}"}}
routers:
  gate:
    score: {linear: {weight: gate.npy}}
    select: {op: "topp.select", %s}
    weight: {by: logits, normalize: softmax}
place:
- {at: {node: "/layer/MatMul"}, replace: {mixture: {router: gate, modules: [expert]}}}
"""


def compile_spec(attributes, *more):
    (folder / "s.yaml").write_text(SPEC % attributes)
    return subprocess.run(["graft", "compile", folder / "m.onnx", "--spec", folder / "s.yaml", "-o", folder / "m.so", *more],
                          capture_output=True, text=True)


rng = np.random.default_rng(3)
experts, gate = (rng.standard_normal(shape).astype(np.float32) for shape in ((MODULES, OUT, WIDTH), (MODULES, WIDTH)))
np.save(folder / "experts.npy", experts)
np.save(folder / "gate.npy", gate)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", WIDTH])
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="/layer/MatMul")], "g", [value("x")], [value("y")],
                          [numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32), "w")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "m.onnx")

# Without the plugin its op has no such name; with it a wrong attribute is found where it stands, and so is one that is not there, also where the type of
# the result depends on it.
GOOD, LOAD = f"p: {P}, most: {MOST}", ["--load-plugin", plugin]
for attributes, more, words in (
    (GOOD, [], "s.yaml:9:18: expected the name of an op"),
    ("p: 1.5, most: 4", LOAD, "s.yaml:9:18: 'topp.select' op expects p above 0 and at most 1, found 1.5"),
    ("most: 4", LOAD, "s.yaml:9:18: 'topp.select' op requires attribute 'p'"),
    ("p: 0.5", LOAD, "s.yaml:9:18: 'topp.select' op requires attribute 'most'"),
    ("p: 0.5, most: -4", LOAD, "most of at least 1, found 'tensor<?x5xf32>' and -4"),
    ("p: 0.5, most: 6", LOAD, "s.yaml:9:18: 'topp.select' op expects scores of at least 6 modules, found 'tensor<?x5xf32>'"),
    ("p: 0.5, most: 2.5", LOAD, "s.yaml:9:47: most: expected a value that topp.select takes, found '2.5'"),
):
    result = compile_spec(attributes, *more)
    assert result.returncode == 1 and words in result.stderr and not (folder / "m.so").exists(), (result.returncode, result.stderr)
result = compile_spec(GOOD, *LOAD)
assert result.returncode == 0, result.stderr

counts = set()
for rows in (0, 1, 9, 200):
    x = rng.standard_normal((rows, WIDTH)).astype(np.float32)
    np.save(folder / "x.npy", x)
    subprocess.run(["graft", "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", "--output", f"y=@{folder}/y.npy"], check=True)
    want = np.zeros((rows, OUT))
    for row, out in zip(x.astype(float), want):
        shares = np.exp(gate @ row) / np.exp(gate @ row).sum()
        taken, reached = [], 0.0
        for e in np.argsort(-shares, kind="stable"):
            if reached >= P or len(taken) == MOST:
                break
            taken.append(e)
            reached += shares[e]
        counts.add(len(taken))
        out += sum(shares[e] / shares[taken].sum() * (experts[e] @ row) for e in taken)
    y = np.load(folder / "y.npy")
    assert np.abs(y - want).max(initial=0) <= 1e-5 * max(1, np.abs(want).max(initial=0)), np.abs(y - want).max()
assert len(counts) > 2, counts  # the number of modules does vary from row to row
