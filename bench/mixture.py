"""A layer of experts, SwiGLU of 512 and 2048, two of 8 or 64 for each token, beside onnxruntime's MoE op: ratio of the
times, and relative error of the outputs; torch's loop over experts and its grouped product too where torch is there.

Run it by hand, on a quiet machine: see README.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from graft_runtime import Runtime
from paired import machine, measure

HIDDEN, INNER, CHOSEN = 512, 2048, 2


def write_model(path, experts, hidden=HIDDEN, inner=INNER):
    """y = MoE(x, x · gate), and the weights: gate and the other half of fc1 take turns by row."""
    draw = np.random.default_rng(0)
    weights = {name: draw.standard_normal(shape, dtype=np.float32) * np.float32(0.05)
               for name, shape in (("gate", (hidden, experts)), ("fc1", (experts, 2 * inner, hidden)), ("fc2", (experts, hidden, inner)))}
    nodes = [helper.make_node("MatMul", ["x", "gate"], ["scores"], name="/gate/MatMul"),
             helper.make_node("MoE", ["x", "scores", "fc1", "", "fc2"], ["y"], name="/moe/MoE", domain="com.microsoft", k=CHOSEN,
                              activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, ["n", hidden])], [value("y", TensorProto.FLOAT, ["n", hidden])],
                              [numpy_helper.from_array(array, name) for name, array in weights.items()])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return weights


def torch_parties(weights, x, threads):
    """The loop over the experts that were hit, as transformers writes it, and the same with torch's grouped product."""
    try:
        import torch
        import torch.nn.functional as F
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    gate, fc1, fc2 = (torch.from_numpy(weights[name]) for name in ("gate", "fc1", "fc2"))
    wide, narrow = torch.cat([fc1[:, 0::2], fc1[:, 1::2]], 1).transpose(1, 2).contiguous(), fc2.transpose(1, 2).contiguous()
    rows = torch.from_numpy(x)

    def route():
        values, chosen = torch.softmax(rows @ gate, -1).topk(CHOSEN, -1)
        return values / values.sum(-1, keepdim=True), chosen

    def unit(h):
        g, l = h.chunk(2, -1)
        return F.silu(g) * l

    @torch.no_grad()
    def eager():
        values, chosen = route()
        result = torch.zeros_like(rows)
        for expert in chosen.unique().tolist():
            row, slot = torch.where(chosen == expert)
            result.index_add_(0, row, (unit(rows[row] @ wide[expert]) @ narrow[expert]) * values[row, slot, None])
        return {"y": result.numpy()}

    @torch.no_grad()
    def grouped():
        values, chosen = route()
        flat, order = chosen.flatten().sort(stable=True)
        ends = torch.bincount(flat, minlength=wide.shape[0]).cumsum(0).to(torch.int32)
        h = unit(F.grouped_mm(rows[order // CHOSEN], wide, offs=ends))
        parts = F.grouped_mm(h, narrow, offs=ends) * values.flatten()[order, None]
        return {"y": torch.zeros_like(rows).index_add_(0, order // CHOSEN, parts).numpy()}

    parties = {"torch eager": eager}
    try:
        grouped()
        parties["torch grouped"] = grouped
    except (AttributeError, RuntimeError):
        pass  # not in this torch, or not for floats of 32 bits
    return parties


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graft", required=True)
    parser.add_argument("--runtime", required=True, help="libgraft_runtime.so")
    parser.add_argument("--experts", type=int, nargs="*", default=[8, 64])
    parser.add_argument("--tokens", type=int, nargs="*", default=[1, 16, 256, 4096])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runtime, results = Runtime(given.runtime), []
    with tempfile.TemporaryDirectory() as folder:
        for experts in given.experts:
            model, library = Path(folder) / f"{experts}.onnx", Path(folder) / f"{experts}.so"
            weights = write_model(model, experts)
            subprocess.run([given.graft, "compile", model, "-o", library], check=True, stdout=subprocess.DEVNULL)
            with runtime.open(library) as opened:
                for threads in given.threads:
                    options = onnxruntime.SessionOptions()
                    options.intra_op_num_threads = threads
                    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
                    for tokens in given.tokens:
                        x = np.random.default_rng(tokens).standard_normal((tokens, HIDDEN), dtype=np.float32)
                        parties = {"graft": opened.request(["base"], {"x": x}, threads),
                                   "onnxruntime": lambda x=x: dict(y=session.run(None, {"x": x})[0]), **torch_parties(weights, x, threads)}
                        values = {name: run()["y"].copy() for name, run in parties.items()}
                        times = measure(parties, given.rounds, given.seconds)
                        wanted = values["onnxruntime"]
                        row = {"experts": experts, "tokens": tokens, "threads": threads, "ms": {name: times.median(name) for name in parties},
                               "ratio": {name: times.ratio("graft", name) for name in parties if name != "graft"},
                               "error": float(np.linalg.norm(values["graft"] - wanted) / np.linalg.norm(wanted))}
                        results.append(row)
                        ratios = ", ".join(f"{ratio:.2f} of {name} ({row['ms'][name]:.2f} ms)" for name, ratio in row["ratio"].items())
                        print(f"{experts:3} experts, {tokens:4} tokens, {threads} threads: {row['ms']['graft']:8.2f} ms, {ratios}, error {row['error']:.1e}",
                              flush=True)
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
