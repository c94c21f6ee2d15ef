"""products.onnx, its prototypes and products.toml, as the Rust side reads them (src/vision)."""

import hashlib
import shutil
from pathlib import Path

import numpy as np

SIDECAR = """\
kind = "products"
file = "products.onnx"
sha256 = "{sha256}"
version = "{version}"

[input]
width = {side}
height = {side}
layout = "nchw"
colour = "rgb"
scale = 0.00784313725490196
mean = [1.0, 1.0, 1.0]
std = [1.0, 1.0, 1.0]
fit = "crop"
short_side = {side}
filter = "bilinear"

[products]
embedding = "embedding"
logits = "logits"
temperature = {temperature:.4f}
prototype_scale = {prototype_scale:.2f}
unknown_below = {unknown_below:.4f}
prototypes = "products.prototypes.f32"
prototypes_sha256 = "{prototypes_sha256}"
prototype_classes = {prototype_classes}
"""


def write_sidecar(
    model: Path, out: Path, side: int, facts: dict[str, float], prototypes: tuple[np.ndarray, np.ndarray], version: str
) -> None:
    """Copies the network to `out` and writes its prototypes (rows of length 1, class of each) and its sidecar beside it."""
    target, rows = out / "products.onnx", out / "products.prototypes.f32"
    shutil.copyfile(model, target)
    rows.write_bytes(prototypes[0].astype("<f4").tobytes())
    text = SIDECAR.format(
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        prototypes_sha256=hashlib.sha256(rows.read_bytes()).hexdigest(),
        prototype_classes=[int(c) for c in prototypes[1]],
        version=version,
        side=side,
        **facts,
    )
    (out / "products.toml").write_text(text)
