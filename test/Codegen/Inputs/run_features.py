import sys

import numpy as np

from artifact import Library

library = Library(*sys.argv[1:])
rng = np.random.default_rng(0)
for n in (1, 2, 7, 1000):
    x = (rng.standard_normal(n) * 100).astype(np.float32)
    x[0] = 1.0
    found, carried, both = library.run(0, [x], [n], overlap=True)
    assert np.array_equal(found, np.nonzero(x > 0.25)[0]), found
    expected = x.astype(np.float64)
    for _ in range(3):
        expected = (np.sin(expected) + expected).astype(np.float32).astype(np.float64)
    # A sum may be rounded the other way, which the next sine hands on.
    assert np.abs(carried - expected).max() <= 4 * np.spacing(np.float32(np.abs(expected).max()))
    wide = np.zeros((3 * n - 1, 2), np.float32)
    wide[:n, 0] = x
    wide[n - 1:2 * n - 1, 1] = carried
    assert np.array_equal(both, wide)
assert not library.failures
assert library.allocations, "the size of the first output was not known"

library.run(0, [np.zeros(4, np.float32)], [4])
assert library.failures == ["nothing is above the bound"], library.failures
found, _, _ = library.run(0, [np.ones(4, np.float32)], [4], no_memory=True)
assert "no memory" in library.failures and found is None
