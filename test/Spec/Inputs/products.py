# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How many products a layer comes to whose mlp a body replaces: products.py FOLDER, which has files.py's files. What is linear is one product, whichever way
a spec says it, and what reads one input is one product with more columns."""

import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1])
SPEC = """graft: 1
files: {w: w.safetensors}
modules:
  l: {count: 4, linear: {weight: {tensor: "w:l0.square", index: "{index}"}}}
  b: {count: 4, linear: {weight: {tensor: "w:l0.square", index: "{index}"}, bias: "w:l0.norm.bias"}}
  m: {count: 4, mlp: {up: {tensor: "w:l0.up", index: "{index}"}, down: {tensor: "w:l0.down", index: "{index}"}}}
  v: {linear: {weight: "w:l0.value"}}
  lora: {lora: {down: {tensor: "w:l0.a", index: 0}, up: {tensor: "w:l0.b", index: 0}, alpha: 4}}
place: [{at: layers.0.mlp, replace: %s}]
"""
CASES = {
    "{stack: [l.0, l.1]}": 1,
    "{stack: [b.0, b.1, b.2, l.3]}": 1,
    "{sum: [l.0, l.1, l.2, l.3]}": 1,
    "{sum: [b.0, l.1, b.2, b.3]}": 1,
    "{stack: [{sum: [b.0, b.1]}, {sum: [l.2, {stack: [b.3, v]}]}]}": 1,
    '{stack: [b.0, b.1, {linear: {weight: "w:l0.key", activation: relu}}, b.0, b.1]}': 2,
    "{mixture: {router: {select: {fixed: [b.0, b.1, b.2]}}, modules: [b]}}": 1,
    "{sum: [m.0, m.1, m.2]}": 1 + 3,
    "{sum: [{stack: [l.0], scale: 2}, {stack: [l.1], residual: true}]}": 1,
    "lora": 2,
    "{stack: [l.0, {residual: true, stack: [l.1]}]}": 2,
}


def products(spec):
    arguments = ["--spec", folder / "s.yaml"] if spec else []
    (folder / "s.yaml").write_text(SPEC % spec)
    done = subprocess.run(["graft", "compile", folder / "m.onnx", *arguments, "--emit", "dispatch", "-o", "-"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.count("dispatch.matmul")


# The layer's own mlp has two.
others = products(None) - 2
found = {body: products(body) - others for body in CASES}
assert found == CASES, {body: (count, CASES[body]) for body, count in found.items() if count != CASES[body]}
print("products as expected")
