"""Annotations of a 96 x 128 image, each of which breaks one rule of `data/checking/rules.py`."""

import numpy as np
from pycocotools import mask as coco_mask


def rle(mask):
    found = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": found["size"], "counts": found["counts"].decode()}


def ellipse(height=96, width=128):
    y, x = np.mgrid[:height, :width]
    return (x - 60) ** 2 / 400 + (y - 40) ** 2 / 200 < 1


# Rule -> the fields of a new annotation of image 1 that break it, and a part of the sentence.
ANNOTATIONS = {
    "annotation-id": ({"id": 100}, "repeats the annotation id 100"),
    "unknown-image": ({"image_id": 77}, "there is no image 77"),
    "unknown-category": ({"category_id": 6}, "category_id 6 is not in 'categories' (5)"),
    "entry": ({"iscrowd": "no"}, "'iscrowd' is 'no', wanted 0 or 1"),
    "box": ({"bbox": [1, 2, float("nan"), 4]}, "four finite numbers"),
    "box-area": ({"bbox": [1, 2, 0, 4]}, "has no area"),
    "box-outside": ({"bbox": [500, 2, 10, 10]}, "lies outside the image of 96 x 128"),
    "segmentation": ({"segmentation": []}, "wanted polygons or an RLE"),
    "polygon": ({"segmentation": [[1, 2, 3, 4]]}, "at least 3 points"),
    "mask-area": ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "enclose no area"),
    "polygon-outside": (
        {"segmentation": [[200, 1, 210, 1, 205, 9]]},
        "span x 200..210, y 1..9, outside the image",
    ),
    "rle": ({"segmentation": {"size": [96, 128], "counts": [5, 5]}}, "add up to 10"),
    "rle-size": ({"segmentation": rle(ellipse(96, 127))}, "'size' of its RLE is [96, 127]"),
    "box-xyxy": (
        {"bbox": [60, 30, 84, 50], "segmentation": [[60, 30, 84, 30, 84, 50, 60, 50]]},
        "fits its mask only as [x1, y1, x2, y2]",
    ),
    "box-edge": ({"bbox": [100, 30, 40, 20]}, "reaches 12 pixels over the edge"),
    "box-mask": ({"bbox": [20, 30, 24, 30]}, "but its mask's is [20.0, 30.0, 24.0, 20.0]"),
    "polygon-edge": (
        {"bbox": [100, 30, 28, 20], "segmentation": [[100, 30, 150, 30, 150, 50, 100, 50]]},
        "a polygon spans x 100..150, y 30..50 in 96 x 128 pixels",
    ),
    "crossing": (
        {"segmentation": [[20, 30, 44, 50, 44, 30, 20, 45]]},
        "a polygon of 4 points crosses itself",
    ),
    "area": ({"area": 24}, "its area is 24, but its mask has"),
    "crowd": ({"iscrowd": 1}, "crowd region"),
    "vanishing": (
        {"bbox": [20, 30, 24, 0.2], "segmentation": [[20, 30, 44, 30, 44, 30.2, 20, 30.2]]},
        "less than 0.5 in one direction",
    ),
    "anchor": ({"bbox": [20, 30, 3, 3], "segmentation": [[20, 30, 23, 30, 23, 33]]}, "IoU of 0.0"),
    "ratio": (
        {"bbox": [20, 2, 9, 90], "segmentation": [[20, 2, 29, 2, 29, 92, 20, 92]]},
        "height / width is 10",
    ),
}
