"""Compares a stage of mixture.py with double precision: run_mixture.py LIBRARY TYPE MODULES SLOTS."""
import sys

import numpy as np

from artifact import Library
from mixture import WIDTH, parameters, rounded

element, modules, slots = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
library = Library(sys.argv[1])
experts = [{name: value.astype(np.float64) for name, (value, _) in values.items()} for values in parameters(element, modules)]
rng = np.random.default_rng(0)
# What sums of products in f32 may be off, or the three roundings on the way.
tolerance = {"f32": 3e-6, "f16": 3e-3, "bf16": 2.5e-2}[element]


def expected(x, keys, weights):
    x = rounded(x, element)[0].astype(np.float64)
    y = np.zeros(x.shape)
    for e, p in enumerate(experts):
        for s in range(slots):
            chosen = keys[:, s] == e
            gate = x[chosen] @ p["gate"].T + p["gate_bias"]
            hidden = gate / (1 + np.exp(-gate)) * (x[chosen] @ p["up"])
            y[chosen] += weights[chosen, s:s + 1] * (hidden @ p["down"] + p["down_bias"])
    return y


def check(x, keys, weights, threads):
    y, = library.run(0, [x, keys, weights], [len(x)], threads=threads, overlap=threads == 3)
    assert not library.failures
    want = expected(x, keys, weights)
    worst = np.abs(y - want).max(initial=0)
    assert worst <= tolerance * max(1, np.abs(want).max(initial=0)), (len(x), worst)
    return y


def routes(rows):
    yield "spread", rng.integers(0, modules, (rows, slots))
    # Sentinels, and what only a bug would choose: all of these are empty.
    yield "with empty slots", rng.choice([0, modules - 1, -1, modules, -2**63, 2**63 - 1, 2**32], (rows, slots))
    yield "none at all", np.full((rows, slots), -1)
    yield "all to one", np.full((rows, slots), modules - 1)
    yield "uneven", np.minimum(rng.geometric(0.3, (rows, slots)) - 1, modules - 1)


for rows in (0, 1, 5, 513):
    for name, keys in routes(rows):
        x = rng.standard_normal((rows, WIDTH)).astype(np.float32)
        keys, weights = keys.astype(np.int64), rng.standard_normal((rows, slots)).astype(np.float32)
        y = check(x, keys, weights, 1)
        assert np.array_equal(y, check(x, keys, weights, 3)), (rows, name, "threads change the bits")
        # A row has the same bits whatever else is in the batch.
        for row in {0, rows // 2, rows - 1} if rows else ():
            alone = check(x[row:row + 1], keys[row:row + 1], weights[row:row + 1], 1)
            assert np.array_equal(y[row:row + 1], alone), (rows, name, row)
# Sizes follow from shapes, whatever the keys: every buffer is in the arena.
assert not library.allocations
print("forked" if library.forks else "never forked")
