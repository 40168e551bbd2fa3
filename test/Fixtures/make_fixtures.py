#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports tiny random models with torch's two ONNX exporters, saves adapters with PEFT, and writes what both should
give, computed by torch in double precision. Needs torch, transformers, peft, onnx, onnxscript and onnxruntime; what
it writes beside itself is committed, so that only who changes the fixtures needs them."""

import argparse
import fnmatch
import io
import json
import logging
import os
import shutil
import tempfile
import types
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import torch

import fixture_adapters
import fixture_models

HERE = Path(__file__).resolve().parent


@dataclass
class Export:
    """One ONNX file of a model. `adapters` are patterns over MODEL/ADAPTER."""

    model: str
    exporter: str
    tag: str = ""
    opset: int = 0
    options: dict = field(default_factory=dict)
    attention: str = ""
    dtype: torch.dtype = torch.float32
    fixed: bool = False
    adapters: tuple = ()
    tasks: tuple = ()
    tolerance: float = 1e-5

    @property
    def name(self):
        return f"{self.model}.{self.exporter}" + (f"-{self.tag}" if self.tag else "")


BOUND = {  # what is tried on every default export of a model
    "bert": ("bert/*", "bert-cls/lora", "bert-cls/tokens", "bert-cls/patterns"),
    "bert-cls": ("bert-cls/*", "bert/encoder"),
    "distilbert": ("distilbert/*", "distilbert-cls/lora"),
    "distilbert-cls": ("distilbert-cls/*", "distilbert/encoder"),
    "llama": ("llama/*", "llama-lm/all-linear", "llama-lm/layer"),
    "llama-lm": ("llama-lm/*", "llama/encoder"),
    # the norm behind the stem is folded into its weights, to which no delta can be added any more
    "convnet": ("convnet/conv", "convnet/grouped", "convnet/dora"),
}
COMPOSED = {
    "bert-cls": (("lora", "patterns"), ("lora", "topic")),
    "gpt2-lm": (("conv1d", "head"),),
    "llama-lm": (("all-linear", "layer"),),
    "mlp": (("all", "small"),),
    "shared": (("first", "second"),),
}
FEW = ("bert-cls/lora", "bert-cls/topic", "bert-cls/dora")
PRESERVE = torch.onnx.TrainingMode.PRESERVE


def exports():
    every = []
    for model in fixture_models.models():
        for exporter in ("legacy", "dynamo"):
            every.append(Export(model, exporter, adapters=BOUND.get(model, (model + "/*",)),
                                tasks=COMPOSED.get(model, ())))
    every += [
        Export("mlp", "legacy", "opset9", 9, adapters=("mlp/*",)),
        Export("shared", "legacy", "unfolded", options={"do_constant_folding": False}, adapters=("shared/*",)),
        Export("lstm", "legacy", "opset9", 9, adapters=("lstm/*",)),
        Export("gru-bidirectional", "legacy", "opset9", 9),
        Export("vit-cls", "legacy", "opset9", 9, attention="eager", adapters=("vit-cls/topic",)),
        Export("gpt2-lm", "legacy", "opset9", 9, attention="eager", adapters=("gpt2-lm/conv1d", "gpt2-lm/tokens")),
        Export("bert-cls", "legacy", "opset11", 11, attention="eager", adapters=FEW),
        Export("t5-encoder", "legacy", "opset12", 12, attention="eager", adapters=("t5-encoder/dense",)),
        Export("roberta-cls", "legacy", "opset13", 13, attention="eager", adapters=("roberta-cls/topic",)),
        Export("bert-cls", "legacy", "opset14", 14, adapters=("bert-cls/lora",)),
        Export("bert-cls", "legacy", "unfolded", options={"do_constant_folding": False}, adapters=FEW),
        Export("convnet", "legacy", "unfolded", options={"do_constant_folding": False, "training": PRESERVE},
               adapters=("convnet/*",)),
        Export("bert-cls", "legacy", "fixed", fixed=True, adapters=FEW),
        Export("bert-cls", "legacy", "fp16", dtype=torch.float16, attention="eager", tolerance=1e-2),
        Export("bert-cls", "dynamo", "unoptimized", options={"optimize": False}, adapters=FEW),
        Export("bert-cls", "dynamo", "eager", attention="eager", adapters=("bert-cls/lora",)),
        Export("mlp", "dynamo", "unoptimized", options={"optimize": False}, adapters=("mlp/*",)),
        Export("lstm", "dynamo", "unoptimized", options={"optimize": False}, adapters=("lstm/*",)),
        Export("convnet", "dynamo", "unoptimized", options={"optimize": False}, adapters=("convnet/*",)),
        Export("mlp", "dynamo", "opset20", 20, adapters=("mlp/all",)),
        Export("bert-cls", "dynamo", "opset23", 23, adapters=FEW),
        Export("llama", "dynamo", "opset23", 23, adapters=("llama/encoder",)),
        Export("gpt2-lm", "dynamo", "opset24", 24, adapters=("gpt2-lm/conv1d", "gpt2-lm/head")),
        Export("distilbert", "dynamo", "external", options={"external_data": True}, adapters=("distilbert/encoder",)),
        Export("llama", "dynamo", "bf16", dtype=torch.bfloat16, tolerance=4e-2),
    ]
    return every


def bind_forward(model, names):
    """Leaves the inputs of `names` only: the older exporter passes everything by position."""
    forward = type(model).forward

    def bound(self, *args):
        result = forward(self, **dict(zip(names, args)))
        return result.to_tuple() if hasattr(result, "to_tuple") else result

    model.forward = types.MethodType(bound, model)


def symbols(dims):
    return {i: d for i, d in enumerate(dims) if isinstance(d, str)}


def export(case, path, model=None):
    spec = fixture_models.models()[case.model]
    if model is None:
        model = fixture_models.part_of(spec, fixture_models.make(spec)).to(case.dtype)
    if case.attention:
        model.set_attn_implementation(case.attention)
    arrays = fixture_models.feed(spec, spec.shapes[0], 1)
    tensors = {name: tensor(array, case.dtype) for name, array in arrays.items()}
    dynamic = {} if case.fixed else {name: symbols(dims) for name, (_, dims) in spec.inputs.items()}
    names = {"input_names": list(tensors), "output_names": [name for name, _ in spec.outputs]}
    with torch.no_grad():
        if case.exporter == "dynamo":
            options = {"external_data": False, "dynamic_shapes": dynamic, **case.options}
            torch.onnx.export(model, (), path, kwargs=tensors, dynamo=True, opset_version=case.opset or 18,
                              verbose=False, **names, **options)
        else:
            if hasattr(model, "config") or case.model == "bert-pooled":
                bind_forward(model, list(tensors))
            if not case.fixed:
                dynamic.update({name: symbols(dims) for name, dims in spec.outputs})
            torch.onnx.export(model, tuple(tensors.values()), path, dynamo=False, opset_version=case.opset or 17,
                              dynamic_axes=dynamic, **names, **case.options)
    strip_traces(path)


def strip_traces(path):
    """Stack traces name files of the machine that exported."""
    model = onnx.load(path, load_external_data=False)
    for node in [n for graph in [model.graph, *model.functions] for n in graph.node]:
        for entry in [p for p in node.metadata_props if p.key == "pkg.torch.onnx.stack_trace"]:
            node.metadata_props.remove(entry)
        node.ClearField("doc_string")
    onnx.save(model, path)


def tensor(array, dtype):
    value = torch.from_numpy(array)
    return value.to(dtype) if array.dtype == np.float32 else value


def evaluate(spec, model, arrays, dtype=torch.float64):
    with torch.no_grad():
        result = model(**{name: tensor(array, dtype) for name, array in arrays.items()})
    if hasattr(result, "keys"):
        result = [result[name] for name, _ in spec.outputs]
    elif isinstance(result, torch.Tensor):
        result = [result]
    return [value.float().numpy() for value in result]


def error(got, expected):
    return float(np.linalg.norm(got.astype(np.float64) - expected) / max(np.linalg.norm(expected), 1e-30))


def against_onnxruntime(path, expected):
    """The largest relative error of onnxruntime, or why there is none."""
    worst = 0.0
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        wanted = {value.name: value.type for value in session.get_inputs()}
        for arrays, outputs in expected:
            feeds = {name: array.astype(np.float16) if wanted[name] == "tensor(float16)" else array
                     for name, array in arrays.items() if name in wanted}
            for got, right in zip(session.run(None, feeds), outputs):
                worst = max(worst, error(got, right))
    except Exception as problem:  # its exceptions share no base class
        return " ".join(str(problem).split())[:160]
    return float(f"{worst:.1e}")


FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 20, "local" : 1, "blocks" : 1]>
main (float[batch, 8] x) => (float[batch, 8] y) {
  [first] h = blocks.Residual <slope = 0.25> (x, w1, b1)
  [second] g = blocks.Residual <slope = 0.5> (h, w2, b2)
  [last] y = local.Dense <activation = 1.5> (g, w3, b3)
}
<domain: "local", opset_import: ["" : 20]>
Dense <activation: float = 0.1> (x, w, b) => (y) {
  [MatMul] h = MatMul(x, w)
  [Add] g = Add(h, b)
  [LeakyRelu] y = LeakyRelu <alpha: float = @activation> (g)
}
<domain: "blocks", opset_import: ["" : 20, "local" : 1]>
Residual <slope> (x, w, b) => (y) {
  [dense] h = local.Dense <activation: float = @slope> (x, w, b)
  [Tanh] g = Tanh(h)
  y = Add(x, g)
}
"""


def functions_model(path):
    """Functions of the model's own, nested, with attributes handed down, called with other weights."""
    random = np.random.default_rng(20)
    model = onnx.parser.parse_model(FUNCTIONS)
    values = {}
    for i in (1, 2, 3):
        for name, shape in ((f"w{i}", (8, 8)), (f"b{i}", (8,))):
            values[name] = random.standard_normal(shape).astype(np.float32) / 3
            model.graph.initializer.append(onnx.numpy_helper.from_array(values[name], name))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    values = {name: value.astype(np.float64) for name, value in values.items()}

    def dense(x, i, slope):
        y = x @ values[f"w{i}"] + values[f"b{i}"]
        return np.where(y < 0, slope * y, y)

    pairs = []
    for rows in (2, 1, 19):
        x = random.standard_normal((rows, 8)).astype(np.float32)
        h = x + np.tanh(dense(x, 1, 0.25))
        g = h + np.tanh(dense(h, 2, 0.5))
        pairs.append(({"x": x}, [dense(g, 3, 1.5).astype(np.float32)]))
    return pairs


class Fixtures:
    def __init__(self):
        self.specs = fixture_models.models()
        self.adapters = {f"{a.model}/{a.name}": a for a in fixture_adapters.adapters()}
        self.done = {}
        self.merged = {}

    def feeds(self, spec, fixed=False):
        shapes = spec.shapes[:1] if fixed else spec.shapes
        return [fixture_models.feed(spec, sizes, 100 + i) for i, sizes in enumerate(shapes)]

    def folder(self, key):
        return HERE / "adapters" / key

    def expected(self, spec, keys):
        """Writes expected/MODEL/TASK.npz; outputs are named OUTPUT.SET. Returns its path, and [(inputs, outputs)]."""
        task = "+".join(key if key.split("/")[0] != spec.name else key.split("/")[1] for key in keys) or "base"
        path = HERE / "expected" / spec.name / (task.replace("/", ".") + ".npz")
        if path not in self.done:
            chosen = [self.adapters[key] for key in keys]
            model, _ = fixture_adapters.load(spec, chosen, [self.folder(key) for key in keys])
            pairs = [(arrays, evaluate(spec, model, arrays)) for arrays in self.feeds(spec)]
            path.parent.mkdir(parents=True, exist_ok=True)
            names = [name for name, _ in spec.outputs]
            save_npz(path, {f"{name}.{i}": value for i, (_, values) in enumerate(pairs)
                            for name, value in zip(names, values)})
            if keys:
                base = self.expected(spec, [])[1]
                changes = [a.shape != b.shape or error(a, b) > 1e-2 for (_, got), (_, plain) in zip(pairs, base)
                           for a, b in zip(got, plain)]
                assert any(changes), f"{spec.name} {keys} changes nothing"
            self.done[path] = pairs
        return path, self.done[path]

    def merged_error(self, spec, keys):
        """onnxruntime on an export of the model into which PEFT merged the adapters."""
        known = (spec.name, *keys)
        if known in self.merged:
            return self.merged[known]
        chosen = [self.adapters[key] for key in keys]
        model, wrapped = fixture_adapters.load(spec, chosen, [self.folder(k) for k in keys], torch.float32)
        try:
            for part in wrapped.values():
                part.merge_and_unload()  # in place
        except NotImplementedError as problem:  # grouped convolutions
            return str(problem)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "merged.onnx")
            export(Export(spec.name, "legacy"), path, model)
            self.merged[known] = against_onnxruntime(path, self.expected(spec, keys)[1])
        return self.merged[known]

    def case(self, item):
        spec = self.specs[item.model]
        path = HERE / "models" / (item.name + ".onnx")
        path.parent.mkdir(exist_ok=True)
        export(item, str(path))
        inputs = HERE / "inputs" / (spec.name + ".npz")
        inputs.parent.mkdir(exist_ok=True)
        save_npz(inputs, {f"{name}.{i}": value for i, arrays in enumerate(self.feeds(spec))
                          for name, value in arrays.items()})
        base, pairs = self.expected(spec, [])
        sets = 1 if item.fixed else len(spec.shapes)
        proto = onnx.load(path, load_external_data=False)
        given = {value.name for value in proto.graph.input}
        keys = [k for k in self.adapters if any(fnmatch.fnmatchcase(k, p) for p in item.adapters)]
        result = {
            "name": item.name, "model": relative(path), "exporter": item.exporter,
            "opset": next(o.version for o in proto.opset_import if not o.domain),
            "inputs": [n for n in spec.inputs if n in given], "outputs": [n for n, _ in spec.outputs],
            "sets": sets, "rows": not item.model.startswith(("lstm", "gru")), "feed": relative(inputs), "expected": relative(base), "tolerance": item.tolerance,
            "onnxruntime": against_onnxruntime(str(path), pairs[:sets]), "adapters": [], "tasks": [],
        }
        for key in keys:
            owner, name = key.split("/")
            result["adapters"].append({
                "name": name if owner == spec.name else f"{owner}-{name}", "dir": f"adapters/{key}",
                "expected": relative(self.expected(spec, [key])[0]), "onnxruntime": self.merged_error(spec, [key])})
        for names in item.tasks:
            wanted = [f"{spec.name}/{name}" for name in names]
            result["tasks"].append({"name": "-and-".join(names), "adapters": list(names),
                                    "expected": relative(self.expected(spec, wanted)[0]),
                                    "onnxruntime": self.merged_error(spec, wanted)})
        return result


    def functions(self):
        name = "functions.handwritten"
        path = HERE / "models" / (name + ".onnx")
        pairs = functions_model(path)
        feed, expected = HERE / "inputs/functions.npz", HERE / "expected/functions/base.npz"
        expected.parent.mkdir(parents=True, exist_ok=True)
        save_npz(feed, {f"x.{i}": arrays["x"] for i, (arrays, _) in enumerate(pairs)})
        save_npz(expected, {f"y.{i}": outputs[0] for i, (_, outputs) in enumerate(pairs)})
        return {"name": name, "model": relative(path), "exporter": "", "opset": 20, "inputs": ["x"], "outputs": ["y"],
                "sets": len(pairs), "rows": True, "feed": relative(feed), "expected": relative(expected),
                "tolerance": 1e-5, "onnxruntime": against_onnxruntime(str(path), pairs), "adapters": [], "tasks": []}


def relative(path):
    return path.relative_to(HERE).as_posix()


def save_npz(path, arrays):
    """Like numpy's savez_compressed, but the same bytes each time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy"), stream.getvalue(), zipfile.ZIP_DEFLATED)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="a pattern over the names of cases; the others' entries, and adapters, stay as they are")
    parser.add_argument("--keep-adapters", action="store_true", help="don't write the adapters anew")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    only = arguments.only or "*"
    if not arguments.only:
        for name in ("models", "inputs", "expected", *([] if arguments.keep_adapters else ["adapters"])):
            shutil.rmtree(HERE / name, ignore_errors=True)
    fixtures = Fixtures()
    if not arguments.keep_adapters:
        for key, adapter in fixtures.adapters.items():
            if arguments.only and not fnmatch.fnmatchcase(adapter.model, only.split(".")[0]):
                continue
            fixture_adapters.save(adapter, fixtures.folder(key))
    manifest = HERE / "manifest.json"
    kept = {}
    if arguments.only and manifest.exists():
        kept = {case["name"]: case for case in json.loads(manifest.read_text())["cases"]}
    failed = []
    for item in exports():
        if not fnmatch.fnmatchcase(item.name, only):
            continue
        try:
            kept[item.name] = fixtures.case(item)
            print(item.name, kept[item.name]["onnxruntime"], flush=True)
        except Exception as problem:  # an exporter's refusal is not the others' fault
            failed.append(f"{item.name}: {type(problem).__name__}: {' '.join(str(problem).split())[:300]}")
            print("FAILED", failed[-1], flush=True)
    if fnmatch.fnmatchcase("functions.handwritten", only):
        kept["functions.handwritten"] = fixtures.functions()
    order = [item.name for item in exports()] + ["functions.handwritten"]
    cases = sorted(kept.values(), key=lambda case: order.index(case["name"]))
    manifest.write_text(json.dumps({"cases": cases}, indent=1) + "\n")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
