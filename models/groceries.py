"""GroceryStoreDataset (Klasson et al., 2019) as tensors, and the random views of it that training looks at."""

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

SIDE = 224


@dataclass
class Split:
    """Pictures with short side 224, RGB, 8 bits, and their fine and coarse classes."""

    pictures: list[np.ndarray]
    fine: np.ndarray
    coarse: np.ndarray

    def of(self, classes: set[int]) -> "Split":
        """Only the pictures of these fine classes."""
        keep = [i for i, c in enumerate(self.fine) if c in classes]
        return Split([self.pictures[i] for i in keep], self.fine[keep], self.coarse[keep])

    def every(self, step: int) -> "Split":
        """One picture in `step`."""
        return Split(self.pictures[::step], self.fine[::step], self.coarse[::step])

    def __add__(self, other: "Split") -> "Split":
        pictures = self.pictures + other.pictures
        return Split(pictures, np.append(self.fine, other.fine), np.append(self.coarse, other.coarse))


def read_split(root: Path, name: str) -> Split:
    """Lines of `<name>.txt`: path, fine class, coarse class. Raises OSError for a picture that is not there."""
    pictures, fine, coarse = [], [], []
    for line in (root / f"{name}.txt").read_text().splitlines():
        path, fine_class, coarse_class = (field.strip() for field in line.split(","))
        picture = Image.open(root / path).convert("RGB")
        scale = SIDE / min(picture.size)
        size = tuple(round(extent * scale) for extent in picture.size)
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        pictures.append(np.asarray(picture))
        fine.append(int(fine_class))
        coarse.append(int(coarse_class))
    return Split(pictures, np.array(fine), np.array(coarse))


def read_classes(root: Path) -> tuple[list[str], np.ndarray]:
    """Name and coarse class of each fine class, in the order of their ids."""
    with open(root / "classes.csv", newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["Class ID (int)"]))
    return [row["Class Name (str)"] for row in rows], np.array([int(row["Coarse Class ID (int)"]) for row in rows])


def normalised(pictures: np.ndarray) -> np.ndarray:
    """[N, H, W, 3] bytes to [N, 3, H, W] from -1 to 1, as the ImageNet backbone was trained."""
    values = pictures.astype(np.float32) / np.float32(127.5) - 1
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def centre_views(pictures: list[np.ndarray], side: int) -> np.ndarray:
    """What the deployed model sees: short side to `side`, the centre square cut. [N, side, side, 3] bytes."""
    views = []
    for picture in pictures:
        image = Image.fromarray(picture)
        scale = side / min(image.size)
        size = tuple(round(extent * scale) for extent in image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        views.append(np.asarray(image.crop((left, top, left + side, top + side))))
    return np.stack(views)


def random_views(
    pictures: list[np.ndarray], side: int, rng: np.random.Generator, least_area: float, cast: float
) -> np.ndarray:
    """One random view of each picture, [N, 3, side, side] from -1 to 1: a turned, stretched, mirrored part of it (at
    least `least_area` of the centre square) in another light (each colour up to `cast` stronger or weaker), now and then
    with a patch missing."""
    views = np.stack([_random_part(picture, side, rng, least_area) for picture in pictures])
    values = _other_light(torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255, rng, cast)
    for view in values:
        if rng.random() < 0.25:
            height, width = rng.integers(side // 6, side // 2, 2)
            top, left = rng.integers(0, side - height), rng.integers(0, side - width)
            view[:, top : top + height, left : left + width] = torch.from_numpy(rng.random((3, 1, 1), np.float32))
    return (values * 2 - 1).contiguous().numpy()


def mix(views: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Each view with another one: a rectangle of it pasted in (CutMix, Yun et al., 2019) or, one time in three, both laid
    over each other (mixup, Zhang et al., 2018). Also whose the other one is, and the share that stays a view's own."""
    other = rng.permutation(len(views))
    if rng.random() < 1 / 3:
        share = np.float32(rng.beta(0.4, 0.4))
        return share * views + (1 - share) * views[other], other, float(share)
    side = views.shape[-1]
    height = width = int(side * np.sqrt(1 - rng.beta(1, 1)))
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    mixed = views.copy()
    mixed[:, :, top : top + height, left : left + width] = views[other, :, top : top + height, left : left + width]
    return mixed, other, 1 - height * width / side**2


def _random_part(picture: np.ndarray, side: int, rng: np.random.Generator, least_area: float) -> np.ndarray:
    height, width = picture.shape[:2]
    area = rng.uniform(least_area, 1) * min(height, width) ** 2
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    part_width, part_height = min(np.sqrt(area * aspect), width), min(np.sqrt(area / aspect), height)
    centre_x = rng.uniform(part_width / 2, width - part_width / 2)
    centre_y = rng.uniform(part_height / 2, height - part_height / 2)
    angle = np.deg2rad(rng.uniform(-20, 20)) if rng.random() < 0.7 else 0.0
    mirror = -1 if rng.random() < 0.5 else 1
    # From a pixel of the view to a pixel of the picture, both counted from the centre.
    scale_x, scale_y = mirror * part_width / side, part_height / side
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos * scale_x, -sin * scale_y], [sin * scale_x, cos * scale_y]])
    half = np.full(2, (side - 1) / 2)
    shift = np.array([centre_x - 0.5, centre_y - 0.5]) - turn @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, np.column_stack([turn, shift]), (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def _other_light(values: Tensor, rng: np.random.Generator, cast: float) -> Tensor:
    """Brightness with a slight colour cast, contrast and saturation, drawn for each picture."""

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, (len(values), channels, 1, 1)).astype(np.float32))

    values = values * (draw(0.7, 1.3) * draw(1 - cast, 1 + cast, 3))
    mean = values.mean((1, 2, 3), keepdim=True)
    values = mean + (values - mean) * draw(0.7, 1.3)
    grey = values.mean(1, keepdim=True)
    values = grey + (values - grey) * draw(0.7, 1.3)
    return values.clamp(0, 1)
