# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""com.microsoft's QMoE of integers: each width, blocks or rows, zero points, own router weights, against its formula in fp64, and
against onnxruntime where its CPU op runs the case; and what is refused."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

EXPERTS, HIDDEN, INNER = 6, 32, 64
SWIGLU = {"activation_type": "swiglu", "swiglu_fusion": 1, "swiglu_limit": 7.0, "activation_alpha": 1.702, "activation_beta": 1.0}
CASES = [
    {"expert_weight_bits": 4, "k": 2, "normalize_routing_weights": 1, "activation_type": "silu", "bias": True},
    {"expert_weight_bits": 8, "k": 2, "normalize_routing_weights": 1, **SWIGLU, "bias": True},
    {"expert_weight_bits": 4, "k": 1, "normalize_routing_weights": 0, "block_size": 16, **SWIGLU, "bias": True},
    {"expert_weight_bits": 4, "k": 2, "normalize_routing_weights": 1, "block_size": 32, **SWIGLU, "zeros": True},
    {"expert_weight_bits": 8, "k": 3, "normalize_routing_weights": 1, "block_size": 16, **SWIGLU, "zeros": True},
    {"expert_weight_bits": 8, "k": 2, "normalize_routing_weights": 0, "activation_type": "gelu", "zeros": True},
    {"expert_weight_bits": 4, "k": 2, "normalize_routing_weights": 1, "activation_type": "relu", "zeros": True, "weighs": True},
    {"expert_weight_bits": 2, "k": 2, "normalize_routing_weights": 1, "block_size": 16, **SWIGLU, "zeros": True},
    {"expert_weight_bits": 4, "fc2_expert_weight_bits": 8, "k": 2, "normalize_routing_weights": 1, **SWIGLU, "bias": True},
]
OWN = ("bias", "zeros", "weighs")


def pack(numbers, bits):
    """Integers along the last axis into bytes, the first in the lowest bits, padded to a whole byte."""
    each = 8 // bits
    pad = -numbers.shape[-1] % each
    numbers = np.pad(numbers, [(0, 0)] * (numbers.ndim - 1) + [(0, pad)]).reshape(*numbers.shape[:-1], -1, each)
    return (numbers << (np.arange(each) * bits)).sum(-1).astype(np.uint8)


def write_model(path, case, seed, change=lambda inputs: None):
    """y = QMoE(x, x · gate). Returns the weights that are meant, in fp64."""
    rng = np.random.default_rng(seed)
    attributes = {name: value for name, value in case.items() if name not in OWN}
    block = case.get("block_size", 0)
    width = 2 * INNER if case.get("swiglu_fusion") else INNER
    floats = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    inputs = {"gate": floats(HIDDEN, EXPERTS)}
    meant = {"gate": inputs["gate"]}
    for number, (rows, columns) in enumerate(((width, HIDDEN), (HIDDEN, INNER)), 1):
        bits = case.get(f"fc{number}_expert_weight_bits", case["expert_weight_bits"])
        q = rng.integers(0, 1 << bits, (EXPERTS, rows, columns))
        inputs[f"w{number}"] = pack(q, bits)
        blocks = columns // block if block else 1
        scales = (np.abs(floats(EXPERTS, rows, blocks)) * 0.5 / (1 << bits) + 0.01).astype(np.float32)
        zeros = rng.integers(0, 1 << bits, (EXPERTS, rows, blocks)) if case.get("zeros") else np.full((EXPERTS, rows, blocks), 1 << (bits - 1))
        meant[f"w{number}"] = ((q.reshape(EXPERTS, rows, blocks, -1) - zeros[..., None]) * scales[..., None].astype(np.float64)).reshape(q.shape)
        inputs[f"s{number}"] = scales if block else scales[..., 0]
        if case.get("zeros"):
            inputs[f"z{number}"] = pack(zeros if block else zeros[..., 0], bits)
        if case.get("bias"):
            inputs[f"b{number}"] = meant[f"b{number}"] = floats(EXPERTS, rows)
    if case.get("weighs"):
        meant["other"] = inputs["other"] = floats(HIDDEN, EXPERTS)
    names = ["x", "scores", "w1", "s1", "b1", "w2", "s2", "b2", "", "", "", "z1", "z2", "", "weighing"]
    names = [name if name in inputs or name in ("x", "scores") or (name == "weighing" and case.get("weighs")) else "" for name in names]
    while not names[-1]:
        names.pop()
    change(inputs)
    node, value = helper.make_node, helper.make_tensor_value_info
    nodes = [node("MatMul", ["x", "gate"], ["scores"], name="/gate/MatMul")]
    if case.get("weighs"):
        nodes += [node("MatMul", ["x", "other"], ["logits"], name="/other/MatMul"), node("Sigmoid", ["logits"], ["weighing"], name="/other/Sigmoid")]
    nodes.append(node("QMoE", names, ["y"], name="/moe/QMoE", domain="com.microsoft", **attributes))
    shape = ["n", HIDDEN]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, shape)], [value("y", TensorProto.FLOAT, shape)],
                              [numpy_helper.from_array(array, name) for name, array in inputs.items()])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return {name: array.astype(np.float64) for name, array in meant.items()}


def expected(case, w, x):
    """The op's formula, expert by expert."""
    x = x.astype(np.float64)
    scores = x @ w["gate"]
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    if case.get("weighs"):
        weights = 1 / (1 + np.exp(-(x @ w["other"])))
    result = np.zeros_like(x)
    for row, score, weight, out in zip(x, scores, weights, result):
        chosen = np.argsort(-score, kind="stable")[: case["k"]]
        scale = weight[chosen].sum() if case["normalize_routing_weights"] else 1.0
        for expert in chosen:
            linear = lambda number, v: w[f"w{number}"][expert] @ v + (w[f"b{number}"][expert] if case.get("bias") else 0)
            h = linear(1, row)
            if case["activation_type"] == "swiglu":
                gate, up = np.minimum(h[0::2], 7.0), np.clip(h[1::2], -7.0, 7.0)
                h = gate / (1 + np.exp(-1.702 * gate)) * (up + 1)
            else:
                h = {"relu": lambda v: np.maximum(v, 0), "silu": lambda v: v / (1 + np.exp(-v)),
                     "gelu": lambda v: v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))}[case["activation_type"]](h)
            out += weight[expert] / scale * linear(2, h)
    return result


def error(actual, wanted):
    return np.linalg.norm(actual - wanted) / max(np.linalg.norm(wanted), 1e-30)


def run_onnxruntime(path, x):
    """Its result, or none where its CPU op refuses the case."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    except Exception:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    rng = np.random.default_rng(12)
    bad, compared = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(CASES):
            weights = write_model(folder / "m.onnx", case, number)
            subprocess.run([graft, "compile", folder / "m.onnx", "-o", folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            for rows in (1, 19):
                x = rng.standard_normal((rows, HIDDEN)).astype(np.float32)
                np.save(folder / "x.npy", x)
                subprocess.run([graft, "run", folder / "m.so", "--input", f"x=@{folder}/x.npy", "--output", f"y=@{folder}/y.npy"], check=True)
                y = np.load(folder / "y.npy")
                if y.shape != x.shape or not error(y, expected(case, weights, x)) <= 1e-5:
                    bad.append(f"{case}, {rows} rows: relative error {error(y, expected(case, weights, x)):.1e}")
                other = run_onnxruntime(folder / "m.onnx", x)
                compared += other is not None
                # It weighs by the softmax of what is chosen, whatever the attribute says. Of blocks of 8 bits it rounds activations too.
                if other is not None and case["normalize_routing_weights"] and not error(y, other) <= (3e-2 if case.get("block_size") else 1e-3):
                    bad.append(f"{case}, {rows} rows: differs from onnxruntime by {error(y, other):.1e}")
        if compared < 8:
            bad.append(f"onnxruntime ran {compared} cases only")

        def spoil(name, value):
            return lambda inputs: inputs.__setitem__(name, value(inputs[name]))

        base, blocks = CASES[0], CASES[3]
        nothing = lambda inputs: None
        infinite = lambda scales: np.where(np.arange(scales.size).reshape(scales.shape) == 3, np.inf, scales).astype(np.float32)
        for case, change, code, words in (
                ({**base, "expert_weight_bits": 3}, nothing, 2, "fc1_expert_weight_bits 3"),
                ({**base, "quant_type": "fp8"}, nothing, 2, "quant_type fp8"),
                ({**base, "weights_prepacked": 1}, nothing, 2, "weights_prepacked 1"),
                ({**base, "k": 7}, nothing, 1, "expected k from 1 to the 6 experts, found 7"),
                ({**blocks, "block_size": 24}, nothing, 1, "block_size: expected a power of two from 16 on, found 24"),
                (blocks, spoil("s1", lambda s: s[..., :-1]), 1, "fc1_scales: expected constant floats of (6, 128, 1)"),
                (base, spoil("s1", infinite), 1, "fc1_scales: expected finite numbers, found inf at 3"),
                (blocks, spoil("z2", lambda z: np.concatenate([z, z], -1)), 1, "fc2_zero_points: expected constant bytes of (6, 32, 1)"),
                (base, spoil("w2", lambda w: w[:-1]), 1, "fc2_scales: expected constant floats of (5, 32)")):
            write_model(folder / "m.onnx", case if case.get("expert_weight_bits") != 3 else {**case, "expert_weight_bits": 4}, 0, change)
            if case.get("expert_weight_bits") == 3:
                model = onnx.load(folder / "m.onnx")
                next(a for a in model.graph.node[-1].attribute if a.name == "expert_weight_bits").i = 3
                onnx.save(model, folder / "m.onnx")
            (folder / "m.so").unlink(missing_ok=True)
            result = subprocess.run([graft, "compile", folder / "m.onnx", "-o", folder / "m.so"], capture_output=True, text=True)
            if result.returncode != code or words not in result.stderr or "/moe/QMoE" not in result.stderr or (folder / "m.so").exists():
                bad.append(f"{words}: exit {result.returncode}, {result.stderr}")
    if bad:
        sys.exit("\n".join(bad))


main()
