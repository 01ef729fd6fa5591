"""Boxes, crowd flags and masks that are in another form than COCO's."""

from typing import Any, Dict, Iterable, List, Sequence

import numpy as np

from tfmaskrcnn.data.checking.notes import Notes, Place, is_plain_id
from tfmaskrcnn.data.coco.file_names import shown_name
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries
from tfmaskrcnn.data.coco.meaning import clear_box, clear_crowd, clear_segmentation
from tfmaskrcnn.errors import quoted

_MOST_LEVELS = 4  # of lists in lists
_RULES = {"the box given as polygon": "mask-is-box", "an RLE counted along rows": "rle-rows"}


def all_shares(boxes: Iterable[np.ndarray]) -> bool:
    """Whether all boxes ([n, 4] for each image) are shares of the image's sides, not pixels.

    A box in the image's first pixel looks like one, three of which not one is whole do not.
    """
    count, most, whole = 0, 0.0, True
    for some in boxes:
        if len(some):
            count, most = count + len(some), max(most, float(np.max(some)))
            if most > 1 or np.min(some) < 0:
                return False
            whole = whole and bool(np.all(some == np.round(some)))
    return count >= 3 and not whole


def clear_objects(
    annotations: Sequence[Any], images: List[Any], others: Iterable[int], notes: Notes
) -> Sequence[Any]:
    """Annotations whose box, crowd flag and mask are as COCO has them, where that is clear.

    Args:
        annotations, images: entries of the JSON.
        others: places of the annotations that may be otherwise.
        notes: gets what is changed.
    """
    by_id = {e["id"]: e for e in images if isinstance(e, dict) and is_plain_id(e.get("id"))}
    changed, shares = {}, _are_shares(annotations)
    for place in others:
        entry = annotations[place]
        if isinstance(entry, dict) and is_plain_id(entry.get("id")):
            image_id = entry.get("image_id")
            image = by_id.get(image_id) if is_plain_id(image_id) else None
            if image is not None:
                new = _object(_pixels(entry, image, notes) if shares else entry, image, notes)
                if new is not entry:
                    changed[place] = new
    if changed and isinstance(annotations, LazyEntries):
        return annotations.with_changes(changed)
    return (
        [changed.get(n, entry) for n, entry in enumerate(annotations)] if changed else annotations
    )


def _are_shares(annotations: Sequence[Any]) -> bool:
    """Whether all boxes, and all polygons, are between 0 and 1."""
    boxes = []
    for entry in annotations:
        box = clear_box(entry.get("bbox")) if isinstance(entry, dict) else None
        if box is None or not _in_one(entry.get("segmentation") or []):
            return False
        boxes.append([*box, box[0] + box[2] - 1e-3, box[1] + box[3] - 1e-3])
    return bool(boxes) and all_shares([np.array(boxes, float)])


def _in_one(value: Any, level: int = 0) -> bool:
    """Whether all numbers in lists of lists are between 0 and 1, and there is nothing else."""
    if isinstance(value, list):
        return level < _MOST_LEVELS and all(_in_one(v, level + 1) for v in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _pixels(entry: Dict[str, Any], image: Dict[str, Any], notes: Notes) -> Dict[str, Any]:
    """Of shares of the image's sides."""
    sides = [image.get(key) for key in ("width", "height")]
    shape, box = entry.get("segmentation"), np.array(clear_box(entry["bbox"]), float)
    flat = shape if isinstance(shape, list) else []
    if not all(is_plain_id(side) and 0 < side < 2**31 for side in sides):
        return entry
    if not all(
        isinstance(p, list) and len(p) % 2 == 0 and not any(isinstance(v, list) for v in p)
        for p in flat
    ):
        return entry
    place, (w, h) = _place(entry, image), sides
    text = f"its bbox {quoted(entry['bbox'])} is in shares of the image, wanted pixels."
    notes.add("box-form", place, text, "its numbers are pixels now.")
    changed = {**entry, "bbox": [round(v, 3) for v in (box * [w, h, w, h]).tolist()]}
    if flat:
        changed["segmentation"] = [
            [round(v * sides[n % 2], 3) for n, v in enumerate(polygon)] for polygon in flat
        ]
    return changed


def _place(entry: Dict[str, Any], image: Dict[str, Any]) -> Place:
    name = image.get("file_name")
    where = f"annotation {quoted(entry['id'])} of image {quoted(image['id'])} ({shown_name(name)})"
    return Place(where, name if isinstance(name, str) else "", image["id"], entry["id"])


def _object(entry: Dict[str, Any], image: Dict[str, Any], notes: Notes) -> Dict[str, Any]:
    place = _place(entry, image)
    changes: Dict[str, Any] = {}
    bbox = entry.get("bbox")
    box = clear_box(bbox)
    if box is not None and box != bbox:
        text = f"its bbox is {quoted(bbox)}, wanted [x, y, width, height] of four numbers."
        notes.add("box-form", place, text, f"its bbox is {box} now.")
        changes["bbox"] = box
    if "iscrowd" in entry and (entry["iscrowd"] is None or isinstance(entry["iscrowd"], str)):
        crowd = clear_crowd(entry["iscrowd"])
        if crowd is not None:
            text = f"'iscrowd' is {quoted(entry['iscrowd'])}, wanted 0 or 1."
            notes.add("crowd-form", place, text, f"'iscrowd' is {crowd} now.")
            changes["iscrowd"] = crowd
    size = image.get("height"), image.get("width")
    if all(is_plain_id(side) and 0 < side < 2**31 for side in size):
        shape = entry.get("segmentation")
        meaning = clear_segmentation(shape, bbox, *size)
        if meaning is not None:
            rule = _RULES.get(meaning.what, "mask-form")
            text = f"its segmentation is {meaning.what}: {quoted(shape)}."
            notes.add(rule, place, text, _done(rule))
            changes["segmentation"] = meaning.mended
    return {**entry, **changes} if changes else entry


def _done(rule: str) -> str:
    return {
        "mask-is-box": "its mask is the rectangle of its box now, for want of a better.",
        "rle-rows": "its RLE is counted along columns now.",
    }.get(rule, "its segmentation is in COCO's form now.")
