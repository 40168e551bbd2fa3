# RUN: %python %s
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Each kind of router, body, aggregator and placement that a spec can state, compiled, against NumPy's fp64."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from spec_models import *

EXPERTS = """
  expert:
    count: 6
    mlp: {up: {tensor: "w.safetensors:l{layer}.up", index: "{index}"}, up_bias: {tensor: "w.safetensors:l{layer}.up_bias", index: "{index}"},
          down: {tensor: "w.safetensors:l{layer}.down", index: "{index}"}, down_bias: {tensor: "w.safetensors:l{layer}.down_bias", index: "{index}"}}"""
MOE = "  moe: {mixture: {router: gate, modules: [expert]}}"
GATE = 'score: {linear: {weight: "w.safetensors:l{layer}.gate.weight", bias: "w.safetensors:l{layer}.gate.bias"}}'
EACH = "{at: 'layers.{layer}.mlp', replace: moe}"


def spec(router="", modules=MOE, places=(EACH,), inputs="", routers="", experts=EXPERTS):
    lines = ["graft: 1", f"inputs: {{{inputs}}}", "modules:", experts.strip("\n"), modules]
    if router or routers:
        lines += ["routers:", f"  gate: {{{router}}}" if router else "", routers]
    return "\n".join([*lines, "place:", *(f"- {place}" for place in places)]) + "\n"


def experts(w, layer, v):
    return [relu(v @ w[f"l{layer}.up"][e].T + w[f"l{layer}.up_bias"][e]) @ w[f"l{layer}.down"][e].T + w[f"l{layer}.down_bias"][e] for e in range(E)]


def logits(w, layer, v):
    return v @ w[f"l{layer}.gate.weight"].T + w[f"l{layer}.gate.bias"]


def moe(weigh):
    """A mixture of the six experts under weights of the layer's scores."""
    return lambda w, inputs: lambda layer, h, mlp: mixture(weigh(w, layer, logits(w, layer, h), inputs), experts(w, layer, h))


def rows_of(scores, count):
    """Expert choice: for each module the `count` rows of the greatest scores."""
    flat = scores.reshape(-1, E)
    return top(flat.T, min(count, len(flat))).T.reshape(scores.shape)


def kept(scores, slots, capacity):
    """What a capacity leaves of the `slots` greatest: the first slots of all rows come first."""
    order = np.argsort(-scores.reshape(-1, E), -1, kind="stable")[:, :slots]
    taken, keep = [0] * E, np.zeros((len(order), E))
    for slot in range(slots):
        for row, module in enumerate(order[:, slot]):
            keep[row, module] = taken[module] < capacity
            taken[module] += 1
    return keep.reshape(scores.shape)


def shares(weights):
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


def chains_and_sums(square, bias, h):
    linear = lambda x, index: x @ square[index].T + bias
    x, m = linear(h, 0), square[5].T
    return linear(linear(x, 1) + x @ m + linear(x @ m, 2), 3)


def attention_spec():
    text = spec("select: {fixed: [expert.3, expert.0, expert.2]}", "  moe: {mixture: {router: gate, modules: [expert], aggregate: fusion}}")
    keys = ", ".join(f'{key}: "w.safetensors:l{{layer}}.{name}"' for key, name in
                     (("query", "query"), ("query_bias", "norm.bias"), ("key", "key"), ("key_bias", "norm.weight"), ("value", "value")))
    return text.replace("\nplace:", f"\naggregators: {{fusion: {{attention: {{{keys}, scale: 0.25}}}}}}\nplace:")


def case(text, formula, **inputs):
    return text, formula, inputs


F32 = np.float32
TOP2 = lambda s: top(s, 2)
CASES = {
    "top 2, softmax before": case(spec(GATE + ", activation: softmax, select: {top: 2}, weight: {normalize: sum}"),
                                  moe(lambda w, l, s, i: normalized(softmax(s) * TOP2(s)))),
    "top 2, softmax after": case(spec(GATE + ", select: {top: 2}, weight: {by: logits, normalize: softmax}"),
                                 moe(lambda w, l, s, i: normalized(softmax(s) * TOP2(s)))),
    "top 1, not normalised, scaled": case(spec(GATE + ", activation: softmax, select: {top: 1}, weight: {scale: 2.5}"),
                                          moe(lambda w, l, s, i: 2.5 * softmax(s) * top(s, 1))),
    "soft": case(spec(GATE + ", activation: softmax, select: all"), moe(lambda w, l, s, i: softmax(s))),
    "sigmoid, a bias that only selects": case(
        spec(GATE + ', activation: sigmoid, bias: "w.safetensors:l{layer}.select_bias", select: {top: 3}, weight: {normalize: sum}'),
        moe(lambda w, l, s, i: normalized(sigmoid(s) * top(sigmoid(s) + w[f"l{l}.select_bias"], 3)))),
    "scores given as an input": case(
        spec("score: {input: scores}, activation: softmax, select: {top: 2}", inputs="scores: {type: float32, shape: [batch, seq, 6]}"),
        moe(lambda w, l, s, i: softmax(i["scores"]) * TOP2(i["scores"])), scores=lambda rng, b, s: rng.standard_normal((b, s, E)).astype(F32)),
    "scores of a row per sequence": case(
        spec("per: batch, score: {input: scores}, select: {top: 2}, weight: {normalize: softmax}", inputs="scores: {type: float32, shape: [batch, 6]}"),
        moe(lambda w, l, s, i: normalized(softmax(i["scores"]) * TOP2(i["scores"]))[:, None]), scores=lambda rng, b, s: rng.standard_normal((b, E)).astype(F32)),
    "per sequence, of the mean": case(
        spec("per: sequence, " + GATE + ", activation: softmax, select: {top: 2}"),
        lambda w, i: lambda l, h, mlp: mixture((softmax(logits(w, l, h.mean(1))) * TOP2(logits(w, l, h.mean(1))))[:, None], experts(w, l, h))),
    "per sequence, of the last token": case(
        spec("per: sequence, pool: last, " + GATE + ", activation: softmax, select: all"),
        lambda w, i: lambda l, h, mlp: mixture(softmax(logits(w, l, h[:, -1]))[:, None], experts(w, l, h))),
    "noise": case(
        spec(GATE + ', noise: {input: noise, weight: "w.safetensors:l{layer}.noise"}, select: {top: 2}, weight: {normalize: softmax}',
             inputs="noise: {type: float32, shape: [batch, seq, 6]}"),
        lambda w, i: lambda l, h, mlp: (lambda s: mixture(normalized(softmax(s) * TOP2(s)), experts(w, l, h)))(
            logits(w, l, h) + i["noise"] * np.log1p(np.exp(h @ w[f"l{l}.noise"].T))),
        noise=lambda rng, b, s: rng.standard_normal((b, s, E)).astype(F32)),
    "a mask": case(
        spec(GATE + ", mask: allowed, activation: softmax, select: {top: 3}", inputs="allowed: {type: bool, shape: [batch, seq, 6]}"),
        moe(lambda w, l, s, i: softmax(s) * top(np.where(i["allowed"], s, -np.inf), 3) * i["allowed"]),
        allowed=lambda rng, b, s: rng.random((b, s, E)) < 0.5),
    "above a threshold": case(spec(GATE + ", activation: sigmoid, select: {above: 0.6}, weight: {normalize: sum}"),
                              moe(lambda w, l, s, i: shares(sigmoid(s) * (sigmoid(s) > 0.6)))),
    "expert choice": case(spec(GATE + ", activation: softmax, select: {rows: 3}"), moe(lambda w, l, s, i: softmax(s) * rows_of(softmax(s), 3))),
    "expert choice by a factor": case(spec(GATE + ", activation: softmax, select: {rows: {factor: 2}}"),
                                      moe(lambda w, l, s, i: softmax(s) * rows_of(softmax(s), -(-2 * s.shape[0] * s.shape[1] // E)))),
    "hash": case(spec("select: {hash: {input: ids, seed: 11}}", inputs="ids: {type: int64, shape: [batch, seq]}"),
                 moe(lambda w, l, s, i: np.eye(E)[(48271 * (i["ids"] % (2**31 - 1)) + 11) % (2**31 - 1) % E]), ids=lambda rng, b, s: rng.integers(0, 50000, (b, s))),
    "hash of int32 for each sequence": case(
        spec("per: batch, select: {hash: ids}, weight: {scale: 2}", inputs="ids: {type: int32, shape: [batch]}"),
        moe(lambda w, l, s, i: 2 * np.eye(E)[48271 * i["ids"].astype(np.int64) % (2**31 - 1) % E][:, None]), ids=lambda rng, b, s: rng.integers(0, 9, b).astype(np.int32)),
    "groups": case(spec(GATE + ", activation: sigmoid, groups: {count: 3, keep: 2, sum: 2}, select: {top: 2}, weight: {by: scores, normalize: sum, scale: 2.5}"),
                   moe(lambda w, l, s, i: (lambda g: 2.5 * normalized(sigmoid(s) * top(np.where(g, sigmoid(s), -np.inf), 2)))(
                       np.repeat(top(sigmoid(s).reshape(*s.shape[:-1], 3, 2).sum(-1), 2), 2, -1) > 0))),
    "capacity": case(spec(GATE + ", activation: softmax, select: {top: 2}, weight: {normalize: sum}, capacity: 2"),
                     moe(lambda w, l, s, i: normalized(softmax(s) * TOP2(s)) * kept(s, 2, 2))),
    "capacity by a factor": case(spec(GATE + ", activation: softmax, select: {top: 2}, capacity: {factor: 0.8}"),
                                 moe(lambda w, l, s, i: softmax(s) * TOP2(s) * kept(s, 2, -(-8 * s.shape[0] * s.shape[1] * 2 // (10 * E))))),
    "concatenation": case(
        spec(GATE + ", activation: softmax, select: {top: 2}", """
  wide: {mixture: {router: gate, modules: [expert], aggregate: concat}}
  moe: {stack: [wide, {linear: {weight: "w.safetensors:l{layer}.joined"}}]}"""),
        lambda w, i: lambda l, h, mlp: (lambda o, s: np.concatenate([np.take_along_axis(np.stack(o, -2), n[..., None, None], -2)[..., 0, :] for n in
            np.moveaxis(np.argsort(-s, -1, kind="stable")[..., :2], -1, 0)], -1) @ w[f"l{l}.joined"].T)(experts(w, l, h), softmax(logits(w, l, h)))),
    "attention": case(
        attention_spec(),
        lambda w, i: lambda l, h, mlp: (lambda y: (softmax(0.25 * np.einsum("...d,s...d->...s", h @ w[f"l{l}.query"].T + w[f"l{l}.norm.bias"], y @ w[f"l{l}.key"].T))[..., None, :]
            @ np.moveaxis(y @ w[f"l{l}.value"].T, 0, -2))[..., 0, :])(np.stack([experts(w, l, h)[e] for e in (3, 0, 2)]))),
    "bodies and aggregators as ONNX files": case(
        spec('score: {onnx: scores.onnx}, activation: softmax, select: {top: 2}', "  own: {onnx: body.onnx}\n  moe: {mixture: {router: gate, modules: [expert.0, own, expert.2, own2, expert.4, expert.5], aggregate: {onnx: greatest.onnx}}}\n  own2: {scale: 2, stack: [own]}"),
        lambda w, i: lambda l, h, mlp: (lambda o, s: np.max([np.take_along_axis(np.stack(o, -2), n[..., None, None], -2)[..., 0, :] * np.take_along_axis(s, n[..., None], -1) for n in
            np.moveaxis(np.argsort(-s, -1, kind="stable")[..., :2], -1, 0)], 0))(
                [np.tanh(h @ w["l0.square"][0]) * (2 if e == 3 else 1) if e in (1, 3) else experts(w, l, h)[e] for e in range(E)], softmax(h @ w["l0.gate.weight"].T))),
    "fixed": case(spec("select: {fixed: [expert.4, expert.1]}"), moe(lambda w, l, s, i: np.broadcast_to([0, 1, 0, 0, 1, 0], s.shape))),
    "fixed, mean": case(spec("select: {fixed: [expert.4, expert.1]}", "  moe: {mixture: {router: gate, modules: [expert], aggregate: mean}}"),
                        moe(lambda w, l, s, i: np.broadcast_to([0, 0.5, 0, 0, 0.5, 0], s.shape))),
    "sum": case(spec(GATE + ", select: {top: 2}", "  moe: {mixture: {router: gate, modules: [expert], aggregate: sum}}"),
                moe(lambda w, l, s, i: TOP2(s))),
    "constant scores": case(spec("score: {constant: [0, 3, 1, 2, 0, 0]}, select: {top: 2}"),
                            moe(lambda w, l, s, i: np.broadcast_to([0, 3, 0, 2, 0, 0], s.shape))),
    "a part of the family": case(
        spec('score: {linear: {weight: {tensor: "w.safetensors:l{layer}.gate.weight", rows: [0, 2]}}}, activation: softmax, select: {top: 1}',
             "  moe: {mixture: {router: gate, modules: [expert.5, expert.2]}}"),
        lambda w, i: lambda l, h, mlp: (lambda s: mixture(softmax(s) * top(s, 1), [experts(w, l, h)[5], experts(w, l, h)[2]]))(h @ w[f"l{l}.gate.weight"][:2].T)),
    "the layer is a module, shared and residual": case(
        spec('score: {linear: {weight: {tensor: "w.safetensors:l{layer}.gate.weight", rows: [0, 3]}}}, activation: softmax, select: {top: 2}',
             "  moe: {residual: true, scale: 0.5, mixture: {router: gate, modules: [layer, expert.0, zero], shared: [expert.3, layer]}}"),
        lambda w, i: lambda l, h, mlp: (lambda s: h + 0.5 * (mixture(softmax(s) * TOP2(s), [mlp(h), experts(w, l, h)[0], 0 * h]) + experts(w, l, h)[3] + mlp(h)))(
            h @ w[f"l{l}.gate.weight"][:3].T)),
    "other layouts and bodies": case(
        spec('score: {linear: {weight: {tensor: "w.safetensors:l{layer}.gate.weight", rows: [0, 6]}}}, select: all, weight: {normalize: softmax}', """
  glu: {swiglu: {layout: "in,out", gate: {tensor: "w.safetensors:l{layer}.glu.T", index: 1}, up: {tensor: "w.safetensors:l{layer}.up.T", index: 1},
                 down: {tensor: "w.safetensors:l{layer}.down", index: 1, layout: "out,in"}}}
  geglu: {geglu: {gate: {tensor: "w.safetensors:l{layer}.glu", index: 2}, up: {tensor: "w.safetensors:l{layer}.up", index: 2},
                  down: {tensor: "w.safetensors:l{layer}.down", index: 2}}}
  bottleneck: {residual: true, bottleneck: {activation: gelu, down: {tensor: "w.safetensors:l{layer}.small.down", index: 0}, up: {tensor: "w.safetensors:l{layer}.small.up", index: 0}}}
  lora: {lora: {down: {tensor: "w.safetensors:l{layer}.a", index: 1}, up: {tensor: "w.safetensors:l{layer}.b", index: 1}, alpha: 8}}
  normed: {stack: [{layer_norm: {weight: "w.safetensors:l{layer}.norm.weight", bias: "w.safetensors:l{layer}.norm.bias"}},
                   {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 0}, activation: tanh}}]}
  moe: {mixture: {router: gate, modules: [glu, geglu, bottleneck, lora, normed, identity]}}"""),
        lambda w, i: lambda l, h, mlp: mixture(softmax(h @ w[f"l{l}.gate.weight"].T), [
            (silu(h @ w[f"l{l}.glu"][1].T) * (h @ w[f"l{l}.up"][1].T)) @ w[f"l{l}.down"][1].T,
            (gelu(h @ w[f"l{l}.glu"][2].T) * (h @ w[f"l{l}.up"][2].T)) @ w[f"l{l}.down"][2].T,
            h + gelu(h @ w[f"l{l}.small.down"][0].T) @ w[f"l{l}.small.up"][0].T,
            2 * (h @ w[f"l{l}.a"][1].T) @ w[f"l{l}.b"][1].T,
            np.tanh(((h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5) * w[f"l{l}.norm.weight"] + w[f"l{l}.norm.bias"])
                    @ w[f"l{l}.square"][0].T), h])),
    "hierarchical": case(
        spec('score: {linear: {weight: {tensor: "w.safetensors:l{layer}.outer"}}}, activation: softmax, select: {top: 1}', """
  left: {mixture: {router: inner, modules: [expert.0, expert.1, expert.2]}}
  right: {mixture: {router: inner, modules: [expert.3, expert.4, expert.5], aggregate: mean}}
  moe: {mixture: {router: gate, modules: [left, right]}}""",
             routers='  inner: {score: {linear: {weight: {tensor: "w.safetensors:l{layer}.gate.weight", rows: [0, 3]}}}, activation: softmax, select: {top: 2}}'),
        lambda w, i: lambda l, h, mlp: (lambda o, s: mixture(softmax(o) * top(o, 1), [
            mixture(softmax(s) * TOP2(s), experts(w, l, h)[:3]), mixture(TOP2(s) / 2, experts(w, l, h)[3:])]))(
                h @ w[f"l{l}.outer"].T, h @ w[f"l{l}.gate.weight"][:3].T)),
    "hierarchical, with scores as inputs": case(
        spec("score: {input: outer}, select: {top: 1}, weight: {by: ones}", """
  left: {mixture: {router: inner, modules: [expert.0, expert.1]}}
  right: {mixture: {router: inner, modules: [expert.2, expert.3]}}
  moe: {mixture: {router: gate, modules: [left, right]}}""", routers="  inner: {score: {input: inner}, activation: sigmoid, select: all}",
             inputs="outer: {type: float32, shape: [batch, seq, 2]}, inner: {type: float32, shape: [batch, seq, 2]}"),
        lambda w, i: lambda l, h, mlp: mixture(top(i["outer"], 1), [mixture(sigmoid(i["inner"]), experts(w, l, h)[a : a + 2]) for a in (0, 2)]),
        outer=lambda rng, b, s: rng.standard_normal((b, s, 2)).astype(F32), inner=lambda rng, b, s: rng.standard_normal((b, s, 2)).astype(F32)),
    "beside a layer": case(spec(GATE + ", activation: softmax, select: {top: 2}", places=["{at: 'layers.{layer}.mlp', beside: moe}"]),
                           lambda w, i: lambda l, h, mlp: mlp(h) + mixture(softmax(logits(w, l, h)) * TOP2(logits(w, l, h)), experts(w, l, h))),
    "after a layer, shared by layers": case(
        spec("", '  adapter: {residual: true, bottleneck: {down: {tensor: "w.safetensors:l0.small.down", index: 1}, up: {tensor: "w.safetensors:l0.small.up", index: 1}}}',
             places=["{at: layers.*.mlp, after: adapter}"]),
        lambda w, i: lambda l, h, mlp: mlp(h) + relu(mlp(h) @ w["l0.small.down"][1].T) @ w["l0.small.up"][1].T),
    "at a node and between tensors": case(
        spec("", '  a: {linear: {weight: {tensor: "w.safetensors:l0.square", index: 1}}}',
             places=["{at: {node: /layers.0/mlp/fc2/Add}, after: a}", "{at: {input: h1, output: /layers.1/mlp/fc2/sum}, replace: {stack: [a, layer]}}"]),
        lambda w, i: lambda l, h, mlp: mlp(h) @ w["l0.square"][1].T if l == 0 else mlp(h @ w["l0.square"][1].T)),
    "split and sum": case(
        spec("", '  a: {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 0}}}\n  b: {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 1}}}',
             places=["{at: 'layers.{layer}.mlp', replace: {split: {axis: 1, sizes: [2, rest], modules: [a, {sum: [a, b]}]}}}"]),
        lambda w, i: lambda l, h, mlp: np.concatenate([h[:, :2] @ w[f"l{l}.square"][0].T, h[:, 2:] @ (w[f"l{l}.square"][0] + w[f"l{l}.square"][1]).T], 1)),
    "a split of features before a linear": case(
        spec("", '  a: {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 0}}}\n  two: {identity: , scale: 2}\n  half: {identity: , scale: 0.5}\n'
             '  part: {split: {axis: 1, sizes: [2, rest], modules: [half, identity]}}',
             places=["{at: 'layers.{layer}.mlp', replace: {stack: [{split: {axis: -1, sizes: [10, rest], modules: [two, part]}}, a]}}"]),
        lambda w, i: lambda l, h, mlp: np.concatenate(
            [2 * h[..., :10], np.concatenate([h[:, :2, 10:] / 2, h[:, 2:, 10:]], 1)], -1) @ w[f"l{l}.square"][0].T),
    "chains and sums of linears": case(
        spec("", '  l: {count: 4, linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: "{index}"}, bias: "w.safetensors:l{layer}.norm.bias"}}\n'
             '  m: {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 5}}}',
             places=["{at: 'layers.{layer}.mlp', replace: {stack: [l.0, {sum: [l.1, m, {stack: [m, l.2]}]}, l.3]}}"]),
        lambda w, i: lambda l, h, mlp: chains_and_sums(w[f"l{l}.square"], w[f"l{l}.norm.bias"], h)),
    "two places at one layer": case(
        spec("", '  a: {linear: {weight: {tensor: "w.safetensors:l{layer}.square", index: 0}}}',
             places=["{at: 'layers.{layer}.mlp', replace: a}", "{at: 'layers.{layer}.mlp', beside: a}", "{at: {tensor: h1}, after: {stack: [identity]}}"]),
        lambda w, i: lambda l, h, mlp: 2 * h @ w[f"l{l}.square"][0].T),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    graft, bad = arguments.graft, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone = write_backbone(folder / "m.onnx")
        write_bodies(folder)
        weights = {name: value.astype(np.float64) for name, value in write_weights(folder / "w.safetensors").items()}
        for what, (text, formula, given) in CASES.items():
            if arguments.only not in what:
                continue
            (folder / "s.yaml").write_text(text)
            done = subprocess.run([graft, "compile", folder / "m.onnx", "--spec", folder / "s.yaml", "-o", folder / "m.so"], capture_output=True, text=True)
            if done.returncode:
                bad.append(f"{what}: {done.stderr}")
                continue
            for batch, seq in ((3, 5), (1, 3), (2, 17)):
                rng = np.random.default_rng(batch)
                x = rng.standard_normal((batch, seq, D)).astype(F32)
                inputs = {"x": x, **{name: make(rng, batch, seq) for name, make in given.items()}}
                flags = []
                for each, value in inputs.items():
                    np.save(folder / f"{each}.npy", value)
                    flags += ["--input", f"{each}=@{folder}/{each}.npy"]
                done = subprocess.run([graft, "run", folder / "m.so", *flags, "--output", f"y=@{folder}/y.npy"], capture_output=True, text=True)
                wanted = run_backbone(backbone, x, formula(weights, inputs))
                error = np.linalg.norm(np.load(folder / "y.npy") - wanted) / np.linalg.norm(wanted) if done.returncode == 0 else np.inf
                if not error <= 1e-5:
                    bad.append(f"{what}, {batch}x{seq}: relative error {error:.1e} {done.stderr}")
    if bad:
        sys.exit("\n".join(bad))


main()
