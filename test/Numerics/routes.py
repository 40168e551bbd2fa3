# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Routes of exported mixtures: what is recorded and replayed gives the same bits, on any number of threads and in any batch; what is
counted equals what NumPy makes of the record; code shows each router's route once."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from routing_measures import wanted_measures

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures" / "mixtures"
HIDDEN, EXPERTS = 16, 4
# Routers that weigh what is given, and those whose weights stay as they are.
CASES = {"masked.dynamo": True, "mixtral-batched.legacy": True, "qwen2-shared.dynamo": True, "soft.legacy": False, "compared.dynamo": None}


def entropy(shares):
    shares = np.asarray(shares)[np.asarray(shares) > 0]
    return -np.sum(shares * np.log(shares))


def dense(chosen, weights):
    """What each row gives each module."""
    rows = np.zeros((len(chosen), EXPERTS))
    for slot in range(chosen.shape[1]):
        filled = chosen[:, slot] >= 0
        np.add.at(rows, (np.nonzero(filled)[0], chosen[filled, slot]), weights[filled, slot].astype(np.float64))
    return rows


def wanted_load(chosen, weights):
    w = dense(chosen, weights)
    taken = np.stack([(chosen == m).any(1) for m in range(EXPERTS)], 1)
    return taken.sum(0), w.sum(0), [entropy(taken.sum(0) / taken.sum()), entropy(w.sum(0) / w.sum()),
                                    np.mean([entropy(row / row.sum()) for row in w])]


class Check:
    def __init__(self, graft, folder):
        self.graft, self.folder, self.bad, self.case = graft, folder, [], ""

    def expect(self, holds, words):
        if not holds:
            self.bad.append(f"{self.case}: {words}")

    def near(self, found, wanted, words):
        both = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
        self.expect(both[0].shape == both[1].shape and np.allclose(*both, rtol=1e-12, atol=1e-13), f"{words}: {found}, expected {wanted}")

    def run(self, x, *flags, task="base", outputs=("y",), code=0):
        """The outputs, or what is said on standard error."""
        np.save(self.folder / "x.npy", x)
        files = [flag for name in outputs for flag in ("--output", f"{name}=@{self.folder}/{name}.npy")]
        result = subprocess.run([self.graft, "run", self.folder / "m.so", "--input", f"x=@{self.folder}/x.npy", *files,
                                 *(["--task", task] if task else []), *flags], capture_output=True, text=True)
        self.expect(result.returncode == code, f"{flags}: exit {result.returncode}, {result.stderr}")
        if code:
            return result.stderr
        loaded = [np.load(self.folder / f"{name}.npy") for name in outputs]
        return loaded[0] if len(loaded) == 1 else loaded

    def save(self, name, array):
        np.save(self.folder / name, array)
        return str(self.folder / name)

    def file(self, name):
        return str(self.folder / name)

    def stats(self):
        return json.loads((self.folder / "s.json").read_text())["routers"]

    def replay(self, rng, weighs):
        x = rng.standard_normal((3, 5, HIDDEN)).astype(np.float32)
        y = self.run(x, "--record-routes", self.file("r.npy"), "--record-route-weights", self.file("w.npy"))
        self.expect((self.run(x) == y).all(), "looking changes bits")
        routes, weights = np.load(self.folder / "r.npy"), np.load(self.folder / "w.npy")
        self.expect(routes.shape == weights.shape and routes.shape[:2] == (1, 15) and routes.dtype == np.int64, f"shape {routes.shape}")
        given, weighed = ["--routes", self.save("given.npy", routes)], ["--route-weights", self.save("weights.npy", weights)]
        for threads in "1", "2":
            self.expect((self.run(x, *given, "--threads", threads) == y).all(), f"other bits on {threads} threads")
            self.expect((self.run(x, *given, *weighed, "--threads", threads) == y).all(), f"other bits with weights on {threads} threads")

        # Within a larger batch, whose other rows take whatever routes.
        large = rng.standard_normal((9, 5, HIDDEN)).astype(np.float32)
        large[4:7] = x
        self.run(large, "--record-routes", self.file("own.npy"), "--record-route-weights", self.file("own-weights.npy"))
        many, heavy = np.load(self.folder / "own.npy"), np.load(self.folder / "own-weights.npy")
        self.expect((many[:, 20:35] == routes).all() and (heavy[:, 20:35] == weights).all(), "a row's route depends on others")
        many = rng.integers(-1, EXPERTS, many.shape)
        many[:, 20:35] = routes
        flags = ["--routes", self.save("many.npy", many)]
        if not weighs:
            flags += ["--route-weights", self.save("heavy.npy", heavy)]
        for threads in "1", "2":
            self.expect((self.run(large, *flags, "--threads", threads)[4:7] == y).all(), f"other bits in a batch on {threads} threads")

        # The order of the slots is one of rounding, a slot less is another result.
        swapped = self.run(x, "--routes", self.save("swapped.npy", routes[..., ::-1]))
        self.expect(np.allclose(swapped, y, rtol=1e-5, atol=1e-6), "the order of slots counts")
        routes[..., -1] = -1
        fewer = self.run(x, "--routes", self.save("fewer.npy", routes))
        self.expect(not np.allclose(fewer, y, rtol=1e-3), "a slot less changes nothing")
        if weighs is not True:
            self.expect(np.isfinite(fewer).all(), "weights that stay are no numbers")
        routes[0, 3, 0] = EXPERTS
        words = self.run(x, "--routes", self.save("high.npy", routes), code=1)
        self.expect("row 3, slot 0: expected one of 4 modules or -1, found 4" in words, words)
        words = self.run(x, "--routes", self.save("short.npy", routes[:, 1:]), code=1)
        self.expect("expected 15 rows, found 14" in words, words)

    def count(self, rng):
        x = rng.standard_normal((8, 5, HIDDEN)).astype(np.float32)
        labels = np.arange(40).reshape(8, 5) % EXPERTS * 3 - 1
        flags = ["--routing-stats", self.file("s.json"), "--record-routes", self.file("r.npy"), "--record-route-weights", self.file("w.npy")]
        self.run(x, *flags, "--rules", "@" + self.save("rules.npy", labels))
        chosen, weights, (router,) = np.load(self.folder / "r.npy")[0], np.load(self.folder / "w.npy")[0], self.stats()
        rows, weight, entropies = wanted_load(chosen, weights)
        (task,) = router["tasks"]
        self.expect(task["task"] == "base" and task["rows"] == 40 and task["load"]["rows"] == rows.tolist(), f"load {task}")
        self.expect(task["empty_slots"] == (chosen < 0).sum(), "empty slots")
        self.near(task["load"]["weight"], weight, "weight")
        self.near([task["entropy"][key] for key in ("load", "weight", "row")], entropies, "entropy")
        (rules,) = router["rules"]
        for key, value in wanted_measures(dense(chosen, weights), labels.reshape(-1)).items():
            self.near(rules[key], value, key)
        self.run(x, *flags, "--rules", "@" + self.save("rules.npy", labels % 2))
        (rules,) = self.stats()[0]["rules"]
        for key, value in wanted_measures(dense(chosen, weights), labels.reshape(-1) % 2).items():
            self.expect(rules[key] is None and key in rules["undefined"] if value is None else np.isclose(rules[key], value, rtol=1e-12),
                        f"{key} of two rules: {rules[key]}")

    def tasks(self, rng):
        """A LoRA on gate and experts: each task has routes of its own."""
        x = rng.standard_normal((6, 2, HIDDEN)).astype(np.float32)
        names = [flag for task in ("base", "lora") for flag in ("--record-routes", f"{task}.{self.router}=@{self.folder}/{task}.r.npy")]
        y = dict(zip(("base", "lora"), self.run(x, *names, "--routing-stats", self.file("s.json"), task="base,lora", outputs=("base.y", "lora.y"))))
        routes = {task: np.load(self.folder / f"{task}.r.npy") for task in ("base", "lora")}
        sets = [[set(row) - {-1} for row in routes[task]] for task in ("base", "lora")]
        (overlap,) = self.stats()[0]["overlap"]
        self.near(overlap["equal_routes"], np.mean([a == b for a, b in zip(*sets)]), "equal routes")
        self.near(overlap["jaccard"], np.mean([len(a & b) / len(a | b) for a, b in zip(*sets)]), "jaccard")
        shares = [np.bincount([module for row in rows for module in row], minlength=EXPERTS) / sum(map(len, rows)) for rows in sets]
        self.near(overlap["load"], np.minimum(*shares).sum(), "overlap of load")
        self.expect(0 < overlap["equal_routes"] < 1, "the LoRA changes all routes or none")
        given = [flag for task in ("lora", "base") for flag in ("--routes", f"{task}.{self.router}=@{self.folder}/{task}.r.npy")]
        again = self.run(x, *given, task="base,lora", outputs=("base.y", "lora.y"))
        self.expect(all((a == b).all() for a, b in zip(again, y.values())), "tasks' routes give other bits")

        # Rows of both, in turns: the record has the batch's order.
        turns = ["lora", "base"] * 3
        mixed = self.run(x, "--row-tasks", ",".join(turns), "--record-routes", self.file("r.npy"), "--routing-stats", self.file("s.json"), task=None)
        wanted = np.concatenate([routes[task][2 * i : 2 * i + 2] for i, task in enumerate(turns)])
        self.expect((np.load(self.folder / "r.npy")[0] == wanted).all(), "routes of row tasks")
        self.expect(all((mixed[i] == y[task][i]).all() for i, task in enumerate(turns)), "row tasks")
        self.expect((self.run(x, "--row-tasks", ",".join(turns), "--routes", self.file("r.npy"), task=None) == mixed).all(), "row tasks replayed")
        (router,) = self.stats()
        self.expect([task["rows"] for task in router["tasks"]] == [6, 6] and router["rules"][0]["labels"] == "tasks", "row tasks counted")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft, rng = parser.parse_args().graft, np.random.default_rng(5)
    manifest = json.loads((FIXTURES / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        check = Check(graft, Path(name))
        for case, weighs in CASES.items():
            check.case, facts, model = case, manifest[case], FIXTURES / f"{case}.onnx"
            adapter = ["--adapter", f"lora={FIXTURES / facts['adapter']}"] if "adapter" in facts else []
            text = subprocess.run([graft, "compile", model, *adapter, "--emit", "dispatch", "-o", "-"], check=True, capture_output=True, text=True).stdout
            shown = [sum("dispatch.exchange" in line and "f32" in line for line in body.splitlines()) for body in text.split("func.func")]
            check.expect(max(shown) == 1, f"bodies show {shown} routes")
            subprocess.run([graft, "compile", model, *adapter, "-o", check.folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            inspected = json.loads(subprocess.run([graft, "inspect", "--json", check.folder / "m.so"], check=True, capture_output=True).stdout)
            (router,) = inspected["routers"]
            check.router, weighs = router["name"], router["weighs"] if weighs is None else weighs
            check.expect(router["weighs"] == weighs and len(router["modules"]) == EXPERTS, f"router {router}")
            check.expect(len({module["bytes"] for module in router["modules"]}) == 1 and router["modules"][0]["bytes"] > HIDDEN * HIDDEN * 4, "bytes")
            check.replay(rng, weighs)
            check.count(rng)
            if adapter:
                check.tasks(rng)
    if check.bad:
        sys.exit("\n".join(check.bad))


main()
