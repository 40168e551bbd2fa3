"""Train the example's adapters with torch and PEFT, and measure them on texts that they have not seen.

  topic    which group of Debian's sections a package belongs to, from its description   (head: 12 labels)
  lang     the language of three to seven words of a description                         (head: 12 labels)
  german   no head: brings the embedding of a German description to that of its English original, so that
           `--task both=topic+german` finds the topic of German text, for which no topic was ever learned

Needs requirements.txt and torch, transformers, peft, scikit-learn, and apt's lists (see corpus.py).
Each adapter takes some 5 to 15 minutes on one core. Writes adapters/NAME/ and accuracy.json.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.linear_model import LogisticRegression
from torch.nn import functional
from transformers import AutoTokenizer, BertConfig, BertModel
from transformers.utils import logging

import corpus
from export import HERE, package_dir

TOKENS = 32
BASE = "sentence-transformers/all-MiniLM-L6-v2"
LINEAR = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
CONFIGS = {
    "topic": dict(r=8, lora_alpha=16, target_modules=["query", "value", "dense"],
                  layers_to_transform=[2, 3, 4, 5], layers_pattern="layer", modules_to_save=["classifier"]),
    "lang": dict(r=4, lora_alpha=8, target_modules=["query", "key", "value", "dense"],
                 layers_to_transform=[3, 4, 5], layers_pattern="layer", modules_to_save=["classifier"],
                 rank_pattern={"query": 8, "key": 8}, alpha_pattern={"query": 16, "key": 16}),
    "german": dict(r=16, lora_alpha=16, target_modules=LINEAR, use_rslora=True,
                   rank_pattern={"query": 8, "key": 8, "intermediate.dense": 8, r"layer\.\d.output.dense": 8}),
}
STORED = {"topic": torch.float32, "lang": torch.bfloat16, "german": torch.float16}


class SentenceClassifier(BertModel):
    """The backbone as export.py writes it: encoder, mean pooling, classifier."""

    def __init__(self, config):
        super().__init__(config, add_pooling_layer=False)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)

    def embed(self, input_ids, attention_mask):
        hidden = BertModel.forward(self, input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        kept = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * kept).sum(1) / kept.sum(1)

    def forward(self, input_ids, attention_mask, **_):
        embedding = self.embed(input_ids, attention_mask)
        return self.classifier(embedding), embedding


def backbone(labels=2):
    config = BertConfig.from_pretrained(package_dir(), num_labels=labels, hidden_dropout_prob=0.0,
                                        attention_probs_dropout_prob=0.0)
    torch.manual_seed(0)
    return SentenceClassifier.from_pretrained(package_dir(), config=config).eval()


def batches(tokenizer, texts, size, draw=None):
    """(indices, tokens) of texts of alike length; in random order if `draw` is given."""
    ids = tokenizer(texts, truncation=True, max_length=TOKENS)["input_ids"]
    order = list(range(len(texts)))
    if draw:
        draw.shuffle(order)
        order = [at for begin in range(0, len(order), 32 * size)
                 for at in sorted(order[begin:begin + 32 * size], key=lambda at: len(ids[at]))]
    else:
        order.sort(key=lambda at: len(ids[at]))
    groups = [order[begin:begin + size] for begin in range(0, len(order), size)]
    if draw:
        draw.shuffle(groups)
    for group in groups:
        yield group, tokenizer.pad({"input_ids": [ids[at] for at in group]}, return_tensors="pt")


@torch.no_grad()
def outputs(model, tokenizer, texts):
    """Logits and embeddings of all texts."""
    model.eval()
    logits, embeddings = [None] * len(texts), [None] * len(texts)
    for group, tokens in batches(tokenizer, texts, 64):
        for at, one, two in zip(group, *model(tokens["input_ids"], tokens["attention_mask"])):
            logits[at], embeddings[at] = one, two
    return torch.stack(logits), torch.stack(embeddings)


def optimise(model, tokenizer, texts, loss_of, epochs, rate, size=32):
    """AdamW with a warm-up and a linear decay; `loss_of(group, logits, embedding)` is what falls."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    steps, draw = epochs * -(-len(texts) // size), random.Random(0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (0.06 * steps), 1 - step / steps))
    begun = time.time()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for group, tokens in batches(tokenizer, texts, size, draw):
            loss = loss_of(group, *model(tokens["input_ids"], tokens["attention_mask"]))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item() * len(group)
        print(f"  epoch {epoch}: loss {total / len(texts):.3f}, {time.time() - begun:.0f} s", flush=True)


def adapted(name, labels):
    torch.manual_seed(0)
    return get_peft_model(backbone(labels), LoraConfig(lora_dropout=0.05, **CONFIGS[name]))


def save(model, name, folder, labels=None):
    """Write the folder that PEFT writes, in the type of STORED, and read it back into a fresh backbone."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(STORED[name])
    model.peft_config["default"].base_model_name_or_path = BASE
    model.save_pretrained(folder / name)
    (folder / name / "README.md").unlink(missing_ok=True)
    if labels:
        (folder / name / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    return load(name, folder)


def load(name, folder):
    file = folder / name / "labels.json"
    labels = len(json.loads(file.read_text())) if file.exists() else 2
    return PeftModel.from_pretrained(backbone(labels), folder / name).eval()


def split(rows):
    return ([row for row in rows if not corpus.held_out(row[-1])], [row for row in rows if corpus.held_out(row[-1])])


def train_classifier(name, rows, labels, folder, tokenizer, epochs, rate):
    """An adapter with a head, beside a head alone on the frozen encoder, the best of several strengths."""
    train, test = split(rows)
    texts, truth = [row[0] for row in train], torch.tensor([labels.index(row[1]) for row in train])
    wanted = torch.tensor([labels.index(row[1]) for row in test])
    frozen = backbone()
    known, unseen = (outputs(frozen, tokenizer, [row[0] for row in part])[1].numpy() for part in (train, test))
    alone = max(LogisticRegression(C=strength, max_iter=3000).fit(known, truth).score(unseen, wanted)
                for strength in (0.03, 0.1, 0.3, 1, 3, 10))
    print(f"{name}: {len(train)} train, {len(test)} held out; head alone {alone:.3f}", flush=True)
    model = adapted(name, len(labels))
    optimise(model, tokenizer, texts, lambda group, logits, _: functional.cross_entropy(
        logits, truth[group], label_smoothing=0.1), epochs, rate)
    model = save(model, name, folder, labels)
    found = outputs(model, tokenizer, [row[0] for row in test])[0].argmax(1)
    accuracy = (found == wanted).float().mean().item()
    print(f"{name}: adapter {accuracy:.3f}", flush=True)
    return {"measure": "held-out accuracy", "train": len(train), "held_out": len(test), "labels": len(labels),
            "head_on_frozen_encoder": round(float(alone), 4), "adapter": round(accuracy, 4)}


def nearest(queries, keys):
    """How many queries have the key of the same number as their nearest by cosine."""
    likeness = functional.normalize(queries) @ functional.normalize(keys).T
    return (likeness.argmax(1) == torch.arange(len(queries))).float().mean().item()


def train_german(rows, folder, tokenizer, epochs, rate):
    """The adapter without a head: contrastive, against the embeddings that the frozen encoder gives the originals."""
    train, test = split(rows)
    frozen = backbone()
    anchors = outputs(frozen, tokenizer, [row[1] for row in train])[1]
    originals = outputs(frozen, tokenizer, [row[1] for row in test])[1]
    before = nearest(outputs(frozen, tokenizer, [row[0] for row in test])[1], originals)
    print(f"german: {len(train)} train, {len(test)} held out; frozen {before:.3f}", flush=True)
    model = adapted("german", 2)

    def loss_of(group, _, embedding):
        target = anchors[group]
        likeness = functional.normalize(embedding) @ functional.normalize(target).T
        pull = functional.cross_entropy(likeness / 0.05, torch.arange(len(group)))
        return pull + 20 * functional.mse_loss(embedding, target)

    optimise(model, tokenizer, [row[0] for row in train], loss_of, epochs, rate)
    model = save(model, "german", folder)
    after = nearest(outputs(model, tokenizer, [row[0] for row in test])[1], originals)
    print(f"german: adapter {after:.3f}", flush=True)
    return {"measure": "held-out top-1 retrieval of the English original among all held-out originals",
            "train": len(train), "held_out": len(test), "frozen_encoder": round(before, 4), "adapter": round(after, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lists", default="/var/lib/apt/lists", help="apt's lists, with their translations")
    parser.add_argument("--output", type=Path, default=HERE / "adapters")
    parser.add_argument("--only", choices=list(CONFIGS), action="append", help="train this one (may be repeated)")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(package_dir())
    english = corpus.descriptions(arguments.lists, "en")
    file = arguments.output / "accuracy.json"
    for name in arguments.only or CONFIGS:
        if name == "topic":
            result = train_classifier(name, corpus.topics(arguments.lists, english, 1200), list(corpus.SECTIONS),
                                      arguments.output, tokenizer, epochs=3, rate=2e-3)
        elif name == "lang":
            result = train_classifier(name, corpus.snippets(arguments.lists, 600), corpus.LANGUAGES,
                                      arguments.output, tokenizer, epochs=2, rate=2e-3)
        else:
            result = train_german(corpus.translations(arguments.lists, english, "de", 6000), arguments.output,
                                  tokenizer, epochs=2, rate=1e-3)
        results = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(results | {name: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
