# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""com.microsoft's MoE: every activation and layout against its formula in fp64, and against onnxruntime where its CPU op
knows the case; no rows, one row, all rows to one expert, a row of NaN; and what is refused."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

EXPERTS, HIDDEN, INNER = 8, 16, 24
SWIGLU = {"swiglu_limit": 7.0, "activation_alpha": 1.702, "activation_beta": 1.0}
CASES = [
    {"activation_type": "relu", "k": 2, "normalize_routing_weights": 1, "bias": True},
    {"activation_type": "relu", "k": 1, "normalize_routing_weights": 0, "bias": False, "flat": True},
    {"activation_type": "gelu", "k": 3, "normalize_routing_weights": 1, "bias": True},
    {"activation_type": "silu", "k": 8, "normalize_routing_weights": 0, "bias": True},
    {"activation_type": "identity", "k": 2, "normalize_routing_weights": 1, "bias": False},
    {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 2, "normalize_routing_weights": 1, "bias": True, **SWIGLU},
    {"activation_type": "swiglu", "swiglu_fusion": 1, "k": 3, "normalize_routing_weights": 0, "bias": False},
    {"activation_type": "swiglu", "swiglu_fusion": 2, "k": 2, "normalize_routing_weights": 1, "bias": True, **SWIGLU},
    {"activation_type": "swiglu", "swiglu_fusion": 0, "k": 2, "normalize_routing_weights": 1, "bias": True},
]


def write_model(path, case, seed):
    """y = MoE(x, x · gate), x of [b, s, HIDDEN], flattened before the op if `flat`. Returns the weights."""
    rng = np.random.default_rng(seed)
    attributes = {name: value for name, value in case.items() if name not in ("bias", "flat")}
    gated, fusion = case["activation_type"] == "swiglu", case.get("swiglu_fusion", 0)
    width = 2 * INNER if gated and fusion else INNER
    shapes = {"gate": (HIDDEN, EXPERTS), "w1": (EXPERTS, width, HIDDEN), "w2": (EXPERTS, HIDDEN, INNER)}
    names = ["flat" if case.get("flat") else "x", "scores", "w1", "b1", "w2", "b2"]
    if gated and not fusion:
        shapes["w3"] = (EXPERTS, INNER, HIDDEN)
        names += ["w3", "b3"]
    if case["bias"]:
        shapes.update({"b" + name[1]: shape[:2] for name, shape in shapes.items() if name[0] == "w"})
    weights = {name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    names = [name if name[0] != "b" or name in weights else "" for name in names]
    while not names[-1]:
        names.pop()
    node, value = helper.make_node, helper.make_tensor_value_info
    nodes = [node("Reshape", ["x", "rows"], ["flat"], name="/Reshape"), node("MatMul", ["flat", "gate"], ["scores"], name="/gate/MatMul"),
             node("MoE", names, ["m"], name="/moe/MoE", domain="com.microsoft", **attributes),
             node("Shape", ["x"], ["shape"], name="/Shape"), node("Reshape", ["m", "shape"], ["y"], name="/Out")]
    initializers = {**weights, "rows": np.array([-1, HIDDEN], np.int64)}
    shape = ["b", "s", HIDDEN]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, shape)], [value("y", TensorProto.FLOAT, shape)],
                              [numpy_helper.from_array(array, name) for name, array in initializers.items()])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return weights


def expected(case, weights, x):
    """The op's formula, expert by expert, in fp64."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    rows = x.reshape(-1, HIDDEN).astype(np.float64)
    scores = rows @ w["gate"]
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    result = np.zeros_like(rows)
    for row, share, out in zip(rows, shares, result):
        chosen = np.argsort(-share, kind="stable")[: case["k"]]
        scale = share[chosen].sum() if case["normalize_routing_weights"] else 1.0
        for expert in chosen:
            linear = lambda number, v: w[f"w{number}"][expert] @ v + (w[f"b{number}"][expert] if case["bias"] else 0)
            h = linear(1, row)
            kind, fusion = case["activation_type"], case.get("swiglu_fusion", 0)
            if kind == "swiglu":
                gate, up = {0: (h, linear(3, row) if fusion == 0 else None), 1: (h[0::2], h[1::2]), 2: (h[:INNER], h[INNER:])}[fusion]
                limit = case.get("swiglu_limit", np.inf)
                gate, up = np.minimum(gate, limit), np.clip(up, -limit, limit)
                h = gate / (1 + np.exp(-case.get("activation_alpha", 1.0) * gate)) * (up + case.get("activation_beta", 0.0))
            elif kind == "gelu":
                h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
            else:
                h = {"relu": lambda v: np.maximum(v, 0), "silu": lambda v: v / (1 + np.exp(-v)), "identity": lambda v: v}[kind](h)
            out += share[expert] / scale * linear(2, h)
    return result.reshape(x.shape)


def error(actual, wanted):
    return np.linalg.norm(actual - wanted) / max(np.linalg.norm(wanted), 1e-30)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    rng = np.random.default_rng(11)
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(x):
            np.save(folder / "x.npy", x)
            subprocess.run([graft, "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", "--output", f"y=@{folder}/y.npy"], check=True)
            return np.load(folder / "y.npy")

        def check(what, actual, wanted):
            if actual.shape != wanted.shape or not error(actual, wanted) <= 1e-5:
                bad.append(f"{what}: relative error {error(actual, wanted):.1e}")

        for number, case in enumerate(CASES):
            weights = write_model(folder / "m.onnx", case, number)
            subprocess.run([graft, "compile", folder / "m.onnx", "-o", folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            for shape in ((3, 5, HIDDEN), (1, 1, HIDDEN), (0, 4, HIDDEN)):
                x = rng.standard_normal(shape).astype(np.float32)
                y = run(x)
                check(f"{case} on {shape}", y, expected(case, weights, x))
                if 0 not in shape and case.get("swiglu_fusion", 1) == 1:
                    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
                    check(f"{case} on {shape}, onnxruntime", y, session.run(None, {"x": x})[0])
            same = np.repeat(rng.standard_normal((1, 1, HIDDEN)), 40, 1).astype(np.float32)
            check(f"{case}, all rows to the same experts", run(same), expected(case, weights, same))
            same[0, 7] = np.nan
            y = run(same)
            others = np.arange(40) != 7
            if not np.isnan(y[0, 7]).all():
                bad.append(f"{case}: a row of NaN gives numbers")
            check(f"{case}, beside a row of NaN", y[:, others], expected(case, weights, same[:, others]))

        for change, code, words in (({"k": 9}, 1, "expected k from 1 to the 8 experts, found 9"),
                                    ({"use_sparse_mixer": 1}, 2, "use_sparse_mixer"), ({"activation_type": "relu2"}, 2, "activation relu2")):
            write_model(folder / "m.onnx", {**CASES[0], **change}, 0)
            (folder / "m.so").unlink(missing_ok=True)
            result = subprocess.run([graft, "compile", folder / "m.onnx", "-o", folder / "m.so"], capture_output=True, text=True)
            if result.returncode != code or words not in result.stderr or "/moe/MoE" not in result.stderr or (folder / "m.so").exists():
                bad.append(f"{change}: exit {result.returncode}, {result.stderr}")
    if bad:
        sys.exit("\n".join(bad))


main()
