"""Many made-up images, to ask how often an interval of a few holds the AP of all.

`python tests/helpers/populations.py` prints how often that is, for our interval
and the plain percentile interval of the same draws; some minutes.
"""

import numpy as np

from tfmaskrcnn.evaluation.analysis import bootstrap
from tfmaskrcnn.evaluation.analysis.coco_matching import COCO_THRESHOLDS, Matches
from tfmaskrcnn.evaluation.analysis.precision import average_precision, mean_present

# Images of a sample, classes, objects an image.
SAMPLES = ((8, 1, 20), (14, 1, 20), (20, 1, 6), (80, 1, 40), (30, 3, 5), (40, 10, 3))
REPEATS = 100


class Population:
    """Matches of many images, better and worse ones; objects are found well, badly or not."""

    def __init__(self, seed, num_classes, objects, num_images=3000, spread=0.5):
        rng = np.random.default_rng(seed)
        per_image = rng.poisson(objects, num_images)
        images = np.repeat(np.arange(num_images), per_image)
        classes = rng.integers(num_classes, size=len(images))
        self.counts = np.zeros((num_classes, num_images), int)
        np.add.at(self.counts, (classes, images), 1)
        quality = rng.normal(0.8, 1, len(images)) + rng.normal(0, spread, num_images)[images]
        seen = rng.random(len(images)) < 0.85
        iou = np.clip(0.78 + 0.05 * quality + rng.normal(0, 0.08, len(images)), 0.1, 1)
        false = np.repeat(np.arange(num_images), rng.poisson(objects * 0.3, num_images))
        self.images = np.concatenate([images[seen], false])
        self.classes = np.concatenate([classes[seen], rng.integers(num_classes, size=len(false))])
        quality = np.concatenate([quality[seen] + 1, rng.normal(-1, 1, len(false))])
        self.scores = 1 / (1 + np.exp(-quality))
        self.iou = np.concatenate([iou[seen], np.zeros(len(false))])
        self.ends = np.argsort(self.images, kind="stable")
        self.starts = np.searchsorted(self.images[self.ends], np.arange(num_images + 1))

    def sample(self, chosen):
        """`Matches` of the images `chosen`."""
        parts = [self.ends[self.starts[i] : self.starts[i + 1]] for i in chosen]
        rows, lengths = np.concatenate(parts), [len(part) for part in parts]
        objects = np.where(self.iou[rows] >= COCO_THRESHOLDS[:, None], 0, -1)
        return Matches(
            COCO_THRESHOLDS,
            np.repeat(np.arange(len(chosen)), lengths),
            np.zeros(len(rows), int),
            self.classes[rows] + 1,
            self.scores[rows],
            objects,
            np.zeros(objects.shape, bool),
            self.counts[:, chosen],
        )

    def ap(self):
        """AP of all images."""
        whole = self.sample(np.arange(self.counts.shape[1]))
        return mean_present(average_precision(whole))[0]


def main():
    print("images  classes  objects an image   AP     held by ours  by percentiles")
    for size, num_classes, objects in SAMPLES:
        population = Population(5, num_classes, objects)
        truth, rng = population.ap(), np.random.default_rng(1)
        held = np.zeros(2)
        for _ in range(REPEATS):
            matches = population.sample(rng.choice(population.counts.shape[1], size))
            found = bootstrap.ap_interval(matches)
            drawn = average_precision(matches, bootstrap.draw_images(size))
            low, high = np.quantile(mean_present(drawn), [0.025, 0.975])
            held += found.low <= truth <= found.high, low <= truth <= high
        ours, plain = held / REPEATS
        text = f"{size:6}  {num_classes:7}  {objects:16}   {truth:.3f}"
        print(f"{text}  {ours:12.0%}  {plain:14.0%}", flush=True)


if __name__ == "__main__":
    main()
