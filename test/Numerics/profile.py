# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--routing-profile: experts that a profile never uses are left out of the library; on the profile's rows it computes the same, and a row that takes
one of them later gets the others only. A profile of another model is refused."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, EXPERTS = 64, 6
SPEC = """graft: 1
modules:
  expert:
    count: 6
    linear: {weight: {tensor: experts.npy, index: "{index}"}}
routers:
  gate:
    score: {linear: {weight: gate.npy}}
    select: {top: 2}
    weight: {by: logits, normalize: softmax}
place:
- {at: {node: "/layer/MatMul"}, replace: {mixture: {router: gate, modules: [expert]}}}
"""


def main():
    rng = np.random.default_rng(2)
    experts = rng.standard_normal((EXPERTS, WIDTH, WIDTH)).astype(np.float32)
    gate = np.eye(EXPERTS, WIDTH, dtype=np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "experts.npy", experts)
        np.save(folder / "gate.npy", gate)
        (folder / "s.yaml").write_text(SPEC)
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", WIDTH])
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"], name="/layer/MatMul")], "g", [value("x")], [value("y")],
                                  [numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32), "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "m.onnx")

        def graft(*arguments, code=0):
            result = subprocess.run(["graft", *map(str, arguments)], capture_output=True, text=True)
            if result.returncode != code:
                sys.exit(f"{arguments}: exit {result.returncode}: {result.stderr}")
            return result

        def run(library, x, *more):
            np.save(folder / "x.npy", x)
            graft("run", folder / library, "--input", f"x=@{folder}/x.npy", "--output", f"y=@{folder}/y.npy", *more)
            return np.load(folder / "y.npy")

        compile_ = lambda out, *more, code=0: graft("compile", folder / "m.onnx", "--spec", folder / "s.yaml", "-o", folder / out, *more, code=code)
        compile_("whole.so")
        # Scores are the row's first elements: experts 1 and 4 never win.
        x = rng.standard_normal((40, WIDTH)).astype(np.float32)
        x[:, [1, 4]] = -9
        y = run("whole.so", x, "--routing-stats", folder / "stats.json")
        said = compile_("less.so", "--routing-profile", folder / "stats.json").stdout
        if "router gate: 2 of 6 modules left out, 0.0000 of the profile's weights lost" not in said:
            sys.exit(f"expected words of 2 modules left out, found {said}")
        if not np.array_equal(run("less.so", x), y):
            sys.exit("the profile's own rows are computed otherwise")
        saved = (folder / "whole.so").stat().st_size - (folder / "less.so").stat().st_size
        if saved < WIDTH * WIDTH * 4 * 2 * 0.9:
            sys.exit(f"expected the library to lose two experts, {WIDTH * WIDTH * 4 * 2} bytes, found {saved}")
        # Expert 1 is gone: its slot is empty, and the weight of the other stays what it was.
        row = np.zeros((1, WIDTH), np.float32)
        row[0, [1, 2]] = 3, 2
        share = 1 / (1 + np.exp(3.0 - 2.0))
        want = share * (experts[2] @ row[0])
        if np.abs(run("less.so", row)[0] - want).max() > 1e-5 * np.abs(want).max():
            sys.exit("a row that takes what was left out does not get the other expert alone")

        stats = json.loads((folder / "stats.json").read_text())
        stats["routers"][0]["modules"].pop()
        (folder / "other.json").write_text(json.dumps(stats))
        for profile in ("other.json", "none.json", "s.yaml"):
            (folder / "bad.so").unlink(missing_ok=True)
            result = compile_("bad.so", "--routing-profile", folder / profile, code=1)
            if profile not in result.stderr or (folder / "bad.so").exists():
                sys.exit(f"{profile}: {result.stderr}")


main()
