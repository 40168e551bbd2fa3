# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles each example of the page about specs, and says which does not."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Numerics"))
from safetensors.numpy import save_file  # noqa: E402
from spec_models import np, write_backbone  # noqa: E402

page, folder = Path(sys.argv[1]).read_text(), Path(sys.argv[2])
write_backbone(folder / "m.onnx")
rng = np.random.default_rng(0)
shapes = {"lora.A": (3, 4, 16), "lora.B": (3, 16, 4), "adapter.down": (4, 16), "adapter.up": (16, 4), "gate": (6, 16), "square": (6, 16, 16),
          "query": (16, 16), "key": (16, 16), "value": (16, 16)}
for layer in range(2):
    shapes.update({f"layers.{layer}.up": (6, 24, 16), f"layers.{layer}.down": (6, 16, 24), f"layers.{layer}.gate": (6, 16)})
save_file({name: (0.3 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}, folder / "experts.safetensors")

bad = []
examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
for number, text in enumerate(examples):
    (folder / "s.yaml").write_text(text)
    done = subprocess.run(["graft", "compile", folder / "m.onnx", "--spec", folder / "s.yaml", "-o", folder / "m.so"], capture_output=True, text=True)
    if done.returncode:
        bad.append(f"example {number}: {done.stderr}")
print(f"{len(examples)} examples")
sys.exit("\n".join(bad) or 0)
