"""Do thresholds found on half of the images serve the other half better than 0.5?

`python tests/helpers/halves.py MODEL JSON IMAGES` halves the images at random 200 times.
"""

import dataclasses
import sys

import numpy as np

import tfmaskrcnn as mr
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.operating_points import operating_points

REPEATS = 200


def main(model, json_path, images):
    source = mr.inference.open_source(model)
    limits = {"max_detections": (1, 100, 1000)}
    report = mr.evaluation.report(source.predict, json_path, images, **limits)
    examined, rng = report.examined, np.random.default_rng(0)

    def curve(chosen):
        half = dataclasses.replace(examined, images=[examined.images[i] for i in chosen])
        return operating_points(half, match_all(half, report.kind, [0.5]), report.kind).overall

    f1 = []
    for _ in range(REPEATS):
        first, second = np.array_split(rng.permutation(len(examined.images)), 2)
        other = curve(second)
        f1.append((other.at(curve(first).best.score).f1, other.usual.f1))
    found, usual = np.transpose(f1)
    print(
        f"F1 on the other half: {found.mean():.3f} of thresholds found, {usual.mean():.3f} of 0.5;"
    )
    print(f"no worse in {(found >= usual).mean():.0%} of {REPEATS} halvings")


if __name__ == "__main__":
    main(*sys.argv[1:])
