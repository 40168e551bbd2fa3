# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a backbone and weights for specs into a folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Numerics"))
from spec_models import write_backbone, write_weights  # noqa: E402

write_backbone(f"{sys.argv[1]}/m.onnx")
write_weights(f"{sys.argv[1]}/w.safetensors")
