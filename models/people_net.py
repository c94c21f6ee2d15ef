"""The person detector's network: FastestDet's trunk with one class and boxes decoded inside the graph.

FastestDet (dog-qiuqiu/FastestDet, BSD-3-Clause) is a ShuffleNet v2 with one output grid of stride 16. Its weights were
trained on COCO, so it has seen far more people than three videos of one shopper can show; we start from them, drop the
eighty classes for one person score, and fine-tune. BatchNorm is already folded into the published convolutions.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

WIDTH, HEIGHT = 320, 192
STRIDE = 16
# FastestDet gives a box as a share of its 352 × 352 input; the same constant keeps its sense of size in our input.
TRAINED_SIDE = 352
PERSON_CLASS = 0


def conv(inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups)


class Unit(nn.Module):
    """One ShuffleNet v2 unit (Ma et al., 2018): half of the channels pass, the other half is convolved."""

    def __init__(self, inp: int, out: int, stride: int):
        super().__init__()
        self.stride = stride
        half = out // 2
        if stride == 2:
            self.passing = nn.Sequential(conv(inp, inp, 3, 2, inp), conv(inp, inp), nn.ReLU())
        convolved = inp if stride == 2 else inp // 2
        self.main = nn.Sequential(
            conv(convolved, half), nn.ReLU(), conv(half, half, 3, stride, half), conv(half, out - convolved), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride == 2:
            return torch.cat((self.passing(x), self.main(x)), 1)
        return torch.cat((x[:, 0::2], self.main(x[:, 1::2])), 1)


def stage(inp: int, out: int, units: int) -> nn.Sequential:
    return nn.Sequential(Unit(inp, out, 2), *(Unit(out, out, 1) for _ in range(units - 1)))


class Branch(nn.Module):
    """A 5 × 5 depthwise convolution and one output map per value."""

    def __init__(self, channels: int, values: int):
        super().__init__()
        self.wide = conv(channels, channels, 5, groups=channels)
        self.values = conv(channels, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values(torch.relu(self.wide(x)))


class PersonNet(nn.Module):
    """Frames [B, 3, HEIGHT, WIDTH] (BGR, 0..1) to score logits [B, 1, h, w] and raw boxes [B, 4, h, w]."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 24, 3, 2)
        self.stage2, self.stage3, self.stage4 = stage(24, 48, 4), stage(48, 96, 8), stage(96, 192, 4)
        self.reduce = conv(336, 96)
        self.context = nn.ModuleList(
            nn.Sequential(*(m for _ in range(n) for m in (conv(96, 96, 5, groups=96), nn.ReLU()))) for n in (1, 2, 3)
        )
        self.merge = conv(288, 96)
        self.neck = conv(96, 96)
        self.object, self.box, self.kind = Branch(96, 1), Branch(96, 4), Branch(96, 1)

    def edges(self, x: torch.Tensor) -> torch.Tensor:
        """The first quarter, at stride 8: edges and textures, the same for every task."""
        return self.stage2(nn.functional.max_pool2d(torch.relu(self.stem(x)), 3, 2, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.edges(x)
        middle = self.stage3(fine)
        coarse = self.stage4(middle)
        fine = nn.functional.avg_pool2d(nn.functional.pad(fine, (1, 1, 1, 1)), 3, 2)
        coarse = nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        x = torch.relu(self.reduce(torch.cat((fine, middle, coarse), 1)))
        x = torch.relu(x + self.merge(torch.cat([c(x) for c in self.context], 1)))
        x = torch.relu(self.neck(x))
        return self.object(x) + self.kind(x), self.box(x)


CELL_Y, CELL_X = torch.meshgrid(torch.arange(HEIGHT // STRIDE).float(), torch.arange(WIDTH // STRIDE).float(), indexing="ij")


def decode(raw: torch.Tensor) -> torch.Tensor:
    """Raw boxes [B, 4, h, w] to x0, y0, x1, y1 in input pixels, FastestDet's way: a centre within one cell, a size by sigmoid."""
    x, y = CELL_X, CELL_Y
    centre_x, centre_y = (torch.tanh(raw[:, 0]) + x) * STRIDE, (torch.tanh(raw[:, 1]) + y) * STRIDE
    half_w, half_h = torch.sigmoid(raw[:, 2]) * (TRAINED_SIDE / 2), torch.sigmoid(raw[:, 3]) * (TRAINED_SIDE / 2)
    return torch.stack((centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h), 1)


class Exported(nn.Module):
    """The network with its decoding: float32 [1, N, 5], rows x0, y0, x1, y1 in input pixels and a score in 0..1."""

    def __init__(self, net: PersonNet):
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score, raw = self.net(x)
        rows = torch.cat((decode(raw), torch.sigmoid(score)), 1)
        return rows.flatten(2).transpose(1, 2)


def convolutions(net: PersonNet) -> list[nn.Conv2d]:
    """Every convolution in the order in which FastestDet's graph holds them."""
    return [m for m in net.modules() if isinstance(m, nn.Conv2d)]


def copy_fastestdet(net: PersonNet, path: Path, published: list[list[np.ndarray]]) -> None:
    """`published`: weight and bias of each convolution. The 80 classes become `person`'s margin over the average class."""
    ours = convolutions(net)
    if len(published) != len(ours):
        raise ValueError(f"{path}: {len(published)} convolutions instead of {len(ours)}")
    weight, bias = published[-1]
    # FastestDet ranks by object^0.6 · class^0.4; the class margin is weighed alike.
    published[-1] = [
        0.4 * (weight[PERSON_CLASS : PERSON_CLASS + 1] - weight.mean(0, keepdims=True)),
        0.4 * (bias[PERSON_CLASS : PERSON_CLASS + 1] - bias.mean(keepdims=True)) - 1.0,
    ]
    with torch.no_grad():
        for module, (weight, bias) in zip(ours, published):
            if module.weight.shape != weight.shape:
                raise ValueError(f"{path}: a convolution {weight.shape} where {tuple(module.weight.shape)} belongs")
            module.weight.copy_(torch.from_numpy(np.array(weight)))
            module.bias.copy_(torch.from_numpy(np.array(bias)))


def start_from(net: PersonNet, path: Path) -> None:
    """Copies the weights of FastestDet.onnx, or of an earlier people.onnx."""
    graph = onnx.load(path).graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    if "net.stem.weight" in tensors:
        net.load_state_dict({name.removeprefix("net."): torch.from_numpy(np.array(t)) for name, t in tensors.items() if name.startswith("net.")})
    else:
        copy_fastestdet(net, path, [[tensors[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"])
    # What FastestDet learned about edges from COCO stays: less to compute, and nothing of the shop's pictures in it.
    for parameter in (*net.stem.parameters(), *net.stage2.parameters()):
        parameter.requires_grad_(False)
