"""Graft's main job on a real model, in one go.

Exports MiniLM-L6 as ONNX, compiles it with the three adapters of this folder into one library, runs every task on
real sentences, shows what they predict, and puts onnxruntime beside it: its latency on the same model with the
same adapters merged into the weights (merge.py), and how far the outputs are apart.

  base     the backbone alone
  topic    what kind of program a description speaks of
  lang     the language of a text
  german   brings German texts to where the encoder puts English ones; no head of its own
  both     topic + german in one: the kind of program a German description speaks of
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

try:
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    import export
    import merge
except ImportError as error:
    sys.exit(f"error: {error}: install examples/minilm/requirements.txt")

HERE = Path(__file__).resolve().parent
ADAPTERS = {name: HERE / "adapters" / name for name in ("topic", "lang", "german")}
TASKS = {"base": [], "topic": ["topic"], "lang": ["lang"], "german": ["german"], "both": ["topic", "german"]}
OUTPUTS = ["logits", "sentence_embedding"]
TOKENS = 32
LIMIT = 1e-5
# A small process between this one and a command: the kernel counts what a process had before exec to its peak.
MEASURED = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=2)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps(usage.ru_maxrss * 1024))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def heading(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def call(*command):
    """Run a command and return what it printed; end with its words if it fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{result.stderr.strip()}\nerror: exit code {result.returncode} from: {' '.join(map(str, command))}")
    return result.stdout


def find_graft(given):
    for candidate in (given, shutil.which("graft"), HERE.parents[1] / "build" / "release" / "bin" / "graft"):
        if candidate and Path(candidate).exists():
            return Path(candidate).resolve()
    sys.exit("error: no graft: build it first, or name it with --graft")


def tokenize(texts):
    """input_ids and attention_mask of some texts, padded to the longest."""
    tokenizer = Tokenizer.from_file(str(export.package_dir() / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding()
    found = tokenizer.encode_batch(texts)
    return {"input_ids": np.array([one.ids for one in found], np.int64),
            "attention_mask": np.array([one.attention_mask for one in found], np.int64)}


class Library:
    """The compiled library, used through the command line."""

    def __init__(self, graft, work, threads):
        self.graft, self.work, self.file, self.threads = graft, work, work / "minilm.so", threads

    def compile(self, model, options):
        """Compile; returns (seconds, peak bytes)."""
        adapters = [part for name, folder in ADAPTERS.items() for part in ("--adapter", f"{name}={folder}")]
        begun = time.perf_counter()
        peak = call(sys.executable, "-c", MEASURED, self.graft, "compile", model, *adapters, "--task",
                    "both=topic+german", *options, "-o", self.file)
        return time.perf_counter() - begun, json.loads(peak)

    def inputs(self, feed):
        options = []
        for name, array in feed.items():
            np.save(self.work / f"{name}.npy", array)
            options += ["--input", f"{name}=@{self.work / name}.npy"]
        return options

    def run(self, task, feed):
        options = self.inputs(feed)
        for name in OUTPUTS:
            options += ["--output", f"{name}=@{self.work / task}-{name}.npy"]
        call(self.graft, "run", self.file, "--task", task, "--threads", self.threads, *options)
        return {name: np.load(f"{self.work / task}-{name}.npy") for name in OUTPUTS}

    def latency(self, task, feed):
        """Milliseconds, the median of `graft bench`."""
        report = json.loads(call(self.graft, "bench", self.file, "--task", task, "--threads", self.threads, "--json",
                                 *self.inputs(feed)))
        return report["ms"]["median"]


class Reference:
    """onnxruntime on the model with a task's adapters merged into its weights."""

    def __init__(self, model, task, work, threads):
        file = model
        if TASKS[task]:
            file = work / f"reference-{task}.onnx"
            merge.merge(model, [ADAPTERS[name] for name in TASKS[task]], file)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(self, feed):
        return dict(zip(OUTPUTS, self.session.run(OUTPUTS, feed)))

    def latency(self, feed, seconds=1.0):
        """Milliseconds, the median of what fits into the time, after three runs to warm up."""
        names, times, end = [output.name for output in self.session.get_outputs()], [], time.perf_counter() + seconds
        for _ in range(3):
            self.session.run(names, feed)
        while time.perf_counter() < end or len(times) < 5:
            begun = time.perf_counter()
            self.session.run(names, feed)
            times.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(times)


def difference(found, wanted):
    """The largest, over the outputs, of the norm of the difference over the norm."""
    for name in OUTPUTS:
        if found[name].shape != wanted[name].shape:
            sys.exit(f"error: {name}: expected shape {wanted[name].shape}, found {found[name].shape}")
    return max(np.linalg.norm(found[name].astype(float) - wanted[name]) / np.linalg.norm(wanted[name])
               for name in OUTPUTS)


def labels(adapter):
    return json.loads((ADAPTERS[adapter] / "labels.json").read_text())


def named(logits, adapter):
    """(label, share) of each row."""
    share = np.exp(logits - logits.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    return [(labels(adapter)[row.argmax()], row.max()) for row in share]


def shorten(text, width):
    return text if len(text) <= width else text[:width - 1] + "…"


def show_predictions(sentences, found):
    heading("Tasks `topic` and `lang`: English descriptions, and short texts in many languages")
    rows = list(zip(sentences, named(found["topic"]["logits"], "topic"), named(found["lang"]["logits"], "lang")))
    for sentence, (topic, share), _ in [row for row in rows if row[0]["set"] == "english"]:
        print(f"  {shorten(sentence['text'], 70):70}  {topic:12} {share:4.0%}  {mark(topic, sentence['topic'])}")
    print()
    for sentence, _, (language, share) in [row for row in rows if row[0]["set"] == "lang"]:
        print(f"  {shorten(sentence['text'], 70):70}  {language:12} {share:4.0%}  "
              f"{mark(language, sentence['language'])}")

    heading("Task `both` (topic + german) beside `topic` alone: German descriptions")
    alone, both = named(found["topic"]["logits"], "topic"), named(found["both"]["logits"], "topic")
    for sentence, (one, _), (two, share) in zip(sentences, alone, both):
        if sentence["set"] == "german":
            print(f"  {shorten(sentence['text'], 58):58}  {one:12}  {two:12} {share:4.0%}  "
                  f"{mark(two, sentence['topic'])}")

    heading("Task `german`: the English description that is nearest to a German one")
    at = {kind: [row for row, sentence in enumerate(sentences) if sentence["set"] == kind]
          for kind in ("german", "original")}
    for task in ("base", "german"):
        german = found[task]["sentence_embedding"][at["german"]]
        english = found["base"]["sentence_embedding"][at["original"]]
        likeness = (german / np.linalg.norm(german, axis=1, keepdims=True)
                    @ (english / np.linalg.norm(english, axis=1, keepdims=True)).T)
        right = sum(sentences[at["german"][row]]["package"] == sentences[at["original"][column]]["package"]
                    for row, column in enumerate(likeness.argmax(1)))
        print(f"  {task:7} right {right} of {len(at['german'])}, mean cosine to the right one "
              f"{np.mean(np.diag(likeness)):.2f}")


def mark(found, wanted):
    return "" if found == wanted else f"(the corpus says {wanted})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", help="the graft command (default: on PATH, or build/release/bin/graft)")
    parser.add_argument("--work", type=Path, default=HERE / "build", help="where files go (default: build beside this)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--compile-option", action="append", default=[], metavar="OPTION",
                        help="given to graft compile as it is, such as --compile-option=--fold=never")
    arguments = parser.parse_args()
    graft, work = find_graft(arguments.graft), arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)

    heading("Export and compile")
    model = work / "minilm.onnx"
    export.export(model)
    print(f"  {model.name}: {model.stat().st_size / 1e6:.1f} MB of ONNX")
    library = Library(graft, work, arguments.threads)
    seconds, peak = library.compile(model, arguments.compile_option)
    print(f"  {library.file.name}: {library.file.stat().st_size / 1e6:.1f} MB for {len(TASKS)} tasks, compiled in "
          f"{seconds:.1f} s with {peak / 1e6:.0f} MB at most")

    sentences = json.loads((HERE / "sentences.json").read_text())
    feed = tokenize([sentence["text"] for sentence in sentences])
    timed = {"input_ids": np.random.default_rng(0).integers(1000, 30000, (1, 128)),
             "attention_mask": np.ones((1, 128), np.int64)}
    found, table = {}, []
    for task in TASKS:
        reference = Reference(model, task, work, arguments.threads)
        found[task] = library.run(task, feed)
        table.append((task, difference(found[task], reference.run(feed)), library.latency(task, timed),
                      reference.latency(timed)))
    show_predictions(sentences, found)

    threads = f"{arguments.threads} thread" + "s" * (arguments.threads > 1)
    heading(f"Beside onnxruntime {onnxruntime.__version__} with merged weights; latency of 1 x 128 tokens, {threads}")
    print(f"  {'task':8} {'adapters':15} {'graft':>9} {'onnxruntime':>12} {'ratio':>6}   difference of the outputs")
    for task, error, ours, theirs in table:
        print(f"  {task:8} {' + '.join(TASKS[task]) or '-':15} {ours:6.2f} ms {theirs:9.2f} ms {ours / theirs:6.2f}   "
              f"{error:.1e}")
    worst = max(error for _, error, *_ in table)
    if worst > LIMIT:
        sys.exit(f"error: the outputs differ by {worst:.1e}, more than {LIMIT}")


if __name__ == "__main__":
    main()
