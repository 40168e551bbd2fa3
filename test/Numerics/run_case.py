#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles and runs the fixtures with `graft`, and compares: exported models with PEFT's adapters against what torch
gave (manifest.json), and damaged input against how it must be refused (bad/manifest.json).

    run_case.py --list                      names of the cases
    run_case.py --case 'bert-cls.*'         some of them; --adapter 'dora*' only these adapters of theirs
    run_case.py --bad 'onnx-*'              some of the damaged ones
Needs numpy only. Exits 1 if any case fails."""

import argparse
import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures"
TIME_LIMIT = 300


class Failure(Exception):
    """What differs from what a case says."""


class Tool:
    def __init__(self, graft, verbose=False):
        self.graft, self.verbose = graft, verbose

    def __call__(self, *words, cwd=None):
        command = [self.graft, *map(str, words)]
        if self.verbose:
            print("  $", " ".join(command), flush=True)
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT, cwd=cwd,
                              stdin=subprocess.DEVNULL)

    def must(self, what, *words):
        done = self(*words)
        if done.returncode:
            text = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise Failure(f"{what}: exit {done.returncode}: {' | '.join(text[:4])[:600]}")
        return done


def arrays_of_set(path, index):
    """NAME.SET entries of a .npz, for one set."""
    with np.load(path) as file:
        return {key.rsplit(".", 1)[0]: file[key] for key in file.files if key.rsplit(".", 1)[1] == str(index)}


def relative_error(got, right):
    if got.shape != right.shape:
        raise Failure(f"shape {list(got.shape)}, expected {list(right.shape)}")
    if not np.isfinite(got).all():
        raise Failure("not finite")
    got, right = got.astype(np.float64), right.astype(np.float64)
    return np.linalg.norm(got - right) / max(np.linalg.norm(right), 1e-30)


def read_output(path):
    try:
        array = np.load(path)
    except (OSError, ValueError) as problem:
        raise Failure(f"output not readable: {problem}") from None
    if array.dtype == np.dtype("V2"):  # bfloat16, which numpy does not have
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return array


class Case:
    """One entry of manifest.json."""

    def __init__(self, tool, entry, fixtures, folder, chosen="*"):
        self.tool, self.entry, self.fixtures, self.folder = tool, entry, fixtures, Path(folder)
        self.adapters = [a for a in entry["adapters"] if fnmatch.fnmatchcase(a["name"], chosen)]
        names = {a["name"] for a in self.adapters}
        self.tasks = [t for t in entry["tasks"] if set(t["adapters"]) <= names]
        self.failures, self.worst = [], {}
        self.feeds = {i: self.feed_flags(i) for i in range(entry["sets"])}

    def feed_flags(self, index):
        flags = []
        for name, array in arrays_of_set(self.fixtures / self.entry["feed"], index).items():
            if name in self.entry["inputs"]:
                path = self.folder / f"{name}.{index}.npy"
                np.save(path, array)
                flags += ["--input", f"{name}=@{path}"]
        return flags

    def expected(self, task, index):
        path = self.entry["expected"]
        for other in self.adapters + self.tasks:
            if other["name"] == task:
                path = other["expected"]
        return arrays_of_set(self.fixtures / path, index)

    def attempt(self, what, function, *arguments):
        try:
            return function(*arguments) or True
        except Failure as failure:
            self.failures.append(f"{what}: {failure}")
        except subprocess.TimeoutExpired:
            self.failures.append(f"{what}: still running after {TIME_LIMIT} s")
        return False

    def compile(self, fold, adapters, tasks, name):
        library = self.folder / f"{name}.so"
        flags = [f for a in adapters for f in ("--adapter", f"{a['name']}={self.fixtures / a['dir']}")]
        flags += [f for t in tasks for f in ("--task", f"{t['name']}={'+'.join(t['adapters'])}")]
        self.tool.must(f"compile --fold {fold}", "compile", self.fixtures / self.entry["model"], "-o", library,
                       "--fold", fold, *flags)
        return library

    def compare(self, label, path, right):
        error = relative_error(read_output(path), right)
        task = label.split("/")[0]
        self.worst[task] = max(self.worst.get(task, 0.0), error)
        if not error <= self.entry["tolerance"]:
            raise Failure(f"{label}: relative error {error:.2e}, at most {self.entry['tolerance']:.0e}")

    def run_task(self, library, task, index):
        outputs = {name: self.folder / f"out.{name}.npy" for name in self.entry["outputs"]}
        for path in outputs.values():
            path.unlink(missing_ok=True)
        flags = [f for name, path in outputs.items() for f in ("--output", f"{name}=@{path}")]
        self.tool.must("run", "run", library, "--task", task, *self.feeds[index], *flags, "--threads", 1 + index % 2)
        for name, right in self.expected(task, index).items():
            self.compare(f"{task}/{name}", outputs[name], right)

    def run_together(self, library, tasks, index):
        """Several tasks on one input."""
        wanted = [(task, name) for task in tasks for name in self.entry["outputs"]]
        outputs = {key: self.folder / f"out.{key[0]}.{key[1]}.npy" for key in wanted}
        flags = [f for (task, name), path in outputs.items() for f in ("--output", f"{task}.{name}=@{path}")]
        self.tool.must("run", "run", library, "--task", ",".join(tasks), *self.feeds[index], *flags)
        for (task, name), path in outputs.items():
            self.compare(f"{task}/{name}", path, self.expected(task, index)[name])

    def run_rows(self, library, tasks, index):
        """Another task for each row."""
        right = {task: self.expected(task, index) for task in tasks}
        rows = next(iter(right[tasks[0]].values())).shape[0]
        given = [tasks[i % len(tasks)] for i in range(rows)]
        flags, checks = [], []
        for name in self.entry["outputs"]:
            if len({right[task][name].shape for task in set(given)}) == 1:
                path = self.folder / f"rows.{name}.npy"
                flags += ["--output", f"{name}=@{path}"]
                checks.append((f"rows/{name}", path, np.stack([right[t][name][i] for i, t in enumerate(given)])))
                continue
            for task in sorted(set(given)):
                path = self.folder / f"rows.{task}.{name}.npy"
                flags += ["--output", f"{task}.{name}=@{path}"]
                own = [right[t][name][i] for i, t in enumerate(given) if t == task]
                checks.append((f"rows/{task}.{name}", path, np.stack(own)))
        self.tool.must("run", "run", library, "--row-tasks", ",".join(given), *self.feeds[index], *flags)
        for check in checks:
            self.compare(*check)

    def run_library(self, fold, library, names):
        for task in names:
            for index in self.feeds:
                if not self.attempt(f"fold {fold}, {task}, set {index}", self.run_task, library, task, index):
                    break
        last = max(self.feeds)
        if len(names) > 1:
            few = ["base", *names[1:4]]
            self.attempt(f"fold {fold}, {','.join(few)} together", self.run_together, library, few, 0)
            if self.entry["rows"]:
                self.attempt(f"fold {fold}, rows", self.run_rows, library, [*names[1:], "base"], last)

    def run(self):
        for fold in ("never", "always"):
            names = ["base"] + [x["name"] for x in self.adapters + self.tasks]
            before = len(self.failures)
            try:
                library = self.compile(fold, self.adapters, self.tasks, "all")
            except (Failure, subprocess.TimeoutExpired) as failure:
                self.failures.append(f"fold {fold}, all adapters: {failure}")
                if not self.adapters:
                    continue
                # which of them is it? Each alone
                for adapter in [None, *self.adapters]:
                    name = adapter["name"] if adapter else "base"
                    alone = [adapter] if adapter else []
                    try:
                        library = self.compile(fold, alone, [], "alone")
                    except (Failure, subprocess.TimeoutExpired) as single:
                        self.failures.append(f"fold {fold}, {name} alone: {single}")
                        if not adapter:
                            break
                        continue
                    self.run_library(fold, library, [name])
                continue
            self.run_library(fold, library, names)
            if before == len(self.failures) and not self.adapters:
                break  # nothing to fold
        return self.failures


class Refusal:
    """One entry of bad/manifest.json."""

    def __init__(self, tool, entry, fixtures, folder):
        self.tool, self.entry, self.fixtures, self.folder = tool, entry, fixtures, Path(folder)

    def model(self):
        path = self.fixtures / self.entry["model"]
        links, hard = self.entry.get("links", {}), self.entry.get("hard_links", {})
        if not links and not hard:
            return path
        copy = self.folder / "linked" / "models"
        copy.mkdir(parents=True)
        shutil.copy(path, copy)
        shutil.copy(self.fixtures / "bad/onnx/weights.bin", copy)
        shutil.copy(self.fixtures / "bad/outside.bin", copy.parent)
        for name, target in links.items():
            (copy / name).symlink_to(target)
        for name, target in hard.items():
            os.link(copy / target, copy / name)
        return copy / path.name

    def run(self):
        out = self.folder / "out"
        out.mkdir()
        library = out / "x.so"
        if self.entry["command"] == "compile":
            adapters = []
            for adapter in self.entry["adapters"]:
                name, _, path = adapter.rpartition("=")
                adapters += ["--adapter", f"{name}={self.fixtures / path}" if name else str(self.fixtures / path)]
            words = ["compile", self.model(), "-o", library, *adapters, *self.entry["flags"]]
        else:
            library = self.folder / "x.so"
            self.tool.must("compile", "compile", self.model(), "-o", library)
            feed = [f for name, path in self.entry["feed"].items() for f in ("--input", f"{name}=@{self.fixtures / path}")]
            output = [] if "--output" in self.entry["flags"] else [
                "--output", ("logits" if "vit" in self.entry["model"] else "last_hidden_state") + f"=@{out / 'y.npy'}"]
            words = ["run", library, *feed, *output, *self.entry["flags"]]
        done = self.tool(*words, cwd=out)
        said = " | ".join(done.stderr.strip().splitlines()[:4])[:500]
        if done.returncode not in self.entry["exit"]:
            raise Failure(f"exit {done.returncode}, expected {' or '.join(map(str, self.entry['exit']))}: {said}")
        if done.returncode == 0:
            return
        if "error:" not in done.stderr:
            raise Failure(f"no 'error:' in the message: {said}")
        for words in self.entry["stderr"]:
            if not any(word.lower() in done.stderr.lower() for word in words):
                raise Failure(f"the message lacks {' or '.join(repr(w) for w in words)}: {said}")
        left = sorted(p.name for p in out.iterdir())
        if left:
            raise Failure(f"left behind: {', '.join(left)}")


def run_case(tool, entry, fixtures, chosen, verbose):
    with tempfile.TemporaryDirectory(prefix="graft-case-") as folder:
        case = Case(tool, entry, fixtures, folder, chosen)
        failures = case.run()
    worst = max(case.worst.values(), default=float("nan"))
    print(f"{'FAIL' if failures else 'ok'} {entry['name']}: {len(case.worst)} tasks, worst relative error {worst:.1e}",
          flush=True)
    for failure in failures:
        print(f"  {failure}", flush=True)
    return not failures


def run_refusal(tool, entry, fixtures):
    with tempfile.TemporaryDirectory(prefix="graft-bad-") as folder:
        try:
            Refusal(tool, entry, fixtures, folder).run()
        except Failure as failure:
            print(f"FAIL {entry['name']}: {failure}", flush=True)
            return False
        except subprocess.TimeoutExpired:
            print(f"FAIL {entry['name']}: still running after {TIME_LIMIT} s", flush=True)
            return False
    print(f"ok {entry['name']}", flush=True)
    return True


def entries(path):
    return json.loads(path.read_text())["cases"] if path.exists() else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", default=shutil.which("graft"), help="the tool; the one in PATH unless given")
    parser.add_argument("--fixtures", type=Path, default=FIXTURES, help="a folder with a manifest.json")
    parser.add_argument("--case", help="a pattern over the names of cases")
    parser.add_argument("--bad", help="a pattern over the names of the damaged ones")
    parser.add_argument("--adapter", default="*", help="a pattern over the adapters of each case")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the commands")
    arguments = parser.parse_args()
    every = arguments.case is None and arguments.bad is None
    good = [e for e in entries(arguments.fixtures / "manifest.json")
            if every or fnmatch.fnmatchcase(e["name"], arguments.case or "")]
    bad = [e for e in entries(arguments.fixtures / "bad/manifest.json")
           if every or fnmatch.fnmatchcase(e["name"], arguments.bad or "")]
    if arguments.list:
        print("\n".join([e["name"] for e in good] + ["bad " + e["name"] for e in bad]))
        return 0
    if not arguments.graft:
        parser.error("no graft in PATH: give --graft")
    if not good and not bad:
        parser.error("no such case")
    tool = Tool(os.path.abspath(arguments.graft), arguments.verbose)
    passed = [run_case(tool, e, arguments.fixtures, arguments.adapter, arguments.verbose) for e in good]
    passed += [run_refusal(tool, e, arguments.fixtures) for e in bad]
    if len(passed) > 1:
        print(f"{sum(passed)} of {len(passed)} cases pass")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
