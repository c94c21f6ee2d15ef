"""Trains the person detector and writes people.onnx and people.toml beside this file.

    python models/train_people.py --videos ../shared/nanostore/video --start ../shared/weights/FastestDet.onnx \\
        --pictures ../shared/groceries [--pedestrians vtest.avi] [--hold-out cps-test-01-nodepth-cam3.mp4]

With --hold-out the video is kept out of the training and judged afterwards, and nothing is written: that is the figure
for a camera that the network has never seen. Without it the network learns from all videos and is exported.
"""

import argparse
import hashlib
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch

from evaluate_people import judge
from people_data import BORDER_GREY, Labels, Scenes, Video, boxes, read_frames, read_video
from people_match import Tally, read_labels, suppressed
from people_net import HEIGHT, STRIDE, WIDTH, Exported, PersonNet, decode, start_from

HERE = Path(__file__).parent
VERSION = "people-2"
SCORE_MIN, NMS_IOU, INSIDE_MAX = 0.4, 0.45, 0.7
BATCH = 8
TRUNK = ("stage3", "stage4", "reduce")


def targets(batch: list[Labels]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Per cell: 1 where a person's centre is near, the weight of the cell's score, and the box that it should give.

    The four cells around a centre are positive, as in FastestDet. Cells inside a doubtful box weigh nothing.
    """
    height, width = HEIGHT // STRIDE, WIDTH // STRIDE
    positive = torch.zeros(len(batch), 1, height, width)
    weight = torch.ones_like(positive)
    wanted = torch.zeros(len(batch), 4, height, width)
    for index, labels in enumerate(batch):
        for x0, y0, x1, y1 in labels.unsure / STRIDE:
            weight[index, 0, max(int(y0), 0) : int(np.ceil(y1)) + 1, max(int(x0), 0) : int(np.ceil(x1)) + 1] = 0
        # Smaller boxes last: where two people share a cell the nearer to vanish gets it.
        for box in sorted(labels.people, key=lambda b: -(b[2] - b[0]) * (b[3] - b[1])):
            x, y = (box[0] + box[2]) / 2 / STRIDE, (box[1] + box[3]) / 2 / STRIDE
            for row in (int(y), int(y) + 1):
                for column in (int(x), int(x) + 1):
                    if row < height and column < width:
                        positive[index, 0, row, column] = weight[index, 0, row, column] = 1
                        wanted[index, :, row, column] = torch.from_numpy(box)
    return positive, weight, wanted


def complete_iou(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU of rows x0, y0, x1, y1 and its loss with centre distance and shape (CIoU, Zheng et al., 2020)."""
    size_a, size_b = (a[:, 2:] - a[:, :2]).clamp(min=1e-3), (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    iou = shared / (size_a.prod(1) + size_b.prod(1) - shared)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).square().sum(1)
    apart = ((a[:, :2] + a[:, 2:]) - (b[:, :2] + b[:, 2:])).square().sum(1) / 4
    shape = (4 / torch.pi**2) * (torch.atan(size_a[:, 0] / size_a[:, 1]) - torch.atan(size_b[:, 0] / size_b[:, 1])).square()
    trade = (shape / (1 - iou + shape + 1e-6)).detach()
    return iou, 1 - iou + apart / hull + trade * shape


def loss_of(score: torch.Tensor, raw: torch.Tensor, batch: list[Labels]) -> torch.Tensor:
    positive, weight, wanted = targets(batch)
    where = positive[:, 0] > 0
    count = where.sum().clamp(min=1)
    found = decode(raw).permute(0, 2, 3, 1)[where]
    iou, box_loss = complete_iou(found, wanted.permute(0, 2, 3, 1)[where])
    # The score learns how good its box is (quality focal loss, Li et al., 2020), so that the best box survives.
    quality = positive.clone()
    quality[:, 0][where] = iou.detach().clamp(0.2, 1).sqrt()
    error = torch.nn.functional.binary_cross_entropy_with_logits(score, quality, reduction="none")
    focus = (quality - torch.sigmoid(score)).abs().detach()
    return (error * focus * weight).sum() / count * 2 + 2 * box_loss.sum() / count


def to_tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


class Batches(torch.utils.data.IterableDataset):
    """Endless training batches, drawn in a process of their own; the seed and nothing else decides them."""

    def __init__(self, scenes: Scenes):
        self.scenes = scenes

    def __iter__(self):
        cv2.setNumThreads(0)
        while True:
            pictures, labels = zip(*(self.scenes.draw() for _ in range(BATCH)))
            yield to_tensor(list(pictures)), list(labels)


def train(net: PersonNet, scenes: Scenes, steps: int, minutes: float, anchor: float) -> PersonNet:
    """Fine-tunes; the weights' running average is returned. `anchor` draws them to where they began (L2-SP)."""
    learning = {name: p for name, p in net.named_parameters() if p.requires_grad}
    trunk = [p for name, p in learning.items() if name.startswith(TRUNK)]
    head = [p for name, p in learning.items() if not name.startswith(TRUNK)]
    start = [p.detach().clone() for p in trunk]
    optimizer = torch.optim.AdamW([{"params": head, "lr": 1.2e-3}, {"params": trunk, "lr": 3e-4}], weight_decay=0)
    peaks = [group["lr"] for group in optimizer.param_groups]
    average = {name: p.detach().clone() for name, p in net.named_parameters()}
    began, shown = time.monotonic(), 0.0
    batches = iter(torch.utils.data.DataLoader(Batches(scenes), batch_size=None, num_workers=1, prefetch_factor=4))
    for step in range(steps):
        progress = max(step / steps, (time.monotonic() - began) / (minutes * 60))
        if progress >= 1:
            break
        for group, peak in zip(optimizer.param_groups, peaks):
            group["lr"] = peak * min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        pictures, labels = next(batches)
        score, raw = net(pictures.to(memory_format=torch.channels_last))
        loss = loss_of(score, raw, labels)
        kept = sum((p - s).square().sum() for p, s in zip(trunk, start))
        optimizer.zero_grad()
        (loss + anchor * kept).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimizer.step()
        decay = min(0.99, (step + 1) / (step + 10))
        for name, p in net.named_parameters():
            average[name].lerp_(p.detach(), 1 - decay)
        shown = loss.item() if not shown else 0.95 * shown + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"step {step}  {time.monotonic() - began:.0f} s  loss {shown:.3f}", flush=True)
    result = PersonNet()
    result.load_state_dict(average)
    return result.eval()


def letterboxed(frame: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """The frame on the network's canvas, with the scale and the offsets that lead back."""
    height, width = frame.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    size = round(width * scale), round(height * scale)
    left, top = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    canvas = np.full((HEIGHT, WIDTH, 3), BORDER_GREY, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return canvas, scale, left, top


def detect(model, frame: np.ndarray, score_min: float = SCORE_MIN) -> np.ndarray:
    """Rows x0, y0, x1, y1, score in pixels of the frame, after suppression. `model` maps [1, 3, H, W] to [1, N, 5]."""
    canvas, scale, left, top = letterboxed(frame)
    rows = suppressed(model(to_tensor([canvas]))[0], score_min, NMS_IOU, INSIDE_MAX)
    rows[:, :4] = (rows[:, :4] - (left, top, left, top)) / scale
    rows[:, :4] = np.clip(rows[:, :4], 0, np.tile(frame.shape[1::-1], 2))
    return rows


def report(model, video: Video, keys: dict) -> None:
    found = {index: detect(model, video.frames[index], 0.1) for index in keys}
    for glass in ("demanded", "tolerated"):
        for score_min in (0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6):
            kept = {index: rows[rows[:, 4] >= score_min] for index, rows in found.items()}
            print(f"{video.name} from {score_min:.2f}, glass {glass}: {judge(kept, keys, glass, 0.4)}", flush=True)


def export(net: PersonNet, folder: Path) -> None:
    path = folder / "people.onnx"
    torch.onnx.export(
        Exported(net), torch.rand(1, 3, HEIGHT, WIDTH), path, opset_version=17, dynamo=False,
        input_names=["frame"], output_names=["boxes"],
    )
    frame = torch.rand(1, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        ours = Exported(net)(frame).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    theirs = session.run(None, {"frame": frame.numpy()})[0]
    if np.abs(ours - theirs).max() > 1e-3:
        raise SystemExit(f"onnxruntime differs from torch by {np.abs(ours - theirs).max()}")
    times_ms = []
    for _ in range(50):
        began = time.process_time()
        session.run(None, {"frame": frame.numpy()})
        times_ms.append((time.process_time() - began) * 1e3)
    print(f"{path.name}: {path.stat().st_size} bytes, onnxruntime {min(times_ms):.1f} ms CPU, differs from torch by {np.abs(ours - theirs).max():.1e}")
    (folder / "people.toml").write_text(f'''# Written by train_people.py; the model card is PEOPLE.md.
kind = "people"
file = "people.onnx"
sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"
version = "{VERSION}"

[input]
width = {WIDTH}
height = {HEIGHT}
layout = "nchw"
colour = "bgr"
scale = {1 / 255!r}
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
fit = "letterbox"
fill = {BORDER_GREY}
filter = "bilinear"

[people]
boxes = "boxes"
score_min = {SCORE_MIN}
nms_iou = {NMS_IOU}
inside_max = {INSIDE_MAX}
''')


def read_pictures(folder: Path | None) -> list[np.ndarray]:
    """Small copies of the photos below a folder: background and clutter, nobody in them."""
    paths = sorted(folder.rglob("*.jpg"))[::6] if folder else []
    return [cv2.resize(p, (224, 168), interpolation=cv2.INTER_AREA) for p in (cv2.imread(str(path)) for path in paths) if p is not None]


def read_pedestrians(path: Path | None) -> list[Video]:
    if not path:
        return []
    frames, keys = read_frames(path), read_labels(HERE / "people-pedestrians.csv")[path.name]
    labels = {
        index: Labels(boxes([box for kind, box in rows if kind == "person"]), boxes([box for kind, box in rows if kind == "unsure"]))
        for index, rows in keys.items()
    }
    return [Video(path.name, frames, labels, frames[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="FastestDet.onnx, or a people.onnx to go on from")
    parser.add_argument("--pictures", type=Path, help="photos without people")
    parser.add_argument("--pedestrians", type=Path, help="vtest.avi of OpenCV's examples (Debian: opencv-doc)")
    parser.add_argument("--hold-out", help="name of a video to judge by")
    parser.add_argument("--out", type=Path, help="folder for the model; by default this one, or none with --hold-out")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--minutes", type=float, default=60, help="stop earlier, with the learning rate brought down in time")
    parser.add_argument("--anchor", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    keys = read_labels(HERE / "people-labels.csv")
    videos = [read_video(arguments.videos / name, rows) for name, rows in keys.items()]
    learned = [v for v in videos if v.name != arguments.hold_out]
    scenes = Scenes(learned, read_pedestrians(arguments.pedestrians), read_pictures(arguments.pictures), arguments.seed)
    # Twice as fast on a CPU as the usual layout, for the sake of the depthwise convolutions.
    net = PersonNet().to(memory_format=torch.channels_last)
    start_from(net, arguments.start)
    net = train(net, scenes, arguments.steps, arguments.minutes, arguments.anchor)

    def model(frame: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return Exported(net)(frame).numpy()

    for video in videos:
        if arguments.hold_out in (None, video.name):
            report(model, video, keys[video.name])
    if folder := arguments.out or (None if arguments.hold_out else HERE):
        export(net, folder)


if __name__ == "__main__":
    main()
