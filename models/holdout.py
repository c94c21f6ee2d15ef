#!/usr/bin/env python3
"""Enrolment from five pictures, and "unknown", of classes that the network never saw. Looks at the test split.

    python3 models/holdout.py --groceries DIR --model WORK/seen.onnx

`seen.onnx` is what train_products.py leaves in its work folder after its first stage. Shots come from the train split,
questions from the test split; every figure is the mean over ten draws of the shots, with the lowest and the highest.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx

import groceries
from enrolment import Embedded, auroc, class_means, five_shots, prototypes, run_onnx, similarity
from train_products import HELD_OUT

DRAWS = 10


def right(queries: np.ndarray, fine: np.ndarray, rows: np.ndarray, of: np.ndarray) -> float:
    best, classes = similarity(queries, rows, of)
    return float((classes[best.argmax(1)] == fine).mean())


def draw(train: Embedded, test: Embedded, seed: int) -> dict[str, float]:
    """One draw of five pictures for each class held out."""
    new_train, new_test = (np.isin(fine, list(HELD_OUT)) for _, fine in (train, test))
    pictures, fine = train[0][new_train], train[1][new_train]
    shots = five_shots(fine, np.random.default_rng(seed))
    enrolled = prototypes(pictures[shots], fine[shots])
    old = class_means(train[0][~new_train], train[1][~new_train])
    both = np.concatenate([old[0], enrolled[0]]), np.concatenate([old[1], enrolled[1]])
    new, known = test[0][new_test], test[0][~new_test]

    def confidence(queries: np.ndarray, rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return similarity(queries, *rows)[0].max(1)

    return {
        "new classes among themselves": right(new, test[1][new_test], *enrolled),
        "new classes among all 81": right(new, test[1][new_test], *both),
        "trained classes among all 81": right(known, test[1][~new_test], *both),
        "all pictures among all 81": right(*test, *both),
        "AUROC, trained classes enrolled, new ones unknown": auroc(confidence(known, old), confidence(new, old)),
        "AUROC, new classes enrolled, trained ones unknown": auroc(confidence(new, enrolled), confidence(known, enrolled)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groceries", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    model = onnx.load(arguments.model)
    embedded = []
    for name in ("train", "test"):
        split = groceries.read_split(arguments.groceries, name)
        embedded.append((run_onnx(model, split, 0), split.fine))
    draws = [draw(*embedded, seed) for seed in range(DRAWS)]
    for figure in draws[0]:
        values = [d[figure] for d in draws]
        print(f"{figure}: {np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})")


if __name__ == "__main__":
    main()
