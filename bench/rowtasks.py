"""A batch of MiniLM-L6 in which each row has a LoRA of its own, of ranks 4 to 64, beside onnxruntime, in one run.

  rows / base    16 rows with 16 LoRAs on all linear layers, kept beside, over 16 rows of the backbone
  added ms       the milliseconds more, and those of onnxruntime's ways over its own backbone: `gathered`, one run with
                 each row's matrices as inputs, filled up with zeros to the widest rank; `apart`, one run a row with
                 matrices of the row's own rank as inputs
  error          of the outputs against those of `apart`, each row
  bytes          of the library, and of the same compiled for one LoRA

Run it by hand, on a quiet machine: see README.md.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from minilm import Bench, error, feed_of, machine, merge, random_adapter, table

ROWS = 16
RANKS = {"spread": [4, 8, 16, 32, 64] * 3 + [4], "steps": list(range(4, 65, 4))}


def write_with_inputs(model, adapter, path):
    """The model with an input for each matrix of a LoRA: (rows, in, rank) and (rows, rank, out). Returns their names."""
    attached, names = merge.Model(model), []
    for module in adapter.pairs:
        node, _ = attached.user(f"{module}.weight")
        whole, plain, low, high = node.output[0], *(f"{node.output[0]}_{part}" for part in ("plain", "low", "high"))
        down, up = f"{module}.down", f"{module}.up"
        names.append((module, down, up))
        node.output[0] = plain
        at = list(attached.proto.graph.node).index(node) + 1
        for offset, new in enumerate([helper.make_node("MatMul", [node.input[0], down], [low], name=f"{low}/MatMul"),
                                      helper.make_node("MatMul", [low, up], [high], name=f"{high}/MatMul"),
                                      helper.make_node("Add", [plain, high], [whole], name=f"{whole}/Add")]):
            attached.proto.graph.node.insert(at + offset, new)
        attached.proto.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
            for name, dims in ((down, ["batch", adapter.pairs[module][0].shape[1], "rank"]),
                               (up, ["batch", "rank", adapter.pairs[module][1].shape[0]])))
    onnx.save(attached.proto, path)
    return names


def matrices(adapter, module, rank=None):
    """A module's (in, rank) and (rank, out), filled up with zeros to a rank."""
    down, up, scale = adapter.pairs[module]
    more = (rank or down.shape[0]) - down.shape[0]
    return np.pad(down.T, ((0, 0), (0, more))), np.pad((up * np.float32(scale)).T, ((0, more), (0, 0)))


def onnxruntime_ways(model, adapters, feed, threads, work):
    """Functions that run all rows, by name; each returns the outputs."""
    path = work / "inputs.onnx"
    names = write_with_inputs(model, adapters[0], path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    value = onnxruntime.OrtValue.ortvalue_from_numpy

    def run(values):
        return [found.numpy() for found in session.run_with_ort_values(outputs, values)]

    widest = max(adapter.pairs[names[0][0]][0].shape[0] for adapter in adapters)
    together = {name: value(array) for name, array in feed.items()}
    for module, down, up in names:
        pairs = [matrices(adapter, module, widest) for adapter in adapters]
        together[down], together[up] = (value(np.stack(part)) for part in zip(*pairs))
    apart = []
    for row, adapter in enumerate(adapters):
        own = {name: value(np.ascontiguousarray(array[row:row + 1])) for name, array in feed.items()}
        for module, down, up in names:
            own[down], own[up] = (value(np.ascontiguousarray(part[None])) for part in matrices(adapter, module))
        apart.append(own)
    return {"gathered": lambda: dict(zip(outputs, run(together))),
            "apart": lambda: {name: np.concatenate(parts)
                              for name, parts in zip(outputs, zip(*(run(own) for own in apart)))}}


def run(bench, given):
    results = []
    for spread in given.ranks:
        folders = {f"r{i}": random_adapter(bench.work / f"{spread}{i}", i, rank, range(6))
                   for i, rank in enumerate(RANKS[spread])}
        adapters = [merge.Adapter(folder) for folder in folders.values()]
        for fold in given.fold:
            file, took = bench.compile(f"rows-{spread}-{fold}", folders, "--fold", fold)
            one, took_one = bench.compile(f"one-{spread}-{fold}", {"r4": folders["r4"]}, "--fold", fold)
            sizes = {"seconds": took["seconds"], "peak MB": took["peak_bytes"] / 1e6, "MB": file.stat().st_size / 1e6,
                     "one: seconds": took_one["seconds"], "one: MB": one.stat().st_size / 1e6}
            with bench.runtime.open(file) as library:
                for seq in given.tokens:
                    for threads in given.threads:
                        feed = feed_of(ROWS, seq)
                        parties = {"base": library.request(["base"], feed, threads),
                                   "rows": library.request(list(folders), feed, threads, rows=True),
                                   "onnxruntime": bench.onnxruntime(bench.model, feed, threads),
                                   **onnxruntime_ways(bench.model, adapters, feed, threads, bench.work)}
                        times = bench.measure(parties)
                        results.append({"ranks": spread, "fold": fold, "tokens": seq, "threads": threads,
                                        "base ms": times.median("base"), "rows / base": times.ratio("rows", "base"),
                                        "added ms": times.added("rows", "base"),
                                        **{f"{way} adds": times.added(way, "onnxruntime") for way in ("gathered", "apart")},
                                        "error": error(parties["rows"](), parties["apart"]()), **sizes})
                        print(table(results[-1:]), flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default="graft", help="the tool; the one in PATH unless given")
    parser.add_argument("--runtime", required=True, help="libgraft_runtime.so")
    parser.add_argument("--ranks", nargs="+", choices=RANKS, default=list(RANKS))
    parser.add_argument("--fold", nargs="+", default=["never", "auto"])
    parser.add_argument("--tokens", type=int, nargs="+", default=[128, 16])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a burst")
    parser.add_argument("--json", type=Path, help="write everything here too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(given, Path(work))
        report = {"machine": machine(), "graft": bench.runtime.version(), "onnxruntime": onnxruntime.__version__}
        print(json.dumps(report, indent=1))
        report["rows"] = run(bench, given)
        print(f"\n{table(report['rows'])}")
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
