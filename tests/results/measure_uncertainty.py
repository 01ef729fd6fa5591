"""How well formulas of uncertainty tell the pictures with the most mistakes: docs/prelabel.md.

    python tests/results/measure_uncertainty.py found/results.json val.json --threshold 0.5 0.7

An error is an object without a detection of IoU 0.5 at or above the threshold, or the reverse.
"""

import argparse
import collections
import contextlib
import io
import json
import os

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.results.uncertainty import uncertainty


def main():
    """Print a line for each threshold and formula."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", help="results.json of `predict`, of one class")
    parser.add_argument("truth", help="COCO JSON of the same pictures")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.5])
    parser.add_argument("--pictures", type=int, default=5, help="that are picked")
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(options.truth)
    found = collections.defaultdict(list)
    with open(options.results, encoding="utf-8") as file:
        for entry in json.load(file):
            found[os.path.basename(entry["file_name"])].append(entry)
    for threshold in options.threshold:
        rows = [
            of_picture(found[image["file_name"]], truth, image["id"], threshold)
            for image in truth.dataset["images"]
        ]
        tell(rows, threshold, options.pictures)


def of_picture(entries, truth, image_id, threshold):
    """(errors, {formula: value}) of a picture."""
    scores = np.array([entry["score"] for entry in entries])
    chosen = [entry["segmentation"] for entry in entries if entry["score"] >= threshold]
    objects = [truth.annToRLE(a) for a in truth.imgToAnns[image_id]]
    right = 0
    if chosen and objects:
        overlaps = coco_mask.iou(chosen, objects, [0] * len(objects))  # [chosen, objects]
        for row in overlaps:  # the best score first
            best = row.argmax()
            right += row[best] >= 0.5
            overlaps[:, best] *= row[best] < 0.5
    low, high = scores / (2 * threshold), 1 - (1 - scores) / (2 * (1 - threshold))
    q = np.clip(np.where(scores < threshold, low, high), 1e-9, 1 - 1e-9)
    p = np.minimum(q, 1 - q)
    count = len(scores)
    instances = Instances(np.zeros((count, 4)), scores, np.ones(count), (1, 1))
    values = {
        "uncertainty": uncertainty(instances, threshold),
        "sum of squares": np.sum(p**2),
        "sum of entropies": -np.sum(q * np.log(q) + (1 - q) * np.log(1 - q)),
        "mean": p.mean() if count else 0.0,
        "highest": p.max(initial=0.0),
        "objects": float(len(chosen)),
    }
    return len(chosen) + len(objects) - 2 * right, values


def tell(rows, threshold, pictures):
    """Rank correlation of each formula with the errors, and the errors in the first pictures."""
    errors = np.array([row[0] for row in rows])
    most, any_ones = np.sort(errors)[-pictures:].sum(), errors.mean() * pictures
    print(f"threshold {threshold}: {errors.sum()} errors in {len(rows)} pictures; in {pictures}")
    print(f"  of them {most} at most, {any_ones:.0f} on average")
    for name in rows[0][1]:
        values = np.array([row[1][name] for row in rows])
        picked = errors[np.argsort(-values, kind="stable")[:pictures]].sum()
        correlation = np.corrcoef(_ranks(values), _ranks(errors))[0, 1]
        print(f"  {name:<17} {picked:4d}   rank correlation {correlation:.2f}")


def _ranks(values):
    return np.argsort(np.argsort(values))


if __name__ == "__main__":
    main()
