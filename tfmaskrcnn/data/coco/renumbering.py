"""Records whose objects get other class numbers, or are left out."""

import dataclasses
from typing import Sequence

import numpy as np

from tfmaskrcnn.data.coco.records import CocoData, Record


def as_classes(data: CocoData, class_names: Sequence[str]) -> CocoData:
    """`data` with its objects numbered as the model's classes, which are found by name.

    A val split may name fewer categories, or in another order. Objects of a category that the model
    does not have are left out. A model without names takes the classes as they are.
    """
    if not class_names or tuple(data.class_names) == tuple(class_names):
        return data
    number = {name: k for k, name in enumerate(class_names, start=1)}
    new = np.array([0, *(number.get(name, 0) for name in data.class_names)], np.int32)
    records = [renumbered(record, new) for record in data.records]
    return data._replace(records=records, class_names=tuple(class_names))


def renumbered(record: Record, new: np.ndarray) -> Record:
    """The objects of `record` of class k in class `new[k]`; without those of class 0.

    Args:
        record: a `Record`, or what an index knows of one.
        new: [K + 1] int32, of 0 and the K classes that `record` is of.
    """
    classes = new[record.classes]
    kept = np.flatnonzero(classes)
    changes = {"classes": classes[kept], "boxes": record.boxes[kept], "crowd": record.crowd[kept]}
    if not isinstance(record, Record):
        return dataclasses.replace(record, **changes)
    for name in ("segmentations", "annotation_ids"):
        changes[name] = [getattr(record, name)[i] for i in kept]
    points = None if record.keypoints is None else record.keypoints[kept]
    return record._replace(keypoints=points, **changes)
