# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tiny random models of the architectures that Graft imports, and the inputs they are tried on."""

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
import transformers as hf
from torch import nn

VOCABULARY = 100


@dataclass
class Model:
    """A model to export. `inputs` maps names to (kind, dims); a dim is a number or a symbol's name."""

    name: str
    build: Callable
    inputs: dict
    outputs: list  # [(name, dims)]
    shapes: list  # assignments of the symbols, one per set of inputs
    seed: int = 0
    whole: str = ""  # the model that this one is a part of, under the attribute `part`
    part: str = ""
    zero_biases: bool = False  # as an untrained model has them: equal tensors, which exporters merge


def randomise(model, seed, zero_biases=False):
    """Gives every parameter values of a size at which each layer matters to the output."""
    generator = torch.Generator().manual_seed(seed)
    seen = set()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            noise = torch.randn(parameter.shape, generator=generator)
            if name.startswith("fresh."):
                continue  # as it was made
            if parameter.dim() >= 2:
                fan_in = parameter[0].numel() if parameter.dim() > 2 else parameter.shape[-1]
                parameter.copy_(noise / fan_in**0.5)
            elif name.endswith("bias"):
                parameter.copy_(noise * (0.0 if zero_biases else 0.1))
            else:
                parameter.copy_(1 + 0.1 * noise)
        for name, value in model.named_buffers():
            noise = torch.rand(value.shape, generator=generator)
            if name.endswith("running_mean"):
                value.copy_(noise - 0.5)
            elif name.endswith("running_var"):
                value.copy_(noise + 0.5)
    return model.eval()


def make(spec, dtype=torch.float32, labels=None):
    """The model with its weights; a part's whole for a part."""
    if spec.whole:
        return make(models()[spec.whole], dtype, labels)
    torch.manual_seed(spec.seed)
    model = spec.build(**({"labels": labels} if labels else {}))
    for module in model.modules():
        if hasattr(module, "config") and hasattr(module.config, "use_cache"):
            module.config.use_cache = False
    return randomise(model, spec.seed, spec.zero_biases).to(dtype)


def part_of(spec, whole):
    return getattr(whole, spec.part) if spec.part else whole


def feed(spec, sizes, seed):
    """One set of inputs: name -> array."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, (kind, dims) in spec.inputs.items():
        shape = [sizes.get(d, d) for d in dims]
        if kind == "ids":
            value = random.integers(5, VOCABULARY, shape)
        elif kind == "types":
            value = random.integers(0, 2, shape)
        elif kind == "mask":
            lengths = random.integers(max(1, shape[1] // 2), shape[1] + 1, shape[0])
            lengths[0] = shape[1]
            value = (np.arange(shape[1])[None, :] < lengths[:, None]).astype(np.int64)
        else:
            value = random.standard_normal(shape).astype(np.float32)
        arrays[name] = value
    return arrays


def encoder_config(cls, **more):
    return cls(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=48, type_vocab_size=2, pad_token_id=0, **more)


def distilbert_config(**more):
    return hf.DistilBertConfig(
        vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=64,
        max_position_embeddings=48, **more)


def gpt2_config(**more):
    return hf.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=48,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, **more)


def llama_config(**more):
    return hf.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=64, max_position_embeddings=64,
        tie_word_embeddings=False, **more)


def vit_config(**more):
    return hf.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        image_size=24, patch_size=8, **more)


def t5_config(**more):
    return hf.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", relative_attention_num_buckets=8,
        relative_attention_max_distance=20, **more)


class ConvNet(nn.Module):
    """Plain, strided, grouped, depthwise and dilated convolutions, pools and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.pointwise = nn.Conv2d(16, 24, 1)
        self.grouped = nn.Conv2d(24, 24, (3, 1), padding=(1, 0), groups=4)
        self.dilated = nn.Conv2d(24, 24, 3, padding=2, dilation=2)
        self.square = nn.Conv2d(24, 24, 3, padding=1)
        self.average = nn.AvgPool2d(2, ceil_mode=True)
        self.head = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(24, 5)

    def forward(self, pixels):
        x = self.pool(torch.relu(self.norm(self.stem(pixels))))
        x = nn.functional.hardswish(self.norm2(self.depthwise(x)))
        x = nn.functional.relu6(self.pointwise(x))
        x = x + nn.functional.silu(self.grouped(x))
        x = self.average(nn.functional.leaky_relu(self.dilated(x), 0.1))
        x = x + torch.relu(self.square(x))
        return self.classifier(torch.flatten(self.head(x), 1))


class Recurrent(nn.Module):
    """An embedding, a recurrent stack and a head on the last position and on the final state."""

    def __init__(self, kind, bidirectional):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 24)
        self.rnn = kind(24, 20, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.classifier = nn.Linear(20 * (2 if bidirectional else 1), 5)

    def forward(self, ids):
        y, state = self.rnn(self.embedding(ids))
        hidden = state[0] if isinstance(state, tuple) else state
        return self.classifier(y), hidden


class Mlp(nn.Module):
    """Dense layers under names that an exporter may rewrite, one with no bias, with mixed activations."""

    def __init__(self, labels):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 33), nn.GELU(), nn.Linear(33, 48, bias=False), nn.Tanh())
        self.norm = nn.LayerNorm(48)
        self.gate = nn.Linear(48, 48)
        self.head = nn.Linear(48, labels)

    def forward(self, x):
        h = self.norm(self.layers(x))
        h = h * torch.sigmoid(self.gate(h)) + nn.functional.elu(h)
        return torch.softmax(self.head(h), dim=-1)


class Conv1d(nn.Module):
    """One-dimensional and transposed convolutions, group and instance norms, a nearest resize."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv1d(4, 16, 5, stride=2, padding=2)
        self.group_norm = nn.GroupNorm(4, 16)
        self.mid = nn.Conv1d(16, 16, 3, padding=1)
        self.instance_norm = nn.InstanceNorm1d(16, affine=True)
        self.up = nn.ConvTranspose1d(16, 8, 4, stride=2, padding=1)
        self.out = nn.Conv1d(8, 4, 1)

    def forward(self, signal):
        x = nn.functional.mish(self.group_norm(self.down(signal)))
        x = nn.functional.softplus(self.instance_norm(self.mid(x)))
        x = nn.functional.interpolate(self.up(x), scale_factor=2.0, mode="nearest")
        return self.out(nn.functional.prelu(x, torch.tensor([0.2], dtype=x.dtype)))


class Tower(nn.Module):
    """An encoder of one of two inputs. `dense_1` is what the older exporter also calls the second call of `dense`, and
    `mix` is called on three dimensions and on two, which become different ops."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 16)
        self.conv = nn.Conv1d(16, 16, 3, padding=1)
        self.dense = nn.Linear(16, 16)
        self.dense_1 = nn.Linear(16, 16)
        self.norm = nn.LayerNorm(16)
        self.mix = nn.Linear(16, 16)

    def forward(self, ids):
        x = self.tokens(ids)
        x = x + self.conv(x.transpose(1, 2)).transpose(1, 2)
        x = torch.tanh(self.dense(x))
        x = x + nn.functional.gelu(self.dense_1(x))
        x = self.norm(x + self.mix(x))
        return torch.tanh(self.mix(x.mean(1)))


class Shared(nn.Module):
    """Modules that are called again, and pairs of modules that only look so: equal values under `norm` and `norm_1`."""

    def __init__(self, labels):
        super().__init__()
        self.tower = Tower()
        self.fresh = nn.ModuleDict({"norm": nn.LayerNorm(16), "norm_1": nn.LayerNorm(16)})
        self.gate = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(16, labels)

    def forward(self, left, right):
        u, v = self.tower(left), self.tower(right)
        h = self.fresh["norm"](u - v) + self.fresh["norm_1"](u * v)
        return self.head(h + torch.sigmoid(self.gate(u)) * self.gate(v))


TEXT = {"input_ids": ("ids", ["batch", "seq"]), "attention_mask": ("mask", ["batch", "seq"])}
TYPED = dict(TEXT, token_type_ids=("types", ["batch", "seq"]))
SENTENCES = [{"batch": 2, "seq": 7}, {"batch": 1, "seq": 1}, {"batch": 3, "seq": 19}]
PIXELS = {"pixel_values": ("floats", ["batch", 3, 24, 24])}
LABELS = [("logits", ["batch", 3])]
HIDDEN = [("last_hidden_state", ["batch", "seq", 32])]
POOLED = HIDDEN + [("pooler_output", ["batch", 32])]
TOKENS = [("logits", ["batch", "seq", VOCABULARY])]


class Pooled(nn.Module):
    """A sentence encoder as people wrap it: mean over the tokens, then unit length."""

    def __init__(self):
        super().__init__()
        self.model = hf.BertModel(encoder_config(hf.BertConfig), add_pooling_layer=False)

    def forward(self, input_ids, attention_mask):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=-1)


def models():
    """The models by name. A `part` is a submodule of another model here, exported on its own."""
    bert, roberta = hf.BertConfig, hf.RobertaConfig
    rnn = {"ids": ("ids", ["batch", "seq"])}
    every = [
        Model("mlp", lambda labels=7: Mlp(labels), {"x": ("floats", ["batch", 20])}, [("y", ["batch", 7])],
              [{"batch": 2}, {"batch": 1}, {"batch": 67}], 1),
        Model("shared", lambda labels=5: Shared(labels),
              {"left": ("ids", ["batch", "left_seq"]), "right": ("ids", ["batch", "right_seq"])}, [("y", ["batch", 5])],
              [{"batch": 3, "left_seq": 7, "right_seq": 4}, {"batch": 1, "left_seq": 1, "right_seq": 18}], 21),
        Model("bert-cls", lambda labels=3: hf.BertForSequenceClassification(encoder_config(bert, num_labels=labels)),
              TYPED, LABELS, SENTENCES, 2),
        Model("bert", None, TYPED, POOLED, SENTENCES, whole="bert-cls", part="bert"),
        Model("bert-zero", lambda: hf.BertModel(encoder_config(bert)), TEXT, POOLED, SENTENCES, 4, zero_biases=True),
        Model("bert-pooled", Pooled, TEXT, [("sentence_embedding", ["batch", 32])], SENTENCES, 3),
        Model("distilbert-cls",
              lambda labels=3: hf.DistilBertForSequenceClassification(distilbert_config(num_labels=labels)),
              TEXT, LABELS, SENTENCES, 5),
        Model("distilbert", None, TEXT, HIDDEN, SENTENCES, whole="distilbert-cls", part="distilbert"),
        Model("roberta-cls",
              lambda labels=3: hf.RobertaForSequenceClassification(encoder_config(roberta, num_labels=labels)),
              TEXT, LABELS, SENTENCES, 7),
        Model("gpt2-lm", lambda: hf.GPT2LMHeadModel(gpt2_config()), TEXT, TOKENS, SENTENCES, 8),
        Model("llama-lm", lambda: hf.LlamaForCausalLM(llama_config()), TEXT, TOKENS, SENTENCES, 9),
        Model("llama", None, TEXT, HIDDEN, SENTENCES, whole="llama-lm", part="model"),
        Model("vit-cls", lambda labels=3: hf.ViTForImageClassification(vit_config(num_labels=labels)), PIXELS, LABELS,
              [{"batch": 2}, {"batch": 1}], 11),
        Model("t5-encoder", lambda: hf.T5EncoderModel(t5_config()), TEXT, HIDDEN, SENTENCES, 12),
        Model("convnet", ConvNet, {"pixels": ("floats", ["batch", 3, "height", "width"])}, [("logits", ["batch", 5])],
              [{"batch": 2, "height": 32, "width": 32}, {"batch": 1, "height": 45, "width": 38}], 13),
        Model("conv1d", Conv1d, {"signal": ("floats", ["batch", 4, "time"])}, [("y", ["batch", 4, "longer"])],
              [{"batch": 2, "time": 16}, {"batch": 1, "time": 31}], 14),
    ]
    for seed, (name, kind, two) in enumerate([
            ("lstm", nn.LSTM, False), ("lstm-bidirectional", nn.LSTM, True),
            ("gru", nn.GRU, False), ("gru-bidirectional", nn.GRU, True)], 15):
        every.append(Model(name, lambda kind=kind, two=two: Recurrent(kind, two), rnn,
                           [("logits", ["batch", "seq", 5]), ("hidden", [4 if two else 2, "batch", 20])],
                           SENTENCES, seed))
    return {model.name: model for model in every}
