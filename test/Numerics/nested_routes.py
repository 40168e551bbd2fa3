# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Routers within modules: what is recorded is what NumPy says of the rows that come there, sparse dispatch and oracle show the same,
and what is replayed gives the same bits on any number of threads and in any batch."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from routing_measures import wanted_measures
from spec_models import *

UNREACHED = -2
EXPERT = """
  expert:
    count: 6
    mlp: {up: {tensor: "w.safetensors:l0.up", index: "{index}"}, down: {tensor: "w.safetensors:l0.down", index: "{index}"}}"""


def gate(first, last, rest):
    return f'score: {{linear: {{weight: {{tensor: "w.safetensors:l0.gate.weight", rows: [{first}, {last}]}}}}}}, {rest}'


def tree(outer, places=""):
    """Three levels: outer over left, right and expert 5; left over experts 0 to 2; right over deep and expert 2; deep over experts 3 and 4."""
    return f"""graft: 1
modules:{EXPERT}
  left: {{mixture: {{router: inner, modules: [expert.0, expert.1, expert.2]}}}}
  deep: {{mixture: {{router: leaf, modules: [expert.3, expert.4]}}}}
  right: {{residual: true, mixture: {{router: middle, modules: [deep, expert.2], aggregate: mean}}}}
  moe: {{mixture: {{router: outer, modules: [left, right, expert.5]}}}}
routers:
  outer: {{{gate(0, 3, outer)}}}
  inner: {{{gate(3, 6, "activation: softmax, select: {top: 2}, weight: {normalize: sum}")}}}
  middle: {{{gate(4, 6, "select: {top: 1}, weight: {by: ones}")}}}
  leaf: {{{gate(2, 4, "activation: sigmoid, select: {above: 0.5}")}}}
place:
- {{at: layers.0.mlp, replace: moe}}{places}
"""


TASK_PLACE = "\n- {at: layers.1.mlp, beside: {mixture: {router: {select: {task: {de: [expert.0], zh: [expert.1]}}}, modules: [expert.0, expert.1]}}}"
ROUTERS = {"outer": (0, 3), "inner": (3, 6), "middle": (4, 6), "leaf": (2, 4)}
WITHIN = {"inner": ("outer", "left"), "middle": ("outer", "right"), "leaf": ("middle", "deep")}


class Check:
    def __init__(self, graft, folder):
        self.graft, self.folder, self.bad, self.case = graft, folder, [], ""
        self.backbone = write_backbone(folder / "m.onnx")
        self.weights = {name: value.astype(np.float64) for name, value in write_weights(folder / "w.safetensors").items()}

    def expect(self, holds, words):
        if not holds:
            self.bad.append(f"{self.case}: {words}")

    def compile(self, text, out, *flags):
        (self.folder / "s.yaml").write_text(text)
        done = subprocess.run([self.graft, "compile", self.folder / "m.onnx", "--spec", self.folder / "s.yaml", *flags, "-o", self.folder / out], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.case}: {done.stderr}")

    def run(self, library, x, *flags, task="base", code=0):
        np.save(self.folder / "x.npy", x)
        done = subprocess.run([self.graft, "run", self.folder / library, "--input", f"x=@{self.folder}/x.npy", "--output", f"y=@{self.folder}/y.npy",
                               *(["--task", task] if task else []), *flags], capture_output=True, text=True)
        self.expect(done.returncode == code, f"{library} {flags}: exit {done.returncode}, {done.stderr}")
        return np.load(self.folder / "y.npy") if done.returncode == 0 else done.stderr

    def record(self, library, x, names, *flags, **more):
        """The output, and by router what is chosen and with which weights."""
        files = [flag for name in names for what, key in (("--record-routes", "r"), ("--record-route-weights", "w")) for flag in (what, f"{name}=@{self.folder}/{name}.{key}.npy")]
        y = self.run(library, x, *files, *flags, **more)
        return y, {name: tuple(np.load(self.folder / f"{name}.{key}.npy") for key in "rw") for name in names}

    def give(self, routes):
        for name, chosen in routes.items():
            np.save(self.folder / f"{name}.given.npy", chosen)
        return [flag for name in routes for flag in ("--routes", f"{name}=@{self.folder}/{name}.given.npy")]

    def scores(self, name, h):
        first, last = ROUTERS[name]
        return h @ self.weights["l0.gate.weight"][first:last].T

    def weigh(self, name, h, chosen):
        """What a router makes of a choice: (rows, modules)."""
        s = self.scores(name, h)
        taken = np.stack([(chosen == m).any(1) for m in range(s.shape[1])], 1)
        if name == "middle":
            return taken.astype(float)  # a mean of one
        weights = taken * (sigmoid(s) if name == "leaf" else softmax(s))
        return weights / np.maximum(weights.sum(1, keepdims=True), 1e-300) if name == "inner" else weights

    def choose(self, name, h, slots):
        s = self.scores(name, h)
        order = np.argsort(-s, 1, kind="stable")
        if name == "leaf":  # those above, in order of their numbers or of scores
            return np.where(sigmoid(s) > 0.5, np.arange(2), -1)
        return order[:, :slots]

    def output(self, x, routes):
        """In fp64, of what each router chooses."""
        w = self.weights

        def expert(e, v):
            return relu(v @ w["l0.up"][e].T) @ w["l0.down"][e].T

        def replaced(layer, h, mlp):
            if layer:
                return mlp(h)
            rows = h.reshape(-1, D)
            weights = {name: self.weigh(name, rows, chosen) for name, chosen in routes.items()}
            deep = mixture(weights["leaf"], [expert(3, rows), expert(4, rows)])
            right = rows + mixture(weights["middle"], [deep, expert(2, rows)])
            left = mixture(weights["inner"], [expert(e, rows) for e in range(3)])
            return mixture(weights["outer"], [left, right, expert(5, rows)]).reshape(h.shape)

        return run_backbone(self.backbone, x, replaced)

    def near(self, y, wanted, words):
        error = np.linalg.norm(y - wanted) / np.linalg.norm(wanted)
        self.expect(error <= 1e-5, f"{words}: relative error {error:.1e}")

    def wanted_routes(self, x, slots):
        h = x.reshape(-1, D).astype(np.float64)
        routes = {name: self.choose(name, h, count) for name, count in (("outer", slots), ("inner", 2), ("middle", 1), ("leaf", 2))}
        reach = {"outer": np.ones(len(h), bool)}
        for name, (outer, module) in WITHIN.items():
            number = {"left": 0, "right": 1, "deep": 0}[module]
            reach[name] = reach[outer] & (routes[outer] == number).any(1)
        return routes, reach

    def levels(self, slots, rng):
        self.case = f"{slots} slots"
        text = tree(f"activation: softmax, select: {{top: {slots}}}")
        self.compile(text, "sparse.so")
        self.compile(text, "dense.so", "--dense-routing")
        x = rng.standard_normal((3, 7, D)).astype(np.float32)
        wanted, reach = self.wanted_routes(x, slots)
        records = {}
        for library in ("sparse.so", "dense.so"):
            y, found = records[library] = self.record(library, x, ROUTERS)
            self.near(y, self.output(x, wanted), library)
            self.expect((self.run(library, x) == y).all(), f"{library}: looking changes bits")
            for name, (chosen, weights) in found.items():
                away = (chosen == UNREACHED).all(1)
                self.expect((away == ~reach[name]).all() and (chosen[~away] != UNREACHED).all(), f"{library} {name}: rows that come there")
                self.expect((np.sort(chosen[~away]) == np.sort(wanted[name][~away])).all(), f"{library} {name}: what is chosen")
                self.expect((weights[away] == 0).all(), f"{library} {name}: weights of rows that do not come there")
            self.expect(0 < reach["leaf"].sum() < reach["middle"].sum() < len(reach["outer"]), "the case reaches too much or too little")
        for name in ROUTERS:
            pairs = [records[library][1][name] for library in records]
            self.expect((pairs[0][0] == pairs[1][0]).all() and np.allclose(pairs[0][1], pairs[1][1], rtol=1e-5), f"{name}: the oracle shows something else")
        for library in records:
            self.replay(library, x, *records[library], rng)
        self.statistics(x, records["sparse.so"][1], reach)

    def replay(self, library, x, y, record, rng):
        routes = {name: chosen for name, (chosen, _) in record.items()}
        weighed = self.give(routes)
        for name, (_, weights) in record.items():
            np.save(self.folder / f"{name}.weights.npy", weights)
            weighed += ["--route-weights", f"{name}=@{self.folder}/{name}.weights.npy"]
        for threads in "1", "2":
            self.expect((self.run(library, x, *self.give(routes), "--threads", threads) == y).all(), f"{library}: other bits on {threads} threads")
            self.expect((self.run(library, x, *weighed, "--threads", threads) == y).all(), f"{library}: other bits with weights on {threads} threads")
        large = rng.standard_normal((8, 7, D)).astype(np.float32)
        large[2:5] = x
        many = {name: rng.integers(-1, ROUTERS[name][1] - ROUTERS[name][0], (56, chosen.shape[1])) for name, chosen in routes.items()}
        for name, chosen in routes.items():
            many[name][14:35] = chosen
        for threads in "1", "2":
            self.expect((self.run(library, large, *self.give(many), "--threads", threads)[2:5] == y).all(), f"{library}: other bits in a batch on {threads} threads")
        # Any routes, each module once in a row.
        free = {name: np.argsort(rng.random((21, ROUTERS[name][1] - ROUTERS[name][0])), 1)[:, : chosen.shape[1]] for name, chosen in routes.items()}
        free["inner"][::4, 1] = -1
        self.near(self.run(library, x, *self.give(free)), self.output(x, free), f"{library}: other routes")
        # Of a row that does not come there nothing counts.
        for name in WITHIN:
            changed = dict(routes)
            changed[name] = np.where(routes[name] == UNREACHED, 0, routes[name])
            self.expect((self.run(library, x, *self.give(changed)) == y).all(), f"{library} {name}: a row that does not come there counts")
        row = int(np.nonzero((routes["inner"] != UNREACHED).all(1))[0][0])
        missing = routes["inner"].copy()
        missing[row] = UNREACHED
        words = self.run(library, x, *self.give({"inner": missing}), code=1)
        self.expect(f"routes of 'inner': row {row}: expected a route, found -2" in words, words)
        missing[row] = [0, UNREACHED]
        words = self.run(library, x, *self.give({"inner": missing}), code=1)
        self.expect(f"row {row}, slot 1: expected one of 3 modules or -1, found -2" in words, words)
        words = self.run(library, x, *self.give({"outer": np.full_like(routes["outer"], UNREACHED)}), code=1)
        self.expect("row 0, slot 0: expected one of 3 modules or -1, found -2" in words, words)
        words = self.run(library, x, *self.give({"leaf": routes["leaf"][1:]}), code=1)
        self.expect("routes of 'leaf': expected 21 rows, found 20" in words, words)

    def statistics(self, x, record, reach):
        labels = np.arange(21).reshape(3, 7) % 3
        np.save(self.folder / "labels.npy", labels)
        self.run("sparse.so", x, "--routing-stats", str(self.folder / "s.json"), "--rules", f"@{self.folder}/labels.npy")
        found = {router["router"]: router for router in json.loads((self.folder / "s.json").read_text())["routers"]}
        self.expect(list(found) == list(ROUTERS), f"statistics of {list(found)}")
        for name, (chosen, weights) in record.items():
            (task,), (rules,), count = found[name]["tasks"], found[name]["rules"], len(found[name]["modules"])
            here = chosen[reach[name]]
            load = [(here == m).any(1).sum() for m in range(count)]
            self.expect(task["rows"] == len(here) and task["load"]["rows"] == load and task["empty_slots"] == (here == -1).sum(), f"{name}: load {task}")
            within = {"router": WITHIN[name][0], "module": WITHIN[name][1]} if name in WITHIN else None
            self.expect(found[name].get("within") == within, f"{name}: within {found[name].get('within')}")
            dense = np.zeros((len(here), count))
            for slot in range(here.shape[1]):
                filled = here[:, slot] >= 0
                dense[np.nonzero(filled)[0], here[filled, slot]] += weights[reach[name]][filled, slot]
            for key, value in wanted_measures(dense, labels.reshape(-1)[reach[name]]).items():
                self.expect(value is rules[key] is None or np.isclose(rules[key], value, rtol=1e-9, atol=1e-12), f"{name}: {key} {rules[key]}, expected {value}")

    def inspect(self):
        facts = json.loads(subprocess.check_output([self.graft, "inspect", "--json", self.folder / "sparse.so"]))
        for router in facts["routers"]:
            within = router.get("within")
            self.expect((within and (within["router"], within["module"])) == WITHIN.get(router["name"]), f"inspect: {router}")
        self.expect([router["name"] for router in facts["routers"]] == list(ROUTERS), f"inspect: {facts['routers']}")
        text = subprocess.check_output([self.graft, "inspect", self.folder / "sparse.so"], text=True)
        self.expect("  leaf: 2 of 2 modules a row, weights f32; tasks base; within deep of middle" in text, text)

    def sequences(self, rng):
        """A router per sequence around one per token: as many rows of it for each sequence as there are tokens."""
        self.case = "sequences"
        text = tree("per: sequence, activation: softmax, select: {top: 1}")
        self.compile(text, "sparse.so")
        x = rng.standard_normal((6, 7, D)).astype(np.float32)
        y, record = self.record("sparse.so", x, ROUTERS)
        outer, inner = record["outer"][0], record["inner"][0]
        self.expect(outer.shape == (6, 1) and inner.shape == (42, 2), f"shapes {outer.shape}, {inner.shape}")
        self.expect(((inner == UNREACHED).all(1) == np.repeat(outer[:, 0] != 0, 7)).all() and 0 < (outer == 0).sum() < 6, "tokens of sequences")
        tokens = self.choose("inner", x.reshape(-1, D).astype(np.float64), 2)
        self.expect((inner == np.where(np.repeat(outer == 0, 7, 0), tokens, UNREACHED)).all(), "what tokens choose")
        routes = {name: chosen for name, (chosen, _) in record.items()}
        self.expect((self.run("sparse.so", x, *self.give(routes), "--threads", "2") == y).all(), "replayed")
        part = {name: chosen[2 * len(chosen) // 6 : 5 * len(chosen) // 6] for name, chosen in routes.items()}
        self.expect((self.run("sparse.so", x[2:5], *self.give(part)) == y[2:5]).all(), "a part of the batch")
        # Labels of tokens are of no use to the router of sequences, which is said; the others' rows have them.
        np.save(self.folder / "x.npy", x)
        np.save(self.folder / "labels.npy", np.arange(42).reshape(6, 7) % 3)
        done = subprocess.run([self.graft, "run", self.folder / "sparse.so", "--input", f"x=@{self.folder}/x.npy", "--routing-stats", self.folder / "s.json",
                               "--rules", f"@{self.folder}/labels.npy"], capture_output=True, text=True)
        found = json.loads((self.folder / "s.json").read_text())["routers"] if done.returncode == 0 else []
        self.expect([bool(router["rules"]) for router in found] == [False, True, True, True] and "row 0 has 0 and 1" in found[0]["unlabelled"]
                    and "warning: --rules: router 'outer': " in done.stderr, f"labels of tokens: {done.stderr}")

    def tasks(self, rng):
        self.case = "tasks"
        self.compile(tree("activation: softmax, select: {top: 2}", TASK_PLACE), "sparse.so")
        x = rng.standard_normal((5, 3, D)).astype(np.float32)
        y, record = self.record("sparse.so", x, ROUTERS)
        turns = ["de", "zh", "de", "base", "zh"]
        mixed, rows = self.record("sparse.so", x, ROUTERS, "--row-tasks", ",".join(turns), "--routing-stats", str(self.folder / "s.json"), task=None)
        self.expect(all((rows[name][0] == record[name][0]).all() for name in ROUTERS), "routes of row tasks")
        again = self.run("sparse.so", x, "--row-tasks", ",".join(turns), *self.give({name: chosen for name, (chosen, _) in rows.items()}), task=None)
        self.expect((again == mixed).all(), "row tasks replayed")
        found = {router["router"]: router for router in json.loads((self.folder / "s.json").read_text())["routers"]}
        for name in ROUTERS:
            came = (record[name][0] != UNREACHED).all(1).reshape(5, 3)
            counts = {task: int(came[[i for i, each in enumerate(turns) if each == task]].sum()) for task in sorted(set(turns))}
            self.expect({task["task"]: task["rows"] for task in found[name]["tasks"]} == counts, f"{name}: {found[name]['tasks']}, expected {counts}")

    def nobody(self, rng):
        """A module that no row takes: the router within it is not asked, is counted with no rows, and is no obstacle to a profile."""
        self.case = "nobody"
        text = tree("bias: [0, -1000, 0], select: {top: 1}")
        self.compile(text, "sparse.so")
        x = rng.standard_normal((3, 7, D)).astype(np.float32)
        y, record = self.record("sparse.so", x, ROUTERS)
        self.expect(all((record[name][0] == UNREACHED).all() and len(record[name][0]) == 21 for name in ("middle", "leaf")), "rows came")
        self.expect((self.run("sparse.so", x, *self.give({name: chosen for name, (chosen, _) in record.items()})) == y).all(), "replayed")
        self.run("sparse.so", x, "--routing-stats", str(self.folder / "s.json"))
        found = {router["router"]: router["tasks"][0]["rows"] for router in json.loads((self.folder / "s.json").read_text())["routers"]}
        self.expect(found["middle"] == found["leaf"] == 0 and found["outer"] == 21, f"rows {found}")
        self.compile(text, "pruned.so", "--routing-profile", str(self.folder / "s.json"))
        self.expect(np.allclose(self.run("pruned.so", x), y, rtol=1e-5, atol=1e-6), "pruned by a profile")

    def constant(self, rng):
        """A route within a module that is the same for all rows is compiled in, and shows nothing."""
        self.case = "constant"
        text = tree("select: {top: 1}").replace(f"inner: {{{gate(3, 6, 'activation: softmax, select: {top: 2}, weight: {normalize: sum}')}}}", "inner: {select: {fixed: [expert.1, expert.0]}}")
        self.compile(text, "sparse.so")
        x = rng.standard_normal((3, 7, D)).astype(np.float32)
        y, record = self.record("sparse.so", x, ROUTERS)
        routes = {name: chosen for name, (chosen, _) in record.items()}
        self.expect((routes["inner"] == UNREACHED).all() and (self.run("sparse.so", x, *self.give(routes)) == y).all(), "replayed")
        words = self.run("sparse.so", x, *self.give({"inner": np.zeros_like(routes["inner"])}), code=1)
        self.expect("--routes: router 'inner' is not asked by the tasks that run" in words, words)
        self.run("sparse.so", x, "--routing-stats", str(self.folder / "s.json"))
        found = {router["router"]: "not_asked" in router for router in json.loads((self.folder / "s.json").read_text())["routers"]}
        self.expect(found == {name: name == "inner" for name in ROUTERS}, f"not asked: {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft, rng = parser.parse_args().graft, np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as name:
        check = Check(graft, Path(name))
        check.levels(1, rng)
        check.inspect()
        check.levels(2, rng)
        check.sequences(rng)
        check.tasks(rng)
        check.nobody(rng)
        check.constant(rng)
    if check.bad:
        sys.exit("\n".join(check.bad))


main()
