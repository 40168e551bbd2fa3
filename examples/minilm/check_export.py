"""Compare the exported MiniLM, run by onnxruntime, with the implementation of transformers.

Needs torch and transformers beside the packages of requirements.txt. Exits with 1 if an output differs.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import AutoModel

import export

LIMIT = 1e-5


def reference(path, ids, mask):
    """The three outputs, computed by transformers in double precision."""
    model = AutoModel.from_pretrained(path, dtype=torch.float64, attn_implementation="eager").eval()
    with torch.no_grad():
        kept = torch.from_numpy(mask)
        hidden = model(input_ids=torch.from_numpy(ids), attention_mask=kept).last_hidden_state
    kept = kept.unsqueeze(-1)
    embedding = ((hidden * kept).sum(1) / kept.sum(1)).numpy()
    weight, bias = export.classifier(embedding.shape[1])
    return {"logits": embedding @ weight.T + bias, "sentence_embedding": embedding, "last_hidden_state": hidden.numpy()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=export.HERE / "build" / "minilm.onnx")
    arguments = parser.parse_args()
    if not arguments.model.exists():
        export.export(arguments.model)
    session = onnxruntime.InferenceSession(str(arguments.model), providers=["CPUExecutionProvider"])
    random, worst = np.random.default_rng(1), 0.0
    for batch, seq in ((1, 1), (1, 128), (3, 17), (2, 512)):
        ids = random.integers(1000, 30000, (batch, seq))
        mask = (np.arange(seq) < random.integers(1, seq + 1, (batch, 1))).astype(np.int64)
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(names, {"input_ids": ids, "attention_mask": mask})))
        for name, wanted in reference(export.package_dir(), ids, mask).items():
            assert found[name].shape == wanted.shape, (name, found[name].shape, wanted.shape)
            error = np.linalg.norm(found[name] - wanted) / np.linalg.norm(wanted)
            worst = max(worst, error)
            print(f"{batch} x {seq:<4} {name:20} relative error {error:.1e}")
    sys.exit(not worst < LIMIT)


if __name__ == "__main__":
    main()
