import sys

import numpy as np

from artifact import Library


def assert_rounded_once(got, exact, bits, slack=0):
    """Half a unit in the last place, and what sums in f32 may be off."""
    unit = np.maximum(np.abs(exact), 2.0 ** -14) * 2.0 ** -bits
    worst = ((np.abs(got - exact) - slack) / unit).max()
    assert worst < 1.02, worst


library = Library(sys.argv[1])
rng = np.random.default_rng(0)
for rows in (1, 2, 15, 33, 150):
    x = rng.standard_normal((rows, 600)).astype(np.float16)
    wide = x.astype(np.float64)
    for threads in (1, 3):
        z, zb, product, softmax = library.run(0, [x], [rows], threads=threads, overlap=threads == 3)
        sums = wide @ np.full((600, 48), 0.0625)
        # The product is rounded, then the sum with the bias is.
        assert_rounded_once(z, sums.astype(np.float16).astype(np.float64) + 0.5, 10)
        bits = x.astype(np.float32).view(np.uint32)
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000
        assert_rounded_once(zb, bits.view(np.float32).astype(np.float64) @ np.full((600, 48), 0.0625), 7)
        assert_rounded_once(product, wide @ wide.T, 11, slack=1e-4)
        e = np.exp(wide - wide.max(-1, keepdims=True))
        assert_rounded_once(softmax, e / e.sum(-1, keepdims=True), 11)
assert not library.failures and not library.live
