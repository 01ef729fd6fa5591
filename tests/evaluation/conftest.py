"""A fabricated COCO set with masks of all sizes, two categories with ids out of order, a crowd."""

import json

import numpy as np
import pytest
from PIL import Image

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle

CATEGORIES = [{"id": 7, "name": "plum"}, {"id": 3, "name": "leaf"}]  # classes 2 and 1
NAMES, IDS = ("leaf", "plum"), (3, 7)
SIZE = (150, 190)


def ellipse(rng, size=SIZE):
    """A filled ellipse; about a third each of COCO's small, medium and large."""
    radius = np.exp(rng.uniform(np.log(6), np.log(85))) * rng.uniform(0.8, 1.25, size=2)
    center = rng.uniform([10, 10], [size[0] - 10, size[1] - 10])
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2 <= 1


def tight_box(mask):
    """(y1, x1, y2, x2) of a bitmap."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]


class CocoSet:
    """The files of a fabricated set and ways to make detections for it."""

    def __init__(self, folder, seed=0, num_images=3, per_image=6):
        rng = np.random.default_rng(seed)
        self.json_path, self.image_dir = str(folder / "val.json"), str(folder)
        self.image_ids = [10 * (i + 1) for i in range(num_images)]
        self.masks = {i: [ellipse(rng) for _ in range(per_image)] for i in self.image_ids}
        self.classes = {i: rng.integers(1, 3, size=per_image) for i in self.image_ids}
        self.raw = {"images": [], "annotations": [], "categories": CATEGORIES}
        for image_id in self.image_ids:
            name = f"{image_id}.png"
            pixels = np.full((*SIZE, 3), image_id, np.uint8)  # the image tells which one it is
            Image.fromarray(pixels).save(folder / name)
            entry = {"id": image_id, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
            self.raw["images"].append(entry)
            self._annotate(image_id)
        self.raw["annotations"][1]["iscrowd"] = 1
        self.write()

    def _annotate(self, image_id):
        for mask, k in zip(self.masks[image_id], self.classes[image_id]):
            y1, x1, y2, x2 = (int(v) for v in tight_box(mask))
            self.raw["annotations"].append(
                {
                    "id": len(self.raw["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": IDS[k - 1],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": masks_to_rle(mask[None])[0],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                }
            )

    def write(self):
        with open(self.json_path, "w", encoding="utf-8") as file:
            json.dump(self.raw, file)

    def perfect(self, image_id):
        """The ground truth as detections."""
        return as_instances(self.masks[image_id], self.classes[image_id])

    def noisy(self, image_id, seed):
        """Shifted masks, some missing, some of the wrong class, some that are not there."""
        rng = np.random.default_rng([seed, image_id])
        masks, classes = [], []
        for mask, k in zip(self.masks[image_id], self.classes[image_id]):
            if rng.uniform() < 0.8:
                masks.append(np.roll(mask, rng.integers(-3, 4, size=2), axis=(0, 1)))
                classes.append(k if rng.uniform() < 0.8 else 3 - k)
        masks += [ellipse(rng) for _ in range(3)]
        classes += [1, 2, 2]
        return as_instances(masks, classes, rng.uniform(size=len(masks)))


def as_instances(masks, classes, scores=None, class_names=NAMES):
    """Exact bitmaps as `Instances`, best first."""
    scores = np.ones(len(masks)) if scores is None else np.asarray(scores)
    order = np.argsort(-scores, kind="stable")
    return Instances(
        boxes=[tight_box(masks[i]) for i in order],
        scores=scores[order],
        classes=np.asarray(classes, int)[order],
        size=masks[0].shape if len(masks) else SIZE,
        exact_rle=masks_to_rle([masks[i] for i in order]),
        class_names=class_names,
    )


@pytest.fixture
def coco_set(tmp_path):
    """The set of seed 0."""
    return CocoSet(tmp_path)


@pytest.fixture
def make_coco_set(tmp_path):
    """Makes sets of other seeds or sizes."""
    return lambda **options: CocoSet(tmp_path, **options)


@pytest.fixture
def instances_of():
    """`as_instances`, for tests that make their own masks."""
    return as_instances
