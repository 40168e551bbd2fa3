# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers of experts (SwiGLU, as onnxruntime's MoE op) on the emulated device and on the CPU: the outputs agree, no order of
threads changes a bit, and how many kernels a layer launches.

    python mixtures.py --graft GRAFT --driver FOLDER [--all]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SCHEDULES = ["0", "1", "3", "5", "6", "7"]
# What is multiplied over what has to be, at so many rows an expert; a fp32 product is made of three.
PADDING = {32: 1.4, 256: 1.1}
TOLERANCES = {"FLOAT": 1e-5, "FLOAT16": 2e-3, "BFLOAT16": 1e-2}


@dataclass(frozen=True)
class Layer:
    experts: int
    chosen: int
    hidden: int = 32
    inner: int = 48
    gate: str = "drawn"  # or "one": all rows choose the same; "few": only the first few experts are chosen; "nan": one has no scores
    element: str = "FLOAT"  # of the weights and the products; x and y are of fp32

    def __str__(self):
        return f"{self.experts} experts, {self.chosen} chosen, {self.hidden} x {self.inner}, gate {self.gate}, {self.element}"

    def write(self, path):
        """y = MoE(x, x · gate), and the weights: gate and the other half of fc1 take turns by row. Of x, the first column is 1."""
        draw = np.random.default_rng(self.experts * 131 + self.hidden)
        shapes = {"gate": (self.hidden, self.experts), "fc1": (self.experts, 2 * self.inner, self.hidden), "fc2": (self.experts, self.hidden, self.inner)}
        weights = {name: draw.standard_normal(shape, dtype=np.float32) * np.float32(0.2) for name, shape in shapes.items()}
        if self.gate == "one":
            weights["gate"][0] = -np.arange(self.experts) * 100
        elif self.gate == "few":
            weights["gate"][0, self.chosen + 1:] = -1000
            for name in ("fc1", "fc2"):  # of which nothing may come near the rows of others
                weights[name][self.chosen + 1:] = np.nan
        elif self.gate == "nan":
            weights["gate"][:, 3] = np.nan
        element = getattr(TensorProto, self.element)
        nodes = [helper.make_node("Cast", ["x"], ["narrow"], name="/Cast", to=element),
                 helper.make_node("MatMul", ["narrow", "gate"], ["scores"], name="/gate/MatMul"),
                 helper.make_node("MoE", ["narrow", "scores", "fc1", "", "fc2"], ["mixed"], name="/moe/MoE", domain="com.microsoft", k=self.chosen,
                                  activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1),
                 helper.make_node("Cast", ["mixed"], ["y"], name="/Cast_1", to=TensorProto.FLOAT)]
        dtype = helper.tensor_dtype_to_np_dtype(element)
        value = helper.make_tensor_value_info
        graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, ["n", self.hidden])], [value("y", TensorProto.FLOAT, ["n", self.hidden])],
                                  [numpy_helper.from_array(array.astype(dtype), name) for name, array in weights.items()])
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


def draw_rows(layer, rows, nans):
    x = np.random.default_rng(rows).standard_normal((rows, layer.hidden), dtype=np.float32)
    x[:, 0] = 1
    if nans:
        x[1::3] = np.nan  # whose scores are no numbers
    return x


def relative_error(found, wanted):
    """Of the numbers; infinite where one of the two alone has one."""
    is_number = np.isfinite(wanted)
    if (is_number != np.isfinite(found)).any():
        return np.inf
    found, wanted = found[is_number], wanted[is_number]
    return np.linalg.norm(found.astype(np.float64) - wanted) / max(np.linalg.norm(wanted.astype(np.float64)), 1e-30)


class Runner:
    def __init__(self, graft, driver, folder, seconds=None):
        """`seconds`: the most that a run may take."""
        self.graft, self.driver, self.folder, self.seconds, self.bad = graft, driver, Path(folder), seconds, []

    def compile(self, layer):
        """Whether the whole layer is on the device."""
        model, self.library, self.kernels = (self.folder / name for name in ("m.onnx", "m.so", "m.mlir"))
        layer.write(model)
        for options in ([self.library], [self.kernels, "--emit", "nvvm"]):
            said = subprocess.run([self.graft, "compile", model, "--target", "cuda", "-o", *options], capture_output=True, text=True)
            if said.returncode or "runs on the CPU" in said.stdout:
                self.bad.append(f"{layer}: {said.stderr}{said.stdout}")
                return False
        return True

    def run(self, what, x, **environment):
        """The output and what was said; nothing if it failed."""
        given, found = self.folder / "x.npy", self.folder / "y.npy"
        np.save(given, x)
        found.unlink(missing_ok=True)
        try:
            ran = subprocess.run([self.graft, "run", self.library, "--input", f"x=@{given}", "--output", f"y=@{found}"], capture_output=True, text=True,
                                 env=os.environ | environment, timeout=self.seconds)
        except subprocess.TimeoutExpired:
            self.bad.append(f"{what}: does not end")
            return None
        if ran.returncode:
            self.bad.append(f"{what}: {ran.stderr}")
            return None
        return np.load(found), ran.stderr

    def emulate(self, what, x, schedule):
        """The output and how many kernels were launched."""
        log, traffic = self.folder / "log", self.folder / "traffic"
        log.unlink(missing_ok=True)
        traffic.unlink(missing_ok=True)
        ran = self.run(f"{what}, schedule {schedule}", x, LD_LIBRARY_PATH=self.driver, GRAFT_EMULATOR_IR=str(self.kernels),
                       GRAFT_EMULATOR_SCHEDULE=schedule, GRAFT_MOCK_LOG=str(log), GRAFT_EMULATOR_TRAFFIC=str(traffic))
        self.traffic = [dict(re.findall(r"(\w+)=(\d+)", line)) for line in traffic.read_text().splitlines()] if ran else []
        if ran and "device: cpu" in ran[1]:
            self.bad.append(f"{what}: {ran[1]}")
            return None
        return ran and (ran[0], len(re.findall(r"^cuLaunchKernel ", log.read_text(), re.MULTILINE)))

    def check(self, layer, rows, schedules, nans=False):
        what = f"{layer}, {rows} rows{', of which some have no scores' if nans else ''}"
        x = draw_rows(layer, rows, nans)
        on_cpu = self.run(what, x, GRAFT_DEVICE="cpu")
        results = [self.emulate(what, x, schedule) for schedule in schedules]
        if not on_cpu or None in results:
            return
        wanted, (found, launches) = on_cpu[0], results[0]
        for schedule, (again, _) in zip(schedules[1:], results[1:]):
            if again.tobytes() != found.tobytes():
                self.bad.append(f"{what}: schedule {schedule} gives other bits than {schedules[0]}")
        # A row's bits are its own, whatever else is in the batch.
        if rows > 64 and not nans:
            alone = self.emulate(f"{what}, 7 of them", x[:7], schedules[0])
            if alone and alone[0].tobytes() != found[:7].tobytes():
                self.bad.append(f"{what}: 7 rows alone have other bits")
        error = relative_error(found, wanted)
        if not error <= TOLERANCES[layer.element]:
            self.bad.append(f"{what}: relative error {error:.1e}")
        if rows * layer.chosen in (each * layer.experts for each in PADDING):
            self.check_padding(what, layer, rows)
        print(f"{what}: {launches} launches, relative error {error:.1e}, {len(schedules)} schedules", flush=True)

    def check_padding(self, what, layer, rows):
        """Of the run before: with as many rows for each expert, as nearly as gates give them."""
        least = rows * (layer.chosen * 3 * layer.hidden * layer.inner + layer.hidden * layer.experts)
        padding = sum(int(launch["products"]) for launch in self.traffic) / least / (3 if layer.element == "FLOAT" else 1)
        print(f"{what}: {padding:.2f} of the multiplications that it takes")
        if padding > PADDING[rows * layer.chosen // layer.experts]:
            self.bad.append(f"{what}: {padding:.2f} of the multiplications that it takes")


def cases(everything):
    """(layer, [(rows, how many schedules, with NaN)])"""
    if not everything:
        yield Layer(8, 2), [(1, 1, False), (65, 5, False), (16, 1, True)]
        yield Layer(64, 2, 30, 43, "few"), [(5, 5, False)]
        for element in ("FLOAT16", "BFLOAT16"):
            yield Layer(8, 2, 40, 24, element=element), [(65, 1, False)]
        return
    for experts in (8, 64):
        for gate in ("one", "few", "nan"):
            yield Layer(experts, 2, gate=gate), [(rows, 5 if rows == 65 else 1, False) for rows in (1, 16, 65, 129, 513)]
    for element in ("FLOAT16", "BFLOAT16"):
        for experts, chosen in ((8, 1), (64, 2), (128, 8)):
            yield Layer(experts, chosen, element=element), [(rows, 5 if rows == 65 else 1, False) for rows in (0, 1, 16, 65, 513)]
        yield Layer(8, 2, 30, 43, "few", element), [(65, 1, False)]
    for hidden, inner in ((30, 43), (17, 33), (68, 100), (4, 130), (129, 5)):
        yield Layer(8, 2, hidden, inner), [(rows, 5 if rows == 65 else 1, False) for rows in (1, 5, 65, 300)]
    yield Layer(8, 2, 128, 128, element="FLOAT16"), [(128, 1, False), (1024, 1, False)]
    counts = [0, 1, 5, 16, 63, 64, 65, 129, 513]
    for experts in (8, 64, 128):
        for chosen in (1, 2, 8):
            yield Layer(experts, chosen), [(rows, 6 if rows in (5, 65) and chosen == 2 else 1, False) for rows in counts] + [(17, 1, True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--driver", required=True, help="the folder of the emulated device's driver")
    parser.add_argument("--all", action="store_true", help="many sizes, for minutes, instead of a few")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(given.graft, given.driver, folder)
        for layer, runs in cases(given.all):
            if runner.compile(layer):
                for rows, schedules, nans in runs:
                    runner.check(layer, rows, SCHEDULES[:schedules], nans)
    if runner.bad:
        sys.exit("\n".join(runner.bad))


if __name__ == "__main__":
    main()
