"""products.onnx and products.toml, as the Rust side reads them (src/vision)."""

import hashlib
import shutil
from pathlib import Path

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
"""


def write_sidecar(model: Path, out: Path, side: int, facts: dict[str, float], version: str = "products-2") -> None:
    """Copies the network to `out` and writes its sidecar beside it."""
    target = out / "products.onnx"
    shutil.copyfile(model, target)
    sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    (out / "products.toml").write_text(SIDECAR.format(sha256=sha256, version=version, side=side, **facts))
