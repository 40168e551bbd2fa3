"""Apply PEFT LoRA adapters to the exported MiniLM, independently of Graft: the reference for its outputs.

`merge` adds scale · B A to the weights, as PEFT's merge_and_unload does; `attach` leaves the weights and adds the
two small MatMuls of each site to the graph. Only what the example's adapters use is supported.
"""

import argparse
import json
import math
import re
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

PREFIX = "base_model.model."


def read_safetensors(path):
    """name -> float32 array; bfloat16 is widened by hand, since numpy has none."""
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:end]).items():
        if name == "__metadata__":
            continue
        begin, stop = entry["data_offsets"]
        raw = data[end + begin:end + stop]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": np.float32, "F16": np.float16}[entry["dtype"]])
        tensors[name] = values.astype(np.float32).reshape(entry["shape"])
    return tensors


class Adapter:
    """A PEFT folder: `pairs` is module -> (A, B, scale); `replaced` is parameter -> array."""

    def __init__(self, folder):
        config = json.loads((Path(folder) / "adapter_config.json").read_text())
        if config["peft_type"] != "LORA" or config.get("use_dora"):
            raise SystemExit(f"error: {folder}: only plain LoRA is supported here")
        tensors = read_safetensors(Path(folder) / "adapter_model.safetensors")
        self.pairs, self.replaced = {}, {}
        for name, tensor in tensors.items():
            module = name.removeprefix(PREFIX)
            if module.endswith(".lora_A.weight"):
                module = module.removesuffix(".lora_A.weight")
                up = tensors[name.replace("lora_A", "lora_B")]
                self.pairs[module] = (tensor, up, self.scale(config, module))
            elif ".lora_B." not in module:
                self.replaced[module] = tensor

    @staticmethod
    def scale(config, module):
        def pick(patterns, default):
            fitting = (value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", module))
            return next(fitting, default)

        rank = pick(config.get("rank_pattern"), config["r"])
        alpha = pick(config.get("alpha_pattern"), config["lora_alpha"])
        return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

    def deltas(self):
        """module -> what is added to its (out, in) weight."""
        return {module: (up @ down) * np.float32(scale) for module, (down, up, scale) in self.pairs.items()}


class Model:
    """The exported model with its initializers and the nodes that use them at hand."""

    def __init__(self, path):
        self.proto = onnx.load(path)
        self.weights = {weight.name: weight for weight in self.proto.graph.initializer}

    def user(self, weight):
        """The node that multiplies by a weight, and whether it takes it as (in, out)."""
        node = next(node for node in self.proto.graph.node if weight in node.input)
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return node, not transposed

    def replace(self, name, array):
        self.weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name))

    def set_heads(self, adapters):
        """Put the adapters' own parameters in the place of the backbone's; the output takes the head's shape."""
        for adapter in adapters:
            for name, array in adapter.replaced.items():
                self.replace(name, array)
                if name == "classifier.bias":
                    logits = next(output for output in self.proto.graph.output if output.name == "logits")
                    logits.type.tensor_type.shape.dim[1].dim_value = array.size

    def merge(self, adapters):
        for adapter in adapters:
            for module, delta in adapter.deltas().items():
                name = f"{module}.weight"
                weight = numpy_helper.to_array(self.weights[name])
                self.replace(name, weight + (delta.T if self.user(name)[1] else delta))
        self.set_heads(adapters)
        return self.proto

    def attach(self, adapters):
        for index, adapter in enumerate(adapters):
            for module, (down, up, scale) in adapter.pairs.items():
                node, _ = self.user(f"{module}.weight")
                names = [f"{module}.lora_A.{index}", f"{module}.lora_B.{index}"]
                for name, array in zip(names, (down.T, (up * np.float32(scale)).T)):
                    self.proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
                whole, plain, low, high = node.output[0], *(f"{node.output[0]}_{part}_{index}"
                                                           for part in ("plain", "low", "high"))
                node.output[0] = plain
                at = list(self.proto.graph.node).index(node) + 1
                new = [helper.make_node("MatMul", [node.input[0], names[0]], [low], name=f"{low}/MatMul"),
                       helper.make_node("MatMul", [low, names[1]], [high], name=f"{high}/MatMul"),
                       helper.make_node("Add", [plain, high], [whole], name=f"{whole}/Add")]
                for offset, node in enumerate(new):
                    self.proto.graph.node.insert(at + offset, node)
        self.set_heads(adapters)
        return self.proto


def merge(model, folders, output):
    """Write `model` with the adapters in `folders` merged into its weights."""
    onnx.save(Model(model).merge([Adapter(folder) for folder in folders]), output)


def attach(model, folders, output):
    """Write `model` with the adapters in `folders` as side branches."""
    onnx.save(Model(model).attach([Adapter(folder) for folder in folders]), output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="the ONNX file that export.py wrote")
    parser.add_argument("adapters", nargs="+", help="PEFT folders")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--attach", action="store_true", help="side branches instead of merged weights")
    arguments = parser.parse_args()
    (attach if arguments.attach else merge)(arguments.model, arguments.adapters, arguments.output)


if __name__ == "__main__":
    main()
