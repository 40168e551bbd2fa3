"""Compiles with several budgets and checks choices and bytes: budgets.py MODEL FOLDER FLAG..."""
import json
import os
import re
import subprocess
import sys

model, folder, *flags = sys.argv[1:]


def compiled(*more):
    """Predicted, least and stored bytes, and whether each module folds."""
    library = os.path.join(folder, "out.so")
    said = subprocess.run(["graft", "compile", model, "-o", library, *flags, *more], check=True,
                          capture_output=True, text=True).stdout
    predicted, least = map(int, re.search(r"weights: (\d+) bytes predicted, (\d+) the least", said).groups())
    about = json.loads(subprocess.check_output(["graft", "inspect", "--json", library]))
    stored = about["weights"]["bytes"]
    print(more, "predicted", predicted, "least", least, "stored", stored, flush=True)
    # Narrow products that become one have less padding than each had.
    assert 0.98 * predicted <= stored <= 1.01 * predicted, (more, predicted, stored)
    promised, written = map(int, re.search(r"library: (\d+) bytes predicted, .*; (\d+) written", said).groups())
    assert written == os.path.getsize(library) and 0.98 * promised <= written <= 1.01 * promised, (promised, written)
    sites = sum(choice["residency"] == "fold" for task in about["tasks"] for choice in task["residency"])
    return predicted, least, stored, sites


never = compiled("--fold", "never")
always = compiled("--fold", "always")
assert always[3] > never[3] and always[2] > never[2], (always, never)
# Half way between the two, some fold and some do not; without a budget, all do that fit into four times the backbone.
half = (never[2] + always[2]) // 2
some = compiled("--memory-budget", str(half))
assert never[3] < some[3] < always[3] and some[2] <= half * 1.01, (never, some, always)
tight = compiled("--memory-budget", str(some[1]))
assert tight[3] < some[3], (tight, some)
free = compiled()
assert free[3] == always[3], (free, always)
