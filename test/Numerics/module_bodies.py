# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules of one router whose bodies differ, each on the rows that take it: against onnxruntime, which computes all of them for
all rows. Rows are vectors, sequences and images; weights are one-hot, soft, all for one module, and 0; a row's bits depend on
nothing but the row."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WIDTH = 8


class Graph:
    """Σ_e weights[…, e : e + 1] · module_e(x)"""

    def __init__(self, seed):
        self.draw, self.nodes, self.initializers, self.modules = np.random.default_rng(seed), [], [], []

    def node(self, op, inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"/{op}_{len(self.nodes)}", **attributes))
        return name

    def constant(self, array):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        return self.constant((self.draw.standard_normal(shape) / 2).astype(np.float32))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    # Bodies.
    def linear(self, x, out=WIDTH):
        return self.node("Add", [self.node("MatMul", [x, self.weight(WIDTH, out)]), self.weight(out)])

    def mlp(self, x):
        return self.linear(self.node("Relu", [self.linear(x)]))

    def tanh(self, x):
        return self.node("Tanh", [x])

    def norm(self, x):
        return self.linear(self.node("LayerNormalization", [x, self.weight(WIDTH), self.weight(WIDTH)]))

    def gated(self, x):
        return self.node("Mul", [self.linear(x), self.node("Sigmoid", [self.linear(x)])])

    def attention(self, x):
        q, k, v = (self.linear(x) for _ in range(3))
        scores = self.node("Softmax", [self.node("MatMul", [q, self.node("Transpose", [k], perm=[0, 2, 1])])], axis=-1)
        return self.linear(self.node("MatMul", [scores, v]))

    def mean(self, x):
        return self.node("Add", [x, self.node("ReduceMean", [self.linear(x), self.integers(1)], keepdims=1)])

    def convolution(self, x):
        return self.node("Conv", [x, self.weight(3, 3, 3, 3)], pads=[1, 1, 1, 1])

    def pooled(self, x):
        return self.node("Mul", [x, self.node("Sigmoid", [self.node("GlobalAveragePool", [x])])])

    def sum(self, weights, branches):
        total = None
        for number, branch in enumerate(branches):
            gate = self.node("Slice", [weights, self.integers(number), self.integers(number + 1), self.integers(-1)])
            term = self.node("Mul", [gate, branch])
            total = self.node("Add", [total, term]) if total else term
        return total

    def save(self, path, bodies, shape, weights):
        result = self.sum("w", [getattr(self, body)("x") for body in bodies])
        self.nodes[-1].output[0] = "y"
        assert result
        value = helper.make_tensor_value_info
        graph = helper.make_graph(self.nodes, "g", [value("x", TensorProto.FLOAT, shape), value("w", TensorProto.FLOAT, weights)],
                                  [value("y", TensorProto.FLOAT, shape)], self.initializers)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


# Bodies; the shapes of x and of the weights; and how many plans there are to be: modules of sequences whose tokens have weights plan again for
# what they make of each token alone.
CASES = {
    "vectors": (["mlp", "tanh", "mlp", "linear", "norm", "mlp", "gated"], ["b", WIDTH], ["b", 7], 1),
    "alike": (["mlp", "mlp", "mlp"], ["b", WIDTH], ["b", 3], 1),
    "different": (["norm", "tanh"], ["b", WIDTH], ["b", 2], 1),
    "tokens": (["mlp", "norm", "mlp"], ["b", "s", WIDTH], ["b", "s", 3], 1),
    "sets": (["attention", "mlp", "mean", "attention"], ["b", "s", WIDTH], ["b", "s", 4], 4),
    "sequences": (["attention", "mlp", "attention"], ["b", "s", WIDTH], ["b", 1, 3], 1),
    "static": (["attention", "mlp", "tanh"], [6, 5, WIDTH], [6, 5, 3], 3),
    "images": (["convolution", "pooled", "tanh"], ["b", 3, "h", WIDTH], ["b", 1, 1, 3], 1),
}


def weights_of(kind, shape, draw):
    """The last dimension is the modules'."""
    if kind == "soft":
        return draw.standard_normal(shape).astype(np.float32)
    chosen = draw.integers(shape[-1], size=shape[:-1])
    if kind == "one":
        chosen[:] = shape[-1] - 1
    weights = np.eye(shape[-1], dtype=np.float32)[chosen]
    return weights * (kind != "none")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(x, w, threads=1):
            np.save(folder / "x.npy", x)
            np.save(folder / "w.npy", w)
            subprocess.run([graft, "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", "--input", f"w=@{folder}/w.npy",
                            "--output", f"y=@{folder}/y.npy", "--threads", str(threads)], check=True)
            return np.load(folder / "y.npy")

        for case, (bodies, shape, weights, plans) in CASES.items():
            draw = np.random.default_rng(len(case))
            Graph(len(case)).save(folder / "m.onnx", bodies, shape, weights)
            text = subprocess.run([graft, "compile", folder / "m.onnx", "--emit", "dispatch", "-o", "-"], check=True, capture_output=True,
                                  text=True).stdout
            if text.count(" dispatch.plan ") != plans:
                bad.append(f"{case}: {text.count(' dispatch.plan ')} plans, expected {plans}")
            subprocess.run([graft, "compile", folder / "m.onnx", "-o", folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            dense = subprocess.run([graft, "compile", folder / "m.onnx", "--dense-routing", "--emit", "dispatch", "-o", "-"], check=True,
                                   capture_output=True, text=True).stdout
            if " dispatch.plan " in dense:
                bad.append(f"{case}: a plan with --dense-routing")
            session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
            for sizes in ({"b": 13, "s": 4, "h": 5}, {"b": 1, "s": 1, "h": 2}):
                given = [[sizes.get(d, d) for d in dims] for dims in (shape, weights)]
                x = draw.standard_normal(given[0]).astype(np.float32)
                for kind in ("one-hot", "soft", "one", "none"):
                    w = weights_of(kind, given[1], draw)
                    y, wanted = run(x, w), session.run(None, {"x": x, "w": w})[0]
                    error = np.linalg.norm(y - wanted) / max(np.linalg.norm(wanted), 1e-30)
                    if y.shape != wanted.shape or not error <= 1e-5:
                        bad.append(f"{case}, {kind}, {sizes}: relative error {error:.1e}")
                    if not np.array_equal(y, run(x, w, 3)):
                        bad.append(f"{case}, {kind}, {sizes}: three threads give other bits")
                    if shape[0] == "b" and sizes["b"] > 1:
                        if not np.array_equal(y[4:5], run(x[4:5], w[4:5])) or not np.array_equal(y[::-1], run(x[::-1], w[::-1])):
                            bad.append(f"{case}, {kind}, {sizes}: a row's bits depend on other rows")
            if shape[0] == "b":
                # Without rows; and what a row does not take has no effect on it.
                sizes["b"] = 0
                given = [[sizes.get(d, d) for d in dims] for dims in (shape, weights)]
                if run(np.zeros(given[0], np.float32), np.zeros(given[1], np.float32)).shape != tuple(given[0]):
                    bad.append(f"{case}: no rows give something else")
    if bad:
        sys.exit("\n".join(bad))


main()
