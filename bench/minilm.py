"""Graft beside onnxruntime on MiniLM-L6, in one run, with the same threads.

  accuracy   the outputs of every task, folded and not, alone and in mixed rows, against onnxruntime with merged weights
  speed      the backbone and a folded adapter, 1 x 128 and 8 x 128 tokens, 1 and 2 threads: ratio to onnxruntime
  unfolded   rank 16 on all linear layers as side branches: ratio to base, and the milliseconds that it adds beside
             those that onnxruntime adds for the same branches
  stages     two tasks on one input that part at the fifth of six layers: ratio to one task
  compile    seconds and peak memory of compiling three tasks; bytes of the library
  load       opening and the first run in a new process, with a warm page cache
  memory     peak memory of a process that runs twenty unfolded tasks

Run it by hand, on a quiet machine. A ratio is the median over rounds of short bursts, one of each party, in changing
order; rounds in which our threads had to wait for a core are measured again. Packages: those of
examples/minilm/requirements.txt.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "minilm"
sys.path.insert(0, str(EXAMPLE))

import export  # noqa: E402
import merge  # noqa: E402
from graft_runtime import Runtime  # noqa: E402
from paired import machine, measure  # noqa: E402

SHAPES = [(1, 128), (8, 128)]
LINEAR = {"attention.self.query": (384, 384), "attention.self.key": (384, 384), "attention.self.value": (384, 384),
          "attention.output.dense": (384, 384), "intermediate.dense": (384, 1536), "output.dense": (1536, 384)}
FOLDED = ["topic", "lang", "german"]


def feed_of(batch, seq):
    ids = np.random.default_rng(0).integers(1000, 30000, (batch, seq))
    return {"input_ids": ids, "attention_mask": np.ones((batch, seq), np.int64)}


def random_adapter(folder, seed, rank, layers):
    """A PEFT folder with LoRA of one rank on all linear modules of some layers."""
    folder.mkdir(parents=True)
    draw, tensors = np.random.default_rng(seed), {}
    for layer in layers:
        for module, (width, height) in LINEAR.items():
            name = f"base_model.model.encoder.layer.{layer}.{module}"
            tensors[f"{name}.lora_A.weight"] = (draw.standard_normal((rank, width)) * 0.02).astype(np.float32)
            tensors[f"{name}.lora_B.weight"] = (draw.standard_normal((height, rank)) * 0.02).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "bias": "none", "fan_in_fan_out": False,
              "target_modules": ["query", "key", "value", "dense"], "layers_to_transform": list(layers)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


class Bench:
    """The files of one run, and what has been found."""

    def __init__(self, arguments, work):
        self.work, self.arguments, self.results = work, arguments, {}
        self.graft, self.runtime_file = arguments.graft, arguments.runtime
        self.runtime = Runtime(self.runtime_file)
        self.model = work / "minilm.onnx"
        export.export(self.model)

    def probe(self, *command):
        result = subprocess.run([sys.executable, HERE / "probe.py", *map(str, command)], capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{result.stderr.strip()}\nerror: {' '.join(map(str, command))}: exit code {result.returncode}")
        return json.loads(result.stdout)

    def compile(self, name, adapters, *options):
        """Compile to NAME.so once; returns the file and what compiling took."""
        file = self.work / f"{name}.so"
        flags = [part for task, folder in adapters.items() for part in ("--adapter", f"{task}={folder}")]
        took = self.probe("command", self.graft, "compile", self.model, *flags, *options, "-o", file)
        return file, took

    def folded(self):
        if not hasattr(self, "folded_library"):
            adapters = {name: EXAMPLE / "adapters" / name for name in FOLDED}
            self.folded_library = self.compile("folded", adapters, "--fold", "always")
        return self.folded_library

    def reference(self, adapters=(), attach=False):
        """The ONNX file with adapters merged into its weights, or attached as branches."""
        if not adapters:
            return self.model
        file = self.work / f"{'-'.join(folder.name for folder in adapters)}-{'attached' if attach else 'merged'}.onnx"
        if not file.exists():
            (merge.attach if attach else merge.merge)(self.model, adapters, file)
        return file

    def onnxruntime(self, file, feed, threads):
        """A function that runs a model and returns its outputs by name."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda: dict(zip(names, session.run(names, feed)))

    def measure(self, parties):
        return measure(parties, self.arguments.rounds, self.arguments.seconds)

    def settings(self, shapes=SHAPES):
        return [(shape, threads) for shape in shapes for threads in self.arguments.threads]

    def accuracy(self):
        tasks = {"base": [], **{name: [name] for name in FOLDED}, "both": ["topic", "german"]}
        feed = feed_of(5, 61)
        feed["attention_mask"][1, 40:] = feed["attention_mask"][3, 7:] = 0
        wanted = {task: self.onnxruntime(self.reference([EXAMPLE / "adapters" / name for name in names]), feed, 2)()
                  for task, names in tasks.items()}
        adapters = {name: EXAMPLE / "adapters" / name for name in FOLDED}
        rows = []
        for fold in ("always", "never"):
            file, _ = self.compile(f"accuracy-{fold}", adapters, "--task", "both=topic+german", "--fold", fold)
            with self.runtime.open(file) as library:
                for task in tasks:
                    rows.append({"fold": fold, "task": task,
                                 "error": error(library.request([task], feed, 2)(), wanted[task])})
                found = library.request(list(tasks), feed, 2, rows=True)()
                worst = 0.0
                for row, task in enumerate(tasks):
                    # An output whose shape differs between tasks comes as that task's rows alone.
                    mixed = {name: found[name][row] if name in found else found[f"{task}.{name}"][0]
                             for name in wanted[task]}
                    worst = max(worst, error(mixed, {name: value[row] for name, value in wanted[task].items()}))
                rows.append({"fold": fold, "task": "mixed rows", "error": worst})
        return rows

    def speed(self):
        file, _ = self.folded()
        rows = []
        with self.runtime.open(file) as library:
            for (batch, seq), threads in self.settings():
                feed = feed_of(batch, seq)
                parties = {"base": library.request(["base"], feed, threads),
                           "topic": library.request(["topic"], feed, threads),
                           "onnxruntime": self.onnxruntime(self.model, feed, threads),
                           "merged": self.onnxruntime(self.reference([EXAMPLE / "adapters" / "topic"]), feed, threads)}
                times = self.measure(parties)
                rows.append({"shape": f"{batch} x {seq}", "threads": threads, "graft ms": times.median("base"),
                             "onnxruntime ms": times.median("onnxruntime"),
                             "base / onnxruntime": times.ratio("base", "onnxruntime"),
                             "topic / merged": times.ratio("topic", "merged"),
                             "topic / base": times.ratio("topic", "base"),
                             "error": max(error(parties["base"](), parties["onnxruntime"]()),
                                          error(parties["topic"](), parties["merged"]()))})
        return rows

    def unfolded(self):
        adapter = random_adapter(self.work / "rank16", 1, 16, range(6))
        file, _ = self.compile("unfolded", {"rank16": adapter}, "--fold", "never")
        rows = []
        with self.runtime.open(file) as library:
            for (batch, seq), threads in self.settings():
                feed = feed_of(batch, seq)
                parties = {"base": library.request(["base"], feed, threads),
                           "rank16": library.request(["rank16"], feed, threads),
                           "onnxruntime": self.onnxruntime(self.model, feed, threads),
                           "attached": self.onnxruntime(self.reference([adapter], True), feed, threads)}
                times = self.measure(parties)
                rows.append({"shape": f"{batch} x {seq}", "threads": threads,
                             "rank 16 / base": times.ratio("rank16", "base"),
                             "added ms": times.added("rank16", "base"),
                             "onnxruntime adds ms": times.added("attached", "onnxruntime"),
                             "error": error(parties["rank16"](), parties["attached"]())})
        return rows

    def stages(self):
        adapters = {name: random_adapter(self.work / name, seed, 8, (4, 5)) for seed, name in enumerate("ab")}
        file, _ = self.compile("stages", adapters, "--fold", "always")
        rows = []
        with self.runtime.open(file) as library:
            for (batch, seq), threads in self.settings():
                feed = feed_of(batch, seq)
                times = self.measure({"one": library.request(["a"], feed, threads),
                                      "two": library.request(["a", "b"], feed, threads)})
                rows.append({"shape": f"{batch} x {seq}", "threads": threads, "one ms": times.median("one"),
                             "two ms": times.median("two"), "two / one": times.ratio("two", "one")})
        return rows

    def compile_cost(self):
        file, took = self.folded()
        backbone = self.model.stat().st_size
        adapters = sum((EXAMPLE / "adapters" / name / "adapter_model.safetensors").stat().st_size for name in FOLDED)
        library = file.stat().st_size
        return [{"seconds": took["seconds"], "peak MB": took["peak_bytes"] / 1e6,
                 "limit MB": (250e6 + 3 * (backbone + adapters + library)) / 1e6, "backbone MB": backbone / 1e6,
                 "adapters MB": adapters / 1e6, "library MB": library / 1e6}]

    def load(self):
        file, _ = self.folded()
        runs = [self.probe("first", self.runtime_file, file, "topic") for _ in range(7)][1:]
        runs.sort(key=lambda run: sum(run.values()))
        return [{"open ms": runs[3]["open_ms"], "first run ms": runs[3]["first_run_ms"],
                 "both ms": sum(runs[3].values())}]

    def memory(self):
        adapters = {f"t{seed}": random_adapter(self.work / f"t{seed}", 100 + seed, 8, range(6)) for seed in range(20)}
        file, _ = self.compile("twenty", adapters, "--fold", "never")
        feed = feed_of(1, 128)
        options = []
        for name, array in feed.items():
            np.save(self.work / f"{name}.npy", array)
            options += ["--input", f"{name}=@{self.work / name}.npy"]
        took = self.probe("command", self.graft, "run", file, "--task", ",".join(adapters), *options)
        return [{"tasks": len(adapters), "peak MB": took["peak_bytes"] / 1e6, "library MB": file.stat().st_size / 1e6}]


def error(found, wanted):
    """The largest norm of the difference over the norm, of the outputs of one run."""
    return max(float(np.linalg.norm(found[name].astype(float) - wanted[name]) / np.linalg.norm(wanted[name]))
               for name in wanted)


def table(rows):
    def text(value):
        if not isinstance(value, float):
            return str(value)
        return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"

    lines = [list(rows[0])] + [[text(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines)


SECTIONS = {"accuracy": Bench.accuracy, "speed": Bench.speed, "unfolded": Bench.unfolded, "stages": Bench.stages,
            "compile": Bench.compile_cost, "load": Bench.load, "memory": Bench.memory}


def main():
    build = HERE.parent / "build" / "release"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--graft", type=Path, default=Path(shutil.which("graft") or build / "bin" / "graft"))
    parser.add_argument("--runtime", type=Path, default=build / "lib" / "libgraft_runtime.so")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.25, help="of a burst")
    parser.add_argument("--json", type=Path, help="write everything here too")
    arguments = parser.parse_args()
    for name in arguments.sections:
        if name not in SECTIONS:
            parser.error(f"no section {name}: expected of {', '.join(SECTIONS)}")
    cores = len(os.sched_getaffinity(0))
    if max(arguments.threads) > cores:
        parser.error(f"--threads: expected at most {cores}, the cores that this process may use")

    with tempfile.TemporaryDirectory() as work:
        bench = Bench(arguments, Path(work))
        report = {"machine": machine(), "graft": bench.runtime.version(), "onnxruntime": onnxruntime.__version__}
        print(json.dumps(report, indent=1))
        for name in arguments.sections or SECTIONS:
            report[name] = SECTIONS[name](bench)
            print(f"\n{name}\n{table(report[name])}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
