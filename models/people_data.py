"""Frames, labels and augmentation for the person detector.

`people-labels.csv` has hand-drawn boxes: `person`, `glass` (a real person seen through the shop's glass), `unsure` (too
little of somebody to demand or to forbid a box; never scored) and `nobody` (a frame that was looked at and is empty).
Between two labelled frames that both show somebody the box is interpolated, which is good enough to train on.
"""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from people_net import HEIGHT, WIDTH

BORDER_GREY = 114
# Below this share of its area left in view somebody is neither demanded nor forbidden.
VISIBLE_MIN = 0.25


@dataclass
class Labels:
    """Boxes of one frame, float [n, 4] in pixels of the frame."""

    people: np.ndarray
    unsure: np.ndarray


@dataclass
class Cutout:
    """Somebody cut out of a frame: BGR picture, softness 0..1 of the same size, and where it stood."""

    picture: np.ndarray
    alpha: np.ndarray
    x: int
    y: int


@dataclass
class Video:
    name: str
    frames: np.ndarray
    labels: dict[int, Labels]
    empty: np.ndarray
    cutouts: dict[int, Cutout] = field(default_factory=dict)


def boxes(rows: list) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def interpolated(keys: dict[int, list[tuple[str, list[float]]]]) -> dict[int, Labels]:
    """Labels of the key frames and of the frames between two keys that show the same number of people."""
    frames = sorted(keys)
    found = {}
    for first, last in zip(frames, frames[1:] + frames[-1:]):
        before, after = keys[first], keys[last]
        end = last if len(before) == len(after) else first + 1
        for frame in range(first, max(end, first + 1)):
            share = (frame - first) / max(last - first, 1)
            rows = [
                ("unsure" if "unsure" in (a[0], b[0]) and share > 0 else a[0], [p + (q - p) * share for p, q in zip(a[1], b[1])])
                for a, b in zip(before, after if share > 0 else before)
            ]
            found[frame] = Labels(
                boxes([box for kind, box in rows if kind != "unsure"]), boxes([box for kind, box in rows if kind == "unsure"])
            )
    return found


def read_frames(path: Path) -> np.ndarray:
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        more, frame = capture.read()
        if not more:
            break
        frames.append(frame)
    if not frames:
        raise ValueError(f"{path}: no frame can be read")
    return np.stack(frames)


def cut_out(frame: np.ndarray, empty: np.ndarray, box: np.ndarray) -> Cutout | None:
    """What differs from the empty scene inside a labelled box, if it looks like a whole body."""
    height, width = frame.shape[:2]
    x0, y0 = (np.maximum(box[:2] - 4, 0)).astype(int)
    x1, y1 = (np.minimum(box[2:] + 4, (width, height))).astype(int)
    picture, behind = frame[y0:y1, x0:x1], empty[y0:y1, x0:x1]
    differing = np.abs(cv2.GaussianBlur(picture, (5, 5), 0).astype(int) - cv2.GaussianBlur(behind, (5, 5), 0)).max(2) > 24
    mask = cv2.morphologyEx(differing.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((11, 7), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return None
    mask = (parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])).astype(np.uint8)
    if mask.mean() < 0.3:
        return None
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)
    return Cutout(picture.copy(), alpha, int(x0), int(y0))


def read_video(path: Path, keys: dict[int, list[tuple[str, list[float]]]]) -> Video:
    frames = read_frames(path)
    video = Video(path.name, frames, interpolated(keys), np.median(frames[::3], axis=0).astype(np.uint8))
    glass = {frame for frame, rows in keys.items() if any(kind == "glass" for kind, _ in rows)}
    first_glass = min(glass, default=len(frames))
    for index, labels in video.labels.items():
        if len(labels.people) == 1 and index < first_glass:
            cutout = cut_out(frames[index], video.empty, labels.people[0])
            if cutout:
                video.cutouts[index] = cutout
    return video


def dressed(cutout: Cutout, rng: np.random.Generator) -> np.ndarray:
    """The cutout in other clothes (and hair and skin): brightness keeps the folds, hue and lightness are new."""
    picture = cutout.picture.astype(np.float32)
    light = picture.mean(2)
    inside = cutout.alpha > 0.5
    height = len(picture)
    waist, neck = (np.array([rng.uniform(0.4, 0.6), rng.uniform(0.12, 0.25)]) * height).astype(int)
    result = picture.copy()
    for top, bottom, chance in ((neck, waist, 0.85), (waist, height, 0.7), (0, neck, 0.3)):
        part = np.zeros(light.shape, bool)
        part[top:bottom] = True
        part &= inside
        if rng.random() > chance or part.sum() < 20:
            continue
        typical = max(float(np.median(light[part])), 12.0)
        colour = rng.uniform(15, 235, 3) * rng.choice([0.35, 1.0, 1.0]) if rng.random() < 0.5 else np.full(3, rng.uniform(10, 240))
        relief = 1 + (light[part] / typical - 1) * rng.uniform(0.3, 0.8)
        fresh = colour * np.clip(relief, 0.2, 1.8)[:, None]
        if rng.random() < 0.3:
            stripes = np.sin(np.nonzero(part)[int(rng.integers(2))] * rng.uniform(0.3, 1.2))
            fresh *= 1 + 0.3 * stripes[:, None]
        result[part] = fresh
    return np.clip(result, 0, 255)


def paste(frame: np.ndarray, picture: np.ndarray, alpha: np.ndarray, x: int, y: int) -> np.ndarray | None:
    """Blends a picture in place; gives the box of what shows, or none if it lies outside."""
    height, width = alpha.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, frame.shape[1]), min(y + height, frame.shape[0])
    if x1 - x0 < 12 or y1 - y0 < 12:
        return None
    part = alpha[y0 - y : y1 - y, x0 - x : x1 - x]
    shown = np.nonzero(part > 0.4)
    if len(shown[0]) < 150:
        return None
    target = frame[y0:y1, x0:x1].astype(np.float32)
    target += (picture[y0 - y : y1 - y, x0 - x : x1 - x] - target) * part[:, :, None]
    frame[y0:y1, x0:x1] = np.clip(target, 0, 255).astype(np.uint8)
    return np.array([x0 + shown[1].min(), y0 + shown[0].min(), x0 + shown[1].max() + 1, y0 + shown[0].max() + 1], np.float32)


def covered(box: np.ndarray, other: np.ndarray) -> float:
    """Share of `box` that lies inside `other`."""
    size = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return float(max(size[0], 0) * max(size[1], 0) / max((box[2] - box[0]) * (box[3] - box[1]), 1))


class Scenes:
    """Draws training samples: a network input uint8 [HEIGHT, WIDTH, 3] (BGR) with its labels."""

    def __init__(self, videos: list[Video], others: list[Video], pictures: list[np.ndarray], seed: int):
        self.videos, self.others, self.pictures = videos, others, pictures
        self.rng = np.random.default_rng(seed)
        self.cutouts = [c for v in videos for c in v.cutouts.values()]
        self.labelled = [(v, i) for v in videos for i, l in v.labels.items()]
        self.foreign = [(v, i) for v in others for i in v.labels]

    def draw(self) -> tuple[np.ndarray, Labels]:
        chance = self.rng.random()
        if self.foreign and chance < 0.12:
            video, index = self.foreign[self.rng.integers(len(self.foreign))]
            frame, labels = video.frames[index].copy(), video.labels[index]
            people, unsure = list(labels.people), list(labels.unsure)
            zoom = self.rng.uniform(0.9, 2.6) * WIDTH / frame.shape[1]
        else:
            frame, people, unsure = self.photographed() if chance < 0.6 else self.empty()
            self.add_objects(frame, people)
            self.add_people(frame, people, unsure, self.rng.integers(1, 4) if chance >= 0.6 else self.rng.choice([0, 0, 1, 2]))
            if self.rng.random() < 0.25:
                self.add_reflection(frame)
            zoom = np.exp(self.rng.normal(0, 0.18)) * WIDTH / frame.shape[1]
        frame, labels = self.warped(frame, boxes(people), boxes(unsure), zoom)
        return self.developed(frame), labels

    def photographed(self) -> tuple[np.ndarray, list, list]:
        """A labelled frame, its person often in other clothes."""
        video, index = self.labelled[self.rng.integers(len(self.labelled))]
        frame, labels = video.frames[index].copy(), video.labels[index]
        if index in video.cutouts and self.rng.random() < 0.6:
            cutout = video.cutouts[index]
            paste(frame, dressed(cutout, self.rng), cutout.alpha, cutout.x, cutout.y)
        return frame, list(labels.people), list(labels.unsure)

    def empty(self) -> tuple[np.ndarray, list, list]:
        """A scene without anybody: the store's own, a photo of groceries, or coloured noise."""
        height, width = self.videos[0].empty.shape[:2]
        chance = self.rng.random()
        if chance < 0.55 or not self.pictures:
            return self.videos[self.rng.integers(len(self.videos))].empty.copy(), [], []
        if chance < 0.9:
            picture = self.pictures[self.rng.integers(len(self.pictures))]
            return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), [], []
        coarse = self.rng.uniform(0, 255, (int(self.rng.integers(2, 12)), int(self.rng.integers(2, 16)), 3)).astype(np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8), [], []

    def add_objects(self, frame: np.ndarray, people: list) -> None:
        """Patches of other pictures where nobody stands: boxes, bags and posters are not people."""
        if not self.pictures or self.rng.random() > 0.35:
            return
        for _ in range(self.rng.integers(1, 4)):
            width, height = self.rng.integers(20, 130, 2)
            x, y = self.rng.integers(0, frame.shape[1] - width), self.rng.integers(0, frame.shape[0] - height)
            box = np.array([x, y, x + width, y + height], np.float32)
            if any(covered(person, box) > 0.05 for person in people):
                continue
            picture = cv2.resize(self.pictures[self.rng.integers(len(self.pictures))], (int(width), int(height)), interpolation=cv2.INTER_AREA)
            alpha = np.ones((height, width), np.float32)
            if self.rng.random() < 0.5:
                alpha[:] = 0
                cv2.ellipse(alpha, (int(width) // 2, int(height) // 2), (int(width) // 2, int(height) // 2), 0, 0, 360, 1.0, -1)
            paste(frame, picture.astype(np.float32), alpha, int(x), int(y))

    def figure(self) -> tuple[np.ndarray, np.ndarray, Cutout]:
        """Somebody from the store in other clothes, build and direction."""
        cutout = self.cutouts[self.rng.integers(len(self.cutouts))]
        picture, alpha = dressed(cutout, self.rng), cutout.alpha
        scale = np.exp(self.rng.normal(0, 0.2))
        size = (max(int(alpha.shape[1] * scale * self.rng.uniform(0.8, 1.25)), 12), max(int(alpha.shape[0] * scale), 12))
        picture, alpha = cv2.resize(picture, size), cv2.resize(alpha, size)
        if self.rng.random() < 0.5:
            picture, alpha = picture[:, ::-1], alpha[:, ::-1]
        return picture * self.rng.uniform(0.7, 1.3), alpha, cutout

    def add_people(self, frame: np.ndarray, people: list, unsure: list, count: int) -> None:
        for _ in range(count):
            picture, alpha, cutout = self.figure()
            x = int(self.rng.uniform(-0.3 * alpha.shape[1], frame.shape[1] - 0.7 * alpha.shape[1]))
            # Mostly at the height at which it stood, so that somebody cut by the lower edge stays cut by it.
            y = cutout.y + int(self.rng.normal(0, 12)) if self.rng.random() < 0.6 else int(self.rng.uniform(-40, frame.shape[0] * 0.8))
            box = np.array([x, y, x + alpha.shape[1], y + alpha.shape[0]], np.float32)
            if any(max(covered(box, other), covered(other, box)) > 0.55 for other in people):
                continue
            shown = paste(frame, picture, alpha, x, y)
            if shown is not None:
                whole = alpha.shape[0] * alpha.shape[1]
                kept = (shown[2] - shown[0]) * (shown[3] - shown[1]) / whole
                (people if kept > VISIBLE_MIN else unsure).append(shown)

    def add_reflection(self, frame: np.ndarray) -> None:
        """A faint mirror image, as glass doors show it: nobody."""
        picture, alpha, _ = self.figure()
        x = int(self.rng.uniform(0, max(frame.shape[1] - alpha.shape[1], 1)))
        y = int(self.rng.uniform(0, max(frame.shape[0] - alpha.shape[0], 1)))
        paste_alpha = alpha * self.rng.uniform(0.08, 0.3)
        height, width = min(alpha.shape[0], frame.shape[0] - y), min(alpha.shape[1], frame.shape[1] - x)
        target = frame[y : y + height, x : x + width].astype(np.float32)
        target += (picture[:height, :width] - target) * paste_alpha[:height, :width, None]
        frame[y : y + height, x : x + width] = np.clip(target, 0, 255).astype(np.uint8)

    def warped(self, frame: np.ndarray, people: np.ndarray, unsure: np.ndarray, zoom: float) -> tuple[np.ndarray, Labels]:
        """Turned, mirrored, shifted, zoomed and seen askew, onto the network's input; boxes follow."""
        rng, (height, width) = self.rng, frame.shape[:2]
        angle, mirror = rng.normal(0, 0.07), -1 if rng.random() < 0.5 else 1
        aspect = np.exp(rng.normal(0, 0.07))
        to_centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        skew = np.array([[1, rng.normal(0, 0.05), 0], [rng.normal(0, 0.03), 1, 0], rng.normal(0, 1.2e-4, 2).tolist() + [1]])
        place = np.array([
            [zoom * mirror * aspect, 0, WIDTH / 2 + rng.normal(0, 22)],
            [0, zoom / aspect, HEIGHT / 2 + rng.normal(0, 14)],
            [0, 0, 1],
        ])
        if rng.random() < 0.35:
            # One sample in three is the plain letterbox that the detector meets at work.
            turn = skew = np.eye(3)
            place = np.array([[WIDTH / width * mirror, 0, WIDTH / 2], [0, WIDTH / width, HEIGHT / 2], [0, 0, 1]])
        matrix = place @ skew @ turn @ to_centre
        if zoom < 0.75:
            frame = cv2.GaussianBlur(frame, (3, 3), 0)
        fill = (BORDER_GREY,) * 3 if rng.random() < 0.7 else tuple(rng.uniform(0, 255, 3))
        result = cv2.warpPerspective(frame, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=fill)
        kept, doubtful = [], []
        for group, sure in ((people, True), (unsure, False)):
            for box in group:
                corners = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]], np.float32)
                moved = cv2.perspectiveTransform(corners[None], matrix)[0]
                whole = np.concatenate((moved.min(0), moved.max(0)))
                seen = np.concatenate((np.clip(whole[:2], 0, (WIDTH, HEIGHT)), np.clip(whole[2:], 0, (WIDTH, HEIGHT))))
                if (seen[2:] - seen[:2]).min() < 4:
                    continue
                enough = covered(whole, seen) > VISIBLE_MIN and (seen[2:] - seen[:2]).min() > 9
                (kept if sure and enough else doubtful).append(seen)
        return result, Labels(boxes(kept), boxes(doubtful))

    def developed(self, frame: np.ndarray) -> np.ndarray:
        """Another camera: exposure, white balance, saturation, blur, noise, compression."""
        rng = self.rng
        saturation = rng.uniform(0, 1.6) if rng.random() < 0.93 else 0
        gains = np.exp(rng.normal(0, 0.1, 3)) * rng.uniform(0.75, 1.25)
        # Gamma by table; saturation, white balance and brightness are one affine map of the colours.
        table = (255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.25))).astype(np.uint8)
        mix = (saturation * np.eye(3) + (1 - saturation) / 3) * gains[:, None]
        picture = cv2.transform(cv2.LUT(frame, table), np.hstack((mix, np.full((3, 1), 255 * rng.normal(0, 0.05)))))
        if rng.random() < 0.25:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
        if rng.random() < 0.5:
            noise = np.empty(picture.shape, np.int16)
            cv2.setRNGSeed(int(rng.integers(2**31)))
            cv2.randn(noise, 0, rng.uniform(0, 10))
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        if rng.random() < 0.3:
            picture = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1], 1)
        return picture
