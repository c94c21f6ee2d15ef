"""MobileNet v2 (Sandler et al., 2018) as TensorFlow trained it on ImageNet, read out of its 8-bit TFLite file.

The file holds convolutions into which batch normalisation was folded, so `Backbone` starts with convolution and bias
alone. `restore_batch_norm` puts normalisation back without changing what the network computes: fine-tuning is far
steadier with it. `folded` takes it out again for the export.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tflite
import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 1280

# (expansion, channels, repeats, stride of the first) of each stage: table 2 of the paper.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


class Layer(nn.Module):
    """Convolution, batch normalisation if there is any, and ReLU6 if `active`.

    Padding is TensorFlow's "SAME": with stride 2 on an even size the extra row and column come last.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, active: bool = True):
        super().__init__()
        padding = size // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups)
        self.norm: nn.Module = nn.Identity()
        self.active = active

    @property
    def pads(self) -> list[int]:
        """Rows and columns of zeros: top, left, bottom, right."""
        size, stride = self.conv.kernel_size[0], self.conv.stride[0]
        return [0, 0, 1, 1] if stride == 2 else [size // 2] * 4

    def forward(self, x: Tensor) -> Tensor:
        if self.conv.stride[0] == 2:
            x = functional.pad(x, (0, 1, 0, 1))
        x = self.norm(self.conv(x))
        return functional.relu6(x) if self.active else x


class Block(nn.Module):
    """Inverted residual: widen, depthwise, narrow; the input is added where the shape allows it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int):
        super().__init__()
        wide = inputs * expansion
        widen = [Layer(inputs, wide, 1)] if expansion > 1 else []
        depthwise = Layer(wide, wide, 3, stride, groups=wide)
        self.layers = nn.Sequential(*widen, depthwise, Layer(wide, outputs, 1, active=False))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


class Backbone(nn.Module):
    """Pictures [N, 3, H, W] with values from -1 to 1 to pooled features [N, 1280]."""

    def __init__(self):
        super().__init__()
        self.stem = Layer(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, outputs, repeats, stride in STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, expansion, stride if i == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.top = Layer(inputs, FEATURES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.blocks(self.stem(x))).mean((2, 3))

    def layers(self) -> list[Layer]:
        """Every convolution, from the picture to the features."""
        return [m for m in self.modules() if isinstance(m, Layer)]


@dataclass
class ImageNet:
    """What the TFLite file holds: the backbone, and the classifier over 1001 ImageNet labels (0 is background)."""

    backbone: Backbone
    weight: Tensor
    bias: Tensor


def load_imagenet(path: Path) -> ImageNet:
    """Raises OSError without the file, ValueError where it is not that MobileNet v2."""
    model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    convolutions = {tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D}
    read = []
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind in convolutions:
            _, weight, bias = (_dequantise(model, graph.Tensors(j)) for j in operator.InputsAsNumpy())
            # Output channel first; depthwise weights come as [1, height, width, channel].
            order = (3, 0, 1, 2) if kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D else (0, 3, 1, 2)
            read.append((torch.from_numpy(weight.transpose(order).copy()), torch.from_numpy(bias)))
    backbone = Backbone()
    layers = backbone.layers()
    if len(read) != len(layers) + 1:
        raise ValueError(f"{path}: {len(read)} convolutions, not {len(layers) + 1}: no MobileNet v2")
    for layer, (weight, bias) in zip(layers, read):
        if layer.conv.weight.shape != weight.shape:
            raise ValueError(f"{path}: a convolution is {list(weight.shape)}, not {list(layer.conv.weight.shape)}")
        layer.conv.weight.data.copy_(weight)
        layer.conv.bias.data.copy_(bias)
    weight, bias = read[-1]
    return ImageNet(backbone, weight.flatten(1), bias)


def _dequantise(model: tflite.Model, tensor: tflite.Tensor) -> np.ndarray:
    """Real values of a constant tensor: (stored - zero point) * scale, channel by channel. An activation is empty."""
    kinds = {tflite.TensorType.INT8: np.int8, tflite.TensorType.INT32: np.int32}
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    if isinstance(raw, int):
        return np.empty(0, np.float32)
    stored = raw.view(kinds[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
    quantisation = tensor.Quantization()
    shape = [1] * stored.ndim
    shape[quantisation.QuantizedDimension()] = -1
    scale = quantisation.ScaleAsNumpy().reshape(shape)
    zero = quantisation.ZeroPointAsNumpy().reshape(shape)
    return ((stored - zero) * scale).astype(np.float32)


@torch.no_grad()
def restore_batch_norm(layers: list[Layer], run: Callable[[], object]) -> None:
    """Puts a batch normalisation behind each convolution, set so that its effect on the pictures that `run` shows is nil.

    Mean and deviation of each channel become its statistics, and also its shift and scale. The weights are divided by
    the deviation, so that all channels learn at one pace.
    """
    sums: dict[nn.Module, list] = {}

    def measure(conv: nn.Conv2d, _inputs, output: Tensor) -> None:
        total = sums.setdefault(conv, [0, 0.0, 0.0])
        output = output.double()
        total[0] += output.numel() // output.shape[1]
        total[1] = total[1] + output.sum((0, 2, 3))
        total[2] = total[2] + output.square().sum((0, 2, 3))

    hooks = [layer.conv.register_forward_hook(measure) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()
    for layer in layers:
        conv = layer.conv
        count, total, squares = sums[conv]
        mean = (total / count).float()
        # A channel that hardly varies must not become one that learns wildly.
        deviation = (squares / count - (total / count).square()).clamp_min(1e-4).sqrt().float()
        norm = nn.BatchNorm2d(conv.out_channels, eps=1e-5, momentum=0.05)
        norm.running_mean.copy_((mean - conv.bias) / deviation)
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.copy_(deviation)
        norm.bias.copy_(mean)
        conv.weight.div_(deviation[:, None, None, None])
        conv.bias = None
        layer.norm = norm


def folded(layer: Layer) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution with its normalisation folded in."""
    conv, norm = layer.conv, layer.norm
    if isinstance(norm, nn.Identity):
        return conv.weight.detach(), conv.bias.detach()
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    weight = conv.weight.detach() * scale[:, None, None, None]
    return weight, norm.bias.detach() - norm.running_mean * scale
