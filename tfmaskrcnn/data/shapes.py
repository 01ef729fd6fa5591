"""A synthetic data set: textured circles, squares, triangles, stars and arrows, hiding one another.

It needs no download, every mask is exact, and a small network learns it in minutes: for tests,
smoke runs and benchmarks.
"""

import json
import os
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.given import A_COUNT, A_PATH, takes

SHAPES = ("circle", "square", "triangle", "star", "arrow")
# Corners of each outline; a circle needs many, and no outline passes the limit of a COCO polygon.
_CORNERS = {"circle": 48, "square": 4, "triangle": 3, "star": 10, "arrow": 4}
# Arrows carry keypoints, of which two change places in a mirrored image: one at each corner of the
# outline, in its order, this far from the middle. Farther out, boxes would cut them off.
ARROW_KEYPOINTS = ("tip", "left", "tail", "right")
_SKELETON = ((1, 2), (2, 3), (3, 4), (4, 1))  # COCO counts from 1
_KEYPOINT_RADIUS = 0.7
_LABELLED_HIDDEN, _VISIBLE = 1, 2  # COCO's words for visibility
# A shape of which others leave less than this many pixels is not annotated.
_MIN_PIXELS = 16


@takes(num_images=A_COUNT)
def make_shapes(
    num_images: int,
    height: int = 256,
    width: int = 256,
    num_objects: Tuple[int, int] = (2, 6),
    seed: int = 0,
    classes: Sequence[str] = SHAPES[:3],
) -> Tuple[List[np.ndarray], Dict[str, Any]]:
    """Draw images and their COCO annotations; the same for the same arguments.

    Objects that nothing hides are annotated by their polygon, the others by an RLE of what is
    visible.

    Args:
        num_images: how many.
        height, width: of each image, pixels.
        num_objects: least and most objects drawn on an image, both included.
        seed: of all random choices; image i does not depend on `num_images`.
        classes: a choice of `SHAPES`, category ids 1, 2, ... in this order. "arrow" has keypoints.

    Returns:
        A list of [height, width, 3] uint8 RGB images, and a COCO instance dictionary.
    """
    unknown = [name for name in classes if name not in SHAPES]
    if unknown or not classes:
        raise InputError(f"classes {list(classes)} must be a choice of {', '.join(SHAPES)}.")
    if not 0 <= num_objects[0] <= num_objects[1]:
        raise InputError(f"num_objects {num_objects} must be (least, most), 0 or more.")
    drawn, entries, annotations = [], [], []
    for i in range(num_images):
        rng = np.random.default_rng([seed, i])
        image, objects = _draw_image(rng, height, width, num_objects, classes)
        drawn.append(image)
        entries.append(
            {"id": i + 1, "file_name": f"{i + 1:06d}.png", "height": height, "width": width}
        )
        for found in objects:
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, **found})
    categories = [_category(k, name) for k, name in enumerate(classes, start=1)]
    return drawn, {"images": entries, "annotations": annotations, "categories": categories}


@takes(folder=A_PATH, num_images=A_COUNT)
def write_shapes(folder: str, num_images: int, **options) -> Tuple[str, str]:
    """Write `make_shapes(num_images, **options)` as PNG files and `instances.json`.

    Returns:
        (path of the JSON, folder of the images).
    """
    drawn, coco = make_shapes(num_images, **options)
    image_dir, json_path = os.path.join(folder, "images"), os.path.join(folder, "instances.json")
    os.makedirs(image_dir, exist_ok=True)
    for image, entry in zip(drawn, coco["images"]):
        Image.fromarray(image).save(os.path.join(image_dir, entry["file_name"]))
    with open(json_path, "w", encoding="utf-8") as file:
        json.dump(coco, file)
    return json_path, image_dir


def _category(k: int, name: str) -> Dict[str, Any]:
    category = {"id": k, "name": name}
    if name == "arrow":
        category.update(keypoints=list(ARROW_KEYPOINTS), skeleton=[list(p) for p in _SKELETON])
    return category


def _draw_image(rng, height: int, width: int, num_objects: Tuple[int, int], classes):
    """One image, and its objects as partial COCO annotations."""
    image = _texture(rng, height, width, contrast=18.0)
    outlines, masks = [], []
    for _ in range(rng.integers(num_objects[0], num_objects[1] + 1)):
        k = int(rng.integers(len(classes)))
        outline = _outline(rng, classes[k], height, width)
        rle = coco_mask.merge(coco_mask.frPyObjects([outline.reshape(-1).tolist()], height, width))
        mask = coco_mask.decode(rle).astype(bool)
        # Bright and dark objects alike: a class must be told by its outline, not by its colour.
        image[mask] = _texture(rng, height, width, contrast=30.0)[mask]
        for earlier in masks:
            earlier &= ~mask
        outlines.append((k, outline, np.count_nonzero(mask)))
        masks.append(mask)
    objects = []
    for (k, outline, drawn), mask in zip(outlines, masks):
        if mask.sum() >= _MIN_PIXELS:
            objects.append(_annotation(k, outline, drawn, mask))
            if classes[k] == "arrow":
                objects[-1].update(_keypoints(outline, mask))
    return np.clip(image, 0, 255).astype(np.uint8), objects


def _annotation(k: int, outline: np.ndarray, drawn: int, mask: np.ndarray) -> Dict[str, Any]:
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [cols[0], rows[0], cols[-1] - cols[0] + 1, rows[-1] - rows[0] + 1]
    area = np.count_nonzero(mask)
    if area == drawn:
        low, high = outline.min(axis=0), outline.max(axis=0)
        box = [*low, *(high - low)]
        segmentation: Any = [outline.reshape(-1).tolist()]
    else:
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts = rle["counts"].decode("ascii")
        segmentation = {"size": list(map(int, rle["size"])), "counts": counts}
    return {
        "category_id": k + 1,
        "bbox": [float(v) for v in box],
        "area": float(area),
        "iscrowd": 0,
        "segmentation": segmentation,
    }


def _keypoints(outline: np.ndarray, mask: np.ndarray) -> Dict[str, Any]:
    """COCO's `keypoints` and `num_keypoints` of an arrow of which `mask` is to be seen."""
    middle = outline.mean(axis=0)
    points = middle + _KEYPOINT_RADIUS * (outline - middle)
    numbers: List[float] = []
    for x, y in points:
        seen = mask[int(y), int(x)]
        # COCO's coordinates name a pixel; the continuous point is half a pixel farther.
        numbers += [x - 0.5, y - 0.5, _VISIBLE if seen else _LABELLED_HIDDEN]
    return {"keypoints": [float(v) for v in numbers], "num_keypoints": len(points)}


def _outline(rng, name: str, height: int, width: int) -> np.ndarray:
    """[n, 2] (x, y) corners of a turned shape that lies inside the image."""
    count = _CORNERS[name]
    radius = rng.uniform(0.08, 0.25) * min(height, width)
    angles = rng.uniform(0, 2 * np.pi) + np.arange(count) * (2 * np.pi / count)
    radii = np.full(count, radius)
    if name == "star":
        radii[1::2] *= 0.45
    if name == "arrow":  # slim, with a notch at its tail
        angles = angles[0] + np.array([0.0, -2.4, np.pi, 2.4])  # y runs down: left is negative
        radii = radius * np.array([1.0, 0.9, 0.45, 0.9])
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    low, high = -corners.min(axis=0), np.array([width, height]) - corners.max(axis=0)
    corners += rng.uniform(low, np.maximum(high, low))
    # Eighths are exact in any float, so that what is drawn is what a reader rasterises.
    return np.round(corners * 8) / 8


def _texture(rng, height: int, width: int, contrast: float) -> np.ndarray:
    """[height, width, 3] float32: a random colour with stripes and noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 24)
    stripes = np.sin((np.cos(angle) * x + np.sin(angle) * y) * np.float32(2 * np.pi / period))
    noise = rng.standard_normal((height, width, 1), dtype=np.float32)
    colour = rng.uniform(40, 215, 3).astype(np.float32)
    return colour + np.float32(contrast) * (0.7 * stripes[..., None] + 0.3 * noise)
