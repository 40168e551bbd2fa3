#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports tiny random models of the kinds that Mittal, Bengio and Lajoie compare (Is a Modular Architecture Enough?, 2022) with
torch's two ONNX exporters, and writes what they should give, computed by torch in double precision. Needs torch, onnx and
onnxscript; what it writes to mittal/ is committed.

Monolithic has no modules. In the others R modules are weighed for each row (of a batch, of a set, of a time step): by a softmax
over scores that the modules give beside their results (modular), over scores of the rule alone (modular-op), or by the rule's
one-hot code itself (gt-modular). A module is an MLP, an attention over the set, or a recurrent cell with LSTM's gates; modules are
objects of their own (list), or a dimension of the parameters (group)."""

import copy
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

HERE = Path(__file__).resolve().parent / "mittal"
WIDTH, HIDDEN, RULES, LENGTH, HEADS = 5, 8, 4, 3, 2


class Many(nn.Module):
    """A linear layer for each module: (…, R, in) to (…, R, out)."""

    def __init__(self, rules, width, out):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(rules, width, out) / width**0.5), nn.Parameter(torch.randn(rules, out) / 4)

    def forward(self, x):
        rows = x.reshape(-1, *x.shape[-2:]).permute(1, 0, 2)
        return (torch.bmm(rows, self.weight).permute(1, 0, 2) + self.bias).reshape(*x.shape[:-1], self.bias.shape[-1])


class Mlp(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out))

    def forward(self, x):
        return self.layers(x)


class ManyMlps(nn.Module):
    def __init__(self, rules, width, out):
        super().__init__()
        self.rules, self.layers = rules, nn.Sequential(Many(rules, width, HIDDEN), nn.ReLU(), Many(rules, HIDDEN, out))

    def forward(self, x):
        return self.layers(x.unsqueeze(-2).expand(*x.shape[:-1], self.rules, x.shape[-1]))


class Attention(nn.Module):
    """Attention of each element of a set to all, and a layer on what it finds."""

    def __init__(self, width, out):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, HIDDEN) for _ in range(3))
        self.out = nn.Linear(HIDDEN, out)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (layer(x).view(batch, length, HEADS, HIDDEN // HEADS).transpose(1, 2) for layer in (self.q, self.k, self.v))
        found = (q @ k.transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5).softmax(-1) @ v
        return self.out(found.transpose(1, 2).reshape(batch, length, HIDDEN))


class ManyAttentions(nn.Module):
    """The heads of all modules in one product."""

    def __init__(self, rules, width, out):
        super().__init__()
        self.rules = rules
        self.q, self.k, self.v = (nn.Linear(width, rules * HIDDEN) for _ in range(3))
        self.out = Many(rules, HIDDEN, out)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (layer(x).view(batch, length, self.rules * HEADS, HIDDEN // HEADS).transpose(1, 2) for layer in (self.q, self.k, self.v))
        found = (q @ k.transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5).softmax(-1) @ v
        return self.out(found.transpose(1, 2).reshape(batch, length, self.rules, HIDDEN))


class Cell(nn.Module):
    """What a cell makes of its input, state and memory: the new ones side by side, and a score if `out` is odd."""

    def __init__(self, width, out):
        super().__init__()
        self.score = out % 2
        self.i, self.h = nn.Linear(width, 4 * HIDDEN), nn.Linear(HIDDEN, 4 * HIDDEN)
        if self.score:
            self.s = nn.Linear(4 * HIDDEN, 1)

    def forward(self, x, h, c):
        gates = self.i(x) + self.h(h)
        a, f, o, g = gates.chunk(4, -1)
        c = f.sigmoid() * c + a.sigmoid() * g.tanh()
        results = [o.sigmoid() * c.tanh(), c]
        return torch.cat(results + [self.s(gates.relu())] if self.score else results, -1)


class ManyCells(nn.Module):
    def __init__(self, rules, width, out):
        super().__init__()
        self.rules, self.score = rules, out % 2
        self.i, self.h = nn.Linear(width, 4 * rules * HIDDEN), nn.Linear(HIDDEN, 4 * rules * HIDDEN)
        if self.score:
            self.s = Many(rules, 4 * HIDDEN, 1)

    def forward(self, x, h, c):
        gates = (self.i(x) + self.h(h)).view(-1, self.rules, 4 * HIDDEN)
        a, f, o, g = gates.chunk(4, -1)
        c = f.sigmoid() * c.unsqueeze(1) + a.sigmoid() * g.tanh()
        results = [o.sigmoid() * c.tanh(), c]
        return torch.cat(results + [self.s(gates.relu())] if self.score else results, -1)


class Modules(nn.Module):
    """Σ w_m · f_m(…)"""

    def __init__(self, kind, single, many, width, out, rules):
        super().__init__()
        self.kind, self.out = kind, out
        if kind == "monolithic":
            self.module = single(width, out)
        elif many:
            self.modules_ = many(rules, width, out + (kind == "modular"))
        else:
            self.list = nn.ModuleList(single(width, out + (kind == "modular")) for _ in range(rules))
        if kind == "modular-op":
            self.scorer = nn.Sequential(nn.Linear(rules, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, rules))

    def forward(self, rule, *inputs):
        if self.kind == "monolithic":
            return self.module(*inputs)
        results = self.modules_(*inputs) if hasattr(self, "modules_") else torch.stack([module(*inputs) for module in self.list], -2)
        if self.kind == "modular":
            weights = results[..., -1:].softmax(-2)
            results = results[..., :-1]
        elif self.kind == "modular-op":
            weights = self.scorer(rule).softmax(-1).unsqueeze(-1)
        else:
            weights = rule.unsqueeze(-1)
        return (weights * results).sum(-2)


class Model(nn.Module):
    def __init__(self, architecture, kind, layout, rules=RULES, width=WIDTH):
        super().__init__()
        self.architecture = architecture
        single, many = {"mlp": (Mlp, ManyMlps), "mha": (Attention, ManyAttentions), "rnn": (Cell, ManyCells)}[architecture]
        out = 2 * HIDDEN if architecture == "rnn" else HIDDEN
        self.encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU())
        self.sum = Modules(kind, single, many if layout == "group" else None, HIDDEN, out, rules)
        self.decoder = nn.Linear(HIDDEN, 2)

    def forward(self, x, rule):
        x = self.encoder(x)
        if self.architecture != "rnn":
            return self.decoder(self.sum(rule, x))
        h = c = torch.zeros(x.shape[0], HIDDEN, dtype=x.dtype)
        states = []
        for step in range(LENGTH):
            h, c = self.sum(rule[:, step], x[:, step], h, c).chunk(2, -1)
            states.append(h)
        return self.decoder(torch.stack(states, 1))


def inputs(architecture, batch, length, rules=RULES, width=WIDTH):
    shape = {"mlp": (batch,), "mha": (batch, length), "rnn": (batch, LENGTH)}[architecture]
    return torch.randn(*shape, width), nn.functional.one_hot(torch.randint(rules, shape), rules).float()


def export(model, architecture, path, exporter, rules=RULES, width=WIDTH):
    given = inputs(architecture, 2, 4, rules, width)
    names = {0: "batch", **({1: "length"} if architecture == "mha" else {})}
    if exporter == "dynamo":
        dims = {axis: torch.export.Dim(name, min=2) for axis, name in names.items()}
        torch.onnx.export(model, given, dynamo=True, dynamic_shapes=(dims, dims), input_names=["x", "rule"], output_names=["y"]).save(path)
    else:
        torch.onnx.export(model, given, path, dynamo=False, input_names=["x", "rule"], output_names=["y"], opset_version=17,
                          dynamic_axes={"x": names, "rule": names, "y": names})
    proto = onnx.load(path)
    for node in proto.graph.node:  # stack traces name the machine's files
        kept = [entry for entry in node.metadata_props if "stack_trace" not in entry.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(proto, path)


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    HERE.mkdir(exist_ok=True)
    manifest = {}
    for architecture in ("mlp", "mha", "rnn"):
        for kind in ("monolithic", "modular", "modular-op", "gt-modular"):
            for layout in ("list",) if kind == "monolithic" else ("list", "group"):
                torch.manual_seed(1)
                model = Model(architecture, kind, layout).eval()
                exact, arrays = copy.deepcopy(model).double(), {}
                for number, (batch, length) in enumerate([(2, 4), (1, 1), (17, 6)]):
                    x, rule = inputs(architecture, batch, length)
                    soft = torch.rand_like(rule)
                    for name, route in (("y", rule), ("soft", soft)):
                        with torch.no_grad():
                            arrays[f"{name}.{number}"] = exact(x.double(), route.double()).numpy()
                    arrays.update({f"x.{number}": x.numpy(), f"rule.{number}": rule.numpy(), f"weights.{number}": soft.numpy()})
                name = f"{architecture}.{kind}" + ("" if kind == "monolithic" else f".{layout}")
                np.savez_compressed(HERE / f"{name}.npz", **arrays)
                routers = 0 if kind == "monolithic" else LENGTH if architecture == "rnn" else 1
                for exporter in ("legacy", "dynamo"):
                    export(model, architecture, HERE / f"{name}.{exporter}.onnx", exporter)
                    manifest[f"{name}.{exporter}"] = {"values": f"{name}.npz", "routers": routers}
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
