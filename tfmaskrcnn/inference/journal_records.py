"""What the journal keeps of an image: all that results, tables and data sets are made of."""

import dataclasses
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.instances import Instances


def with_rle(found: Instances) -> Instances:
    """`found` with its masks as RLE, which are then encoded once for all."""
    if not found.has_masks or found.exact_rle is not None:
        return found
    return dataclasses.replace(found, exact_rle=found.rle(), mask_probabilities=None)


def record_of(
    found: Instances, chosen: Sequence[int], ids: Optional[Sequence[int]] = None, **more
) -> Dict[str, Any]:
    """A record of JSON's types, from which `instances_of` makes the same `Instances` again.

    Args:
        found: all objects, with masks as RLE, or with boxes alone.
        chosen: rows of those at or above their thresholds, ascending.
        ids: numbers of the chosen ones; None counts them.
        more: is kept with it.
    """
    record = {"size": list(found.size), "boxes": found.boxes.tolist()}
    record.update(scores=found.scores.tolist(), classes=found.classes.tolist())
    if found.exact_rle is not None:
        record["rle"] = [rle["counts"] for rle in found.exact_rle]
    if found.keypoints is not None:
        record["keypoints"] = found.keypoints.tolist()
        record["skeleton"] = [list(pair) for pair in found.skeleton]
        record["keypoint_offset"] = found.keypoint_offset
    record["chosen"] = [int(i) for i in chosen]
    if ids is not None:
        record["ids"] = [int(i) for i in ids]
    return {**record, **more}


def instances_of(record: Dict[str, Any], class_names: Sequence[str] = ()) -> Instances:
    """All objects of a record of `record_of`, masks as RLE."""
    height, width = record["size"]
    rle = record.get("rle")
    keypoints = record.get("keypoints")
    return Instances(
        boxes=np.array(record["boxes"], np.float32).reshape(-1, 4),
        scores=np.array(record["scores"], np.float32),
        classes=np.array(record["classes"], np.int32),
        size=(height, width),
        class_names=class_names,
        exact_rle=rle and [{"size": [height, width], "counts": counts} for counts in rle],
        keypoints=None if keypoints is None else _points(keypoints, len(record["boxes"])),
        skeleton=tuple(tuple(pair) for pair in record.get("skeleton", ())),
        keypoint_offset=record.get("keypoint_offset", 0.5),
    )


def chosen_of(record: Dict[str, Any], class_names: Sequence[str] = ()) -> Instances:
    """The chosen objects of a record, with their numbers."""
    chosen = instances_of(record, class_names)[record["chosen"]]
    ids = record.get("ids")
    return chosen if ids is None else dataclasses.replace(chosen, ids=np.array(ids, np.int64))


def _points(keypoints: List, count: int) -> np.ndarray:
    return np.array(keypoints, np.float32).reshape(count, -1, 3) if count else np.zeros((0, 0, 3))
