"""Writes a trained network as ONNX by hand: a chain of convolutions needs no tracing exporter.

Normalisation is folded in and TensorFlow's one-sided padding becomes an attribute of the convolution, so that an engine
sees nothing but Conv, Clip, Add and a small head.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from mobilenet import FEATURES, Backbone, Block, Layer, folded

OPSET = 13
IR_VERSION = 7


class Graph:
    """Nodes and weights in the order of computing. Each method returns the name of its output."""

    def __init__(self):
        self.nodes, self.weights = [], []
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))

    def constant(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes) -> str:
        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def layer(self, x: str, layer: Layer) -> str:
        weight, bias = folded(layer)
        name = f"layer{len(self.nodes)}"
        inputs = [x, self.constant(f"{name}.weight", weight.numpy()), self.constant(f"{name}.bias", bias.numpy())]
        conv = layer.conv
        x = self.node("Conv", inputs, kernel_shape=conv.kernel_size, strides=conv.stride, pads=layer.pads, group=conv.groups)
        return self.node("Clip", [x, "zero", "six"]) if layer.active else x

    def block(self, x: str, block: Block) -> str:
        y = x
        for layer in block.layers:
            y = self.layer(y, layer)
        return self.node("Add", [x, y]) if block.residual else y

    def features(self, x: str, backbone: Backbone, blocks: int | None = None) -> str:
        """The whole backbone to pooled features; with `blocks`, only the stem and so many blocks."""
        x = self.layer(x, backbone.stem)
        for block in backbone.blocks[:blocks]:
            x = self.block(x, block)
        if blocks is not None:
            return x
        x = self.node("GlobalAveragePool", [self.layer(x, backbone.top)])
        return self.node("Flatten", [x])

    def model(self, shape: list, outputs: dict[str, list]) -> onnx.ModelProto:
        """`shape` of the input, called `picture`, and of the outputs by name."""
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, to) for name, to in outputs.items()]
        picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "stroll", [picture], values, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="stroll")
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model


def beginning(backbone: Backbone, blocks: int) -> onnx.ModelProto:
    """Stem and the first blocks, for any batch and size."""
    graph = Graph()
    output = graph.features("picture", backbone, blocks)
    return graph.model(["n", 3, "h", "w"], {output: ["n", "c", "y", "x"]})


def pooled(backbone: Backbone) -> onnx.ModelProto:
    """One picture [1, 3, 224, 224] to its features [1, 1280]."""
    graph = Graph()
    output = graph.features("picture", backbone)
    return graph.model([1, 3, 224, 224], {output: [1, FEATURES]})


def recogniser(backbone: Backbone, project: Tensor, shift: Tensor, classes: Tensor, side: int) -> onnx.ModelProto:
    """One picture [1, 3, side, side] to `embedding` [1, D] of length 1 and `logits` [1, C].

    `project` [D, 1280] and `shift` [D] make the embedding, `classes` [C, D] the logits.
    """
    graph = Graph()
    features = graph.features("picture", backbone)
    head = [graph.constant("project", project.numpy()), graph.constant("shift", shift.numpy())]
    raw = graph.node("Gemm", [features, *head], transB=1)
    length = graph.node("ReduceL2", [raw], axes=[1], keepdims=1)
    embedding = graph.node("Div", [raw, length], "embedding")
    graph.node("MatMul", [embedding, graph.constant("classes", classes.t().numpy())], "logits")
    return graph.model([1, 3, side, side], {"embedding": [1, len(project)], "logits": [1, len(classes)]})
