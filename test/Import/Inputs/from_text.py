"""Writes a model from ONNX's own text form: from_text.py IN.txt OUT.onnx [FLAG...].

scope:NODE=a,a.b     the module paths that torch's newer exporter writes beside a node
external:NAME=FILE  an initializer's bytes in a file beside the model; FILE@OFFSET+LENGTH says where
cut:NAME=BYTES      an initializer's raw bytes cut to so many
"""
import os
import sys

import onnx
import onnx.parser

source, target, *flags = sys.argv[1:]
with open(source) as file:
    model = onnx.parser.parse_model(file.read())
nodes = {node.name: node for graph in [model.graph, *model.functions] for node in graph.node}
weights = {tensor.name: tensor for tensor in model.graph.initializer}
for tensor in weights.values():  # as exporters write them
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name))
for flag in flags:
    kind, _, rest = flag.partition(":")
    name, _, value = rest.partition("=")
    if kind == "scope":
        entry = nodes[name].metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.name_scopes", repr(["", *value.split(","), name])
    elif kind == "cut":
        weights[name].raw_data = weights[name].raw_data[:int(value)]
    elif kind == "external":
        location, _, where = value.partition("@")
        data, offset = weights[name].raw_data, 0
        if where:
            offset, _, length = where.partition("+")
        else:
            with open(os.path.join(os.path.dirname(target), location), "wb") as file:
                file.write(data)
        weights[name].ClearField("raw_data")
        weights[name].data_location = onnx.TensorProto.EXTERNAL
        for key, text in (("location", location), ("offset", offset), ("length", length if where else len(data))):
            entry = weights[name].external_data.add()
            entry.key, entry.value = key, str(text)
    else:
        sys.exit(f"unknown flag: {flag}")
onnx.save(model, target)
