# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The measures of rules, by NumPy."""

import itertools

import numpy as np


def wanted_measures(w, labels):
    """As issue and paper have them; the assignment by trying all."""
    rules = np.unique(labels)
    means = np.stack([w[labels == rule].mean(0) for rule in rules], 1)
    joint = means / means.sum()
    p, r, size = joint.sum(1), joint.sum(0), len(w[0])
    found = {"collapse_average": size / (size - 1) * np.maximum(0, 1 / size - p).sum(), "collapse_worst": 1 - size * p.min()}
    if len(rules) != size:
        return found | dict.fromkeys(["inverse_mutual_information", "alignment", "adaptation"])
    some = joint > 0
    terms = joint[some] * np.log(joint[some] / np.outer(p, r)[some])
    found["inverse_mutual_information"] = (np.log(size) - terms.sum()) / np.log(size)
    found["alignment"] = min(np.abs(np.eye(size)[:, order] - size * joint).sum() / (2 * size) for order in
                             map(list, itertools.permutations(range(size))))
    total = 0
    for seed in range(100):
        q = np.random.RandomState(seed).dirichlet(np.ones(size))
        share = means @ q / (means @ q).sum()
        total += np.abs(np.sort(q) - np.sort(share)).sum() / 2
    found["adaptation"] = total / 100
    return found
