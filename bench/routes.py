"""What it costs that routes can be looked at: a layer of experts from this compiler and from another one, which knows of no such
thing, in turns, with nobody looking; and with a callback that does nothing. Ratios of the times to the other's.

Run it by hand, on a quiet machine: see README.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from graft_runtime import LOOK, Runtime
from mixture import write_model
from paired import machine, measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", required=True)
    parser.add_argument("--other", required=True, help="a graft from before routes were shown, or the same to see the noise")
    parser.add_argument("--runtime", required=True, help="libgraft_runtime.so")
    parser.add_argument("--sizes", nargs="*", default=["8x32x64", "8x512x2048"], help="experts x hidden x inner")
    parser.add_argument("--tokens", type=int, nargs="*", default=[1, 16, 256])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runtime, results, look = Runtime(given.runtime), [], LOOK(lambda data, route: 0)
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            experts, hidden, inner = map(int, size.split("x"))
            model = Path(folder) / "m.onnx"
            write_model(model, experts, hidden, inner)
            libraries = {}
            for name, graft in (("graft", given.graft), ("other", given.other)):
                libraries[name] = Path(folder) / f"{size}.{name}.so"
                subprocess.run([graft, "compile", model, "-o", libraries[name]], check=True, stdout=subprocess.DEVNULL)
            with runtime.open(libraries["graft"]) as own, runtime.open(libraries["other"]) as other:
                for tokens in given.tokens:
                    feed = {"x": np.random.default_rng(tokens).standard_normal((tokens, hidden), dtype=np.float32)}
                    parties = {"off": own.request(["base"], feed, 1), "other": other.request(["base"], feed, 1),
                               "looking": own.request(["base"], feed, 1, look=look)}
                    same = (parties["off"]()["y"] == parties["other"]()["y"]).all()
                    times = measure(parties, given.rounds, given.seconds)
                    row = {"size": size, "tokens": tokens, "us": {name: times.median(name) * 1e3 for name in parties},
                           "ratio": {name: times.ratio(name, "other") for name in ("off", "looking")}, "same_bits": bool(same)}
                    results.append(row)
                    print(f"{size:>12}, {tokens:4} tokens: {row['us']['other']:9.2f} us, off {row['ratio']['off']:.4f}, "
                          f"looking {row['ratio']['looking']:.4f}, same bits: {same}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
