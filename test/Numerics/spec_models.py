# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A backbone of two layers, weights for what specs put into it, and NumPy's words for what specs say."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

D, H, E = 16, 24, 6


def write_backbone(path, seed=1):
    """y = h2 · head, h_{l+1} = h_l + mlp_l(h_l), x of [batch, seq, D]. Returns the weights."""
    rng = np.random.default_rng(seed)
    weights = {"head": rng.standard_normal((D, 5)) * 0.3}
    nodes = []
    at = "x"

    def node(op, inputs, output, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    for layer in range(2):
        for key, shape in {"fc1.weight": (D, H), "fc1.bias": (H,), "fc2.weight": (H, D), "fc2.bias": (D,)}.items():
            weights[f"layers.{layer}.mlp.{key}"] = rng.standard_normal(shape) * 0.3
        stem, of = f"/layers.{layer}/mlp", f"layers.{layer}.mlp"
        h = node("MatMul", [at, f"{of}.fc1.weight"], f"{stem}/fc1/product", f"{stem}/fc1/MatMul")
        h = node("Add", [f"{of}.fc1.bias", h], f"{stem}/fc1/sum", f"{stem}/fc1/Add")
        h = node("Relu", [h], f"{stem}/act/output", f"{stem}/act/Relu")
        h = node("MatMul", [h, f"{of}.fc2.weight"], f"{stem}/fc2/product", f"{stem}/fc2/MatMul")
        h = node("Add", [f"{of}.fc2.bias", h], f"{stem}/fc2/sum", f"{stem}/fc2/Add")
        at = node("Add", [at, h], f"h{layer + 1}", f"/layers.{layer}/Add")
    node("MatMul", [at, "head"], "y", "/head/MatMul")
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "seq", D])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "seq", 5])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return weights


def write_weights(path, seed=2):
    """For each layer a gate, stacked experts in both layouts, and what else specs name."""
    rng = np.random.default_rng(seed)
    shapes = {"gate.weight": (E, D), "gate.bias": (E,), "up": (E, H, D), "up_bias": (E, H), "down": (E, D, H), "down_bias": (E, D),
              "glu": (E, H, D), "select_bias": (E,), "noise": (E, D), "a": (3, 4, D), "b": (3, D, 4), "norm.weight": (D,), "norm.bias": (D,),
              "query": (D, D), "key": (D, D), "value": (D, D), "square": (E, D, D), "joined": (D, 2 * D), "outer": (2, D), "small.down": (2, 4, D), "small.up": (2, D, 4)}
    weights = {f"l{layer}.{name}": (0.4 * rng.standard_normal(shape)).astype(np.float32) for layer in range(2) for name, shape in shapes.items()}
    save_file({**weights, **{name + ".T": np.ascontiguousarray(value.swapaxes(-1, -2)) for name, value in weights.items() if value.ndim == 3}}, path)
    return weights


def write_bodies(folder, seed=2):
    """Bodies as ONNX files: scores, tanh(x · square), and the greatest of what is in the slots, weighed."""
    rng_weights = write_weights(folder / "w.safetensors", seed)
    value, node = helper.make_tensor_value_info, helper.make_node

    def save(name, nodes, inputs, output, weights):
        graph = helper.make_graph(nodes, "g", inputs, [output], [numpy_helper.from_array(array, key) for key, array in weights.items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), folder / name)

    save("scores.onnx", [node("MatMul", ["x", "w"], ["y"])], [value("x", TensorProto.FLOAT, ["n", D])], value("y", TensorProto.FLOAT, ["n", E]),
         {"w": np.ascontiguousarray(rng_weights["l0.gate.weight"].T)})
    save("body.onnx", [node("MatMul", ["x", "w"], ["h"]), node("Tanh", ["h"], ["y"])], [value("x", TensorProto.FLOAT, ["n", D])],
         value("y", TensorProto.FLOAT, ["n", D]), {"w": rng_weights["l0.square"][0]})
    save("rows-meet.onnx", [node("Softmax", ["x"], ["y"], name="/over/rows", axis=0)],
         [value("x", TensorProto.FLOAT, ["n", D])], value("y", TensorProto.FLOAT, ["n", D]), {})
    save("greatest.onnx", [node("Unsqueeze", ["w", "last"], ["u"]), node("Mul", ["s", "u"], ["p"]), node("ReduceMax", ["p", "one"], ["y"], keepdims=0)],
         [value("s", TensorProto.FLOAT, ["n", "k", D]), value("c", TensorProto.INT64, ["n", "k"]), value("w", TensorProto.FLOAT, ["n", "k"])],
         value("y", TensorProto.FLOAT, ["n", D]), {"last": np.array([-1]), "one": np.array([1])})


def run_backbone(weights, x, replaced):
    """In fp64; `replaced(layer, h, mlp)` takes the layer's input and a function for the layer, and gives the layer's output."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    h = x.astype(np.float64)
    for layer in range(2):
        of = f"layers.{layer}.mlp"
        mlp = lambda v, of=of: np.maximum(v @ w[of + ".fc1.weight"] + w[of + ".fc1.bias"], 0) @ w[of + ".fc2.weight"] + w[of + ".fc2.bias"]
        h = h + replaced(layer, h, mlp)
    return h @ w["head"]


def softmax(x):
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x / 2 * (1 + np.vectorize(__import__("math").erf)(x / np.sqrt(2)))


def silu(x):
    return x * sigmoid(x)


def relu(x):
    return np.maximum(x, 0)


def top(scores, count):
    """Routes of the `count` greatest scores: a 0/1 matrix."""
    chosen = np.zeros_like(scores)
    np.put_along_axis(chosen, np.argsort(-scores, -1, kind="stable")[..., :count], 1, -1)
    return chosen


def normalized(weights):
    return weights / weights.sum(-1, keepdims=True)


def mixture(weights, outputs):
    """Σ over modules, of weights (…, modules) and a list of outputs."""
    return sum(weights[..., i : i + 1] * output for i, output in enumerate(outputs))
