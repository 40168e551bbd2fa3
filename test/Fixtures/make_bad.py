#!/usr/bin/env python3
# Part of Graft, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes bad/: models, adapters and inputs that must be refused, and bad/manifest.json, which says with which exit
code and which words. Needs numpy and onnx."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

HERE = Path(__file__).resolve().parent
BAD = HERE / "bad"
CASES = []
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def case(name, words, exit_code=1, model="models/mlp.legacy.onnx", adapters=(), flags=(), **more):
    """`words`: each must be in the message; a tuple lists alternatives."""
    codes = list(exit_code) if isinstance(exit_code, tuple) else [exit_code]
    CASES.append({"name": name, "command": "compile", "model": model, "adapters": list(adapters),
                  "flags": list(flags), "exit": codes,
                  "stderr": [list(w) if isinstance(w, tuple) else [w] for w in words], **more})


# --- models ----------------------------------------------------------------------------------------------------------

def tensor(name, array):
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def weights():
    random = np.random.default_rng(0)
    return [tensor("fc.weight", random.standard_normal((4, 3)).astype(np.float32)),
            tensor("fc.bias", random.standard_normal(3).astype(np.float32))]


def nodes():
    return [helper.make_node("MatMul", ["x", "fc.weight"], ["h"], "/fc/MatMul"),
            helper.make_node("Add", ["fc.bias", "h"], ["g"], "/fc/Add"),
            helper.make_node("Relu", ["g"], ["y"], "/act/Relu")]


def model(body=None, initializers=None, inputs=None, outputs=None, opset=17, functions=(), domains=()):
    graph = helper.make_graph(
        nodes() if body is None else body, "main",
        inputs or [helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)] if outputs is None else outputs,
        weights() if initializers is None else initializers)
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))


def bad_model(name, words, proto, exit_code=1, flags=(), **more):
    path = BAD / "onnx" / (name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    case("onnx-" + name, [name + ".onnx", *words], exit_code, f"bad/onnx/{name}.onnx", flags=flags, **more)


def one(op, inputs, initializers=(), node="/n", x=("batch", 4), kind=FLOAT, **attributes):
    """A model of one node, whose first input is x."""
    return model([helper.make_node(op, inputs, ["y"], node, **attributes)], list(initializers),
                 [helper.make_tensor_value_info("x", kind, list(x))])


def damaged_files():
    good = (HERE / "models/mlp.legacy.onnx").read_bytes()
    bad_model("empty", [], b"")
    bad_model("noise", [], np.random.default_rng(1).bytes(3000))
    bad_model("text", [], b"ir_version: 8\nproducer_name: \"nobody\"\n")
    bad_model("truncated", [], good[:len(good) * 6 // 10])
    bad_model("truncated-by-one", [], good[:-1])
    case("onnx-no-file", ["nowhere.onnx"], model="bad/onnx/nowhere.onnx")
    case("onnx-is-a-folder", ["models"], model="models")
    proto = model()
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:40]
    bad_model("raw-data-short", ["fc.weight"], proto)
    proto = model()
    proto.graph.initializer[0].raw_data += bytes(8)
    bad_model("raw-data-long", ["fc.weight"], proto)
    for name, dims in (("negative-dim", [-4, 3]), ("huge-dims", [1 << 40, 1 << 40]), ("overflowing-dims", [1 << 62, 4])):
        proto = model()
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(dims)
        bad_model(name, ["fc.weight"], proto)
    for name, kind in (("no-type", 0), ("unknown-type", 99), ("string-weight", TensorProto.STRING)):
        proto = model()
        proto.graph.initializer[0].data_type = kind
        bad_model(name, ["fc.weight"], proto, (1, 2))


def damaged_graphs():
    loop = [helper.make_node("Add", ["x", "b"], ["a"], "/first"), helper.make_node("Relu", ["a"], ["b"], "/second"),
            helper.make_node("Relu", ["b"], ["y"], "/third")]
    bad_model("cycle", [("/first", "b", "cycl", "topolog")], model(loop, []))
    bad_model("missing-initializer", ["fc.weight"], model(initializers=weights()[1:]))
    twice = nodes()
    twice[1].output[0] = "h"
    bad_model("defined-twice", [("h", "SSA")], model(twice))
    bad_model("two-initializers-of-a-name", ["fc.bias"], model(initializers=weights() + weights()[1:]))
    bad_model("output-of-nothing", ["z"], model(outputs=[helper.make_tensor_value_info("z", FLOAT, None)]))
    bad_model("no-outputs", ["output"], model(outputs=[]))
    bad_model("unknown-op", ["Frobnicate"], one("Frobnicate", ["x"], node="/odd"), (1, 2))
    zap = model([helper.make_node("Zap", ["x"], ["y"], "/body/odd", domain="com.acme")], [], domains=["com.acme"])
    bad_model("unknown-domain", ["Zap", "/body/odd"], zap, 2)
    bad_model("future-opset", [("opset", "999")], model(opset=999), (1, 2))
    bad_model("opset-of-zero", [("opset", "version")], model(opset=0), (1, 2))
    proto = model()
    del proto.opset_import[:]
    bad_model("no-opset", ["opset"], proto)
    proto = model()
    proto.ir_version = 0
    bad_model("no-ir-version", ["ir_version"], proto)
    itself = helper.make_function("local", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], "/again", domain="local")],
                                  [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    call = [helper.make_node("F", ["x"], ["y"], "/call", domain="local")]
    bad_model("function-calls-itself", ["F"], model(call, [], functions=[itself], domains=["local"]))
    bad_model("few-operands", ["MatMul", ("/n", "input")], one("MatMul", ["x"]))
    bad_model("missing-attribute", [("to", "Cast")], one("Cast", ["x"]))
    bad_model("attribute-of-wrong-type", [("axis", "/n")], one("Softmax", ["x"], axis="last"))
    bad_model("unknown-attribute", ["colour"], one("Relu", ["x"], colour=3))


def damaged_shapes():
    w = tensor("w", np.ones((5, 3), np.float32))
    node = [("/n",)]
    bad_model("inner-dims", node, one("MatMul", ["x", "w"], [w]))
    bad_model("no-broadcast", node, one("Add", ["x", "w"], [w], x=(2, 4)))
    bad_model("gemm-of-rank-3", node, one("Gemm", ["x", "w"], [w], x=("batch", 2, 5)))
    bad_model("reshape-count", node, one("Reshape", ["x", "s"], [tensor("s", np.array([7, 3]))], x=(2, 4)))
    bad_model("two-unknown-dims", node, one("Reshape", ["x", "s"], [tensor("s", np.array([-1, -1]))]))
    bad_model("transpose-perm", node, one("Transpose", ["x"], perm=[0, 0]))
    bad_model("transpose-rank", node, one("Transpose", ["x"], perm=[0, 2, 1]))
    bad_model("axis-range", node, one("Softmax", ["x"], axis=7))
    bad_model("concat-dims", node, one("Concat", ["x", "w"], [w], axis=1, x=(2, 4)))
    bad_model("mixed-types", node, one("Add", ["x", "i"], [tensor("i", np.ones(4, np.int64))]))
    bad_model("float-for-bool", node, one("Not", ["x"]))
    bad_model("gather-constant-out-of-range", node, one("Gather", ["w", "i"], [w, tensor("i", np.array([9]))]))
    kernel = tensor("k", np.ones((8, 5, 3, 3), np.float32))
    bad_model("conv-channels", node, one("Conv", ["x", "k"], [kernel], x=("batch", 4, 8, 8)))
    bad_model("conv-group", node, one("Conv", ["x", "k"], [kernel], x=("batch", 15, 8, 8), group=3))
    bad_model("conv-stride-zero", node, one("Conv", ["x", "k"], [kernel], x=("batch", 5, 8, 8), strides=[0, 1]))
    bad_model("squeeze-of-four", node, one("Squeeze", ["x", "a"], [tensor("a", np.array([1]))]))


def external(location, offset=None, length=None):
    proto = model()
    weight = proto.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            entry = weight.external_data.add()
            entry.key, entry.value = key, str(value)
    return proto


def external_data():
    (BAD / "onnx").mkdir(parents=True, exist_ok=True)
    (BAD / "onnx/weights.bin").write_bytes(bytes(48))
    (BAD / "outside.bin").write_bytes(bytes(48))
    folder = [("fc.weight", "outside.bin"), ]
    bad_model("external-above", folder, external("../outside.bin", 0, 48))
    bad_model("external-roundabout", folder, external("sub/../../outside.bin", 0, 48))
    bad_model("external-absolute", [("fc.weight", "/etc/hostname")], external("/etc/hostname"))
    bad_model("external-symlink", [("link", "fc.weight")], external("linked.bin", 0, 48),
              links={"linked.bin": "../outside.bin"})
    bad_model("external-link-folder", [("link", "fc.weight")], external("folder/outside.bin", 0, 48),
              links={"folder": ".."})
    bad_model("external-hard-link", [("link", "fc.weight")], external("hard.bin", 0, 48),
              hard_links={"hard.bin": "weights.bin"})
    bad_model("external-missing", [("fc.weight", "gone.bin")], external("gone.bin", 0, 48))
    bad_model("external-past-end", ["fc.weight"], external("weights.bin", 16, 48))
    bad_model("external-offset-huge", ["fc.weight"], external("weights.bin", (1 << 63) - 8, 48))
    bad_model("external-offset-negative", ["fc.weight"], external("weights.bin", -48, 48))
    bad_model("external-offset-word", ["fc.weight"], external("weights.bin", "twelve", 48))
    bad_model("external-length", ["fc.weight"], external("weights.bin", 0, 40))
    bad_model("external-folder", ["fc.weight"], external(".", 0, 48))
    bad_model("external-no-location", ["fc.weight"], external(None, 0, 48))


# --- adapters --------------------------------------------------------------------------------------------------------

CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["layers.0", "gate"], "bias": "none",
          "fan_in_fan_out": False, "use_rslora": False, "use_dora": False, "rank_pattern": {}, "alpha_pattern": {},
          "modules_to_save": None}
ROOT = "base_model.model."
TYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "int8": "I8", "bool": "BOOL"}


def lora(path, rows, columns, rank=4, seed=0):
    random = np.random.default_rng(seed)
    return {f"{ROOT}{path}.lora_A.weight": random.standard_normal((rank, columns)).astype(np.float32),
            f"{ROOT}{path}.lora_B.weight": random.standard_normal((rows, rank)).astype(np.float32)}


def good_tensors():
    return {**lora("layers.0", 33, 20), **lora("gate", 48, 48)}


def safetensors(tensors, change=lambda header: None):
    header, data = {}, b""
    for name, array in tensors.items():
        bytes_ = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": TYPES[str(array.dtype)], "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def bad_adapter(name, words, tensors=None, config=None, exit_code=1, model="models/mlp.legacy.onnx", flags=(), **changes):
    """An adapter's folder. `tensors` or `config` may be bytes; False leaves the file out."""
    folder = BAD / "adapters" / name
    folder.mkdir(parents=True)
    settings = dict(CONFIG, **changes) if config is None else config
    if settings is not False:
        text = settings if isinstance(settings, bytes) else json.dumps(settings, indent=1).encode()
        (folder / "adapter_config.json").write_bytes(text)
    content = good_tensors() if tensors is None else tensors
    if content is not False:
        (folder / "adapter_model.safetensors").write_bytes(
            content if isinstance(content, bytes) else safetensors(content))
    case("adapter-" + name, [name, *words], exit_code, model, [f"a=bad/adapters/{name}"], flags)


def with_tensor(key, array):
    return {**good_tensors(), ROOT + key: array}


def damaged_safetensors():
    file = "adapter_model.safetensors"
    good = safetensors(good_tensors())
    a = ROOT + "layers.0.lora_A.weight"
    b = ROOT + "layers.0.lora_B.weight"
    bad_adapter("file-empty", [file], b"")
    bad_adapter("file-of-seven-bytes", [file], good[:7])
    bad_adapter("file-header-cut", [file], good[:100])
    bad_adapter("file-data-cut", [file], good[:-64])
    bad_adapter("file-header-too-long", [file], struct.pack("<Q", len(good)) + good[8:])
    bad_adapter("file-header-huge", [file], struct.pack("<Q", (1 << 64) - 4) + good[8:])
    bad_adapter("file-header-no-json", [file], struct.pack("<Q", 12) + b"{\"a\": [1, 2," + bytes(16))
    bad_adapter("file-header-a-list", [file], struct.pack("<Q", 2) + b"[]")
    bad_adapter("file-trailing-bytes", [file], good + bytes(16))
    bad_adapter("file-nothing", [("tensor", file)], {})

    def changed(name, key, **fields):
        bad_adapter("file-" + name, [("layers.0", file)],
                    safetensors(good_tensors(), lambda header: header[key].update(fields)))

    changed("offset-past-end", a, data_offsets=[10 ** 9, 10 ** 9 + 320])
    changed("offset-negative", a, data_offsets=[-320, 0])
    changed("offset-backwards", a, data_offsets=[320, 0])
    changed("offset-not-a-number", a, data_offsets=["0", "320"])
    changed("offset-fraction", a, data_offsets=[0.5, 320.5])
    changed("offset-alone", a, data_offsets=[0])
    changed("overlap", b, data_offsets=[0, 528])
    changed("size", a, shape=[4, 21])
    changed("size-of-type", a, dtype="F16")
    changed("shape-negative", a, shape=[-4, -20])
    changed("shape-overflow", a, shape=[1 << 62, 1 << 62])
    changed("shape-a-word", a, shape="4x20")
    changed("type-unknown", a, dtype="F7")
    changed("type-a-number", a, dtype=32)


def damaged_adapters():
    cut = lambda key: {k: v for k, v in good_tensors().items() if k != ROOT + key}
    zero = np.zeros
    bad_adapter("rank-differs", ["layers.0", "rank"], {**lora("layers.0", 33, 20), ROOT + "layers.0.lora_B.weight": zero((33, 5), np.float32)})
    bad_adapter("rank-not-the-config's", ["layers.0", ("rank", "r")], r=8)
    bad_adapter("rank-not-the-pattern's", ["layers.0", ("rank", "r")], rank_pattern={"layers.0": 3})
    bad_adapter("rows", ["layers.0"], {**good_tensors(), **lora("layers.0", 34, 20)})
    bad_adapter("columns", ["layers.0"], {**good_tensors(), **lora("layers.0", 33, 21)})
    bad_adapter("vector", ["layers.0"], with_tensor("layers.0.lora_A.weight", zero(80, np.float32)))
    bad_adapter("integers", ["layers.0"], with_tensor("layers.0.lora_A.weight", zero((4, 20), np.int64)))
    bad_adapter("booleans", ["layers.0"], with_tensor("layers.0.lora_A.weight", zero((4, 20), np.bool_)))
    for name, value in (("nan", np.nan), ("infinity", np.inf)):
        tensors = good_tensors()
        tensors[ROOT + "layers.0.lora_B.weight"][7, 2] = value
        bad_adapter(name, ["layers.0.lora_B"], tensors)
    bad_adapter("no-b", ["gate"], cut("gate.lora_B.weight"))
    bad_adapter("no-a", ["gate"], cut("gate.lora_A.weight"))
    bad_adapter("unknown-tensor", ["lora_C"], with_tensor("gate.lora_C.weight", zero((4, 4), np.float32)))
    bad_adapter("unknown-site", ["gates"], {**good_tensors(), **lora("gates", 48, 48)})
    llama = {k: v for i in (0, 1) for k, v in lora(f"model.layers.{i}.self_attn.q_proj", 32, 32).items()}
    bad_adapter("other-model", ["q_proj"], llama, target_modules=["q_proj"])
    double = {**good_tensors(), **{k[len(ROOT):]: v for k, v in lora("gate", 48, 48, seed=3).items()}}
    bad_adapter("two-for-a-site", ["gate"], double)
    bad_adapter("base-copy-differs", ["base_layer"], with_tensor("gate.base_layer.weight", zero((48, 48), np.float32)))
    bad_adapter("head-columns", ["head"], with_tensor("head.weight", zero((7, 47), np.float32)), modules_to_save=["head"])
    bad_adapter("head-bias-rows", ["head"], {**with_tensor("head.weight", zero((9, 48), np.float32)),
                                            ROOT + "head.bias": zero(7, np.float32)}, modules_to_save=["head"])
    bad_adapter("unsaved-head", ["norm"], with_tensor("norm.weight", np.ones(49, np.float32)), modules_to_save=["norm"])
    magnitude = {f"{ROOT}{p}.lora_magnitude_vector": np.ones(n, np.float32) for p, n in (("layers.0", 33), ("gate", 47))}
    bad_adapter("magnitude-rows", ["gate"], {**good_tensors(), **magnitude}, use_dora=True)
    bad_adapter("magnitude-missing", [("layers.0", "gate")], use_dora=True)
    bad_adapter("middle-changes-shape", ["gate"], {**good_tensors(), ROOT + "gate.weight": zero((40, 48), np.float32),
                                                   ROOT + "gate.bias": zero(40, np.float32)}, modules_to_save=["gate"])
    rnn = {"model": "models/lstm.legacy.onnx"}
    embedding = lambda r, v, d: {ROOT + "embedding.lora_embedding_A": zero((r, v), np.float32),
                                 ROOT + "embedding.lora_embedding_B": zero((d, r), np.float32)}
    bad_adapter("embedding-rows", ["embedding"], embedding(4, 101, 24), target_modules=["embedding"], **rnn)
    bad_adapter("embedding-columns", ["embedding"], embedding(4, 100, 25), target_modules=["embedding"], **rnn)
    tokens = lambda k: {ROOT + "embedding.token_adapter.trainable_tokens_delta": zero((k, 24), np.float32)}
    bad_adapter("token-count", ["embedding"], tokens(3), trainable_token_indices={"embedding": [1, 2]}, **rnn)
    bad_adapter("token-range", ["embedding"], tokens(2), trainable_token_indices={"embedding": [1, 100]}, **rnn)
    bad_adapter("token-negative", ["embedding"], tokens(2), trainable_token_indices={"embedding": [1, -1]}, **rnn)
    bad_adapter("token-twice", ["embedding"], tokens(2), trainable_token_indices={"embedding": [1, 1]}, **rnn)


def damaged_configs():
    file = "adapter_config.json"
    bad_adapter("config-none", [file], config=False)
    bad_adapter("config-empty", [file], config=b"")
    bad_adapter("config-no-json", [file], config=b"{\"peft_type\": \"LORA\", \"r\": 4,")
    bad_adapter("config-a-list", [file], config=b"[]")
    bad_adapter("config-no-type", ["peft_type"], config={k: v for k, v in CONFIG.items() if k != "peft_type"})
    bad_adapter("config-unknown-type", ["FROBNICATE"], exit_code=(1, 2), peft_type="FROBNICATE")
    bad_adapter("config-type-not-yet", ["IA3"], exit_code=2, peft_type="IA3")
    bad_adapter("config-type-a-number", ["peft_type"], peft_type=7)
    bad_adapter("config-adapterhub", [file, "AdapterHub"], exit_code=2, config={"config": {"architecture": "lora"}, "version": "adapters.1.3.0"})
    bad_adapter("config-rank-zero", ["r"], r=0)
    bad_adapter("config-rank-negative", ["r"], r=-4)
    bad_adapter("config-rank-a-word", ["r"], r="four")
    bad_adapter("config-alpha-nan", ["lora_alpha"], lora_alpha=float("nan"))
    bad_adapter("config-alpha-infinite", ["lora_alpha"], lora_alpha=float("inf"))
    bad_adapter("config-alpha-a-word", ["lora_alpha"], lora_alpha="eight")
    bad_adapter("config-alpha-pattern", ["alpha_pattern"], alpha_pattern={"gate": "x"})
    bad_adapter("config-pattern-regex", [("rank_pattern", "alpha_pattern", "(((")], alpha_pattern={"(((": 3})
    bad_adapter("config-flag-a-word", ["use_dora"], use_dora="perhaps")
    # what changes the meaning of the tensors, and must not be passed over
    for key, value in (("init_lora_weights", "pissa"), ("init_lora_weights", "olora"), ("target_parameters", ["gate.weight"]),
                       ("kasa_config", {"beta": 1e-4}), ("layer_replication", [[0, 1]])):
        name = value if isinstance(value, str) else key.replace("_", "-")
        bad_adapter("config-" + name, [key], exit_code=2, **{key: value})
    bad_adapter("weights-none", ["adapter_model.safetensors"], False)
    case("adapter-no-folder", ["nowhere"], adapters=["a=bad/adapters/nowhere"])
    case("adapter-a-file", ["outside.bin"], adapters=["a=bad/outside.bin"])


# --- wrong uses of good files ----------------------------------------------------------------------------------------

def wrong_uses():
    mlp = "adapters/mlp/"
    case("use-name-base", ["base"], adapters=[f"base={mlp}all"])
    case("use-name-twice", ["a"], adapters=[f"a={mlp}all", f"a={mlp}small"])
    case("use-no-name", [("--adapter", "NAME")], adapters=[f"{mlp}all"])
    case("use-unknown-adapter-in-task", ["zebra"], adapters=[f"a={mlp}all"], flags=["--task", "t=a+zebra"])
    case("use-task-twice", ["t"], adapters=[f"a={mlp}all"], flags=["--task", "t=a", "--task", "t="])
    case("use-two-heads", ["classifier"], model="models/bert-cls.legacy.onnx",
         adapters=["a=adapters/bert-cls/topic", "b=adapters/bert-cls/same-labels"], flags=["--task", "t=a+b"])
    case("use-dora-twice", [("gate", "layers.2")], adapters=[f"a={mlp}dora", f"b={mlp}dora"], flags=["--task", "t=a+b"])
    case("use-head-without-one", ["classifier"], model="models/bert.legacy.onnx",
         adapters=["a=adapters/bert-cls/topic"])
    for exporter in ("legacy", "dynamo"):  # a normalisation was folded into the weights that the adapter would add to
        case(f"use-folded-norm-{exporter}", ["stem"], model=f"models/convnet.{exporter}.onnx",
             adapters=["a=adapters/convnet/stem"])
    case("use-other-model", ["encoder"], model="models/gpt2-lm.legacy.onnx", adapters=["a=adapters/bert-cls/lora"])
    case("use-tolerance", [("tolerance", "fold")], adapters=[f"a={mlp}all"],
         flags=["--fold", "always", "--fold-tolerance", "1e-12"])
    case("use-budget", [("budget", "bytes")], adapters=[f"a={mlp}all"], flags=["--memory-budget", "1K"])
    case("use-fold-word", ["fold"], flags=["--fold", "sometimes"])
    case("use-tolerance-word", ["fold-tolerance"], flags=["--fold-tolerance", "small"])
    case("use-unknown-flag", ["--frobnicate"], flags=["--frobnicate"])
    case("use-unknown-level", ["emit"], flags=["--emit", "ptx9"])
    case("use-map-regex", ["map"], adapters=[f"a={mlp}all"], flags=["--map", "((=x"])
    case("use-sass", ["sass", "ptxas"], 2, flags=["--target", "cuda", "--emit", "sass", "--gpu-tools", "nowhere"])
    case("use-gpu-arch", ["gpu-arch"], flags=["--target", "cuda", "--gpu-arch", "sm_75"])
    case("use-spec", ["nothing.yaml"], flags=["--spec", "nothing.yaml"])
    case("use-report", ["report"], 2, flags=["--report", "report.html"])
    case("use-unknown-cpu", ["z80"], flags=["--cpu", "z80"])
    case("use-amx", ["amx"], 2, flags=["--cpu", "amx"])
    case("use-precision", ["bf16"], 2, flags=["--precision", "bf16"])
    case("use-plugin", ["router.so"], flags=["--load-plugin", "router.so"])


def wrong_runs():
    """Each compiles `model` and runs it on `feed`: NAME -> a file of bad/inputs, or `NAME.SET` of the model's inputs."""
    folder = BAD / "inputs"
    folder.mkdir(parents=True)
    ids = np.arange(10, 24).reshape(2, 7)
    arrays = {
        "doubles": ids.astype(np.float64), "short-ids": ids.astype(np.int32), "rank-3": ids[:, :, None], "rank-1": ids[0],
        "ids": ids, "mask": np.ones((2, 7), np.int64), "mask-of-3": np.ones((3, 7), np.int64),
        "mask-of-9": np.ones((2, 9), np.int64), "out-of-range": ids + 90, "negative": ids - 1000,
        "long-ids": np.full((1, 60), 9), "long-mask": np.ones((1, 60), np.int64), "fortran": np.asfortranarray(ids),
        "channels": np.zeros((1, 4, 24, 24), np.float32), "size": np.zeros((1, 3, 25, 24), np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / (name + ".npy"), array)
    whole = (folder / "ids.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[:-8])
    (folder / "header-cut.npy").write_bytes(whole[:40])
    (folder / "no-npy.npy").write_bytes(b"hello, world")
    (folder / "objects.npy").write_bytes(whole.replace(b"'<i8'", b"'|O' "))
    (folder / "shape-lies.npy").write_bytes(whole.replace(b"(2, 7)", b"(9, 7)"))
    (folder / "big-endian.npy").write_bytes(whole.replace(b"'<i8'", b"'>i8'"))
    distilbert = "models/distilbert.legacy.onnx"

    def run(name, words, feed, model=distilbert, flags=(), exit_code=1):
        CASES.append({"name": "run-" + name, "command": "run", "model": model, "adapters": [], "flags": list(flags),
                      "feed": {key: f"bad/inputs/{value}.npy" for key, value in feed.items()},
                      "exit": [exit_code] if isinstance(exit_code, int) else list(exit_code),
                      "stderr": [list(w) if isinstance(w, tuple) else [w] for w in words]})

    both = {"input_ids": "ids", "attention_mask": "mask"}
    for bad in ("doubles", "short-ids", "rank-3", "rank-1"):
        run(bad, ["input_ids"], dict(both, input_ids=bad))
    for bad in ("cut", "header-cut", "no-npy", "objects", "shape-lies", "big-endian"):
        run(bad, [bad + ".npy"], dict(both, input_ids=bad))
    run("no-such-file", ["nothing.npy"], dict(both, input_ids="nothing"))
    run("missing-input", ["attention_mask"], {"input_ids": "ids"})
    run("unknown-input", ["token_type_ids"], dict(both, token_type_ids="ids"))
    run("batches-differ", [("attention_mask", "batch")], dict(both, attention_mask="mask-of-3"))
    run("lengths-differ", [("attention_mask", "seq")], dict(both, attention_mask="mask-of-9"))
    run("index-out-of-range", [("index", "indices", "range", "Gather")], dict(both, input_ids="out-of-range"))
    run("index-negative", [("index", "indices", "range", "Gather")], dict(both, input_ids="negative"))
    run("sequence-too-long", [("index", "indices", "range", "expected", "Gather", "dimensions")],
        {"input_ids": "long-ids", "attention_mask": "long-mask"})
    run("unknown-task", ["zebra"], both, flags=["--task", "zebra"])
    run("unknown-output", ["zebra"], both, flags=["--output", "zebra=@/dev/null"])
    run("channels", ["pixel_values"], {"pixel_values": "channels"}, "models/vit-cls.legacy.onnx")
    run("image-size", ["pixel_values"], {"pixel_values": "size"}, "models/vit-cls.legacy.onnx")
    run("fortran-order", [], dict(both, input_ids="fortran"), exit_code=(0, 1))


def main():
    shutil.rmtree(BAD, ignore_errors=True)
    BAD.mkdir()
    for part in (damaged_files, damaged_graphs, damaged_shapes, external_data, damaged_safetensors, damaged_adapters,
                 damaged_configs, wrong_uses, wrong_runs):
        part()
    names = [entry["name"] for entry in CASES]
    assert len(names) == len(set(names))
    (BAD / "manifest.json").write_text(json.dumps({"cases": CASES}, indent=1) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
