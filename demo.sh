#!/usr/bin/env bash
# Sets up what is missing, builds Graft, and runs its main job on a real model: MiniLM-L6 with trained LoRA adapters
# becomes one native library, which runs each task on real sentences, beside ONNX Runtime.
# Arguments go to examples/minilm/demo.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./setup.sh
cmake --preset release --log-level=WARNING
cmake --build --preset release -j "${GRAFT_JOBS:-$(nproc)}"
python=$(./setup.sh --python)
PATH=$PWD/build/release/bin:$PATH exec "$python" examples/minilm/demo.py "$@"
