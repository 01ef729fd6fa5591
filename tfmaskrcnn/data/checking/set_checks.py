"""Checks of the data set as a whole: classes, numbers of objects, sizes after the resize."""

from collections import defaultdict
from typing import Any, Dict, List

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.augment.moved_objects import MIN_SIDE
from tfmaskrcnn.data.checking.coverage import Resized
from tfmaskrcnn.data.checking.notes import image_named
from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.records import CocoData

RARE = 10  # objects of a class
MANY_CROWDS = 0.4  # of all annotations; of COCO's 0.012 are crowd regions
_CVAT = "CVAT writes its masks so: --fix FILE --no-crowds makes them objects."
FAR_RATIO = 2.0  # times the most extreme of the anchors' ratios


def class_counts(data: CocoData) -> Dict[int, int]:
    """Class -> its objects, crowd regions left out."""
    parts = [(record.classes, record.crowd) for record in data.records]
    classes = np.concatenate([np.zeros(0, int), *(own for own, _ in parts)])
    crowd = np.concatenate([np.zeros(0, bool), *(own for _, own in parts)])
    counts = np.bincount(classes[~crowd], minlength=len(data.class_names) + 1).tolist()
    return {k: counts[k] for k in range(1, len(data.class_names) + 1)}


def check_classes(data: CocoData) -> List[Finding]:
    """Names that occur twice, classes that occur never or hardly ever."""
    found, first_of = [], {}
    counts = class_counts(data)
    crowds = sum(int(record.crowd.sum()) for record in data.records)
    if not sum(counts.values()):
        text = "there is no annotation that can be trained on."
        if crowds:
            text = f"all {crowds} objects are crowd regions (iscrowd 1), which are not learned. "
            text += _CVAT
        return [Finding("no-objects", text)]
    total = crowds + sum(counts.values())
    if crowds >= MANY_CROWDS * total:
        text = f"{crowds} of {total} objects are crowd regions (iscrowd 1), which are not learned. "
        found.append(Finding("many-crowds", text + _CVAT))
    for k, (category_id, name) in enumerate(zip(data.category_ids, data.class_names), start=1):
        key = name.strip().casefold()
        if key in first_of:
            text = f"categories {first_of[key]} and {category_id} are both named {name!r}."
            found.append(Finding("same-name", text))
        first_of.setdefault(key, category_id)
        where = f"class {k}, {name!r} (category {category_id})"
        if not counts[k]:
            found.append(Finding("unused-class", f"{where} has no object."))
        elif counts[k] < RARE:
            found.append(Finding("rare-class", f"{where} has {counts[k]} objects."))
    return found


def check_counts(data: CocoData, config: Config) -> List[Finding]:
    """Images with no object, or with more than the configuration has room for."""
    found = []
    rows = config.data.max_instances
    limits = {
        "box_head.max_detections": config.model.box_head.max_detections,
        "evaluation.max_detections": config.evaluation.max_detections[-1],
    }
    limit, key = min((value, key) for key, value in limits.items())
    for record in data.records:
        place = record.file_name, record.image_id
        where, count = (
            image_named(record),
            len(record.classes),
        )
        objects = int((~record.crowd).sum())
        if not count:
            found.append(Finding("empty", f"{where} has no object.", *place))
        if count > rows:
            text = f"{where} has {count} objects, data.max_instances is {rows}."
            found.append(Finding("instances", text, *place))
        if objects > limit:
            text = f"{where} has {objects} objects, {key} is {limit}."
            found.append(Finding("detections", text, *place))
    return found


def check_sizes(data: CocoData, objects: Resized, iou: np.ndarray, config: Config) -> List[Finding]:
    """Objects that the resize makes too small, or that no anchor comes near.

    Args:
        data: the set.
        objects: its objects after the resize, in their order.
        iou: [n] the best IoU of each with any anchor.
        config: its anchors and thresholds.
    """
    found, model = [], config.model
    sides = objects.sides
    ratio = sides[:, 0] / np.maximum(sides[:, 1], 1e-9)
    low, high = min(model.anchors.ratios) / FAR_RATIO, max(model.anchors.ratios) * FAR_RATIO
    ends = np.cumsum([np.count_nonzero(~record.crowd) for record in data.records])
    vanishing = sides.min(axis=1, initial=np.inf) < MIN_SIDE
    rules = {
        "vanishing": vanishing,
        "anchor": (iou < model.rpn.negative_iou) & ~vanishing,
        "ratio": ((ratio < low) | (ratio > high)) & ~vanishing,
    }
    texts = {
        "vanishing": f"less than {MIN_SIDE:g} in one direction.",
        "anchor": "the best anchor has an IoU of {iou:.2f}.",
        "ratio": "height / width is {ratio:.2g}.",
    }
    for rule, broken in rules.items():
        for n in np.flatnonzero(broken):
            image = np.searchsorted(ends, n, "right")
            record = data.records[image]
            annotation_id = record.annotation_ids[np.flatnonzero(~record.crowd)[n - ends[image]]]
            where = f"annotation {annotation_id} of {image_named(record)}"
            size = f"{sides[n, 0]:.3g} x {sides[n, 1]:.3g} pixels (height x width) after the resize"
            text = f"{where} has {size}; {texts[rule].format(iou=iou[n], ratio=ratio[n])}"
            place = record.file_name, record.image_id, annotation_id
            found.append(Finding(rule, text, *place))
    return found


def check_box_order(data: CocoData, entries: Dict[int, Dict[str, Any]]) -> List[Finding]:
    """Boxes without masks that can only be x1, y1, x2, y2, because of all of them together."""
    over = defaultdict(bool)
    for record in data.records:
        for annotation_id, segmentation in zip(record.annotation_ids, record.segmentations):
            if segmentation is not None:
                return []
            x, y, w, h = entries[annotation_id]["bbox"]
            inside = w <= record.width + 1 and h <= record.height + 1
            if not (w > x and h > y and inside):
                return []  # one that cannot be x1, y1, x2, y2 is enough
            over[annotation_id] = x + w > record.width + 1 or y + h > record.height + 1
    share = np.mean(list(over.values())) if over else 0.0
    if share < 0.1:
        return []
    text = f"all {len(over)} boxes are inside their images as [x1, y1, x2, y2], but {share:.0%} of "
    return [Finding("box-xyxy", text + "them reach over the edge as [x, y, width, height].")]
