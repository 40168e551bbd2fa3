"""Copies an adapter with changes: change.py FROM TO [rename:REGEX=REPLACEMENT] [copy:KEY=MODEL.onnx:INITIALIZER] [add:AMOUNT=KEY]."""
import re
import shutil
import sys

import numpy as np
import onnx
from safetensors.numpy import load_file, save_file

source, target, *changes = sys.argv[1:]
shutil.copytree(source, target)
path = target + "/adapter_model.safetensors"
tensors = load_file(path)
for change in changes:
    kind, _, rest = change.partition(":")
    name, _, value = rest.partition("=")
    if kind == "rename":
        tensors = {re.sub(name, value, key): tensor for key, tensor in tensors.items()}
    elif kind == "copy":
        model, _, initializer = value.rpartition(":")
        found = [t for t in onnx.load(model).graph.initializer if t.name == initializer]
        tensors[name] = onnx.numpy_helper.to_array(found[0]).copy()
    elif kind == "add":
        tensors[value] = tensors[value] + np.float32(name)
    else:
        sys.exit(f"unknown change: {change}")
save_file(tensors, path)
