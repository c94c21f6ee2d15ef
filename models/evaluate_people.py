"""Recall and precision of `stroll vision detect` against the committed labels.

    stroll vision detect cps-test-01-nodepth-cam1.mp4 --json > cam1.jsonl
    python models/evaluate_people.py cps-test-01-nodepth-cam1.mp4=cam1.jsonl [VIDEO=FILE ...]

Each line is {"frame": n, "people": [{"box": [x0, y0, x1, y1], "score": s}]}. Only frames that were labelled by hand count.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from people_match import IOU_MATCH, Tally, read_labels

LABELS = Path(__file__).with_name("people-labels.csv")


def read_detections(path: Path) -> dict[int, np.ndarray]:
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = json.loads(line)
            found[record["frame"]] = np.array([p["box"] + [p["score"]] for p in record["people"]], np.float32).reshape(-1, 5)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise SystemExit(f"{path}:{number}: not a line of `stroll vision detect --json`: {error}") from error
    return found


def judge(detections: dict[int, np.ndarray], keys: dict, glass: str, iou: float) -> Tally:
    """`glass`: whether people seen through the shop's glass are `demanded` or `tolerated`."""
    tally, tolerated_kinds = Tally(), {"unsure"} | ({"glass"} if glass == "tolerated" else set())
    for frame, rows in keys.items():
        if frame not in detections:
            continue
        demanded = np.array([box for kind, box in rows if kind not in tolerated_kinds], np.float32).reshape(-1, 4)
        tolerated = np.array([box for kind, box in rows if kind in tolerated_kinds], np.float32).reshape(-1, 4)
        tally.add(detections[frame], demanded, tolerated, iou)
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", metavar="VIDEO=FILE")
    parser.add_argument("--labels", type=Path, default=LABELS)
    parser.add_argument("--iou", type=float, default=IOU_MATCH)
    arguments = parser.parse_args()
    labels = read_labels(arguments.labels)
    for glass in ("demanded", "tolerated"):
        print(f"people behind the glass {glass}:")
        total = Tally()
        for pair in arguments.pairs:
            video, separator, path = pair.rpartition("=")
            if not separator or video not in labels:
                raise SystemExit(f"{pair}: expected VIDEO=FILE with a video of {arguments.labels}: {', '.join(labels)}")
            tally = judge(read_detections(Path(path)), labels[video], glass, arguments.iou)
            print(f"  {video:32} {tally}")
            total = Tally(total.hits + tally.hits, total.missed + tally.missed, total.false + tally.false)
        print(f"  {'all':32} {total}")


if __name__ == "__main__":
    main()
