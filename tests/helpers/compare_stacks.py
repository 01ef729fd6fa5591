"""Same weights, same images, same detections on both stacks; `.ci/run` calls it after the demo.

    python tests/helpers/compare_stacks.py write RUN IMAGES FILE      # on one stack
    python tests/helpers/compare_stacks.py compare RUN IMAGES FILE    # on the other

Compares what a run's weights find in real images: the largest difference of a box in pixels, of a
score and of a mask probability. Exits 1 when a box differs by more than 0.01 px.
"""

import glob
import os
import sys

import numpy as np

import tfmaskrcnn as mr

PARTS = ("boxes", "scores", "classes", "mask_probabilities")
MOST_PIXELS = 1e-2


def found_in(run, images):
    """{"boxes/0": [D, 4], ...} for the images of a folder in the order of their names."""
    paths = sorted(glob.glob(os.path.join(images, "*")))[::6]
    model = mr.load(run)
    found = model.predict_images([mr.data.read_image(path) for path in paths])
    return {f"{part}/{i}": getattr(f, part) for i, f in enumerate(found) for part in PARTS}


def compare(here, there):
    """Print the largest differences; 0 if they are small enough, else 1."""
    for name in sorted(here):
        if here[name].shape != there[name].shape:
            print(f"{name}: {here[name].shape} here, {there[name].shape} on the other stack")
            return 1
    largest = {
        part: max(
            float(np.abs(here[name].astype(np.float64) - there[name]).max(initial=0))
            for name in here
            if name.startswith(f"{part}/")
        )
        for part in PARTS
    }
    count = sum(len(here[name]) for name in here if name.startswith("scores/"))
    print(f"{count} detections, largest differences: {largest}")
    return 0 if count and largest["boxes"] <= MOST_PIXELS and not largest["classes"] else 1


def main():
    """Write the detections of this stack, or compare them with the other's."""
    mode, run, images, path = sys.argv[1:]
    found = found_in(run, images)
    if mode == "write":
        np.savez(path, **found)
        return 0
    with np.load(path) as there:
        return compare(found, dict(there))


if __name__ == "__main__":
    sys.exit(main())
