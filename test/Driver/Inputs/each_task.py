"""Runs the tasks of tasks.test's library alone, together and row by row, and compares bit by bit: each_task.py LIBRARY FOLDER."""
import subprocess
import sys

import numpy as np

library, folder = sys.argv[1:]
TASKS = ["base", "small", "dora", "both", "none"]


def run(*flags):
    subprocess.run(["graft", "run", library, "--input", f"x=@{folder}/x.npy", *flags], check=True)


alone = {}
for task in TASKS:
    run("--task", task, "--output", f"y=@{folder}/{task}.npy")
    alone[task] = np.load(f"{folder}/{task}.npy")
run("--task", ",".join(TASKS), *[f for task in TASKS for f in ("--output", f"{task}.y=@{folder}/together.{task}.npy")])
for task in TASKS:
    together = np.load(f"{folder}/together.{task}.npy")
    assert together.tobytes() == alone[task].tobytes(), task
assert alone["none"].tobytes() == alone["base"].tobytes()
different = ["base", "small", "dora", "both"]
for i, a in enumerate(different):
    for b in different[:i]:
        assert np.abs(alone[a] - alone[b]).max() > 1e-3, (a, b)

rows = ["both", "base", "small", "both"]
run("--row-tasks", ",".join(rows), "--output", f"y=@{folder}/rows.npy")
mixed = np.load(f"{folder}/rows.npy")
for row, task in enumerate(rows):
    assert mixed[row].tobytes() == alone[task][row].tobytes(), (row, task)
