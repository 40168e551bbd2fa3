"""Writes a model that takes the mean over its rows: rows_meet.py FILE."""
import sys

from onnx import TensorProto, helper, save

mean = helper.make_node("ReduceMean", ["x"], ["m"], "/over/rows", axes=[0], keepdims=1)
less = helper.make_node("Sub", ["x", "m"], ["y"], "/less")
save(helper.make_model(helper.make_graph(
    [mean, less], "main", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 20])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 20])]),
    opset_imports=[helper.make_opsetid("", 13)], ir_version=8), sys.argv[1])
