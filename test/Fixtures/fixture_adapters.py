# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The PEFT adapters of the fixtures: their settings, saved by PEFT itself with random trained values."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import peft
import torch

import fixture_models

BERT_LINEAR = ["query", "key", "value", "dense"]
CONV1D = dict(fan_in_fan_out=True)


@dataclass
class Adapter:
    """An adapter for a model (or a part of one); `labels`: that its own head has another number of them."""

    name: str
    model: str
    settings: dict
    labels: int = 0
    dtype: torch.dtype = torch.float32


def adapters():
    every = [
        Adapter("lora", "bert-cls", dict(r=4, lora_alpha=8, target_modules=["query", "value"])),
        Adapter("topic", "bert-cls", dict(r=8, lora_alpha=16, target_modules=BERT_LINEAR, task_type="SEQ_CLS"), 5),
        Adapter("same-labels", "bert-cls", dict(r=2, lora_alpha=2, target_modules=["query"], task_type="SEQ_CLS")),
        Adapter("dora", "bert-cls", dict(r=4, lora_alpha=6, target_modules="all-linear", use_dora=True,
                                         task_type="SEQ_CLS")),
        Adapter("patterns", "bert-cls", dict(
            r=4, lora_alpha=8, target_modules=BERT_LINEAR, use_rslora=True,
            rank_pattern={"layer.0.attention.self.query": 7, "value": 3, r"^bert\.encoder\.layer\.1\.output\.dense": 5},
            alpha_pattern={"layer.1.attention.self.key": 3, "intermediate.dense": 20, "value": 1})),
        Adapter("bias-all", "bert-cls", dict(r=2, lora_alpha=4, target_modules=["query", "dense"], bias="all")),
        Adapter("bias-lora-only", "bert-cls", dict(r=2, lora_alpha=4, target_modules=["key", "dense"],
                                                   bias="lora_only")),
        Adapter("embedding", "bert-cls", dict(r=4, lora_alpha=4, target_modules=["word_embeddings", "query"])),
        Adapter("tokens", "bert-cls", dict(r=2, lora_alpha=4, target_modules=["query"],
                                           trainable_token_indices={"word_embeddings": [5, 9, 42]})),
        Adapter("fp16", "bert-cls", dict(r=4, lora_alpha=8, target_modules=BERT_LINEAR), dtype=torch.float16),
        Adapter("bf16", "bert-cls", dict(r=4, lora_alpha=8, target_modules=BERT_LINEAR), dtype=torch.bfloat16),
        Adapter("lora-bias", "bert-cls", dict(r=4, lora_alpha=8, target_modules=["query", "dense"], lora_bias=True)),
        Adapter("encoder", "bert", dict(r=4, lora_alpha=8, target_modules=["query", "value", "dense"],
                                        task_type="FEATURE_EXTRACTION")),
        Adapter("encoder-dora", "bert", dict(r=3, lora_alpha=8, target_modules=["key", "dense"], use_dora=True)),
        Adapter("bias-all", "bert-zero", dict(r=2, lora_alpha=4, target_modules=["query"], bias="all")),
        Adapter("lora", "bert-zero", dict(r=4, lora_alpha=4, target_modules=BERT_LINEAR)),
        Adapter("lora", "bert-pooled", dict(r=4, lora_alpha=4, target_modules=BERT_LINEAR)),

        Adapter("lora", "distilbert-cls", dict(r=4, lora_alpha=8, target_modules=["q_lin", "v_lin"])),
        Adapter("topic", "distilbert-cls", dict(
            r=4, lora_alpha=8, target_modules=["q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"],
            modules_to_save=["pre_classifier", "classifier"], task_type="SEQ_CLS"), 6),
        Adapter("encoder", "distilbert", dict(r=4, lora_alpha=4, target_modules=["q_lin", "lin1"])),
        Adapter("topic", "roberta-cls", dict(r=4, lora_alpha=8, target_modules=BERT_LINEAR, exclude_modules=[
            "classifier.dense"], task_type="SEQ_CLS"), 5),
        Adapter("dora", "roberta-cls", dict(r=4, lora_alpha=8, target_modules=["query", "key"], use_dora=True)),

        Adapter("conv1d", "gpt2-lm", dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj", "c_fc"],
                                          task_type="CAUSAL_LM", **CONV1D)),
        Adapter("dora", "gpt2-lm", dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_fc"], use_dora=True, **CONV1D)),
        Adapter("patterns", "gpt2-lm", dict(
            r=4, lora_alpha=8, target_modules=r".*\.(c_attn|c_proj)", rank_pattern={"attn.c_proj": 2},
            alpha_pattern={r"h\.1\.attn\.c_attn": 2}, use_rslora=True, **CONV1D)),
        Adapter("embedding", "gpt2-lm", dict(r=4, lora_alpha=4, target_modules=["wte"])),
        Adapter("head", "gpt2-lm", dict(r=4, lora_alpha=4, target_modules=["lm_head"])),
        Adapter("tokens", "gpt2-lm", dict(r=2, lora_alpha=4, target_modules=["c_attn"],
                                          trainable_token_indices=[5, 6, 77], **CONV1D)),
        Adapter("head-saved", "gpt2-lm", dict(r=2, lora_alpha=4, target_modules=["c_attn"],
                                              modules_to_save=["lm_head"], **CONV1D)),

        Adapter("all-linear", "llama-lm", dict(r=4, lora_alpha=8, target_modules="all-linear", use_rslora=True,
                                               task_type="CAUSAL_LM")),
        Adapter("dora", "llama-lm", dict(r=4, lora_alpha=8, target_modules=["k_proj", "down_proj"], use_dora=True)),
        Adapter("saved", "llama-lm", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"],
                                          modules_to_save=["lm_head", "embed_tokens"])),
        Adapter("embedding", "llama-lm", dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "lm_head"])),
        Adapter("layer", "llama-lm", dict(r=4, lora_alpha=8, target_modules=["gate_proj", "o_proj"],
                                          layers_to_transform=[1], layers_pattern="layers"), dtype=torch.bfloat16),
        Adapter("encoder", "llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"])),

        Adapter("topic", "vit-cls", dict(r=4, lora_alpha=8, target_modules="all-linear",
                                         modules_to_save=["classifier"]), 4),
        Adapter("conv", "vit-cls", dict(r=4, lora_alpha=8, target_modules=["projection"])),
        Adapter("lora", "t5-encoder", dict(r=4, lora_alpha=8, target_modules=["q", "v"])),
        Adapter("dense", "t5-encoder", dict(r=4, lora_alpha=8, target_modules=["wi_0", "wi_1", "wo", "o", "k"],
                                            rank_pattern={"wo": 6})),
        Adapter("embedding", "t5-encoder", dict(r=4, lora_alpha=8, target_modules=["embed_tokens"])),

        Adapter("conv", "convnet", dict(r=4, lora_alpha=8, target_modules=["pointwise", "square", "classifier"])),
        Adapter("grouped", "convnet", dict(r=8, lora_alpha=8, target_modules=["grouped"])),
        Adapter("dora", "convnet", dict(r=4, lora_alpha=8, target_modules=["pointwise", "square"], use_dora=True)),
        Adapter("stem", "convnet", dict(r=4, lora_alpha=8, target_modules=["stem"])),
        Adapter("conv", "conv1d", dict(r=4, lora_alpha=8, target_modules=["mid", "out", "down"])),
        Adapter("lora", "lstm", dict(r=4, lora_alpha=8, target_modules=["embedding", "classifier"])),
        Adapter("saved", "gru-bidirectional", dict(r=2, lora_alpha=8, target_modules=["embedding"],
                                                   modules_to_save=["classifier"])),
        Adapter("all", "mlp", dict(r=4, lora_alpha=8, target_modules=["layers.0", "layers.2", "gate", "head"])),
        Adapter("small", "mlp", dict(r=1, lora_alpha=3, target_modules=["layers.0", "head"])),
        Adapter("dora", "mlp", dict(r=4, lora_alpha=8, target_modules=["layers.2", "gate"], use_dora=True)),
        Adapter("saved", "mlp", dict(r=4, lora_alpha=8, target_modules=["layers.0"], modules_to_save=["head", "norm"]), 11),
        Adapter("all", "shared", dict(r=4, lora_alpha=8, bias="all", target_modules=[
            "tokens", "conv", "dense", "dense_1", "mix", "gate", "head"])),
        Adapter("dora", "shared", dict(r=4, lora_alpha=8, use_dora=True,
                                       target_modules=["tokens", "conv", "dense", "mix", "gate"])),
        Adapter("first", "shared", dict(r=4, lora_alpha=8, target_modules=["dense"], bias="lora_only")),
        Adapter("second", "shared", dict(r=4, lora_alpha=8, target_modules=["dense_1", "gate"])),
        Adapter("words", "shared", dict(r=4, lora_alpha=8, target_modules=["mix"],
                                         trainable_token_indices={"tokens": [5, 9, 42]})),
        Adapter("saved", "shared", dict(r=4, lora_alpha=8, target_modules=["dense_1"],
                                        modules_to_save=["fresh.norm", "tower.norm", "tower.conv", "head"]), 9),
    ]
    return every


def train(wrapped, adapter, generator):
    """Stands in for training: moves whatever PEFT would have trained."""
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if not parameter.requires_grad:
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            if "lora_A" in name or "lora_embedding_A" in name:
                parameter.copy_(noise / max(1, parameter[0].numel()) ** 0.5)
            elif "lora_B" in name or "lora_embedding_B" in name:
                parameter.copy_(0.5 * noise / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.2 * noise)
            elif "magnitude" in name:
                parameter.mul_(1 + 0.2 * noise)
            else:
                parameter.add_(0.2 * noise)


def save(adapter, folder):
    """Makes the adapter on its model and lets PEFT write it."""
    spec = fixture_models.models()[adapter.model]
    model = fixture_models.part_of(spec, fixture_models.make(spec, labels=adapter.labels))
    torch.manual_seed(7)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**adapter.settings))
    train(wrapped, adapter, torch.Generator().manual_seed(sum(map(ord, adapter.model + adapter.name))))
    wrapped = wrapped.to(adapter.dtype)
    shutil.rmtree(folder, ignore_errors=True)
    # copies of the layers under an adapted embedding, as PEFT writes them after a tokenizer has grown
    copies = adapter.name == "embedding"
    wrapped.save_pretrained(folder, save_embedding_layers=copies)
    (Path(folder) / "README.md").unlink(missing_ok=True)
    return json.loads((Path(folder) / "adapter_config.json").read_text())


def load(spec, chosen, folders, dtype=torch.float64):
    """`spec`'s model with the adapters as PEFT loads them from their folders, all active; delta adds to delta."""
    labels = max((adapter.labels for adapter in chosen), default=0)
    whole = fixture_models.make(spec, dtype, labels)
    wrapped = {}
    for adapter, folder in zip(chosen, folders):
        own = fixture_models.models()[adapter.model]
        if own.part not in wrapped:
            target = getattr(whole, own.part) if own.part else whole
            wrapped[own.part] = peft.PeftModel.from_pretrained(target, str(folder), adapter_name=adapter.name)
        else:
            wrapped[own.part].load_adapter(str(folder), adapter_name=adapter.name)
    for part, model in wrapped.items():
        model.base_model.set_adapter([a.name for a in chosen if fixture_models.models()[a.model].part == part])
    whole.to(dtype).eval()
    return fixture_models.part_of(spec, whole), wrapped
