# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models of Mittal, Bengio and Lajoie from both of torch's exporters: as many routers are found as there are sums over
modules, one for each time step; outputs are torch's, also where the weights of GT-Modular are not one-hot; a row's bits
depend on nothing but the row; what is shown as weights are those given, or their means over a set."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures" / "mittal"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(x, rule, threads=1, *flags):
            given = []
            for name, value in (("x", x), ("rule", rule)):
                np.save(folder / f"{name}.npy", value)
                given += ["--input", f"{name}=@{folder}/{name}.npy"] if name in inputs else []
            subprocess.run([graft, "run", folder / "m.so", *given, "--output", f"y=@{folder}/y.npy", "--threads", str(threads), *flags], check=True)
            return np.load(folder / "y.npy")

        for case, facts in json.loads((FIXTURES / "manifest.json").read_text()).items():
            model, values = FIXTURES / f"{case}.onnx", np.load(FIXTURES / facts["values"])
            inputs = {value.name for value in onnx.load(model).graph.input}  # the rule only where something reads it
            about = json.loads(subprocess.check_output([graft, "inspect", model, "--json"]))["routers"]
            if len(about) != facts["routers"] or not all(router["checked"] for router in about):
                bad.append(f"{case}: expected {facts['routers']} routers, each compared with the graph, found {about}")
            subprocess.run([graft, "compile", model, "-o", folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            for number in range(3):
                x = values[f"x.{number}"]
                for output, route in (("y", "rule"), ("soft", "weights")):
                    rule = values[f"{route}.{number}"]
                    y, wanted = run(x, rule), values[f"{output}.{number}"]
                    error = np.linalg.norm(y - wanted) / np.linalg.norm(wanted)
                    if y.shape != wanted.shape or not error <= 1e-5:
                        bad.append(f"{case}, {output}.{number}: relative error {error:.1e}")
                    if "gt-modular" in case and number == 2:
                        if not np.array_equal(y, run(x, rule, 3)) or not np.array_equal(y[5:7], run(x[5:7], rule[5:7])):
                            bad.append(f"{case}, {output}.{number}: a row's bits depend on the batch or the threads")
                        run(x, rule, 1, "--record-route-weights", str(folder / "weights.npy"))
                        shown, kind = np.load(folder / "weights.npy"), case.split(".")[0]
                        given = {"mlp": rule[None], "mha": rule.mean(1)[None], "rnn": rule.swapaxes(0, 1)}[kind]
                        if shown.shape != given.shape or not np.allclose(shown, given, rtol=1e-6, atol=1e-7):
                            bad.append(f"{case}, {output}.{number}: weights that are shown")
    if bad:
        sys.exit("\n".join(bad))


main()
