"""What every analysis starts from: what is in each image, what was found, how they overlap."""

import dataclasses
import functools
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile

KINDS = ("mask", "box")


class Objects(NamedTuple):
    """The G annotated objects of an image."""

    classes: np.ndarray  # [G] int, 1..K
    boxes: np.ndarray  # [G, 4] float64, yxyx pixels
    areas: np.ndarray  # [G] float64, what the file says, as COCO's sizes use it
    crowd: np.ndarray  # [G] bool: neither to be found nor to be missed
    ids: Tuple  # G annotation ids as the file has them
    rles: Optional[List[Dict]]  # COCO compressed RLE; None where there are boxes alone


class Found(NamedTuple):
    """The D detections of an image, best first, at most `max_detections` of each class."""

    classes: np.ndarray  # [D] int, 1..K
    scores: np.ndarray  # [D] float64, descending
    boxes: np.ndarray  # [D, 4] float64, yxyx pixels
    rles: Optional[List[Dict]]


@dataclasses.dataclass(frozen=True, eq=False)
class ExaminedImage:
    """One image: `objects` are there, `found` was found."""

    image_id: int
    file_name: str
    size: Tuple[int, int]  # (height, width)
    objects: Objects
    found: Found

    def overlap(self, kind: str) -> np.ndarray:
        """[D, G] float64 IoU of masks or boxes, whatever their classes.

        With a crowd region it is the share of the detection that lies inside, as in COCO.
        """
        return self._mask_overlap if kind == "mask" else self._box_overlap

    def found_areas(self, kind: str) -> np.ndarray:
        """[D] float64 pixels that each detection's mask or box has."""
        if kind == "mask":
            # One by one: with NumPy 2 pycocotools 2.0.11 cannot take more than 255 together.
            return np.array([coco_mask.area(rle) for rle in self.found.rles or []], np.float64)
        return np.prod(self.found.boxes[:, 2:] - self.found.boxes[:, :2], axis=1)

    @functools.cached_property
    def _mask_overlap(self) -> np.ndarray:
        return _iou(self.found.rles, self.objects.rles, self.objects.crowd)

    @functools.cached_property
    def _box_overlap(self) -> np.ndarray:
        found, objects = _xywh(self.found.boxes), _xywh(self.objects.boxes)
        return _iou(found, objects, self.objects.crowd)


@dataclasses.dataclass(frozen=True, eq=False)
class Examined:
    """All images of an evaluation, in the order of their ids, as COCO ranks equal scores."""

    images: List[ExaminedImage]
    class_names: Tuple[str, ...]  # of classes 1..K, unique
    has_masks: bool  # both what is there and what was found
    max_detections: int  # of an image and class, COCO's last maxDets

    @property
    def kinds(self) -> Tuple[str, ...]:
        """What can be judged, the more telling one first."""
        return KINDS if self.has_masks else ("box",)

    @property
    def kind(self) -> str:
        """What analyses judge by: masks where there are any."""
        return self.kinds[0]

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


def examine(
    truth: GroundTruthFile,
    results: Mapping[int, Sequence[Dict]],
    class_names: Sequence[str],
    has_masks: bool,
    max_detections: int,
) -> Examined:
    """Arrays of what `CocoEvaluator` holds.

    Args:
        truth: the annotations.
        results: COCO result entries of each image that was looked at, by its id.
        class_names: unique labels of `truth.category_ids`, in their order.
        has_masks: use the RLEs of both.
        max_detections: of an image and class.
    """
    number = {category: k for k, category in enumerate(truth.category_ids, start=1)}
    images = []
    for image_id in sorted(results):
        image = truth.images[image_id]
        objects = _objects(truth.annotations(image_id), number, has_masks)
        found = _found(results[image_id], number, has_masks, max_detections)
        size, name = (image["height"], image["width"]), str(image.get("file_name", ""))
        images.append(ExaminedImage(image_id, name, size, objects, found))
    return Examined(images, tuple(class_names), has_masks, max_detections)


def _objects(entries: Sequence[Dict], number: Dict, has_masks: bool) -> Objects:
    return Objects(
        np.array([number[entry["category_id"]] for entry in entries], int),
        _yxyx([entry["bbox"] for entry in entries]),
        np.array([entry["area"] for entry in entries], np.float64),
        np.array([bool(entry["iscrowd"]) for entry in entries], bool),
        tuple(entry["original_id"] for entry in entries),
        [entry["segmentation"] for entry in entries] if has_masks else None,
    )


def _found(entries: Sequence[Dict], number: Dict, has_masks: bool, most: int) -> Found:
    order = np.argsort([-entry["score"] for entry in entries], kind="stable")
    kept, counts = [], np.zeros(len(number) + 1, int)
    for entry in (entries[i] for i in order):
        k = number[entry["category_id"]]
        counts[k] += 1
        if counts[k] <= most:
            kept.append(entry)
    return Found(
        np.array([number[entry["category_id"]] for entry in kept], int),
        np.array([entry["score"] for entry in kept], np.float64),
        _yxyx([entry["bbox"] for entry in kept]),
        [entry["segmentation"] for entry in kept] if has_masks else None,
    )


def _iou(found, objects, crowd: np.ndarray) -> np.ndarray:
    if not len(found) or not len(objects):
        return np.zeros((len(found), len(objects)))
    return np.asarray(coco_mask.iou(found, objects, crowd.astype(int).tolist()), np.float64)


def _yxyx(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """[n, 4] float64 yxyx of COCO's (x, y, width, height)."""
    x, y, width, height = np.array(boxes, np.float64).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1)


def _xywh(boxes: np.ndarray) -> np.ndarray:
    y1, x1, y2, x2 = boxes.T
    return np.stack([x1, y1, x2 - x1, y2 - y1], axis=1)
