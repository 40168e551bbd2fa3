# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Specs and tasks: routers that are fixed by the task, alone, several at once and row by row; and specs beside adapters."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from spec_models import *

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures"
SPEC = """graft: 1
modules:
  expert: {count: 3, linear: {weight: {tensor: "w.safetensors:l0.square", index: "{index}"}}}
  inner: {mixture: {router: {select: {task: {de: [expert.1], zh: [expert.2]}}}, modules: [expert.1, expert.2]}}
  outer: {mixture: {router: gate, modules: [expert.0, inner]}}
routers:
  gate: {select: {task: {base: [expert.0], de: [expert.0, inner], zh: [inner]}}, weight: {normalize: sum}}
place: [{at: layers.0.mlp, replace: outer}]
"""
# The same weights without a mixture within a mixture.
FLAT = """graft: 1
modules:
  expert: {count: 3, linear: {weight: {tensor: "w.safetensors:l0.square", index: "{index}"}}}
routers:
  gate: {select: {task: {base: [expert.0], de: [expert.0, expert.1], zh: [expert.2]}}, weight: {normalize: sum}}
place: [{at: layers.0.mlp, replace: {mixture: {router: gate, modules: [expert]}}}]
"""
# Weights of the three experts, by task; `other` is a task that the spec does not know.
WEIGHTS = {"base": [1, 0, 0], "de": [0.5, 0.5, 0], "zh": [0, 0, 1], "other": [1, 0, 0]}
ADAPTED = """graft: 1
modules:
  first: {peft: {folder: FOLDER, module: layers.0}}
  last: {peft: {folder: FOLDER, module: head}}
place:
- {at: layers.0, beside: first}
- {at: head, beside: last}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft, bad = parser.parse_args().graft, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def compile(model, text, *flags):
            (folder / "s.yaml").write_text(text)
            subprocess.run([graft, "compile", model, "--spec", folder / "s.yaml", "-o", folder / "m.so", *flags], check=True, stdout=subprocess.DEVNULL)

        def run(x, outputs, *flags):
            np.save(folder / "x.npy", x)
            files = [f"{output}=@{folder}/{output}.npy" for output in outputs]
            subprocess.run([graft, "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", *flags,
                            *(part for file in files for part in ("--output", file))], check=True, stdout=subprocess.DEVNULL)
            return [np.load(folder / f"{output}.npy") for output in outputs]

        def check(what, found, wanted):
            error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
            if not error <= 1e-5:
                bad.append(f"{what}: relative error {error:.1e}")

        backbone = write_backbone(folder / "m.onnx")
        w = {name: value.astype(np.float64) for name, value in write_weights(folder / "w.safetensors").items()}
        compile(folder / "m.onnx", SPEC, "--task", "other=")
        x = np.random.default_rng(0).standard_normal((4, 5, D)).astype(np.float32)

        def wanted(task, x=x):
            experts = lambda h: [h @ w["l0.square"][e].T for e in range(3)]
            return run_backbone(backbone, x, lambda l, h, mlp: mixture(np.broadcast_to(WEIGHTS[task], h.shape[:-1] + (3,)), experts(h)) if l == 0 else mlp(h))

        for task in WEIGHTS:
            check(task, run(x, ["y"], "--task", task)[0], wanted(task))
        names = ["de", "base", "zh"]
        for task, found in zip(names, run(x, [f"{task}.y" for task in names], "--task", ",".join(names))):
            check(f"{task} among several", found, wanted(task))
        compile(folder / "m.onnx", FLAT, "--task", "other=", "--emit=dispatch")
        ir = (folder / "m.so").read_text()
        if "dispatch.plan" in ir or "dispatch.segmented_matmul" in ir or "dispatch.exchange fixed" not in ir:
            bad.append("routes that tasks decide are not evaluated")
        compile(folder / "m.onnx", FLAT, "--task", "other=")
        # What is shown of such routes may be replayed, and nothing else.
        names = [f"{folder}/{name}.npy" for name in ("r", "w")]
        run(x, ["y"], "--task", "de", "--record-routes", names[0], "--record-route-weights", names[1])
        routes, weights = map(np.load, names)
        if not (routes == [0, 1, -1]).all() or not np.array_equal(weights, np.broadcast_to(np.float32([0.5, 0.5, 0]), weights.shape)):
            bad.append(f"de: expected experts 0 and 1 to be shown, found {routes.reshape(-1, 3)[0]} and {weights.reshape(-1, 3)[0]}")
        check("replayed", run(x, ["y"], "--task", "de", "--routes", names[0], "--route-weights", names[1])[0], wanted("de"))
        np.save(names[0], np.where(routes == 1, 2, routes))
        refused = subprocess.run([graft, "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", "--task", "de", "--routes", names[0]],
                                 capture_output=True, text=True)
        if refused.returncode == 0 or "row 0: expected the route of its task, which is compiled in" not in refused.stderr:
            bad.append(f"routes other than the task's: {refused.stderr}")
        rows = ["zh", "de", "other", "zh"]
        found = run(x, ["y"], "--row-tasks", ",".join(rows))[0]
        for row, task in enumerate(rows):
            check(f"row {row}, {task}", found[row], wanted(task, x[row : row + 1])[0])

        # LoRA of an adapter as modules beside layers is what linking makes of it; an adapter of other layers binds as ever.
        model, adapters = FIXTURES / "models" / "mlp.legacy.onnx", FIXTURES / "adapters" / "mlp"
        x = np.random.default_rng(1).standard_normal((3, 20)).astype(np.float32)
        dora = ["--adapter", f"dora={adapters}/dora"]
        subprocess.run([graft, "compile", model, "--adapter", f"small={adapters}/small", *dora, "--task", "both=small+dora", "-o", folder / "m.so"],
                       check=True, stdout=subprocess.DEVNULL)
        linked = run(x, ["small.y", "both.y"], "--task", "small,both")
        compile(model, ADAPTED.replace("FOLDER", str(adapters / "small")), *dora)
        for what, one, other in zip(("alone", "with another"), linked, run(x, ["base.y", "dora.y"], "--task", "base,dora")):
            check(f"LoRA as a module, {what}", other, one)
    if bad:
        sys.exit("\n".join(bad))


main()
