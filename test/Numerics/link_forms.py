# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Adapters on backbones that hold a layer in another form than torch's module: three projections joined into one product,
parameters under torch.export's names, a convolution in groups under DoRA. What is expected is PEFT's formula in numpy."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

RNG = np.random.default_rng(7)
OPSET = [helper.make_opsetid("", 17)]


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def write_model(path, nodes, weights, dims):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, dims)], [value("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(array, name) for name, array in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=OPSET, ir_version=8), path)


def write_adapter(folder, tensors, **config):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    save_file({f"base_model.model.{name}": array for name, array in tensors.items()}, folder / "adapter_model.safetensors")


class Projections:
    """tanh(q) * k + v, of three linear layers 12 -> 6."""

    def __init__(self):
        self.weight = {name: random(6, 12) for name in "qkv"}
        self.bias = {name: random(6) for name in "qkv"}
        self.x = random(2, 5, 12)

    def adapted(self, names, rank=3, alpha=6, lora_bias=False):
        """Tensors of LoRA on some of the layers, and what comes of it."""
        tensors, parts = {}, {}
        for name in "qkv":
            parts[name] = self.x @ self.weight[name].T.astype(np.float64) + self.bias[name]
            if name not in names:
                continue
            down, up, bias = random(rank, 12), random(6, rank), random(6) if lora_bias else np.zeros(6)
            parts[name] += alpha / rank * (self.x @ down.T.astype(np.float64) @ up.T + bias)
            tensors[f"attn.{name}_proj.lora_A.weight"], tensors[f"attn.{name}_proj.lora_B.weight"] = down, up
            if lora_bias:
                tensors[f"attn.{name}_proj.lora_B.bias"] = bias
        return tensors, np.tanh(parts["q"]) * parts["k"] + parts["v"]

    TAIL = [helper.make_node("Tanh", ["q"], ["t"], name="tanh"), helper.make_node("Mul", ["t", "k"], ["u"], name="mul"),
            helper.make_node("Add", ["u", "v"], ["y"], name="add")]


def joined(folder):
    case = Projections()
    weights = {"attn.qkv.weight": np.ascontiguousarray(np.concatenate([case.weight[n] for n in "qkv"]).T),
               "attn.qkv.bias": np.concatenate([case.bias[n] for n in "qkv"]), "sizes": np.array([6, 6, 6], np.int64)}
    nodes = [helper.make_node("MatMul", ["x", "attn.qkv.weight"], ["m"], name="/attn/qkv/MatMul"),
             helper.make_node("Add", ["m", "attn.qkv.bias"], ["b"], name="/attn/qkv/Add"),
             helper.make_node("Split", ["b", "sizes"], ["q", "k", "v"], name="/attn/Split", axis=-1)]
    write_model(folder / "model.onnx", nodes + case.TAIL, weights, ["batch", "seq", 12])
    tensors, expected = case.adapted("qv", lora_bias=True)
    write_adapter(folder / "adapter", tensors, r=3, lora_alpha=6, lora_bias=True)
    places = {"q": "0:6", "v": "12:18"}
    return case.x, expected, [w for n, p in places.items() for w in ("--map", f"(.*)[.]{n}_proj$=\\1.qkv[{p}]")]


def exported_names(folder, prefix=""):
    case = Projections()
    weights, nodes = {}, []
    for name in "qkv":
        weights[f"p_attn_{name}_proj_weight"], weights[f"p_attn_{name}_proj_bias"] = case.weight[name], case.bias[name]
        nodes += [helper.make_node("Transpose", [f"p_attn_{name}_proj_weight"], [f"{name}w"], name=f"node_t_{name}"),
                  helper.make_node("MatMul", ["x", f"{name}w"], [f"{name}m"], name=f"node_linear_{name}"),
                  helper.make_node("Add", [f"{name}m", f"p_attn_{name}_proj_bias"], [name], name=f"node_add_{name}")]
    write_model(folder / "model.onnx", nodes + case.TAIL, weights, ["batch", "seq", 12])
    tensors, expected = case.adapted("qv")
    write_adapter(folder / "adapter", {prefix + name: array for name, array in tensors.items()}, r=3, lora_alpha=6)
    return case.x, expected, []


def dora_in_groups(folder):
    """PEFT takes the norms of the product of lora_B and lora_A read as matrices as they lie in memory."""
    groups, channels, out, rank, scale = 2, 8, 12, 4, 1.5
    weight, down, up, magnitude = random(out, channels // groups, 3), random(rank, channels, 3), random(
        out, rank // groups, 1), 1 + np.abs(random(1, out, 1))
    x = random(2, channels, 9)

    def convolve(x, kernel, groups, pad):
        x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (pad, pad)])
        length, size = x.shape[2] - kernel.shape[2] + 1, len(kernel) // groups
        result = np.zeros((len(x), len(kernel), length))
        for o in range(len(kernel)):
            start = o // size * kernel.shape[1]
            for k in range(kernel.shape[2]):
                result[:, o] += np.einsum("c,ncl->nl", kernel[o, :, k], x[:, start:start + kernel.shape[1], k:k + length])
        return result

    product = (up.reshape(-1, rank).astype(np.float64) @ down.reshape(rank, -1)).reshape(weight.shape)
    norm = np.sqrt(((weight + scale * product) ** 2).sum((1, 2)))
    whole = convolve(x, weight, groups, 1) + scale * convolve(convolve(x, down, 1, 1), up, groups, 0)
    expected = (magnitude[0, :, 0] / norm)[:, None] * whole
    node = helper.make_node("Conv", ["x", "conv.weight"], ["y"], name="/conv/Conv", group=groups, kernel_shape=[3],
                            pads=[1, 1])
    write_model(folder / "model.onnx", [node], {"conv.weight": weight}, ["batch", channels, "time"])
    write_adapter(folder / "adapter", {"conv.lora_A.weight": down, "conv.lora_B.weight": up,
                                       "conv.lora_magnitude_vector": magnitude}, r=rank, lora_alpha=scale * rank,
                  use_dora=True)
    return x, expected, []


def attention(folder):
    """torch's MultiheadAttention computes with the parameters of its own and of out_proj within; PEFT adapts both, and adds
    out_proj's delta twice."""
    weight, bias, out, x = random(18, 6), random(18), random(6, 6), random(4, 6)
    nodes = [helper.make_node("MatMul", ["x", "onnx::MatMul_9"], ["m"], name="/self_attn/MatMul"),
             helper.make_node("Add", ["m", "self_attn.in_proj_bias"], ["b"], name="/self_attn/Add"),
             helper.make_node("Split", ["b", "sizes"], ["q", "k", "v"], name="/self_attn/Split", axis=-1),
             helper.make_node("Tanh", ["q"], ["t"], name="/self_attn/Tanh"),
             helper.make_node("Mul", ["t", "k"], ["u"], name="/self_attn/Mul"),
             helper.make_node("Add", ["u", "v"], ["s"], name="/self_attn/Add_1"),
             helper.make_node("Gemm", ["s", "self_attn.out_proj.weight"], ["y"], name="/self_attn/Gemm", transB=1)]
    weights = {"onnx::MatMul_9": np.ascontiguousarray(weight.T), "self_attn.in_proj_bias": bias,
               "self_attn.out_proj.weight": out, "sizes": np.array([6, 6, 6], np.int64)}
    write_model(folder / "model.onnx", nodes, weights, ["batch", 6])
    down, up, out_down, out_up = random(2, 6), random(18, 2), random(2, 6), random(6, 2)
    write_adapter(folder / "adapter", {"self_attn.lora_A.weight": down, "self_attn.lora_B.weight": up,
                                       "self_attn.base_layer.out_proj.lora_A.weight": out_down,
                                       "self_attn.base_layer.out_proj.lora_B.weight": out_up}, r=2, lora_alpha=3)
    q, k, v = np.split(x @ (weight + 1.5 * up.astype(np.float64) @ down).T + bias, 3, axis=1)
    return x, (np.tanh(q) * k + v) @ (out + 2 * 1.5 * out_up.astype(np.float64) @ out_down).T, []


def last_token(folder, width=None):
    """A decoder's head without a bias, with 5 labels for the backbone's 3, whose rows are picked behind it; `width` fixes how
    many labels are picked."""
    node, x, head = helper.make_node, random(3, 4, 6), random(5, 6)
    nodes = [node("MatMul", ["x", "onnx::MatMul_3"], ["logits"], name="/score/MatMul"),
             node("Shape", ["logits"], ["shape"], name="/Shape"), node("Gather", ["shape", "i0"], ["n"], name="/Batch"),
             node("Gather", ["shape", "i1"], ["seq"], name="/Seq"), node("Gather", ["shape", "v2"], ["labels"], name="/Labels"),
             node("Range", ["i0", "n", "i1"], ["row"], name="/Range"), node("Mul", ["row", "seq"], ["first"], name="/Mul"),
             node("Sub", ["seq", "i1"], ["last"], name="/Sub"), node("Add", ["first", "last"], ["index"], name="/Add"),
             node("Flatten", ["logits"], ["flat"], name="/Flatten", axis=2),
             node("Gather", ["flat", "index"], ["picked"], name="/Gather"),
             node("Concat", ["all", "fixed" if width else "labels"], ["size"], name="/Concat", axis=0),
             node("Reshape", ["picked", "size"], ["y"], name="/Reshape")]
    weights = {"onnx::MatMul_3": random(6, 3), "i0": np.array(0, np.int64), "i1": np.array(1, np.int64),
               "v2": np.array([2], np.int64), "all": np.array([-1], np.int64), "fixed": np.array([width or 0], np.int64)}
    write_model(folder / "model.onnx", nodes, weights, ["batch", "seq", 6])
    write_adapter(folder / "adapter", {"score.weight": head}, r=2, lora_alpha=2, modules_to_save=["score"])
    return x, x[:, -1] @ head.T.astype(np.float64), []


def refuse(graft, name, words, case, *arguments):
    with tempfile.TemporaryDirectory(prefix="graft-forms-") as text:
        folder = Path(text)
        flags = case(folder, *arguments)[2]
        done = subprocess.run([graft, "compile", folder / "model.onnx", "--adapter", f"a={folder / 'adapter'}", "-o",
                               folder / "x.so", *flags], capture_output=True, text=True)
        if done.returncode != 1 or words not in done.stderr:
            sys.exit(f"{name}: exit {done.returncode}, expected 1 and '{words}': {done.stderr}")


def check(graft, name, case, *arguments):
    with tempfile.TemporaryDirectory(prefix="graft-forms-") as text:
        folder = Path(text)
        x, expected, flags = case(folder, *arguments)
        np.save(folder / "x.npy", x)
        for fold in ("never", "always"):
            library, output = folder / "x.so", folder / "y.npy"
            for words in (["compile", folder / "model.onnx", "--adapter", f"a={folder / 'adapter'}", "--fold", fold, "-o",
                           library, *flags],
                          ["run", library, "--task", "a", "--input", f"x=@{folder / 'x.npy'}", "--output", f"y=@{output}"]):
                done = subprocess.run([graft, *map(str, words)], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name}, fold {fold}: exit {done.returncode}: {done.stderr}")
            error = np.linalg.norm(np.load(output) - expected) / np.linalg.norm(expected)
            print(f"{name}, fold {fold}: relative error {error:.1e}")
            if not error <= 1e-5:
                sys.exit(f"{name}, fold {fold}: relative error {error:.2e}, at most 1e-5")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft", help="the tool; the one in PATH unless given")
    graft = parser.parse_args().graft
    check(graft, "joined projections", joined)
    check(graft, "names of torch.export", exported_names)
    check(graft, "names of torch.export, class around the adapter's", exported_names, "model.")
    check(graft, "attention that computes with its out_proj", attention)
    check(graft, "head of a decoder", last_token)
    refuse(graft, "head of a decoder, of which three labels are picked", "what follows depends on it: Reshape /Reshape",
           last_token, 3)
    check(graft, "DoRA of a convolution in groups", dora_in_groups)


if __name__ == "__main__":
    main()
