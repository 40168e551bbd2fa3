#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports tiny random mixtures of experts with torch's two ONNX exporters, and writes what they should give, computed by
torch in double precision, and how many routers are to be found in each. Needs torch, transformers, peft, onnx and onnxscript;
what it writes to mixtures/ is committed. For some there is a LoRA on gate and experts, saved by PEFT."""

import copy
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import MixtralConfig, MixtralForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM

HERE = Path(__file__).resolve().parent / "mixtures"
HIDDEN, INNER, EXPERTS = 16, 24, 4


class Soft(nn.Module):
    """All experts, weighed by a softmax; with `count` only the greatest, the others' weights being 0."""

    def __init__(self, count=None):
        super().__init__()
        self.count, self.gate = count, nn.Linear(HIDDEN, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, INNER), nn.ReLU(), nn.Linear(INNER, HIDDEN)) for _ in range(EXPERTS))

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        if self.count:
            values, chosen = weights.topk(self.count, -1)
            weights = torch.zeros_like(weights).scatter(-1, chosen, values / values.sum(-1, keepdim=True))
        return sum(weights[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


class Stacked(nn.Module):
    """The experts' results in one tensor."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS)
        self.experts = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(EXPERTS))

    def forward(self, x):
        results = torch.stack([expert(x) for expert in self.experts], -2)
        return (self.gate(x).softmax(-1).unsqueeze(-1) * results).sum(-2)


class Compared(nn.Module):
    """A loop over experts that compares what is chosen with each one's number."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, INNER), nn.SiLU(), nn.Linear(INNER, HIDDEN)) for _ in range(EXPERTS))

    def forward(self, x):
        values, chosen = self.gate(x).softmax(-1).topk(2, -1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = result + expert(x) * ((chosen == number) * values).sum(-1, keepdim=True)
        return result


class GatedUnit(nn.Module):
    """No mixture, but like one: a gated linear unit, squeeze-and-excite, and a learned mean of two layers."""

    def __init__(self):
        super().__init__()
        self.wide, self.squeeze, self.mean = nn.Linear(HIDDEN, 2 * HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Parameter(torch.randn(2))

    def forward(self, x):
        a, b = self.wide(x).chunk(2, -1)
        first = a * b.sigmoid()
        second = first * self.squeeze(first.mean(1, keepdim=True)).sigmoid()
        shares = self.mean.softmax(0)
        return shares[0] * first + shares[1] * second


def batched():
    """Mixtral's block with each token's weights gathered."""
    config = MixtralConfig(hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=1, num_attention_heads=2,
                           num_key_value_heads=1, num_local_experts=EXPERTS, num_experts_per_tok=2, vocab_size=50)
    model = MixtralForCausalLM(config)
    model.set_experts_implementation("batched_mm")
    return model.model.layers[0].mlp


def shared():
    """Qwen2's block: weights as they are, and an expert for all rows behind a gate of its own."""
    config = Qwen2MoeConfig(hidden_size=HIDDEN, moe_intermediate_size=INNER, intermediate_size=INNER, shared_expert_intermediate_size=20,
                            num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, num_experts=EXPERTS, num_experts_per_tok=2,
                            vocab_size=50)
    model = Qwen2MoeForCausalLM(config)
    model.set_experts_implementation("batched_mm")
    return model.model.layers[0].mlp


# The model and the routers to be found.
MODELS = {"soft": (Soft, 1), "masked": (lambda: Soft(2), 1), "stacked": (Stacked, 1), "compared": (Compared, 1),
          "gated-unit": (GatedUnit, 0), "mixtral-batched": (batched, 1), "qwen2-shared": (shared, 1)}


# The layers that a LoRA adapts.
ADAPTED = {"masked": r"gate|experts\.\d\.[02]", "stacked": r"gate|experts\.\d"}


def export(model, path, exporter):
    x = torch.randn(2, 5, HIDDEN)
    if exporter == "dynamo":
        dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
        torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=(dims,), input_names=["x"], output_names=["y"]).save(path)
    else:
        torch.onnx.export(model, (x,), path, dynamo=False, input_names=["x"], output_names=["y"], opset_version=17,
                          dynamic_axes={"x": {0: "batch", 1: "length"}, "y": {0: "batch", 1: "length"}})
    proto = onnx.load(path)
    for node in proto.graph.node:  # stack traces name the machine's files
        kept = [entry for entry in node.metadata_props if "stack_trace" not in entry.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(proto, path)


def adapt(model, layers, folder):
    """The model with LoRA on some layers, which is saved."""
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=2, lora_alpha=3, target_modules=layers))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    return adapted.eval().double()


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    HERE.mkdir(exist_ok=True)
    manifest = {}
    for name, (make, routers) in MODELS.items():
        torch.manual_seed(len(name))
        model = make().eval()
        exact, arrays = {"y": copy.deepcopy(model).double()}, {}
        facts = {"values": f"{name}.npz", "routers": routers}
        if name in ADAPTED:
            exact["lora"] = adapt(model, ADAPTED[name], HERE / f"{name}.lora")
            facts["adapter"] = f"{name}.lora"
        for number, shape in enumerate([(2, 5), (1, 1), (3, 17)]):
            x = torch.randn(*shape, HIDDEN)
            arrays[f"x.{number}"] = x.numpy()
            for task, run in exact.items():
                with torch.no_grad():
                    y = run(x.double())
                arrays[f"{task}.{number}"] = (y[0] if isinstance(y, tuple) else y).numpy()
        np.savez(HERE / f"{name}.npz", **arrays)
        for exporter in ("legacy", "dynamo"):
            export(model, HERE / f"{name}.{exporter}.onnx", exporter)
            manifest[f"{name}.{exporter}"] = facts
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
