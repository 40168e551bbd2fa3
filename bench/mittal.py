"""The models of Mittal, Bengio and Lajoie whose route is a one-hot input (GT-Modular), with 32 modules: time of the sparse
dispatch in terms of the dense lowering of the same model, and of onnxruntime. Needs torch, which exports the models.

Run it by hand, on a quiet machine: see README.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from graft_runtime import Runtime
from paired import machine, measure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test" / "Fixtures"))
import make_mittal  # noqa: E402

RULES, HIDDEN = 32, 128


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", required=True)
    parser.add_argument("--runtime", required=True, help="libgraft_runtime.so")
    parser.add_argument("--architectures", nargs="*", default=["mlp", "mha", "rnn"])
    parser.add_argument("--kinds", nargs="*", default=["gt-modular"])
    parser.add_argument("--one-rule", action="store_true", help="for all of a set, or of a sequence")
    parser.add_argument("--exporter", choices=["legacy", "dynamo"], default="legacy")
    parser.add_argument("--hidden", type=int, default=HIDDEN)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--length", type=int, default=10, help="of the sets of the attention models")
    parser.add_argument("--threads", type=int, nargs="*", default=[1])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    make_mittal.HIDDEN = given.hidden
    runtime, results = Runtime(given.runtime), []
    with tempfile.TemporaryDirectory() as folder:
        for architecture in given.architectures:
            for kind in given.kinds:
                for layout in ("list", "group"):
                    torch.manual_seed(0)
                    model = make_mittal.Model(architecture, kind, layout, RULES, given.hidden).eval()
                    path = Path(folder) / "m.onnx"
                    make_mittal.export(model, architecture, path, given.exporter, RULES, given.hidden)
                    libraries = {}
                    for name, flags in (("sparse", []), ("dense", ["--dense-routing"])):
                        library = Path(folder) / f"{architecture}.{kind}.{layout}.{name}.so"
                        subprocess.run([given.graft, "compile", path, *flags, "-o", library], check=True, stdout=subprocess.DEVNULL)
                        libraries[name] = runtime.open(library)
                    x, rule = (value.numpy() for value in make_mittal.inputs(architecture, given.batch, given.length, RULES, given.hidden))
                    if given.one_rule and rule.ndim == 3:
                        rule = np.repeat(rule[:, :1], rule.shape[1], 1)
                    feed = {"x": x, "rule": rule}
                    for threads in given.threads:
                        options = onnxruntime.SessionOptions()
                        options.intra_op_num_threads = threads
                        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                        feed = {value.name: feed[value.name] for value in session.get_inputs()}  # the rule only where something reads it
                        parties = {name: library.request(["base"], feed, threads) for name, library in libraries.items()}
                        parties["onnxruntime"] = lambda: dict(y=session.run(None, feed)[0])
                        values = {name: run()["y"].copy() for name, run in parties.items()}
                        times = measure(parties, given.rounds, given.seconds)
                        wanted = values["onnxruntime"]
                        row = {"architecture": architecture, "kind": kind, "layout": layout, "threads": threads,
                               "ms": {name: times.median(name) for name in parties},
                               "ratio": {name: times.ratio("sparse", name) for name in parties if name != "sparse"},
                               "error": float(np.linalg.norm(values["sparse"] - wanted) / np.linalg.norm(wanted))}
                        results.append(row)
                        print(f"{architecture} {kind} {layout}, {threads} threads: {row['ms']['sparse']:8.2f} ms, "
                              + ", ".join(f"{ratio:.2f} of {name} ({row['ms'][name]:.2f} ms)" for name, ratio in row["ratio"].items())
                              + f", error {row['error']:.1e}", flush=True)
                    for library in libraries.values():
                        library.close()
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
