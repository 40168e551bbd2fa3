# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A task for each row, folded and not: rows of two heads of different size and of the base; masks picked by the row's
number; a batch whose size is fixed; inputs with a batch each, as an exporter names them that was not told otherwise; and the refusal, with op and reason, where rows see each other."""

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

RNG = np.random.default_rng(3)
WEIGHT, HEAD = (RNG.standard_normal(shape).astype(np.float32) for shape in ((8, 6), (3, 8)))


def write_model(path, batch, mixes=False, other=None):
    """head(tanh(body(x)) * keep), where keep is picked out of `keep` by [row number, 0], or by the mean of all rows."""
    node, value = helper.make_node, helper.make_tensor_value_info
    weights = {"body.weight": WEIGHT, "head.weight": HEAD, "zero": np.array(0, np.int64), "one": np.array(1, np.int64),
               "none": np.array([0], np.int64), "last": np.array([1], np.int64)}
    nodes = [node("Shape", ["x"], ["shape"], name="/Shape"), node("Gather", ["shape", "zero"], ["n"], name="/Count"),
             node("Range", ["zero", "n", "one"], ["row"], name="/Range"), node("Unsqueeze", ["row", "last"], ["r"], name="/R"),
             node("Mul", ["r", "zero"], ["c"], name="/C"), node("Concat", ["r", "c"], ["index"], name="/Concat", axis=1),
             node("GatherND", ["keep", "index"], ["k"], name="/GatherND"), node("Unsqueeze", ["k", "last"], ["own"], name="/Own"),
             node("Gemm", ["x", "body.weight"], ["b"], name="/body/Gemm", transB=1), node("Tanh", ["b"], ["t"], name="/Tanh")]
    if mixes:
        nodes += [node("ReduceMean", ["t"], ["mean"], name="/pool/ReduceMean", axes=[0]),
                  node("Sub", ["t", "mean"], ["u"], name="/Sub")]
    nodes += [node("Mul", ["u" if mixes else "t", "own"], ["h"], name="/Mul"),
              node("Gemm", ["h", "head.weight"], ["y"], name="/head/Gemm", transB=1)]
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [batch, 6]), value("keep", TensorProto.FLOAT, [other or batch, 2])],
        [value("y", TensorProto.FLOAT, [batch, 3])], [numpy_helper.from_array(a, name) for name, a in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_adapters(folder):
    """`wide` has LoRA and a head of 5 labels, `low` LoRA alone. What each makes of body and head."""
    tasks = {"base": (WEIGHT, HEAD)}
    for name in ("wide", "low"):
        down, up = RNG.standard_normal((2, 6)).astype(np.float32), RNG.standard_normal((8, 2)).astype(np.float32)
        tensors, config = {"body.lora_A.weight": down, "body.lora_B.weight": up}, {"r": 2, "lora_alpha": 4}
        head = HEAD
        if name == "wide":
            head = RNG.standard_normal((5, 8)).astype(np.float32)
            tensors["head.weight"], config["modules_to_save"] = head, ["head"]
        (folder / name).mkdir()
        (folder / name / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
        save_file({f"base_model.model.{key}": a for key, a in tensors.items()}, folder / name / "adapter_model.safetensors")
        tasks[name] = (WEIGHT + 2.0 * up.astype(np.float64) @ down, head)
    return tasks


class Trial:
    def __init__(self, graft, folder):
        self.graft, self.folder, self.tasks = graft, folder, write_adapters(folder)

    def call(self, *words, code=0):
        done = subprocess.run([self.graft, *map(str, words)], capture_output=True, text=True)
        if done.returncode != code:
            sys.exit(f"{words[0]}: exit {done.returncode}, expected {code}: {done.stderr}")
        return done.stderr

    def compile(self, batch, fold, mixes=False, other=None):
        write_model(self.folder / "model.onnx", batch, mixes, other)
        adapters = [w for name in ("wide", "low") for w in ("--adapter", f"{name}={self.folder / name}")]
        self.call("compile", self.folder / "model.onnx", *adapters, "--fold", fold, "-o", self.folder / "x.so")

    def inputs(self, rows):
        x, keep = RNG.standard_normal((rows, 6)).astype(np.float32), RNG.standard_normal((rows, 2)).astype(np.float32)
        np.save(self.folder / "x.npy", x)
        np.save(self.folder / "keep.npy", keep)
        return x, keep, [w for name in ("x", "keep") for w in ("--input", f"{name}=@{self.folder / name}.npy")]

    def check(self, what, given):
        x, keep, feed = self.inputs(len(given))
        alike = {self.tasks[name][1].shape for name in given}
        names = ["y"] if len(alike) == 1 else [f"{name}.y" for name in sorted(set(given))]
        self.call("run", self.folder / "x.so", "--row-tasks", ",".join(given), *feed,
                  *[w for name in names for w in ("--output", f"{name}=@{self.folder / name}.npy")])
        for name in names:
            rows = [i for i, task in enumerate(given) if name in ("y", f"{task}.y")]
            expected = []
            for i in rows:
                body, head = self.tasks[given[i]]
                expected.append((np.tanh(body.astype(np.float64) @ x[i]) * keep[i, 0]) @ head.T)
            error = np.linalg.norm(np.load(self.folder / f"{name}.npy") - expected) / np.linalg.norm(expected)
            print(f"{what}, {','.join(given)}, {name}: relative error {error:.1e}")
            if not error <= 1e-5:
                sys.exit(f"{what}, {name}: relative error {error:.2e}, at most 1e-5")

    def run(self):
        for fold in ("never", "always"):
            for batch in ("batch", 4):
                self.compile(batch, fold)
                what = f"batch {batch}, fold {fold}"
                self.check(what, ["wide", "base", "low", "wide"])
                self.check(what, ["low", "base", "low", "base"])
                self.check(what, ["low", "low", "low", "low"])
        said = self.call("run", self.folder / "x.so", "--row-tasks", "low,low,base", *self.inputs(4)[2], code=1)
        if "there are 3 tasks, but the inputs have 4 rows" not in said:
            sys.exit(f"another number of tasks than of rows: {said}")
        self.compile("batch", "always", other="s86")
        self.check("a batch each", ["low", "base", "wide"])
        feed = self.inputs(3)[2]
        np.save(self.folder / "keep.npy", RNG.standard_normal((2, 2)).astype(np.float32))
        said = self.call("run", self.folder / "x.so", "--row-tasks", "low,base,wide", *feed, code=1)
        if "expected inputs of as many rows, found input 'keep' with 2, another with 3" not in said:
            sys.exit(f"batches that differ: {said}")
        self.compile("batch", "always", mixes=True)
        said = self.call("run", self.folder / "x.so", "--row-tasks", "low,base", *self.inputs(2)[2], code=2)
        if "through ReduceMean '/pool/ReduceMean': reduces over the rows" not in said:
            sys.exit(f"rows that see each other: {said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft", help="the tool; the one in PATH unless given")
    with tempfile.TemporaryDirectory(prefix="graft-rows-") as folder:
        Trial(parser.parse_args().graft, Path(folder)).run()


if __name__ == "__main__":
    main()
