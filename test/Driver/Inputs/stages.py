"""Checks the tree of stages of tasks.test's library: stages.py LIBRARY."""
import json
import subprocess
import sys

tasks = {task["name"]: task["stages"] for task in json.loads(
    subprocess.check_output(["graft", "inspect", "--json", sys.argv[1]]))["tasks"]}
assert set(tasks) == {"base", "small", "dora", "both", "none"}, tasks
# An adapter that begins later shares the trunk; one at the first op shares nothing with base.
assert tasks["base"][0] == tasks["dora"][0] and tasks["base"][-1] != tasks["dora"][-1], tasks
assert not set(tasks["base"]) & set(tasks["small"]), tasks
assert tasks["small"][0] == tasks["both"][0] and tasks["small"][-1] != tasks["both"][-1], tasks
# No adapters: the backbone's very stages.
assert tasks["none"] == tasks["base"], tasks
