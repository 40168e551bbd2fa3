"""Measure the committed adapters again, and what their composition gives.

Adds to adapters/accuracy.json what `topic` alone and `topic+german` reach on German descriptions, checks merge.py
(run by onnxruntime) against PEFT's own modules (run by torch), and draws sentences.json, the demo's held-out texts.
Needs what train_adapters.py needs. Exits with 1 if merge.py and PEFT disagree.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import AutoTokenizer
from transformers.utils import logging

import corpus
import export
import merge
import train_adapters as train

LIMIT = 1e-5


def onnx_outputs(model, folders, tokenizer, texts, attach=False):
    """Logits and embeddings of texts from onnxruntime, with the adapters merged, or attached as branches."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "model.onnx"
        (merge.attach if attach else merge.merge)(model, folders, file)
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    logits, embeddings = [None] * len(texts), [None] * len(texts)
    for group, tokens in train.batches(tokenizer, texts, 64):
        feed = {name: tokens[name].numpy() for name in ("input_ids", "attention_mask")}
        for at, one, two in zip(group, *session.run(["logits", "sentence_embedding"], feed)):
            logits[at], embeddings[at] = one, two
    return np.stack(logits), np.stack(embeddings)


def check_merge(model, folder, tokenizer, texts):
    """The largest difference between merge.py and PEFT over adapters, ways and outputs."""
    worst = 0.0
    for name in train.CONFIGS:
        wanted = [part.numpy() for part in train.outputs(train.load(name, folder), tokenizer, texts)]
        for attach in (False, True):
            found = onnx_outputs(model, [folder / name], tokenizer, texts, attach)
            # An adapter without a head leaves the backbone's, which the exporter and training draw apart.
            own_head = (folder / name / "labels.json").exists()
            for one, two in list(zip(found, wanted))[0 if own_head else 1:]:
                worst = max(worst, np.linalg.norm(one - two) / np.linalg.norm(two))
        print(f"{name}: merge.py and PEFT differ by {worst:.1e} at most so far")
    return worst


def german_topics(lists, english):
    """Held-out (German text, group, package, source, English text) of packages that belong to a topic."""
    group_of = {section: group for group, names in corpus.SECTIONS.items() for section in names}
    of_package = corpus.sources(lists)
    return [(text, group_of[of_package[package][1]], package, source, original)
            for text, original, package, source in corpus.translations(lists, english, "de", None)
            if corpus.held_out(source) and of_package[package][1] in group_of]


def accuracy(logits, rows):
    labels = list(corpus.SECTIONS)
    return round(float(np.mean([labels[line.argmax()] == row[1] for line, row in zip(logits, rows)])), 4)


def sample(lists, english, german):
    """The demo's texts, drawn by chance: one a topic, one a language, and German ones with their originals."""
    topics = [row for row in corpus.topics(lists, english, 600) if corpus.held_out(row[-1])]
    snippets = [row for row in corpus.snippets(lists, 600) if corpus.held_out(row[-1]) and len(row[0].split()) > 4]
    draw, sentences = random.Random(7), []

    def entry(kind, text, package, **facts):
        sentences.append({"set": kind, "text": text, "package": package} | facts)

    for label in corpus.SECTIONS:
        row = draw.choice([row for row in topics if row[1] == label and len(row[0]) < 160])
        entry("english", row[0], row[2], topic=label)
    for language in corpus.LANGUAGES:
        row = draw.choice([row for row in snippets if row[1] == language])
        entry("lang", row[0], row[2], language=language)
    chosen = draw.sample([row for row in german if len(row[0]) < 200], 8)
    for row in chosen:
        entry("german", row[0], row[2], topic=row[1], language="de")
    for row in chosen:
        entry("original", row[4], row[2], topic=row[1], language="en")
    return sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lists", default="/var/lib/apt/lists", help="apt's lists, with their translations")
    parser.add_argument("--adapters", type=Path, default=export.HERE / "adapters")
    parser.add_argument("--model", type=Path, default=export.HERE / "build" / "minilm.onnx")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not arguments.model.exists():
        export.export(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(export.package_dir())
    english = corpus.descriptions(arguments.lists, "en")
    german = german_topics(arguments.lists, english)
    sentences = sample(arguments.lists, english, german)
    (export.HERE / "sentences.json").write_text(json.dumps(sentences, indent=1, ensure_ascii=False) + "\n")

    worst = check_merge(arguments.model, arguments.adapters, tokenizer, [row["text"] for row in sentences])
    result = {"measure": "held-out accuracy of topics on German descriptions", "held_out": len(german)}
    for key, names in (("topic", ["topic"]), ("topic+german", ["topic", "german"])):
        folders = [arguments.adapters / name for name in names]
        for language, column in (("german", 0), ("english", 4)):
            logits = onnx_outputs(arguments.model, folders, tokenizer, [row[column] for row in german])[0]
            result[f"{key} on {language} text"] = accuracy(logits, german)
    print(json.dumps(result, indent=1))
    file = arguments.adapters / "accuracy.json"
    results = json.loads(file.read_text()) | {"both": result}
    file.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(not worst < LIMIT)


if __name__ == "__main__":
    main()
