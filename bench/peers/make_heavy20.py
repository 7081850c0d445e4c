"""Makes heavy20.onnx: a network of 20 floats that takes one core some 20 ms a row, in a file of a few kilobytes.

    python3 -m venv .venv && .venv/bin/pip install onnx==1.23.2 && .venv/bin/python make_heavy20.py

ONNX Runtime computes its constant weights once, when it loads it; layers share them, so that servers side by side fit into memory.
"""

import pathlib

import onnx
from onnx import TensorProto, helper

WIDTH = 2048
LAYERS = 24


def weights(name, shape, value):
    filled = helper.make_node("ConstantOfShape", [f"{name}_shape"], [name],
                              value=helper.make_tensor("value", TensorProto.FLOAT, [1], [value]))
    return filled, helper.make_tensor(f"{name}_shape", TensorProto.INT64, [len(shape)], shape)


nodes, shapes = zip(weights("first", [20, WIDTH], 0.05), weights("next", [WIDTH, WIDTH], 1.5 / WIDTH),
                    weights("last", [WIDTH, 1], 1 / WIDTH))
nodes = [*nodes, helper.make_node("MatMul", ["x", "first"], ["h0"])]
for layer in range(LAYERS):
    nodes += [helper.make_node("MatMul", [f"h{layer}", "next"], [f"m{layer}"]),
              helper.make_node("Tanh", [f"m{layer}"], [f"h{layer + 1}"])]
nodes += [helper.make_node("MatMul", [f"h{LAYERS}", "last"], ["score"]), helper.make_node("Neg", ["score"], ["other"]),
          helper.make_node("Concat", ["score", "other"], ["both"], axis=1),
          helper.make_node("Softmax", ["both"], ["scores"], axis=1)]
graph = helper.make_graph(nodes, "heavy20", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 20])],
                          [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])], list(shapes))
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, pathlib.Path(__file__).parent / "heavy20.onnx")
