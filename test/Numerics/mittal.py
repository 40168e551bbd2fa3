# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models of Mittal, Bengio and Lajoie from both of torch's exporters: as many routers are found as there are sums over
modules, one for each time step; outputs are torch's, also where the weights of GT-Modular are not one-hot; a row's bits
depend on nothing but the row; what is shown as weights are those given, or their means over a set; and the measures of rules
are those of NumPy, over the rows of all steps and over tokens."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from routing_measures import wanted_measures

FIXTURES = Path(__file__).resolve().parent.parent / "Fixtures" / "mittal"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    graft = parser.parse_args().graft
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def run(x, rule, threads=1, *flags):
            given = []
            for name, value in (("x", x), ("rule", rule)):
                np.save(folder / f"{name}.npy", value)
                given += ["--input", f"{name}=@{folder}/{name}.npy"] if name in inputs else []
            subprocess.run([graft, "run", folder / "m.so", *given, "--output", f"y=@{folder}/y.npy", "--threads", str(threads), *flags], check=True)
            return np.load(folder / "y.npy")

        def stats(x, rule, labels, *flags):
            np.save(folder / "labels.npy", labels)
            run(x, rule, 1, "--routing-stats", str(folder / "s.json"), "--rules", f"@{folder}/labels.npy", *flags)
            return json.loads((folder / "s.json").read_text())

        def measures(words, x, rule, labels, given=None):
            """Of labels in the shape of the data; `given` are the weights in that shape, those that are recorded unless given."""
            found, steps = stats(x, rule, labels), labels.ndim > 1 and case.startswith("rnn")
            routers, together = found["routers"], found["together"]
            if [len(routers), len(together)] != ([labels.shape[1], 1] if steps else [1, 0]):
                return [f"{words}: {len(routers)} routers, {len(together)} groups"]
            if given is None:
                names = [router["router"] + (".tokens" if case.startswith("mha") else "") for router in routers]
                stats(x, rule, labels, *[flag for i, each in enumerate(names) for flag in ("--record-route-weights", f"{each}=@{folder}/w{i}.npy")])
                shown = [np.load(folder / f"w{i}.npy").astype(np.float64) for i in range(len(names))]
                given = np.stack(shown, 1) if steps else shown[0]
            given, wrong = given.astype(np.float64).reshape(*labels.shape, -1), []

            def compare(entry, weights, labels, what):
                (rules,) = entry["rules"]
                if rules["counted"] != ("tokens" if case.startswith("mha") else "rows"):
                    wrong.append(f"{words}: counted {rules['counted']}")
                for key, value in wanted_measures(weights.reshape(-1, weights.shape[-1]), labels.reshape(-1)).items():
                    if not (value is rules[key] is None or np.isclose(rules[key], value, rtol=1e-10, atol=1e-12)):
                        wrong.append(f"{words}, {what}: {key} {rules[key]}, expected {value}")

            if steps:
                compare(together[0], given, labels, "all steps")
                for step, router in enumerate(routers):
                    compare(router, given[:, step], labels[:, step], f"step {step}")
            else:
                compare(routers[0], given, labels, "all rows")
            if labels.ndim > 1:  # a rule for a sequence is that of its tokens and steps
                first = labels[:, 0]
                found = stats(x, rule, first)
                compare((found["together"] if steps else found["routers"])[0], given, np.repeat(first[:, None], labels.shape[1], 1), "one rule")
            return wrong

        for case, facts in json.loads((FIXTURES / "manifest.json").read_text()).items():
            model, values = FIXTURES / f"{case}.onnx", np.load(FIXTURES / facts["values"])
            inputs = {value.name for value in onnx.load(model).graph.input}  # the rule only where something reads it
            about = json.loads(subprocess.check_output([graft, "inspect", model, "--json"]))["routers"]
            if len(about) != facts["routers"] or not all(router["checked"] for router in about):
                bad.append(f"{case}: expected {facts['routers']} routers, each compared with the graph, found {about}")
            subprocess.run([graft, "compile", model, "-o", folder / "m.so"], check=True, stdout=subprocess.DEVNULL)
            for number in range(3):
                x = values[f"x.{number}"]
                for output, route in (("y", "rule"), ("soft", "weights")):
                    rule = values[f"{route}.{number}"]
                    y, wanted = run(x, rule), values[f"{output}.{number}"]
                    error = np.linalg.norm(y - wanted) / np.linalg.norm(wanted)
                    if y.shape != wanted.shape or not error <= 1e-5:
                        bad.append(f"{case}, {output}.{number}: relative error {error:.1e}")
                    if "gt-modular" in case and number == 2:
                        if not np.array_equal(y, run(x, rule, 3)) or not np.array_equal(y[5:7], run(x[5:7], rule[5:7])):
                            bad.append(f"{case}, {output}.{number}: a row's bits depend on the batch or the threads")
                        run(x, rule, 1, "--record-route-weights", str(folder / "weights.npy"))
                        shown, kind = np.load(folder / "weights.npy"), case.split(".")[0]
                        given = {"mlp": rule[None], "mha": rule.mean(1)[None], "rnn": rule.swapaxes(0, 1)}[kind]
                        if shown.shape != given.shape or not np.allclose(shown, given, rtol=1e-6, atol=1e-7):
                            bad.append(f"{case}, {output}.{number}: weights that are shown")
                        bad += measures(f"{case}, {output}.{number}", x, rule, values[f"rule.{number}"].argmax(-1), rule)
            if "monolithic" not in case and "gt-modular" not in case:
                bad += measures(case, values["x.2"], values["rule.2"], values["rule.2"].argmax(-1))
    if bad:
        sys.exit("\n".join(bad))


main()
