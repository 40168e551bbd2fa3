"""Compares mixtures of routing.py with the rules of docs/spec.md, written out row by row: run_routing.py KIND SPARSE DENSE."""
import math
import sys

import numpy as np

from artifact import Library
from routing import BIASES, KEY, KINDS, MATRICES, MODULES, OUT, QUERY, VALUE, WIDTH

kind = sys.argv[1]
slots, steps, aggregator = KINDS[kind]
libraries = [Library(path) for path in sys.argv[2:]]
rng = np.random.default_rng(1)


def ordered(scores):
    return np.where(np.isnan(scores), -np.inf, scores)


def top(scores, count):
    return sorted(range(len(scores)), key=lambda i: (-ordered(scores)[i], i))[:count]


def choose(scores, ids):
    """Rows of module numbers, -1 where a slot is empty."""
    rows = len(scores)
    if kind in ("top", "limit-factor", "limit-count"):
        chosen = np.array([top(s, 2) for s in scores], int).reshape(rows, 2)
    elif kind == "all":
        chosen = np.tile(np.arange(MODULES), (rows, 1))
    elif kind == "above":
        chosen = np.where(scores > 0.25, np.arange(MODULES), -1)
    elif kind == "hash":
        prime = 2**31 - 1
        chosen = np.array([[(48271 * (int(i) % prime) + -3 % prime) % prime % MODULES] for i in ids], int).reshape(rows, 1)
    elif kind.startswith("rows"):
        count = min(rows, 3 if kind == "rows-count" else math.ceil(rows * 1.5 / MODULES))
        chosen = np.full((rows, MODULES), -1)
        for e in range(MODULES):
            chosen[top(scores[:, e], count), e] = e
    elif kind == "top-p":
        chosen = np.full((rows, MODULES), -1)
        for r, s in enumerate(scores.astype(float)):
            shares, reached = np.exp(s) / np.exp(s).sum(), 0.0
            for slot, e in enumerate(top(shares, MODULES)):
                if reached >= 0.7:
                    break
                chosen[r, slot], reached = e, reached + shares[e]
    elif kind == "groups":
        chosen = np.empty((rows, 2), int)
        for r, s in enumerate(scores):
            size = MODULES // 4
            sums = [np.sort(ordered(s)[g * size:(g + 1) * size])[::-1][:2].sum() for g in range(4)]
            kept = top(np.array(sums), 2)
            chosen[r] = top(np.array([v if i // size in kept else -np.inf for i, v in enumerate(s)]), 2)
    if kind.startswith("limit"):
        left = [1 if kind == "limit-count" else math.ceil(0.75 * rows * 2 / MODULES)] * MODULES
        for s in range(2):
            for r in range(rows):
                left[chosen[r, s]] -= 1
                if left[chosen[r, s]] < 0:
                    chosen[r, s] = -1
    return chosen


def weigh(chosen, scores):
    filled = chosen >= 0
    if "weigh_evenly" in steps:
        weights = filled.astype(float)
        return weights / np.maximum(weights.sum(1, keepdims=True), 1) if "shared" in steps else weights
    picked = np.where(filled, np.take_along_axis(scores.astype(float), np.maximum(chosen, 0), 1), 0)
    if "by sum" in steps:
        picked = picked / np.where(filled.any(1), picked.sum(1), 1)[:, None]
    elif "by softmax" in steps:
        e = np.where(filled, np.exp(picked - np.where(filled, picked, -np.inf).max(1, keepdims=True)), 0)
        picked = e / e.sum(1, keepdims=True)
    return np.where(filled, picked, 0)


def expected(x, chosen, weights):
    out = []
    for row, c, w in zip(x.astype(float), chosen, weights):
        y = np.array([row @ MATRICES[e] + BIASES[e] if 0 <= e < MODULES else np.zeros(OUT) for e in c])
        filled = (c >= 0) & (c < MODULES)
        if aggregator == "weighted_sum":
            out.append((np.where(filled, w, 0)[:, None] * y).sum(0))
        elif aggregator == "sum":
            out.append(y.sum(0))
        elif aggregator == "mean":
            out.append(y.sum(0) / max(filled.sum(), 1))
        elif aggregator == "concatenation":
            out.append(y.ravel())
        elif aggregator == "own":
            out.append(y.max(0))
        elif aggregator == "attention":
            scores = np.where(filled, 0.5 * (y @ KEY.T) @ (QUERY @ row), -np.inf)
            e = np.where(filled, np.exp(scores - scores.max(initial=-1e30)), 0)
            out.append((e / max(e.sum(), 1e-300)) @ (y @ VALUE.T))
    return np.array(out).reshape(len(x), {"concatenation": slots * OUT, "attention": len(VALUE)}.get(aggregator, OUT))


for rows in (0, 1, 2, 7, 64):
    x = rng.standard_normal((rows, WIDTH)).astype(np.float32)
    # Few distinct values: ties; and what is no number, but where weights would be none either.
    scores = np.round(rng.random((rows, MODULES)) * 4 + 0.25, 0 if rows < 10 else 3).astype(np.float32)
    if rows > 2 and aggregator in ("sum", "mean"):
        scores[rng.random(scores.shape) < 0.1] = np.nan
        scores[rng.random(scores.shape) < 0.1] = -np.inf
    ids = rng.integers(-2**63, 2**63, rows)
    given = rng.choice([-1, MODULES, -2**63, 2**62, *range(MODULES)], (rows, slots))
    weights = rng.standard_normal((rows, slots)).astype(np.float32)
    if steps:
        route = choose(scores, ids)
        want = expected(x, route, weigh(route, scores))
    else:
        want = expected(x, given, weights)
    results = []
    for library in libraries:
        for threads in (1, 3):
            y, = library.run(0, [x, scores, ids, given, weights], [rows], threads=threads)
            assert not library.failures, library.failures
            assert y.shape == want.shape, (kind, rows, y.shape, want.shape)
            worst = np.abs(y - want).max(initial=0)
            assert worst <= 1e-5 * max(1, np.abs(want).max(initial=0)), (kind, rows, threads, worst, y, want)
            results.append(y)
        assert np.array_equal(results[-1], results[-2])
