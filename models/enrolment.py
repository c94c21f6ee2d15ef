"""Temperature, prototypes and the threshold of "unknown": everything that is fitted to a trained network."""

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor
from torch.nn import functional

import groceries
from groceries import Split

SHOTS = 5

# Embeddings [N, D] and the class of each.
Embedded = tuple[np.ndarray, np.ndarray]


def run_onnx(model: onnx.ModelProto, split: Split, output: int, threads: int = 1) -> np.ndarray:
    """One output of the network for every picture of the split, prepared as on the device."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_outputs()[output].name
    side = session.get_inputs()[0].shape[2]
    rows = []
    for picture in split.pictures:
        view = groceries.normalised(groceries.centre_views([picture], side))
        rows.append(session.run([name], {"picture": view})[0][0])
    return np.stack(rows)


def fit_temperature(logits: Tensor, fine: Tensor) -> float:
    """The temperature whose softmax gives these classes the greatest likelihood (Guo et al., 2017)."""
    candidates = np.geomspace(0.2, 5, 200)
    return float(min(candidates, key=lambda t: functional.cross_entropy(logits / t, fine).item()))


def prototypes(embeddings: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each picture a row and the mean of its class one more, all of length 1; and the class of each row."""
    rows, of = [embeddings], [classes]
    for c in np.unique(classes):
        mean = embeddings[classes == c].mean(0)
        rows.append((mean / np.linalg.norm(mean))[None])
        of.append([c])
    return np.concatenate(rows), np.concatenate(of)


def class_means(embeddings: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One row a class: for classes with many pictures, whose single pictures say too little."""
    rows, of = prototypes(embeddings, classes)
    return rows[len(embeddings) :], of[len(embeddings) :]


def similarity(queries: np.ndarray, rows: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best cosine of each query to each class, [queries, classes], and the classes."""
    cosines = queries @ rows.T
    classes = np.unique(of)
    return np.stack([cosines[:, of == c].max(1) for c in classes], axis=1), classes


def five_shots(classes: np.ndarray, rng: np.random.Generator, shots: int = SHOTS) -> np.ndarray:
    """True for `shots` pictures of each class, drawn by chance."""
    chosen = np.zeros(len(classes), bool)
    for c in np.unique(classes):
        chosen[rng.permutation(np.flatnonzero(classes == c))[:shots]] = True
    return chosen


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """The chance that a known picture scores above an unknown one; ties count half."""
    order = np.sort(unknown)
    below, up_to = np.searchsorted(order, known, "left"), np.searchsorted(order, known, "right")
    return float((below + up_to).mean() / 2 / len(unknown))


def fit_thresholds(train: Embedded, held_out: Embedded, known: Embedded) -> dict[str, float]:
    """From embeddings of classes that the network never saw: the scale of the softmax over enrolled products, where five
    pictures of each are enrolled and the others asked; and the cosine below which a picture is unknown, where one known
    picture in twenty is lost. `known` pictures are of trained classes, but were not trained on."""
    pictures, fine = held_out
    logits, targets = [], []
    for seed in range(5):
        shots = five_shots(fine, np.random.default_rng(seed))
        best, classes = similarity(pictures[~shots], *prototypes(pictures[shots], fine[shots]))
        logits.append(best)
        targets.append(np.searchsorted(classes, fine[~shots]))
    scale = 1 / fit_temperature(20 * torch.from_numpy(np.concatenate(logits)), torch.from_numpy(np.concatenate(targets)))
    rows, of = class_means(*train)
    of_known, of_unknown = (similarity(queries, rows, of)[0].max(1) for queries in (known[0], pictures))
    return {
        "prototype_scale": 20 * scale,
        "unknown_below": float(np.quantile(of_known, 0.05)),
        "unknown_auroc": auroc(of_known, of_unknown),
    }
