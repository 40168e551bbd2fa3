"""Products and a layer of experts on a GPU, beside torch (cuBLAS), in one run.

    python products.py compile FOLDER --graft GRAFT     where the compiler is: models and libraries into FOLDER
    python products.py run FOLDER --graft GRAFT         where the GPU is: no compiler, but torch

  chain   20 products of (rows, 1024) with (1024, 1024), in fp32 and fp16. Both have the copies from and to the host in their time: torch's are from
          and to pinned memory around a CUDA graph, Graft's from and to the caller's memory
  layer   SwiGLU of 512 and 256, two of 8 experts a row, fp32, beside torch's loop over the experts that were hit
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WIDTH, LENGTH = 1024, 20
HIDDEN, INNER, EXPERTS, CHOSEN = 512, 256, 8, 2
TYPES = {"fp32": np.float32, "fp16": np.float16}


def write_chain(path, dtype):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    weight = (np.random.default_rng(0).standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(dtype)
    names = ["x", *(f"h{i}" for i in range(LENGTH))]
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in zip(names, names[1:])]
    kind = TensorProto.FLOAT if dtype == np.float32 else TensorProto.FLOAT16
    value = [helper.make_tensor_value_info(name, kind, ["n", WIDTH]) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def compile_all(folder, graft):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from mixture import write_model
    folder.mkdir(parents=True, exist_ok=True)
    for name, dtype in TYPES.items():
        write_chain(folder / f"{name}.onnx", dtype)
    write_model(folder / "layer.onnx", EXPERTS, HIDDEN, INNER)
    for name in (*TYPES, "layer"):
        subprocess.run([graft, "compile", folder / f"{name}.onnx", "-o", folder / f"{name}.so", "--target", "cuda", "--cpu", "generic"], check=True)


def graft_ms(graft, library, rows, width):
    found = json.loads(subprocess.check_output([graft, "bench", library, "--shape", f"x={rows}x{width}", "--json"]))
    if str(found["device"]).startswith("cpu"):
        sys.exit(f"error: {library}: {found['device']}")
    return found["ms"]["median"]


def torch_ms(run, rounds=40):
    import torch
    for _ in range(5):
        run()
    torch.cuda.synchronize()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def torch_chain(dtype, rows):
    import torch
    dtype = getattr(torch, {"fp32": "float32", "fp16": "float16"}[dtype])
    weight = torch.randn(WIDTH, WIDTH, dtype=dtype, device="cuda") / WIDTH ** 0.5
    given, taken = (torch.zeros(rows, WIDTH, dtype=dtype).pin_memory() for _ in range(2))
    x, graph, stream = given.cuda(), torch.cuda.CUDAGraph(), torch.cuda.Stream()

    def chain(y):
        for _ in range(LENGTH):
            y = y @ weight
        return y

    with torch.cuda.stream(stream):
        chain(x)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        y = chain(x)

    def run():
        x.copy_(given, non_blocking=True)
        graph.replay()
        taken.copy_(y, non_blocking=True)

    return run


def torch_layer(rows):
    import torch
    draw = lambda *shape: torch.randn(*shape, device="cuda") * 0.05
    x, gate, wide, narrow = draw(rows, HIDDEN), draw(HIDDEN, EXPERTS), draw(EXPERTS, HIDDEN, 2 * INNER), draw(EXPERTS, INNER, HIDDEN)

    def run():
        weights, chosen = torch.softmax(x @ gate, -1).topk(CHOSEN, -1)
        weights = weights / weights.sum(-1, keepdim=True)
        y = torch.zeros_like(x)
        for expert in range(EXPERTS):
            row, slot = torch.where(chosen == expert)
            if row.numel():
                a, b = (x[row] @ wide[expert]).chunk(2, -1)
                y.index_add_(0, row, (torch.nn.functional.silu(a) * b) @ narrow[expert] * weights[row, slot, None])
        return y

    return run


def run_all(folder, graft, rows):
    import torch
    torch.backends.cuda.matmul.allow_tf32 = False
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"{'what':8}{'rows':>8}{'graft ms':>12}{'torch ms':>12}{'ratio':>8}")
    for name in (*TYPES, "layer"):
        for count in rows:
            own = graft_ms(graft, folder / f"{name}.so", count, HIDDEN if name == "layer" else WIDTH)
            other = torch_ms(torch_layer(count) if name == "layer" else torch_chain(name, count))
            print(f"{name:8}{count:8}{own:12.4f}{other:12.4f}{own / other:8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["compile", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 256, 1024, 4096])
    given = parser.parse_args()
    if given.step == "compile":
        compile_all(given.folder, given.graft)
    else:
        run_all(given.folder, given.graft, given.rows)


if __name__ == "__main__":
    main()
