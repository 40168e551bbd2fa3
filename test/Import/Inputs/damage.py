"""Damages a model in seeded ways and inspects it: damage.py MODEL FOLDER."""
import os
import random
import subprocess
import sys

model, folder = sys.argv[1:]
with open(model, "rb") as file:
    good = file.read()
random.seed(7)
path = os.path.join(folder, "damaged.onnx")
refused = 0
for attempt in range(40):
    data = bytearray(good)
    if attempt % 2:
        data = data[:random.randrange(len(good))]
    else:
        for _ in range(3):
            data[random.randrange(len(good))] = random.randrange(256)
    with open(path, "wb") as file:
        file.write(data)
    done = subprocess.run(["graft", "inspect", path], capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode in (0, 1, 2), (attempt, done.returncode, done.stderr)
    if done.returncode:
        refused += 1
        assert done.stderr.startswith(f"error: {path}: "), (attempt, done.stderr)
assert refused >= 20, refused
