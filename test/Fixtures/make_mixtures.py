#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports tiny random mixtures of experts with torch's two ONNX exporters, and writes what they should give, computed by
torch in double precision, and how many routers are to be found in each; and what is like a mixture and is none. Needs torch,
transformers, peft, onnx and onnxscript; what it writes to mixtures/ is committed. For some there is a LoRA on gate and experts,
saved by PEFT. Of some an exporter freezes what depends on data: they are refused unless that is to be repaired. Arguments are
names of models to write; all unless given."""

import copy
import json
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional as F
from transformers import (DeepseekV3Config, DeepseekV3ForCausalLM, GptOssConfig, GptOssForCausalLM, MixtralConfig, MixtralForCausalLM,
                          Qwen2MoeConfig, Qwen2MoeForCausalLM)

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


class Loop(nn.Module):
    """A loop over experts, each of which sees the rows that chose it. `how` is the way in which rows are taken and put back."""

    def __init__(self, how):
        super().__init__()
        self.how, self.gate = how, nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(HIDDEN, INNER), nn.SiLU(), nn.Linear(INNER, HIDDEN)) for _ in range(EXPERTS))

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, chosen = self.gate(rows).softmax(-1).topk(2, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        return getattr(self, self.how)(rows, weights, chosen, torch.zeros_like(rows)).reshape(x.shape)

    def index_add(self, x, weights, chosen, result):
        for number, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == number)
            result.index_add_(0, row, expert(x[row]) * weights[row, slot, None])
        return result

    def one_hot(self, x, weights, chosen, result):
        mask = F.one_hot(chosen, EXPERTS).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            slot, row = torch.where(mask[number])
            result.index_add_(0, row, expert(x[None, row].reshape(-1, HIDDEN)) * weights[row, slot, None])
        return result

    def masked(self, x, weights, chosen, result):
        for number, expert in enumerate(self.experts):
            mask = chosen == number
            rows = mask.any(-1)
            result[rows] += (weights * mask).sum(-1)[rows].unsqueeze(-1) * expert(x[rows])
        return result

    def indexed(self, x, weights, chosen, result):
        for number, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == number)
            result[row] += weights[row, slot, None] * expert(x[row])
        return result

    def scatter_add(self, x, weights, chosen, result):
        for number, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == number)
            result = result.scatter_add(0, row.unsqueeze(-1).expand(-1, HIDDEN), expert(x[row]) * weights[row, slot].unsqueeze(-1))
        return result

    def gates(self, x, weights, chosen, result):
        gates = torch.zeros(x.shape[0], EXPERTS, dtype=x.dtype).scatter(1, chosen, weights)
        for number, expert in enumerate(self.experts):
            row = torch.where(gates[:, number] > 0)[0]
            result = result.index_add(0, row, expert(x[row]) * gates[row, number].unsqueeze(-1))
        return result

    def where(self, x, weights, chosen, result):
        for number, expert in enumerate(self.experts):
            for slot in range(2):
                mask = (chosen[:, slot] == number).unsqueeze(-1)
                result = torch.where(mask, result + expert(x) * weights[:, slot, None], result)
        return result


class Switch(Loop):
    """One expert for each row, in the place of the row: by its number, by a mask, or for all rows."""

    def forward(self, x):
        weights, chosen = self.gate(x).softmax(-1).max(-1)
        return getattr(self, self.how)(x, weights, chosen)

    def replaced(self, x, weights, chosen):
        rows, chosen = x.reshape(-1, HIDDEN), chosen.reshape(-1)
        result = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row = (chosen == number).nonzero().squeeze(-1)
            result[row] = expert(rows[row])
        return result.reshape(x.shape) * weights.unsqueeze(-1)

    def masked(self, x, weights, chosen):
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mask = chosen == number
            result[mask] = expert(x[mask]) * weights[mask].unsqueeze(-1)
        return result

    def where(self, x, weights, chosen):
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = torch.where((chosen == number).unsqueeze(-1), expert(x) * weights.unsqueeze(-1), result)
        return result


class StackedLoop(nn.Module):
    """The experts' weights in one tensor, of which each step takes its part."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS, bias=False)
        self.wide, self.back = nn.Parameter(0.3 * torch.randn(EXPERTS, 2 * INNER, HIDDEN)), nn.Parameter(0.3 * torch.randn(EXPERTS, HIDDEN, INNER))

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        weights, chosen = self.gate(rows).softmax(-1).topk(2, -1)
        result = torch.zeros_like(rows)
        for number in range(EXPERTS):
            row, slot = torch.where(chosen == number)
            gate, up = F.linear(rows[row], self.wide[number]).chunk(2, -1)
            result.index_add_(0, row, F.linear(F.silu(gate) * up, self.back[number]) * weights[row, slot, None])
        return result.reshape(x.shape)


class Attention(nn.Module):
    """No mixture: attention whose keys and values several heads share, under a mask."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN // 2), nn.Linear(HIDDEN, HIDDEN // 2)

    def forward(self, x):
        batch, length = x.shape[:2]
        q = self.q(x).view(batch, length, 4, 4).transpose(1, 2)
        k, v = (layer(x).view(batch, length, 2, 1, 4).expand(-1, -1, -1, 2, -1).reshape(batch, length, 4, 4).transpose(1, 2)
                for layer in (self.k, self.v))
        scores = q @ k.transpose(-1, -2) / 2
        scores = torch.where(torch.ones(length, length, dtype=torch.bool).tril(), scores, torch.finfo(x.dtype).min)
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, HIDDEN)


class Gates(nn.Module):
    """No mixture: squeeze-and-excite, a scale for each channel, a highway and a gated residual, one after the other."""

    def __init__(self):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(HIDDEN, 4), nn.Linear(4, HIDDEN)
        self.scale, self.carry, self.inner = nn.Parameter(torch.randn(HIDDEN)), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.gate, self.other, self.pair = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2)

    def forward(self, x):
        x = x * self.excite(self.squeeze(x.mean(1, keepdim=True)).relu()).sigmoid()
        x = x + self.scale * self.inner(x).relu()
        carry = self.carry(x).sigmoid()
        x = carry * self.inner(x).tanh() + (1 - carry) * x
        gate = self.gate(x).sigmoid()
        x = gate * self.other(x) + (1 - gate) * x
        shares = self.pair(x.mean(1, keepdim=True)).softmax(-1)  # one for all of a sequence
        return shares[..., :1] * x + shares[..., 1:] * x.flip(-1)


class Heads(nn.Module):
    """No mixture of experts: the mean of a mixture density, pooling over the greatest, and a step of beam search."""

    def __init__(self):
        super().__init__()
        self.shares, self.means, self.words = nn.Linear(HIDDEN, 3), nn.Linear(HIDDEN, 3 * HIDDEN), nn.Embedding(20, HIDDEN)

    def forward(self, x):
        means = self.means(x).view(*x.shape[:2], 3, HIDDEN)
        density = (self.shares(x).softmax(-1).unsqueeze(-1) * means).sum(-2)
        pooled = x.topk(3, -1)[0].mean(-1, keepdim=True)
        values, words = (x @ self.words.weight.T).log_softmax(-1).topk(2, -1)
        beams = (self.words(words) * values.exp().unsqueeze(-1)).sum(-2)
        kept = torch.zeros_like(x).scatter(-1, x.topk(2, -1)[1], 1.0)
        return density + pooled + beams + kept * x


class Einsum(nn.Module):
    """All experts in one tensor, by Einsums: `how` is in which order their dimensions stand, and what picks or weighs them."""

    def __init__(self, how):
        super().__init__()
        self.how, self.gate = how, nn.Linear(HIDDEN, EXPERTS)
        self.wide, self.back = nn.Parameter(0.3 * torch.randn(EXPERTS, INNER, HIDDEN)), nn.Parameter(0.3 * torch.randn(EXPERTS, HIDDEN, INNER))
        self.bias = nn.Parameter(torch.randn(EXPERTS, INNER))

    def forward(self, x):
        return getattr(self, self.how)(x, *self.gate(x).softmax(-1).topk(2, -1))

    def dense(self, x, values, chosen):
        weights = torch.zeros(*x.shape[:-1], EXPERTS, dtype=x.dtype).scatter(-1, chosen, values)
        inner = F.silu(torch.einsum("bsd,ehd->ebsh", x, self.wide))
        return torch.einsum("bse,ebsd->bsd", weights, torch.einsum("ebsh,edh->ebsd", inner, self.back))

    def joined(self, x, values, chosen):
        inner = F.silu(torch.einsum("bsd,ehd->bseh", x, self.wide) + self.bias)
        return torch.einsum("bseh,edh,bse->bsd", inner, self.back, self.gate(x).softmax(-1))

    def gathered(self, x, values, chosen):
        inner = F.silu(torch.einsum("bsd,bskhd->bskh", x, self.wide[chosen]) + self.bias[chosen])
        return torch.einsum("bsk,bskd->bsd", values, torch.einsum("bskh,bskdh->bskd", inner, self.back[chosen]))


class Spelled(Soft):
    """Gates as people spell them: chunks, reshapes, masks, and a weight beside a mask; one mixture after the other."""

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        x = x + sum(gate * expert(x) for gate, expert in zip(weights.chunk(EXPERTS, -1), self.experts))
        rows = x.reshape(-1, HIDDEN)
        weights = self.gate(rows).sigmoid()
        result = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            result = result + weights[:, number].view(-1, 1).expand(-1, HIDDEN) * expert(rows)
        x = x + result.view(x.shape)
        values, chosen = self.gate(x).softmax(-1).topk(2, -1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = result + torch.where(chosen == number, values, 0.0).sum(-1, keepdim=True) * expert(x)
        x = x + result
        value, chosen = self.gate(x).softmax(-1).max(-1)
        mask = F.one_hot(chosen, EXPERTS).to(x.dtype)
        return x + sum(expert(x) * mask[..., i : i + 1] * value.unsqueeze(-1) for i, expert in enumerate(self.experts))


class Slots(nn.Module):
    """No mixture: attention over learned slots, as a product, a sum and an Einsum; a bilinear form; weights that another layer gives."""

    def __init__(self):
        super().__init__()
        self.keys, self.values = nn.Parameter(torch.randn(EXPERTS, HIDDEN)), nn.Parameter(torch.randn(EXPERTS, HIDDEN))
        self.form, self.inner, self.weights = nn.Parameter(0.3 * torch.randn(4, HIDDEN, HIDDEN)), nn.Linear(HIDDEN, 3), nn.Linear(3, 4 * HIDDEN)

    def forward(self, x):
        shares = (x @ self.keys.T).softmax(-1)
        product = shares.unsqueeze(-2) @ self.values.expand(*x.shape[:-1], -1, -1)
        total = sum(shares[..., i : i + 1] * self.values[i].expand_as(x) for i in range(EXPERTS))
        pool = torch.einsum("be,bed->bd", shares.mean(1), self.values.unsqueeze(0).expand(x.shape[0], -1, -1))
        bilinear = torch.einsum("bsi,ijk,bsj->bsk", x[..., :4], self.form, x)
        hyper = torch.einsum("bsi,bsij->bsj", x[..., :4], self.weights(self.inner(x).relu()).view(*x.shape[:-1], 4, HIDDEN))
        return product.squeeze(-2) + total + pool.unsqueeze(1) + bilinear + hyper


class Picked(Soft):
    """Weights that are filled with 0, a term for each slot, and results of all experts that are picked; one mixture after the other."""

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        values, chosen = self.gate(rows).softmax(-1).topk(2, -1)
        result = 0
        for number, expert in enumerate(self.experts):
            result = result + expert(rows) * values.masked_fill(chosen != number, 0.0).sum(-1, keepdim=True)
        rows = rows + result
        values, chosen = self.gate(rows).softmax(-1).topk(2, -1)
        result = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            for slot in range(2):
                result = result + expert(rows) * (values[:, slot] * (chosen[:, slot] == number).float())[:, None]
        rows = rows + result
        values, chosen = self.gate(rows).softmax(-1).topk(2, -1)
        every = torch.stack([expert(rows) for expert in self.experts], 1)
        rows = rows + (every.gather(1, chosen[..., None].expand(-1, -1, HIDDEN)) * values[..., None]).sum(1)
        value, number = self.gate(rows).softmax(-1).max(-1)
        every = torch.stack([expert(rows) for expert in self.experts], 1)
        return x + (every[torch.arange(rows.shape[0]), number] * value[:, None]).view(x.shape)


class Sequences(Soft):
    """A route for each sequence: the greatest by masks, all by shares, two by a loop over the sequences of each expert."""

    def forward(self, x):
        values, chosen = self.gate(x.mean(1)).softmax(-1).topk(1)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            result = result + expert(x) * (values * (chosen == number)).sum(-1)[:, None, None]
        x = x + result
        shares = self.gate(x[:, 0]).softmax(-1)
        x = x + sum(shares[:, number, None, None] * expert(x) for number, expert in enumerate(self.experts))
        values, chosen = self.gate(x.mean(1)).softmax(-1).topk(2)
        result = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, slot = torch.where(chosen == number)
            result.index_add_(0, rows, expert(x[rows]) * values[rows, slot, None, None])
        return x + result


class Repeated(nn.Module):
    """Rows that are repeated for each expert, in front of products with all matrices; weights that have the rows in two dimensions."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(HIDDEN, EXPERTS)
        self.up, self.down = nn.Parameter(0.3 * torch.randn(EXPERTS, HIDDEN, INNER)), nn.Parameter(0.3 * torch.randn(EXPERTS, INNER, HIDDEN))

    def forward(self, x):
        rows = x.reshape(-1, HIDDEN)
        values, chosen = self.gate(rows).topk(2, -1)
        weights = torch.zeros(rows.shape[0], EXPERTS).to(values).scatter(1, chosen, values.softmax(1))
        every = torch.bmm(torch.bmm(rows.repeat(EXPERTS, 1).view(EXPERTS, -1, HIDDEN), self.up).relu(), self.down)
        weights = weights.transpose(0, 1).view(EXPERTS, x.shape[0], -1)
        return x + (every.view(EXPERTS, x.shape[0], -1, HIDDEN) * weights[..., None]).sum(0)


class Pruned(nn.Module):
    """No mixture: vectors that have the greatest scores are picked and weighed; attention to the keys that have."""

    def __init__(self):
        super().__init__()
        self.score, self.value, self.key = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x):
        best, place = self.score(x).squeeze(-1).topk(1)
        picked = self.value(x).gather(1, place[..., None].expand(-1, -1, HIDDEN)) * best.sigmoid()[..., None]
        scores = x @ self.key(x).transpose(-1, -2)
        kept, keys = scores.topk(1)
        shares = torch.full_like(scores, -1e4).scatter(-1, keys, kept).softmax(-1)
        return x + picked + shares @ self.value(x)


SMALL = {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 1, "num_experts_per_tok": 2, "vocab_size": 50}


def mixtral(how):
    """Mixtral's block."""
    model = MixtralForCausalLM(MixtralConfig(num_local_experts=EXPERTS, **SMALL))
    model.set_experts_implementation(how)
    return model.model.layers[0].mlp


def qwen2(how):
    """Qwen2's block: weights as they are, and an expert for all rows behind a gate of its own."""
    model = Qwen2MoeForCausalLM(Qwen2MoeConfig(moe_intermediate_size=INNER, shared_expert_intermediate_size=20, num_experts=EXPERTS, **SMALL))
    model.set_experts_implementation(how)
    return model.model.layers[0].mlp


def deepseek(how):
    """DeepSeek-V3's block: of two groups of experts one is chosen, by scores that a bias corrects; others weigh."""
    model = DeepseekV3ForCausalLM(DeepseekV3Config(
        moe_intermediate_size=INNER, n_routed_experts=2 * EXPERTS, n_group=2, topk_group=1, n_shared_experts=1, first_k_dense_replace=0,
        routed_scaling_factor=1.5, norm_topk_prob=True, q_lora_rank=8, kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8,
        **SMALL))
    model.set_experts_implementation(how)
    block = model.model.layers[0].mlp
    with torch.no_grad():
        block.gate.weight.normal_()
        block.gate.e_score_correction_bias.normal_(std=0.1)
    return block


def gpt_oss(how):
    """GPT-OSS's block: the softmax is over the scores that are chosen."""
    model = GptOssForCausalLM(GptOssConfig(num_local_experts=EXPERTS, head_dim=8, **SMALL))
    model.set_experts_implementation(how)
    block = model.model.layers[0].mlp
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.3)
    return block


@dataclass
class Model:
    make: callable
    routers: int = 1
    exporters: tuple = ("legacy", "dynamo")
    shape: tuple = (2, 5)  # of rows that are traced
    frozen: tuple = ()  # the exporters that freeze what depends on data


def loop(how, **facts):
    return Model(lambda: Loop(how), **facts)


MODELS = {
    "soft": Model(Soft), "masked": Model(lambda: Soft(2)), "stacked": Model(Stacked), "compared": Model(Compared),
    "gated-unit": Model(GatedUnit, 0), "attention": Model(Attention, 0), "gates": Model(Gates, 0), "heads": Model(Heads, 0),
    "mixtral-batched": Model(lambda: mixtral("batched_mm")), "qwen2-shared": Model(lambda: qwen2("batched_mm")),
    "deepseek-batched": Model(lambda: deepseek("batched_mm")), "gpt-oss-batched": Model(lambda: gpt_oss("batched_mm")),
    "loop-index-add": loop("index_add"), "loop-one-hot": loop("one_hot"), "loop-masked": loop("masked"), "loop-indexed": loop("indexed"),
    "loop-scatter-add": loop("scatter_add"), "loop-gates": loop("gates"), "loop-where": loop("where"), "loop-stacked": Model(StackedLoop),
    "switch-replaced": Model(lambda: Switch("replaced")), "switch-masked": Model(lambda: Switch("masked")),
    "switch-where": Model(lambda: Switch("where")),
    "einsum": Model(lambda: Einsum("dense")), "einsum-joined": Model(lambda: Einsum("joined")),
    "einsum-gathered": Model(lambda: Einsum("gathered")), "spelled": Model(Spelled, 4), "slots": Model(Slots, 0),
    "picked": Model(Picked, 4), "sequences": Model(Sequences, 3), "repeated": Model(Repeated), "pruned": Model(Pruned, 0),
    # Only the older exporter traces loops that run over the experts that some row has chosen.
    "mixtral-traced": Model(lambda: mixtral("eager"), exporters=("legacy",)),
    "qwen2-traced": Model(lambda: qwen2("eager"), exporters=("legacy",)),
    "mixtral-frozen": Model(lambda: mixtral("eager"), exporters=("legacy",), shape=(1, 1), frozen=("legacy",)),
}

# The layers that a LoRA adapts.
ADAPTED = {"masked": r"gate|experts\.\d\.[02]", "stacked": r"gate|experts\.\d", "loop-index-add": r"gate|experts\.\d\.[02]"}


def export(model, path, exporter, shape):
    x = torch.randn(*shape, HIDDEN)
    if exporter == "dynamo":
        dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
        torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=(dims,), input_names=["x"], output_names=["y"]).save(path)
    else:
        torch.onnx.export(model, (x,), path, dynamo=False, input_names=["x"], output_names=["y"], opset_version=17,
                          dynamic_axes={"x": {0: "batch", 1: "length"}, "y": {0: "batch", 1: "length"}})
    proto = onnx.load(path)
    for node in proto.graph.node:  # of what the exporter says of a node its module path; stack traces name the machine's files
        kept = [entry for entry in node.metadata_props if entry.key.endswith("name_scopes")]
        node.ClearField("doc_string")
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
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or list(MODELS)
    manifest = json.loads((HERE / "manifest.json").read_text()) if sys.argv[1:] else {}
    for name in wanted:
        case = MODELS[name]
        torch.manual_seed(len(name))
        model = case.make().eval()
        exact, arrays = {"y": copy.deepcopy(model).double()}, {}
        facts = {"values": f"{name}.npz", "routers": case.routers}
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
        for exporter in case.exporters:
            export(model, HERE / f"{name}.{exporter}.onnx", exporter, case.shape)
            manifest[f"{name}.{exporter}"] = {**facts, "frozen": True} if exporter in case.frozen else facts
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
