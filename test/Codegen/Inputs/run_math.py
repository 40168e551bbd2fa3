import math
import sys

import numpy as np

from artifact import Library

library = Library(sys.argv[1])
rng = np.random.default_rng(0)


def check(name, found, expected, relative, absolute=0.0):
    expected = np.asarray(expected)
    special = ~np.isfinite(expected)
    assert np.array_equal(found[special], expected[special].astype(found.dtype), equal_nan=True), (name, found[special], expected[special])
    error = np.abs(found[~special] - expected[~special]) - absolute - relative * np.abs(expected[~special])
    assert not len(error) or error.max() <= 0, (name, error.max(), error.argmax())


def run(x, y, d):
    x, y, d = np.float32(x), np.float32(y), np.float64(d)
    outputs = library.run(0, [x, y, d], [len(x)])
    sin, cos, tanh, erf, exp, pow, rem, round, sinh, dexp, dlog, dtanh, ipow = outputs
    wx, wy = x.astype(np.float64), y.astype(np.float64)
    with np.errstate(all="ignore"):
        check("sin", sin, np.sin(wx), 1e-7, 1e-10)
        check("cos", cos, np.cos(wx), 1e-7, 1e-10)
        check("tanh", tanh, np.tanh(wx), 1e-6)
        check("erf", erf, np.vectorize(math.erf)(wx), 1e-6, 1e-6)
        check("exp", exp, np.exp(wx).astype(np.float32), 3e-7, 1e-37)
        check("pow", pow, np.power(x, y), 2e-5, 1e-37)
        check("rem", rem, np.fmod(x, y), 0)
        check("round", round, np.copysign(np.floor(np.abs(wx) + 0.5), wx), 0)
        inner = ~(np.abs(wx) > 88)  # upstream's formula overflows a little before its result does
        check("sinh", sinh[inner], np.sinh(wx[inner]).astype(np.float32), 2e-6, 1e-6)
        check("exp64", dexp, np.exp(d), 1e-15, 1e-307)
        check("log64", dlog, np.log(d), 1e-15, 1e-16)
        check("tanh64", dtanh, np.tanh(d), 1e-14)
    for found, a, b in zip(ipow, x, y):
        if abs(a) < 40 and abs(b) < 12:
            a, b = int(a), int(b)
            expected = a**b if b >= 0 else {1: 1, -1: -1 if b % 2 else 1}.get(a, 0)
            if abs(expected) < 2**63:
                assert found == expected, ("ipowi", a, b, found)


n = 20000
run(rng.standard_normal(n) * 3, rng.standard_normal(n) * 2, rng.standard_normal(n) * 10)
run(rng.uniform(-3000, 3000, n), np.round(rng.uniform(1, 9, n)), np.exp(rng.uniform(-700, 700, n)))
run(np.arange(-50, 50) / 2, np.resize([-3, -2, 1, 2, 3, 5], 100), np.linspace(-0.03, 0.03, 100))
run([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0], [2, 3, 1, 1, 1, np.inf, 3, 0], [0, np.inf, -np.inf, np.nan, 1, 5e-324, -1, 800])
