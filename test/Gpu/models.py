# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models compiled for a GPU run there, every stage of them, and give torch's outputs. The GPU is an emulated one behind a mock
driver (--driver), or without it whatever there is.

    python models.py --graft GRAFT [--driver FOLDER] [--schedules N...] CASE...     CASE: a name of the fixtures, or a part of several
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parent.parent
FIXTURES = TESTS / "Fixtures"
sys.path.insert(0, str(TESTS / "Numerics"))
from run_case import Failure, read_output, relative_error


def find_cases(patterns):
    """(name, model, compile options, [(task, inputs, outputs)])"""
    cases = json.loads((FIXTURES / "manifest.json").read_text())["cases"]
    mixtures = json.loads((FIXTURES / "mixtures" / "manifest.json").read_text())
    names = {case["name"] for case in cases} | set(mixtures)

    def is_wanted(name):
        return any(pattern == name if pattern in names else pattern in name for pattern in patterns)

    for case in cases:
        if not is_wanted(case["name"]):
            continue
        feeds, tasks, options = np.load(FIXTURES / case["feed"]), [("base", case["expected"])], []
        for adapter in case.get("adapters", []):
            options += ["--adapter", f"{adapter['name']}={FIXTURES / adapter['dir']}"]
            tasks.append((adapter["name"], adapter["expected"]))
        runs = []
        for task, expected in tasks:
            values = np.load(FIXTURES / expected)
            for number in range(case["sets"]):
                runs.append((task, {name: feeds[f"{name}.{number}"] for name in case["inputs"]},
                             {name: values[f"{name}.{number}"] for name in case["outputs"]}))
        yield case["name"], FIXTURES / case["model"], options, runs, case["tolerance"]
    for name, facts in mixtures.items():
        if not is_wanted(name):
            continue
        values = np.load(FIXTURES / "mixtures" / facts["values"])
        runs = [("base", {"x": values[f"x.{key.split('.')[1]}"]}, {"y": values[key]}) for key in values if key.startswith("y.")]
        yield name, FIXTURES / "mixtures" / f"{name}.onnx", ["--repair"] if facts.get("frozen") else [], runs, 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--driver", help="the folder of a mock driver")
    parser.add_argument("--schedules", nargs="+", default=["0"], help="of the emulator, by number")
    parser.add_argument("--most", type=int, default=1000, help="runs of a case")
    parser.add_argument("cases", nargs="+")
    given = parser.parse_args()
    bad, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, model, options, runs, tolerance in find_cases(given.cases):
            count += 1
            compile_ = [given.graft, "compile", model, *options, "--target", "cuda", "-o"]
            said = subprocess.run([*compile_, folder / "m.so"], capture_output=True, text=True)
            if said.returncode or "runs on the CPU" in said.stdout:
                bad.append(f"{name}: {said.stderr}{[line for line in said.stdout.splitlines() if 'CPU' in line]}")
                continue
            environment = dict(os.environ)
            if given.driver:
                subprocess.run([*compile_, folder / "m.mlir", "--emit", "nvvm"], check=True)
                environment |= {"LD_LIBRARY_PATH": given.driver, "GRAFT_EMULATOR_IR": str(folder / "m.mlir")}
            worst = 0
            for task, inputs, outputs in runs[:given.most]:
                arguments = [given.graft, "run", folder / "m.so", "--task", task]
                for key, array in inputs.items():
                    np.save(folder / f"{key}.in.npy", array)
                    arguments += ["--input", f"{key}=@{folder}/{key}.in.npy"]
                for key in outputs:
                    arguments += ["--output", f"{key}=@{folder}/{key}.out.npy"]
                bits = None
                for schedule in given.schedules:
                    ran = subprocess.run(arguments, capture_output=True, text=True, env=environment | {"GRAFT_EMULATOR_SCHEDULE": schedule})
                    if ran.returncode or "device: cpu" in ran.stderr:
                        bad.append(f"{name}, task {task}: {ran.stderr}")
                        break
                    found = {key: read_output(folder / f"{key}.out.npy") for key in outputs}
                    again = b"".join(array.tobytes() for array in found.values())
                    if bits not in (None, again):
                        bad.append(f"{name}, task {task}: schedule {schedule} gives other bits")
                    bits = again
                    for key, wanted in outputs.items():
                        try:
                            error = relative_error(found[key], wanted)
                        except Failure as failure:
                            bad.append(f"{name}, task {task}, {key}: {failure}")
                            continue
                        worst = max(worst, error)
                        if not error <= tolerance:
                            bad.append(f"{name}, task {task}, {key}: relative error {error:.1e}")
            print(f"{name}: {len(runs[:given.most])} runs, relative error at most {worst:.1e}", flush=True)
    if not count:
        bad.append("there is no such case")
    if bad:
        sys.exit("\n".join(bad))


main()
