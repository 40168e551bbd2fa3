# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of tasks with LoRAs of ranks 1 to 70 in one batch: results against weights merged in double precision, bits against each task run alone, whatever
else is in the batch and however many threads; sums of adapters, tasks without any, what has no part in it (DoRA, a head of its own); other types."""

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

RNG = np.random.default_rng(5)
# up and side read one value; lift and head are two products in a row.
SITES = {"up": (40, 24), "side": (40, 24), "down": (24, 40), "lift": (40, 48), "head": (48, 5)}
WEIGHTS = {name: RNG.standard_normal((out, size)).astype(np.float32) / np.float32(np.sqrt(size))
           for name, (size, out) in SITES.items()}
BIAS = {name: RNG.standard_normal(out).astype(np.float32) for name, (_, out) in SITES.items()}
# The rank of each adapter, and the sites that it is on.
RANKS = {"one": (1, SITES), "three": (3, ("up", "head")), "few": (4, ("up",)), "vector": (16, SITES), "odd": (17, ("down", "side")),
         "most": (64, ("up", "down", "side")), "broad": (70, ("up", "side"))}
TASKS = {"base": (), **{name: (name,) for name in RANKS}, "none": (), "sum": ("one", "most", "odd"), "again": ("few",)}
APART = {"dora": ("dora",), "wide": ("wide",)}


def write_model(path, kind, other=None):
    """pooled(down(tanh(up(x)) · side(x)) + x) and two products of it, computed in a type; x and the mask may have a batch each."""
    node, value = helper.make_node, helper.make_tensor_value_info
    weights = {"axis": np.array([1], np.int64)}
    nodes = [node("Cast", ["x"], ["c"], name="/Cast", to=kind), node("Cast", ["mask"], ["m"], name="/Mask", to=kind)]

    def linear(x, name, y):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = WEIGHTS[name], BIAS[name]
        if name in ("lift", "head"):
            nodes.append(node("Gemm", [x, f"{name}.weight", f"{name}.bias"], [y], name=f"/{name}/Gemm", transB=1))
            return
        weights[f"{name}.weight"] = np.ascontiguousarray(WEIGHTS[name].T)
        nodes.append(node("MatMul", [x, f"{name}.weight"], [f"{y}_product"], name=f"/{name}/MatMul"))
        nodes.append(node("Add", [f"{name}.bias", f"{y}_product"], [y], name=f"/{name}/Add"))

    linear("c", "up", "u")
    linear("c", "side", "s")
    nodes += [node("Tanh", ["u"], ["v"], name="/Tanh"), node("Mul", ["v", "s"], ["t"], name="/Gate")]
    linear("t", "down", "d")
    nodes += [node("Add", ["d", "c"], ["r"], name="/Add"), node("Mul", ["r", "m"], ["k"], name="/Mul"),
              node("ReduceMean", ["k"], ["p"], name="/ReduceMean", axes=[1], keepdims=0)]
    linear("p", "lift", "l")
    linear("l", "head", "h")
    nodes += [node("Cast", ["h"], ["y"], name="/Y", to=TensorProto.FLOAT), node("Cast", ["k"], ["z"], name="/Z", to=TensorProto.FLOAT)]
    tensors = []
    for name, array in weights.items():
        tensor = numpy_helper.from_array(array, name)
        if array.dtype == np.float32 and kind != TensorProto.FLOAT:
            tensor = helper.make_tensor(name, kind, array.shape, array.flatten())
        tensors.append(tensor)
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["batch", "seq", 40]), value("mask", TensorProto.FLOAT, [other or "batch", "seq", 1])],
        [value("y", TensorProto.FLOAT, ["batch", 5]), value("z", TensorProto.FLOAT, ["batch", "seq", 40])], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_adapters(folder):
    """PEFT folders; what each adds to the weights, in double precision."""
    deltas = {}
    for name, (rank, sites) in {**RANKS, "dora": (2, ("up",)), "wide": (2, ("up",))}.items():
        tensors, deltas[name] = {}, {}
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": list(sites)}
        for site in sites:
            size, out = SITES[site]
            down = (RNG.standard_normal((rank, size)) / np.sqrt(size * rank)).astype(np.float32)
            up = (RNG.standard_normal((out, rank)) / np.sqrt(rank)).astype(np.float32)
            tensors[f"{site}.lora_A.weight"], tensors[f"{site}.lora_B.weight"] = down, up
            deltas[name][site] = 2.0 * up.astype(np.float64) @ down
        if name == "dora":
            config["use_dora"] = True
            tensors["up.lora_magnitude_vector"] = np.linalg.norm(WEIGHTS["up"] + deltas[name]["up"], axis=1).astype(np.float32)
        if name == "wide":
            config["modules_to_save"] = ["head"]
            tensors["head.weight"], tensors["head.bias"] = WEIGHTS["head"][:3].copy(), BIAS["head"][:3].copy()
        (folder / name).mkdir()
        (folder / name / "adapter_config.json").write_text(json.dumps(config))
        save_file({f"base_model.model.{key}": array for key, array in tensors.items()}, folder / name / "adapter_model.safetensors")
    return deltas


class Trial:
    def __init__(self, graft, folder):
        self.graft, self.folder, self.deltas = graft, folder, write_adapters(folder)
        self.tasks, self.adapters = {**TASKS, **APART}, [*RANKS, *APART]

    def call(self, *words):
        done = subprocess.run([self.graft, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def compile(self, kind, fold, *more, other=None):
        write_model(self.folder / "model.onnx", kind, other)
        words = [w for name in self.adapters for w in ("--adapter", f"{name}={self.folder / name}")]
        words += [w for name, parts in self.tasks.items() if name != "base" and parts != (name,)
                  for w in ("--task", f"{name}={'+'.join(parts)}")]
        return self.call("compile", self.folder / "model.onnx", *words, "--fold", fold, "--fold-tolerance", "1e-2", *(more or ("-o", self.folder / "x.so")))

    def inputs(self, x, mask):
        for name, array in (("x", x), ("mask", mask)):
            np.save(self.folder / f"{name}.npy", array)
        return [w for name in ("x", "mask") for w in ("--input", f"{name}=@{self.folder / name}.npy")]

    def read(self, names):
        return {name: np.load(self.folder / f"{name}.npy") for name in names}

    def outputs(self, names):
        return [w for name in names for w in ("--output", f"{name}=@{self.folder / name}.npy")]

    def rows(self, given, x, mask, threads=2):
        """What each row of a mixed batch gives: y and z."""
        names = ["z"] if len(set(given)) > 1 and "wide" in given else ["y", "z"]
        if "y" not in names:
            names += [f"{task}.y" for task in sorted(set(given))]
        self.call("run", self.folder / "x.so", "--row-tasks", ",".join(given), "--threads", threads, *self.inputs(x, mask), *self.outputs(names))
        found = self.read(names)
        if "y" in found:
            return list(zip(found["y"], found["z"]))
        next_of = {task: iter(found[f"{task}.y"]) for task in set(given)}
        return [(next(next_of[task]), z) for task, z in zip(given, found["z"])]

    def alone(self, task, x, mask):
        self.call("run", self.folder / "x.so", "--task", task, "--threads", 1, *self.inputs(x, mask), *self.outputs(["y", "z"]))
        found = self.read(["y", "z"])
        return found["y"], found["z"]

    def wanted(self, task, x, mask):
        weights = {site: weight.astype(np.float64) for site, weight in WEIGHTS.items()}
        for part in self.tasks[task]:
            for site, delta in self.deltas[part].items():
                weights[site] = weights[site] + delta
        def linear(x, site):
            return x @ weights[site].T + BIAS[site]

        z = (linear(np.tanh(linear(x, "up")) * linear(x, "side"), "down") + x) * mask
        y = linear(linear(z.mean(-2), "lift"), "head")
        return y[..., :3] if task == "wide" else y, z

    def check(self, what, given, seq, limit):
        x = RNG.standard_normal((len(given), seq, 40)).astype(np.float32)
        mask = (RNG.random((len(given), seq, 1)) < 0.8).astype(np.float32)
        found = self.rows(given, x, mask)
        one = self.rows(given, x, mask, threads=1)
        worst = 0.0
        for row, task in enumerate(given):
            own = (x[row:row + 1], mask[row:row + 1])
            alone = self.alone(task, *own)
            for part, (got, want) in enumerate(zip(found[row], self.wanted(task, x[row].astype(np.float64), mask[row]))):
                worst = max(worst, np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-3))
                if not np.array_equal(got, one[row][part]):
                    sys.exit(f"{what}, row {row}, {task}: other bits with one thread")
                if not np.array_equal(got, alone[part][0]):
                    sys.exit(f"{what}, row {row}, {task}: other bits than alone, {np.abs(got - alone[part][0]).max()}")
        print(f"{what}, {len(given)} rows of {seq}: relative error {worst:.1e}")
        if not worst <= limit:
            sys.exit(f"{what}: relative error {worst:.2e}, at most {limit}")

    def run(self):
        # Those of a rank of at most 64 share what reads one value.
        everything, self.adapters = self.adapters, [name for name in self.adapters if name != "broad"]
        tasks, self.tasks = self.tasks, {name: parts for name, parts in self.tasks.items() if name != "sum"}
        text = self.compile(TensorProto.FLOAT, "never", "--emit=dispatch", "-o", "-")
        self.adapters, self.tasks = everything, tasks
        counts = {op: text.count(f"dispatch.{op} ") for op in ("plan", "segmented_matmul", "gather")}
        if counts != {"plan": 1, "segmented_matmul": 2 * len(SITES) - 1, "gather": 0}:
            sys.exit(f"expected one plan, a segmented matmul up at each site and one down for each value, found {counts}")
        names = list(TASKS)
        draw = [names[i] for i in RNG.integers(len(names), size=23)]
        for kind, limit in (("FLOAT", 1e-5), ("FLOAT16", 2e-2), ("BFLOAT16", 1e-1)):
            self.compile(TensorProto.DataType.Value(kind), "never")
            self.check(kind, names, 9, limit)
            self.check(kind, names[::-1], 1, limit)
            self.check(kind, [*names, "dora", "wide", "most", "wide"], 3, limit)
            if kind != "FLOAT":
                continue
            self.check(kind, ["most"] * 5, 4, limit)
            self.check(kind, ["vector"], 7, limit)
            self.check(kind, ["most", "most", "one", "most"], 30, limit)
            self.check(kind, ["base", "one", "none"], 3, limit)
            self.check(kind, draw, 5, limit)
        said = self.compile(TensorProto.FLOAT, "never")
        for words in ("rows: 11 of 13 tasks run together in one batch", "dora runs apart: it scales what comes of 'up.weight'",
                      "wide runs apart: it has weights of its own at 'head.weight'"):
            if words not in said:
                sys.exit(f"the report does not say '{words}': {said}")
        done = subprocess.run([self.graft, "run", str(self.folder / "x.so"), "--row-tasks", "base,two", *self.inputs(
            np.zeros((2, 3, 40), np.float32), np.zeros((2, 3, 1), np.float32))], capture_output=True, text=True)
        if done.returncode != 1 or "two" not in done.stderr:
            sys.exit(f"a task that is not there: exit {done.returncode}: {done.stderr}")
        self.compile(TensorProto.FLOAT, "auto")
        self.check("auto", draw, 5, 1e-5)
        self.compile(TensorProto.FLOAT, "never", other="s86")
        self.check("a batch each", draw, 5, 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft", help="the tool; the one in PATH unless given")
    with tempfile.TemporaryDirectory(prefix="graft-rows-") as folder:
        Trial(parser.parse_args().graft, Path(folder)).run()


if __name__ == "__main__":
    main()
