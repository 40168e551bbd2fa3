# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixtures as torch's exporters take them apart: as many routers are found as there are, and none where there is none;
outputs are torch's. What an exporter froze is refused unless it is to be repaired. Each raise has compared itself with the
graph."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures" / "mixtures"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case, facts in json.loads((FIXTURES / "manifest.json").read_text()).items():
            model, values = FIXTURES / f"{case}.onnx", np.load(FIXTURES / facts["values"])
            repair = []
            if facts.get("frozen"):
                (folder / "m.so").unlink(missing_ok=True)
                refused = subprocess.run([graft, "compile", model, "-o", folder / "m.so"], capture_output=True, text=True)
                if refused.returncode != 1 or "the export froze" not in refused.stderr or (folder / "m.so").exists():
                    bad.append(f"{case}: exit {refused.returncode}, {refused.stderr}")
                repair = ["--repair"]
            text = subprocess.run([graft, "compile", model, *repair, "--emit", "modular", "-o", "-"], check=True, capture_output=True, text=True)
            found = sum("modular.router" in line and "fixed by task" not in line for line in text.stdout.splitlines())
            if found != facts["routers"]:
                bad.append(f"{case}: {found} routers, expected {facts['routers']}")
            # What is raised runs on the rows that take it: no expert is computed for all.
            lowered = subprocess.run([graft, "compile", model, *repair, "--emit", "dispatch", "-o", "-"], check=True, capture_output=True, text=True).stdout
            if lowered.count("dispatch.plan ") != found or (found and "dispatch.segmented_matmul" not in lowered):
                bad.append(f"{case}: {lowered.count('dispatch.plan ')} plans for {found} routers")
            about = json.loads(subprocess.check_output([graft, "inspect", model, "--json"]))["routers"]
            if len(about) != found or not all(router["checked"] or router.get("needs_repair") for router in about):
                bad.append(f"{case}: inspect says {about}")
            # An adapter of the experts binds to the layers that were exported, and goes where they go.
            adapter = ["--adapter", f"lora={FIXTURES / facts['adapter']}"] if "adapter" in facts else []
            subprocess.run([graft, "compile", model, *repair, *adapter, "-o", folder / "m.so"], check=True, capture_output=True)
            for key in (key for key in values if not key.startswith("x.")):
                kind, number = key.split(".")
                np.save(folder / "x.npy", values[f"x.{number}"])
                subprocess.run([graft, "run", folder / "m.so", "--task", "lora" if kind == "lora" else "base",
                                "--input", f"x=@{folder}/x.npy", "--output", f"y=@{folder}/y.npy"], check=True)
                error = np.linalg.norm(np.load(folder / "y.npy") - values[key]) / np.linalg.norm(values[key])
                if not error <= 1e-5:
                    bad.append(f"{case}, {key}: relative error {error:.1e}")
    if bad:
        sys.exit("\n".join(bad))


main()
