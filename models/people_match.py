"""Labels, and boxes against boxes: overlap, suppression as the Rust side does it, recall and precision."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IOU_MATCH = 0.4


def read_labels(path: Path) -> dict[str, dict[int, list[tuple[str, list[float]]]]]:
    """Video to frame to (kind, box) rows; a frame with nobody has an empty list."""
    found: dict[str, dict[int, list]] = {}
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            rows = found.setdefault(row["video"], {}).setdefault(int(row["frame"]), [])
            if row["kind"] != "nobody":
                rows.append((row["kind"], [float(row[k]) for k in ("x0", "y0", "x1", "y1")]))
    return found


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shared areas of every box of `a` [n, 4] with every box of `b` [m, 4]."""
    size = np.minimum(a[:, None, 2:4], b[None, :, 2:4]) - np.maximum(a[:, None, :2], b[None, :, :2])
    return np.clip(size, 0, None).prod(2)


def areas(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(1)


def ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shared = overlaps(a, b)
    return shared / np.maximum(areas(a)[:, None] + areas(b)[None] - shared, 1e-6)


def suppressed(rows: np.ndarray, score_min: float, nms_iou: float, inside_max: float) -> np.ndarray:
    """Rows x0, y0, x1, y1, score: the better of two that overlap stays, and none that lies inside a better one."""
    rows = rows[rows[:, 4] >= score_min]
    kept: list[np.ndarray] = []
    for row in rows[np.argsort(-rows[:, 4], kind="stable")]:
        if kept:
            better, one = np.array(kept), row[None]
            if ious(better, one).max() > nms_iou:
                continue
            if overlaps(better, one).max() / max(areas(one)[0], 1e-6) > inside_max:
                continue
        kept.append(row)
    return np.array(kept, np.float32).reshape(-1, 5)


@dataclass
class Tally:
    """Counts over frames; a detection of somebody who is not demanded counts neither for nor against."""

    hits: int = 0
    missed: int = 0
    false: int = 0

    def add(self, found: np.ndarray, demanded: np.ndarray, tolerated: np.ndarray, iou_match: float = IOU_MATCH) -> None:
        """`found` [n, 5] (best first) against `demanded` [m, 4]; what matches only `tolerated` boxes is left out."""
        free = list(range(len(demanded)))
        found = found[np.argsort(-found[:, 4], kind="stable")]
        for row in found:
            overlap = ious(row[None], demanded[free])[0] if free else np.zeros(0)
            if len(overlap) and overlap.max() >= iou_match:
                free.pop(int(overlap.argmax()))
                self.hits += 1
            elif not excused(row, tolerated):
                self.false += 1
        self.missed += len(free)

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.hits / max(self.hits + self.false, 1)

    def __str__(self) -> str:
        return f"recall {self.recall:.3f}  precision {self.precision:.3f}  ({self.hits} found, {self.missed} missed, {self.false} false)"


def excused(row: np.ndarray, tolerated: np.ndarray) -> bool:
    """Whether a detection lies mostly in a doubtful box, or is one."""
    if not len(tolerated):
        return False
    inside = overlaps(row[None], tolerated)[0] / max(areas(row[None])[0], 1e-6)
    return bool(inside.max() > 0.5 or ious(row[None], tolerated)[0].max() > 0.3)
