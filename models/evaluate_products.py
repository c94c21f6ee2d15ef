#!/usr/bin/env python3
"""How often the exported recogniser is right on a split, and whether its confidence can be believed.

    python3 models/evaluate_products.py --groceries DIR --split test --model models/products.onnx [--plots DIR]

Reads the temperature from the sidecar beside the model. `stroll vision eval` prints the same figures through tract.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import onnx

import groceries
from enrolment import run_onnx

EDGES = np.linspace(0, 1, 11)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def reliability(stated: np.ndarray, correct: np.ndarray) -> list[tuple[int, float, float]]:
    """For each tenth of stated confidence: pictures, mean stated, share that was right."""
    bins = np.clip(np.digitize(stated, EDGES) - 1, 0, len(EDGES) - 2)
    rows = []
    for i in range(len(EDGES) - 1):
        here = bins == i
        rows.append((int(here.sum()), float(stated[here].mean()), float(correct[here].mean())) if here.any() else (0, 0.0, 0.0))
    return rows


def reliability_svg(rows: list[tuple[int, float, float]]) -> str:
    bars = "".join(
        f'<rect x="{40 + 300 * i / 10:.0f}" y="{320 - 300 * share:.1f}" width="28" height="{300 * share:.1f}"/>'
        f'<text x="{54 + 300 * i / 10:.0f}" y="{314 - 300 * share:.1f}">{count}</text>'
        for i, (count, _, share) in enumerate(rows)
        if count
    )
    ticks = "".join(
        f'<text x="{40 + 300 * v / 10:.0f}" y="336">{v / 10:.1f}</text><text x="22" y="{324 - 300 * v / 10:.0f}">{v / 10:.1f}</text>'
        for v in range(0, 11, 2)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="380" height="364" font-family="sans-serif" font-size="10" text-anchor="middle">'
        f'<rect width="380" height="364" fill="white"/><g fill="#4a7ab5">{bars}</g>{ticks}'
        '<path d="M40 320H340M40 320V20M40 320L340 20" stroke="black" fill="none"/>'
        '<text x="190" y="354" font-size="12">stated confidence (number of pictures above each bar)</text>'
        '<text x="10" y="170" font-size="12" transform="rotate(-90 10 170)">share that was right</text></svg>\n'
    )


def confusion_svg(confusion: np.ndarray, names: list[str]) -> str:
    """Rows are the true classes, columns the answers; darkness is the share of the row."""
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    cell, left, size = 8, 200, len(names)
    cells = "".join(
        f'<rect x="{left + cell * j}" y="{cell * i + 8}" width="{cell}" height="{cell}" fill="{"#1b6e3c" if i == j else "#b5382a"}"'
        f' opacity="{share[i, j]:.2f}"><title>{names[i]} taken for {names[j]}: {confusion[i, j]}</title></rect>'
        for i, j in zip(*np.nonzero(confusion))
    )
    labels = "".join(f'<text x="{left - 4}" y="{cell * i + 15}">{name}</text>' for i, name in enumerate(names))
    extent = cell * size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + extent + 8}" height="{extent + 16}" font-family="sans-serif"'
        f' font-size="7" text-anchor="end"><rect width="100%" height="100%" fill="white"/>{labels}{cells}'
        f'<rect x="{left}" y="8" width="{extent}" height="{extent}" fill="none" stroke="black"/></svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groceries", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--plots", type=Path, help="writes confusion.svg and reliability.svg there")
    arguments = parser.parse_args()
    sidecar = tomllib.loads(arguments.model.with_suffix(".toml").read_text())
    split = groceries.read_split(arguments.groceries, arguments.split)
    names, coarse_of = groceries.read_classes(arguments.groceries)
    chances = softmax(run_onnx(onnx.load(arguments.model), split, 1) / sidecar["products"]["temperature"])
    answers = chances.argmax(1)
    correct = answers == split.fine
    stated = chances.max(1)
    print(f"{len(correct)} pictures: fine {correct.mean():.4f}, coarse {(coarse_of[answers] == split.coarse).mean():.4f}")
    rows = reliability(stated, correct)
    for (count, mean, share), low in zip(rows, EDGES):
        if count:
            print(f"stated {low:.1f} to {low + 0.1:.1f}: {count:4} pictures, mean {mean:.3f}, right {share:.3f}")
    print(f"expected calibration error {sum(n * abs(m - s) for n, m, s in rows) / len(correct):.4f}")
    if arguments.plots:
        confusion = np.zeros((len(names), len(names)), int)
        np.add.at(confusion, (split.fine, answers), 1)
        (arguments.plots / "confusion.svg").write_text(confusion_svg(confusion, names))
        (arguments.plots / "reliability.svg").write_text(reliability_svg(rows))


if __name__ == "__main__":
    main()
