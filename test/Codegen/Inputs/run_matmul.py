import math
import sys

import numpy as np

from artifact import Library

library = Library(sys.argv[1])
rng = np.random.default_rng(0)
erf = np.vectorize(math.erf)
for rows in (1, 2, 13, 14, 15, 100, 333):
    x, r = rng.standard_normal((rows, 64)), rng.standard_normal((rows, 48))
    for threads in (1, 3):
        z, n = library.run(0, [x, r], [rows], threads=threads, overlap=threads == 3)
        x32 = x.astype(np.float32).astype(np.float64)
        product = erf(x32 @ np.full((64, 48), 0.125) + 0.5)
        h = product + r
        norm = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5) * 0.5 + 0.5
        assert np.abs(z - product).max() < 3e-6, np.abs(z - product).max()
        assert np.abs(n - norm).max() < 1e-5, np.abs(n - norm).max()
assert not library.failures and not library.live
assert library.manifest["storage"][0]["bytes"] >= 64 * 48 * 4
print("forked" if library.forks else "never forked")
