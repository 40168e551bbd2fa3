# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every kernel of a model assembles for each kind of device, and registers are enough: none goes to memory.

    python ptxas.py --graft GRAFT MODEL...
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DEVICES = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("models", nargs="+", type=Path)
    given = parser.parse_args()
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        ptx, cubin = Path(folder) / "kernels.ptx", Path(folder) / "kernels.cubin"
        for model in given.models:
            subprocess.run([given.graft, "compile", model, "--target", "cuda", "--emit", "ptx", "-o", ptx], check=True)
            kernels = re.findall(r"^\.visible \.entry (\w+)\(", ptx.read_text(), re.MULTILINE)
            registers = {}
            for device in DEVICES:
                said = subprocess.run(["ptxas", "-v", f"-arch={device}", ptx, "-o", cubin], capture_output=True, text=True)
                if said.returncode:
                    bad.append(f"{model.name}, {device}: {said.stderr}")
                    continue
                parts = re.split(r"Compiling entry function '(\w+)'", said.stderr)[1:]
                found = dict(zip(parts[::2], parts[1::2]))
                if sorted(found) != sorted(kernels):
                    bad.append(f"{model.name}, {device}: expected the kernels {sorted(kernels)}, found {sorted(found)}")
                for kernel, words in found.items():
                    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", words)
                    if not spills or spills.groups() != ("0", "0"):
                        bad.append(f"{model.name}, {device}, {kernel}: {spills and spills.group()}")
                registers[device] = max(int(used) for used in re.findall(r"Used (\d+) registers", said.stderr))
            print(f"{model.name}: {len(kernels)} kernels, registers at most {registers}", flush=True)
    if bad:
        sys.exit("\n".join(bad))


main()
