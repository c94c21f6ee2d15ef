#!/usr/bin/env python3
"""Trains the product recogniser and writes products.onnx with its sidecar.

    python3 models/train_products.py --groceries DIR --weights FILE.tflite --work DIR --out models

Three stages, each going on from the averaged weights of the one before:
  seen   all but 16 classes: what the study of enrolment (holdout.py) looks at
  all    every class: the temperature comes from the val split after it
  finish train and val split (another store), colours and parts more varied, some pictures mixed
The beginning of the network stays as ImageNet left it. A run that was cut off goes on at its last epoch.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

import groceries
import onnx_graph
from enrolment import class_means, fit_temperature, fit_thresholds, run_onnx
from groceries import Split
from mobilenet import FEATURES, Backbone, load_imagenet, restore_batch_norm
from sidecar import write_sidecar

VERSION = "products-2"
SEED = 5
BATCH = 32
EMBEDDING = 256
FROZEN_BLOCKS = 6
HELD_OUT = frozenset(range(2, 81, 5))
COARSE_WEIGHT = 0.3
LABEL_SMOOTHING = 0.1
EMA_DECAY = 0.99


@dataclass(frozen=True)
class Stage:
    name: str
    epochs: int
    side: int
    rate: float
    least_area: float
    cast: float
    mix: float
    splits: tuple[str, ...] = ("train",)
    held_out: frozenset[int] = frozenset()

    @property
    def deployed_side(self) -> int:
        """Random parts show things larger than whole pictures do, so that a network does best on pictures somewhat larger
        than it was trained on (Touvron et al., 2019)."""
        return self.side + 32


def stages(epochs: list[int]) -> list[Stage]:
    seen, every, finish = epochs
    return [
        Stage("seen", seen, 128, rate=6e-4, least_area=0.35, cast=0.07, mix=0.0, held_out=HELD_OUT),
        Stage("all", every, 160, rate=5e-4, least_area=0.35, cast=0.07, mix=0.0),
        Stage("finish", finish, 160, rate=4e-4, least_area=0.25, cast=0.1, mix=0.3, splits=("train", "val")),
    ]


class Recogniser(nn.Module):
    """What is trained: the blocks after the frozen ones, the embedding and a direction for each class."""

    def __init__(self, backbone: Backbone, classes: int):
        super().__init__()
        self.blocks = backbone.blocks[FROZEN_BLOCKS:]
        self.top = backbone.top
        self.project = nn.Linear(FEATURES, EMBEDDING)
        self.classes = nn.Parameter(torch.zeros(classes, EMBEDDING))
        self.log_scale = nn.Parameter(torch.tensor(math.log(16.0)))

    def features(self, hidden: Tensor) -> Tensor:
        return self.top(self.blocks(hidden)).mean((2, 3))

    def embed(self, hidden: Tensor) -> Tensor:
        return functional.normalize(self.project(self.features(hidden)))

    def weighted_classes(self) -> Tensor:
        return self.log_scale.exp() * functional.normalize(self.classes)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.embed(hidden) @ self.weighted_classes().t()


class Beginning:
    """The frozen blocks, run by onnxruntime: three times as fast as PyTorch where no gradient is needed."""

    def __init__(self, backbone: Backbone, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = onnx_graph.beginning(backbone, FROZEN_BLOCKS).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, pictures: np.ndarray) -> Tensor:
        hidden = torch.from_numpy(self.session.run(None, {"picture": pictures})[0])
        return hidden.contiguous(memory_format=torch.channels_last)


class Average:
    """Exponential moving average of weights and statistics, quick to forget in its first steps."""

    def __init__(self, model: nn.Module):
        self.state = {name: value.clone() for name, value in model.state_dict().items()}
        self.steps = 0

    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(EMA_DECAY, self.steps / (self.steps + 10))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


class Training:
    def __init__(self, arguments: argparse.Namespace):
        self.work: Path = arguments.work
        self.threads: int = arguments.threads
        self.work.mkdir(parents=True, exist_ok=True)
        self.stages = stages(arguments.epochs)
        self.splits = {name: groceries.read_split(arguments.groceries, name) for name in ("train", "val")}
        self.names, self.coarse_of = groceries.read_classes(arguments.groceries)
        coarse = torch.from_numpy(self.coarse_of)
        self.coarse_of_fine = functional.one_hot(coarse).float()
        self.backbone = load_imagenet(arguments.weights).backbone.eval()
        self.beginning = Beginning(self.backbone, arguments.threads)
        self.model = Recogniser(self.backbone, len(self.names)).to(memory_format=torch.channels_last)

    def run(self) -> None:
        with torch.no_grad():
            self.restore_norms()
            if not self.checkpoint().exists():
                self.begin_head()
        done_stage, done_epochs, saved = self.load_checkpoint()
        for number, stage in enumerate(self.stages):
            if number < done_stage:
                continue
            resumed = saved if number == done_stage else None
            self.train_stage(number, stage, done_epochs if resumed else 0, resumed)
            with torch.no_grad():
                self.finish_stage(stage)
            self.save_checkpoint(number + 1, 0)

    def restore_norms(self) -> None:
        """Normalisation for the blocks to be trained, by what 256 pictures look like there."""
        rng = np.random.default_rng(SEED)
        split = self.split_of(self.stages[0])
        some = [split.pictures[i] for i in rng.permutation(len(split.pictures))[:256]]
        hidden = [
            self.beginning(groceries.random_views(some[i : i + BATCH], 160, rng, 0.35, 0.07)) for i in range(0, len(some), BATCH)
        ]
        layers = [layer for block in self.model.blocks for layer in block.layers] + [self.model.top]
        self.model.eval()
        restore_batch_norm(layers, lambda: [self.model.features(part) for part in hidden])

    def begin_head(self) -> None:
        """A head of linear discriminants: it knows the classes before the first step."""
        split = self.split_of(self.stages[0])
        self.model.eval()
        features = torch.from_numpy(run_onnx(onnx_graph.pooled(self.backbone), split, 0, self.threads))
        project, shift = linear_discriminants(features, split.fine)
        self.model.project.weight.copy_(project)
        self.model.project.bias.copy_(shift)
        self.imprint(split, self.stages[0].deployed_side)

    def imprint(self, split: Split, side: int) -> None:
        """A class without a direction yet gets the mean embedding of its pictures."""
        missing = {c for c in set(split.fine.tolist()) if not self.model.classes[c].any()}
        if missing:
            part = split.of(missing)
            embeddings = self.run_over(part, self.model.embed, side)
            for c in missing:
                self.model.classes[c] = functional.normalize(embeddings[part.fine == c].mean(0), dim=0)

    def run_over(self, split: Split, function: Callable[[Tensor], Tensor], side: int) -> Tensor:
        """`function` of every picture's centre."""
        results = []
        for i in range(0, len(split.pictures), BATCH):
            views = groceries.centre_views(split.pictures[i : i + BATCH], side)
            results.append(function(self.beginning(groceries.normalised(views))))
        return torch.cat(results)

    def split_of(self, stage: Stage) -> Split:
        first, *rest = (self.splits[name] for name in stage.splits)
        split = sum(rest, first)
        return split.of(set(range(len(self.names))) - stage.held_out)

    def train_stage(self, number: int, stage: Stage, done: int, saved: dict | None) -> None:
        split = self.split_of(stage)
        with torch.no_grad():
            self.model.eval()
            self.imprint(split, stage.deployed_side)
        known = torch.tensor(sorted(set(split.fine.tolist())))
        steps = math.ceil(len(split.pictures) / BATCH)
        optimiser = torch.optim.AdamW(self.parameter_groups(stage.rate), weight_decay=0.02)
        average = Average(self.model)
        if saved and done:
            optimiser.load_state_dict(saved["optimiser"])
            average.state, average.steps = saved["average"], saved["steps"]
        rates = [group["lr"] for group in self.parameter_groups(stage.rate)]
        for epoch in range(done, stage.epochs):
            started, losses, mixing = time.monotonic(), [], np.random.default_rng([SEED, number, epoch])
            self.model.train()
            for step, (views, fine) in enumerate(self.batches(split, stage, epoch)):
                pace = learning_pace(epoch * steps + step, stage.epochs * steps)
                for group, rate in zip(optimiser.param_groups, rates):
                    group["lr"] = rate * pace
                loss = self.mixed_loss(views, fine, known, stage.mix, mixing)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                optimiser.step()
                with torch.no_grad():
                    average.update(self.model)
                losses.append(loss.item())
            self.save_checkpoint(number, epoch + 1, optimiser, average)
            self.report(stage, epoch, float(np.mean(losses)), average, time.monotonic() - started)
        if stage.epochs:
            self.model.load_state_dict(average.state)

    def batches(self, split: Split, stage: Stage, epoch: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """One epoch of random views. Rare classes come oftener, by the root of their rarity."""
        rng = np.random.default_rng([SEED, stage.side, stage.epochs, epoch, len(split.fine)])
        weight = np.bincount(split.fine)[split.fine] ** -0.5
        edges = np.cumsum(weight) / weight.sum() * len(weight)
        order = rng.permutation(np.searchsorted(edges, np.arange(len(weight)) + rng.random()).clip(0, len(weight) - 1))
        for i in range(0, len(order), BATCH):
            chosen = order[i : i + BATCH]
            views = groceries.random_views([split.pictures[j] for j in chosen], stage.side, rng, stage.least_area, stage.cast)
            yield views, torch.from_numpy(split.fine[chosen])

    def mixed_loss(self, views: np.ndarray, fine: Tensor, known: Tensor, chance: float, rng: np.random.Generator) -> Tensor:
        """Loss of a batch whose pictures are mixed with each other, with this chance."""
        if rng.random() >= chance:
            return self.loss(self.model(self.beginning(views))[:, known], fine, known)
        mixed, other, share = groceries.mix(views, rng)
        logits = self.model(self.beginning(mixed))[:, known]
        return share * self.loss(logits, fine, known) + (1 - share) * self.loss(logits, fine[other], known)

    def loss(self, logits: Tensor, fine: Tensor, known: Tensor) -> Tensor:
        """Cross-entropy of the fine classes, and of the coarse ones as sums over their members."""
        target = torch.searchsorted(known, fine)
        members = self.coarse_of_fine[known]
        mine = members[target] @ members.t()
        others = logits.masked_fill(mine == 0, -torch.inf)
        coarse = (logits.logsumexp(1) - others.logsumexp(1)).mean()
        return functional.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING) + COARSE_WEIGHT * coarse

    def parameter_groups(self, rate: float) -> list[dict]:
        """Slower towards the picture, faster in the head; no decay of shifts and scales."""
        groups = []

        def add(module: nn.Module, factor: float) -> None:
            weights = [p for p in module.parameters() if p.ndim > 1]
            rest = [p for p in module.parameters() if p.ndim == 1]
            groups.append({"params": weights, "lr": rate * factor})
            groups.append({"params": rest, "lr": rate * factor, "weight_decay": 0.0})

        for i, block in enumerate(self.model.blocks):
            add(block, 0.4 + 0.6 * i / len(self.model.blocks))
        add(self.model.top, 1.0)
        add(self.model.project, 2.0)
        groups.append({"params": [self.model.classes, self.model.log_scale], "lr": rate * 2, "weight_decay": 0.0})
        return groups

    def report(self, stage: Stage, epoch: int, loss: float, average: Average, seconds: float) -> None:
        current = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(average.state)
        self.model.eval()
        known = set(range(len(self.names))) - stage.held_out
        split = self.splits["val"].of(known)
        with torch.no_grad():
            logits = self.run_over(split, self.model, stage.deployed_side)
        logits[:, sorted(stage.held_out)] = -torch.inf
        best = logits.argmax(1).numpy()
        fine, coarse = (best == split.fine).mean(), (self.coarse_of[best] == split.coarse).mean()
        self.model.load_state_dict(current)
        trained = " (trained on)" if "val" in stage.splits else ""
        figures = f"loss {loss:.3f} val{trained} {fine:.4f} {coarse:.4f}"
        print(f"{stage.name} {epoch + 1}/{stage.epochs} {figures} {seconds:.0f} s", flush=True)

    def finish_stage(self, stage: Stage) -> None:
        """Writes the network as `<stage>.onnx` and checks it against PyTorch."""
        self.model.eval()
        self.backbone.eval()
        path = self.work / f"{stage.name}.onnx"
        project, shift = self.model.project.weight, self.model.project.bias
        model = onnx_graph.recogniser(self.backbone, project, shift, self.model.weighted_classes(), stage.deployed_side)
        some = self.splits["val"].every(40)
        trained = self.run_over(some, self.model, stage.deployed_side).numpy()
        error = float(np.abs(run_onnx(model, some, 1, self.threads) - trained).max())
        if error > 1e-3:
            raise RuntimeError(f"{stage.name}: onnxruntime differs from PyTorch by {error}")
        onnx.save(model, path)

    def fit(self) -> dict[str, float]:
        """What is fitted to finished networks, by classes and pictures that these were not trained on."""
        train, val = self.splits["train"], self.splits["val"]
        seen, every = onnx.load(self.work / "seen.onnx"), onnx.load(self.work / "all.onnx")
        known = set(range(len(self.names))) - HELD_OUT
        parts = [train.of(known), train.of(set(HELD_OUT)), val.of(known)]
        embedded = [(run_onnx(seen, part, 0, self.threads), part.fine) for part in parts]
        logits = torch.from_numpy(run_onnx(every, val, 1, self.threads))
        return fit_thresholds(*embedded) | {"temperature": fit_temperature(logits, torch.from_numpy(val.fine))}

    def deliver(self, out: Path) -> None:
        """The network of the last stage, with all that is fitted, for the device."""
        facts = self.fit()
        print(json.dumps(facts), flush=True)
        last = self.stages[-1]
        path, shown = self.work / f"{last.name}.onnx", self.split_of(last)
        means = class_means(run_onnx(onnx.load(path), shown, 0, self.threads), shown.fine)
        write_sidecar(path, out, last.deployed_side, facts, means, VERSION)

    def checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def save_checkpoint(self, stage: int, epoch: int, optimiser=None, average: Average | None = None) -> None:
        state = {"stage": stage, "epoch": epoch, "model": self.model.state_dict()}
        state["stages"] = [asdict(s) for s in self.stages[: stage + 1]]
        if optimiser and average:
            state |= {"optimiser": optimiser.state_dict(), "average": average.state, "steps": average.steps}
        partial = self.checkpoint().with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint())

    def load_checkpoint(self) -> tuple[int, int, dict | None]:
        if not self.checkpoint().exists():
            return 0, 0, None
        state = torch.load(self.checkpoint(), weights_only=False)
        self.model.load_state_dict(state["model"])
        print(f"going on after stage {state['stage']}, epoch {state['epoch']}", flush=True)
        return state["stage"], state["epoch"], state


def learning_pace(step: int, steps: int, warm: int = 60) -> float:
    """Share of the full learning rate: a short rise, then half a cosine."""
    return min(1.0, (step + 1) / warm) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def linear_discriminants(features: Tensor, classes: np.ndarray, shrinkage: float = 0.1) -> tuple[Tensor, Tensor]:
    """Projection [256, 1280] and shift [256] under which classes are round and far apart: features whitened by their
    scatter within classes, shrunk towards the identity (Ledoit and Wolf, 2004), then the principal directions."""
    features = features.double()
    fine = torch.from_numpy(classes)
    means = torch.stack([features[fine == c].mean(0) for c in fine.unique()])
    inside = features - means[torch.searchsorted(fine.unique(), fine)]
    scatter = inside.t() @ inside / len(features)
    scatter = (1 - shrinkage) * scatter + shrinkage * scatter.diagonal().mean() * torch.eye(FEATURES)
    values, vectors = torch.linalg.eigh(scatter)
    whiten = vectors @ (vectors / values.sqrt()).t()
    centre = features.mean(0)
    _, _, directions = torch.linalg.svd((features - centre) @ whiten, full_matrices=False)
    project = directions[:EMBEDDING] @ whiten
    project /= ((features - centre) @ project.t()).norm(dim=1).mean()
    return project.float(), -(project @ centre).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groceries", type=Path, required=True, help="GroceryStoreDataset, short side 224")
    parser.add_argument("--weights", type=Path, required=True, help="tf2_mobilenet_v2_1.0_224_ptq.tflite")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and the networks of each stage")
    parser.add_argument("--out", type=Path, required=True, help="folder for products.onnx, its prototypes and products.toml")
    parser.add_argument("--epochs", type=lambda text: [int(n) for n in text.split(",")], default=[5, 8, 8])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    training = Training(arguments)
    training.run()
    training.deliver(arguments.out)


if __name__ == "__main__":
    main()
