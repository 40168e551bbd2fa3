# RUN: %python %s --filter 'test_(einsum|resize.*(cubic$|cubic_as|outside)|attention_4d_.*softcap$|attention_4d_with_qk_matmul|attention_4d_causal_bf16|range_bfloat16)'
# All of them by hand: python3 node_tests.py --graft GRAFT; it takes half an hour.
"""Runs the node tests that come with the onnx package through graft, one small model for each behaviour of an op.

A case counts as unsupported if graft says so (exit code 2); which ones may do that is listed here, so that support that is
lost fails. Prints each failure and, at the end, how many passed.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

OPS = """Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitwiseAnd BitwiseNot
BitwiseOr BitwiseXor BitShift Cast CastLike Ceil Celu Clip Compress Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh
CumSum DepthToSpace Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity If
InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool
MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow RMSNormalization
RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Resize ReverseSequence RotaryEmbedding Round ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign
Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK
Transpose Trilu Unsqueeze Where Xor Attention""".split()

# Cases that graft refuses with exit code 2, as it should: types and modes that no backbone has.
REFUSED = re.compile(r"""FLOAT8|FLOAT4|INT4|UINT4|INT2|STRING|string|_e8m0|tf_crop|antialias|not_larger|not_smaller|seq|opt""")


def fix_sizes(case):
    """What Resize's sizes and scales are is known when a backbone is compiled."""
    graph, (inputs, _) = case.model.graph, case.data_sets[0]
    if graph.node[0].op_type != "Resize":
        return
    for value, array in list(zip(graph.input, inputs))[:0:-1]:
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), value.name))
        graph.input.remove(value)


def run_case(graft, case, folder):
    """None if it passed, else why it did not: a pair of a kind and a message."""
    fix_sizes(case)
    model = os.path.join(folder, "model.onnx")
    onnx.save(case.model, model)
    library = os.path.join(folder, "model.so")
    compiled = subprocess.run([graft, "compile", model, "-o", library, "--cpu", "generic"], capture_output=True, encoding="utf-8", errors="replace")
    if compiled.returncode:
        kind = {1: "input", 2: "unsupported"}.get(compiled.returncode, "internal")
        return kind, compiled.stderr.strip().splitlines()[-1] if compiled.stderr.strip() else f"exit {compiled.returncode}"
    if "warning:" in compiled.stderr:
        return "warning", compiled.stderr.strip().splitlines()[0]
    for inputs, outputs in case.data_sets:
        command = [graft, "run", library]
        for value, array in zip(case.model.graph.input, inputs):
            path = os.path.join(folder, f"in{len(command)}.npy")
            np.save(path, np.asarray(array, order="C"))
            command += ["--input", f"{value.name}=@{path}"]
        for value, array in zip(case.model.graph.output, outputs):
            path = os.path.join(folder, f"out{len(command)}.npy")
            np.save(path, np.asarray(array, order="C"))
            command += ["--expect", f"{value.name}=@{path}"]
        # The standard's reference rounds every step to bfloat16: units of its last place.
        command += ["--rtol", "8e-3", "--atol", "4e-3"] if "bf16" in case.name else ["--rtol", "1e-3", "--atol", "1e-5"]
        ran = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if ran.returncode:
            kind = {3: "wrong"}.get(ran.returncode, "run")
            text = (ran.stderr + ran.stdout).strip().splitlines()
            return kind, text[-1] if text else f"exit {ran.returncode}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graft", default="graft")
    parser.add_argument("--filter", default="")
    arguments = parser.parse_args()
    counts = collections.Counter()
    for case in collect_testcases(None):
        if not {node.op_type for node in case.model.graph.node} <= set(OPS) or case.name.endswith("_expanded"):
            continue
        if "training" in case.name or not re.search(arguments.filter, case.name):
            continue
        if not all(isinstance(x, np.ndarray) or np.isscalar(x) for data in case.data_sets for part in data for x in part):
            continue
        with tempfile.TemporaryDirectory() as folder:
            why = run_case(arguments.graft, case, folder)
        kind = why[0] if why else "passed"
        if kind == "unsupported" and REFUSED.search(case.name):
            kind = "refused"
        counts[kind] += 1
        if kind not in ("passed", "refused"):
            print(f"{case.name}: {why[0]}: {why[1]}", flush=True)
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    return 0 if counts and set(counts) <= {"passed", "refused"} else 1


if __name__ == "__main__":
    sys.exit(main())
