"""A new JSON in which everything is mended that has one clear answer."""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional

from pycocotools import mask as coco_mask

from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.object_checks import (
    EDGE_TOLERANCE,
    area_fault,
    box_fits,
    inside_image,
    is_number,
    mask_box,
    mask_rle,
)
from tfmaskrcnn.data.coco.annotations import Fault, checked_box, checked_segmentation, polygon_area
from tfmaskrcnn.data.coco.segmentation import MIN_AREA
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import replaced

# EXIF's orientations that change height and width; which of the two the annotations mean is open.
_SWAPPING = (5, 6, 7, 8)


class Change(NamedTuple):
    """One difference between the old JSON and the new one."""

    kind: str  # for counting
    message: str  # a sentence


def write_repaired(result: CheckResult, path: str) -> List[Change]:
    """Write the JSON that `result` checked as a new file, mended; the images stay as they are.

    Raises:
        InputError: the file is the checked one or cannot be written, or only a part was checked.
    """
    source = result.data.json_path
    if os.path.realpath(path) == os.path.realpath(source):
        raise InputError(f"{path} is the file that was checked; give the new one another name.")
    if result.limit is not None:
        raise InputError(f"Only the first {result.limit} images were checked; repairs need all.")
    fixed, changes = repaired(result)
    with replaced(path, "w") as file:
        json.dump(fixed, file)
    return changes


def repaired(result: CheckResult):
    """(the new JSON, its `Change`s): see `docs/check_data.md` for what is changed and what is not.

    The JSON inside `result` stays as it is.
    """
    work = _Work(result)
    images = [work.image(entry) for entry in result.raw["images"]]
    annotations = [work.annotation(entry) for entry in result.raw["annotations"]]
    kept = {
        "images": [entry for entry in images if entry is not None],
        "annotations": [entry for entry in annotations if entry is not None],
    }
    return {**result.raw, **kept}, work.changes


class _Work:
    """What is known while the entries are gone through, in their order."""

    def __init__(self, result: CheckResult):
        self.changes: List[Change] = []
        self._facts = result.facts
        self._images: Dict[int, Dict[str, Any]] = {}  # id -> its entry in the new JSON
        self._of_image: Dict[int, List[Dict]] = {}
        self._duplicates = {
            f.annotation_id for f in result.findings if f.rule == "duplicate-object"
        }
        self._corners = any(f.rule == "box-xyxy" and not f.file_name for f in result.findings)
        self._seen = set()
        annotations = [a for a in result.raw["annotations"] if isinstance(a, dict)]
        for annotation in annotations:
            if isinstance(annotation.get("image_id"), int):
                self._of_image.setdefault(annotation["image_id"], []).append(annotation)
        ids = [a["id"] for a in annotations if isinstance(a.get("id"), int)]
        self._next_id = max(ids, default=0) + 1

    def image(self, entry: Any) -> Optional[Dict[str, Any]]:
        """The entry in the new JSON, None to leave it out."""
        image_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(image_id, int):
            return entry
        first = self._images.get(image_id)
        if first is not None:
            if first.get("file_name") != entry.get("file_name"):
                return entry  # whose annotations are whose?
            self._note("images listed twice", f"image {image_id}: left out its second entry.")
            return None
        facts = self._facts.get(image_id)
        found = (entry.get("height"), entry.get("width"))
        if facts and found != facts[:2] and self._size_is_clear(image_id, facts):
            text = f"image {image_id} ({entry.get('file_name')}): height x width is "
            text += f"{facts.height} x {facts.width} as in the file, was {found[0]} x {found[1]}."
            self._note("image sizes", text)
            entry = {**entry, "height": facts.height, "width": facts.width}
        self._images[image_id] = entry
        return entry

    def _size_is_clear(self, image_id: int, facts) -> bool:
        """Whether all annotations of an image fit its file."""
        if facts.orientation in _SWAPPING:
            return False
        try:
            for annotation in self._of_image.get(image_id, []):
                x, y, w, h = annotation["bbox"]
                over = max(x + w - facts.width, y + h - facts.height)
                shape = annotation.get("segmentation")
                if over > EDGE_TOLERANCE or not isinstance(shape, (dict, list, type(None))):
                    return False
                if isinstance(shape, dict) and list(shape["size"]) != list(facts[:2]):
                    return False
        except (KeyError, TypeError, ValueError):
            return False
        return True

    def annotation(self, entry: Any) -> Optional[Dict[str, Any]]:
        """The entry in the new JSON, None to leave it out."""
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
            return entry
        annotation_id, image_id = entry["id"], entry.get("image_id")
        if not isinstance(image_id, int):
            return entry
        image, where = self._images.get(image_id), f"annotation {annotation_id} of image {image_id}"
        if image is None:
            self._note("annotations of no image", f"{where}: left out, there is no such image.")
            return None
        where += f" ({image.get('file_name')})"
        if annotation_id in self._seen:
            self._note("annotation ids", f"{where}: is annotation {self._next_id} now.")
            entry, self._next_id = {**entry, "id": self._next_id}, self._next_id + 1
        elif annotation_id in self._duplicates:
            self._note("objects annotated twice", f"{where}: left out the second time.")
            return None
        self._seen.add(entry["id"])
        size = image.get("height"), image.get("width")
        if not all(isinstance(side, int) and side > 0 for side in size):
            return entry
        return self._object(dict(entry), *size, where)

    def _object(self, entry, height: int, width: int, where: str) -> Optional[Dict[str, Any]]:
        shape = entry.get("segmentation")
        if isinstance(shape, list) and shape:
            shape = self._polygons(shape, height, width, where)
            if not shape:
                text = f"{where}: left out, no polygon has area inside the image."
                self._note("objects without area", text)
                return None
            entry["segmentation"] = shape
        try:
            shape = checked_segmentation(shape, height, width) if shape else None
        except Fault as fault:
            if fault.rule != "mask-area":
                return entry
            self._note("objects without area", f"{where}: left out, {fault}")
            return None
        if shape is None:
            return self._box_alone(entry, height, width, where)
        self._box_of_mask(entry, shape, height, width, where)
        rle = mask_rle(shape, height, width)
        if "area" not in entry or not is_number(entry["area"]) or area_fault(entry["area"], rle):
            area = max(1, int(coco_mask.area(rle)))
            self._note("areas", f"{where}: its area is {area}, was {entry.get('area')}.")
            entry["area"] = area
        return entry

    def _polygons(self, polygons: List, height: int, width: int, where: str) -> List[List[float]]:
        """Those that enclose something inside the image, cut off at its edge."""
        kept = []
        for polygon in polygons:
            try:
                (flat,) = checked_segmentation([polygon], height, width)
            except Fault as fault:
                self._note("polygons left out", f"{where}: left out a polygon, {fault}")
                continue
            points = flat.reshape(-1, 2)
            if points.min() >= 0 and (points.max(axis=0) <= (width, height)).all():
                kept.append(polygon)
                continue
            parts = [p for p in inside_image([flat], height, width) if polygon_area(p) > MIN_AREA]
            if not parts:
                self._note("polygons left out", f"{where}: left out a polygon outside the image.")
                continue
            self._note("polygons clipped", f"{where}: clipped a polygon to the image.")
            kept += [[round(v, 2) for v in part.tolist()] for part in parts]
        return kept

    def _box_of_mask(self, entry, shape, height: int, width: int, where: str) -> None:
        tight, bbox = mask_box(shape, height, width), entry.get("bbox")
        try:
            fits = box_fits(checked_box(bbox, height, width), tight)
            fits = fits and _inside(bbox, height, width)
        except Fault:
            fits = False
        if not fits:
            y1, x1, y2, x2 = tight
            entry["bbox"] = [round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)]
            text = f"{where}: its bbox is its mask's, {entry['bbox']}, was {bbox}."
            self._note("boxes from masks", text)

    def _box_alone(self, entry, height: int, width: int, where: str) -> Optional[Dict[str, Any]]:
        bbox = entry.get("bbox")
        try:
            if self._corners:
                x1, y1, x2, y2 = bbox
                entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                text = f"{where}: its bbox is {entry['bbox']} as x, y, width, height, was {bbox}."
                self._note("boxes of corners", text)
            y1, x1, y2, x2 = checked_box(entry["bbox"], height, width)
        except (Fault, KeyError, TypeError, ValueError) as error:
            if getattr(error, "rule", "box") == "box":
                return entry
            self._note("objects without area", f"{where}: left out, {error}")
            return None
        if not _inside(entry["bbox"], height, width):
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            text = f"{where}: clipped its bbox to {entry['bbox']}, was {bbox}."
            self._note("boxes clipped", text)
        return entry

    def _note(self, kind: str, message: str) -> None:
        self.changes.append(Change(kind, message))


def _inside(bbox, height: int, width: int) -> bool:
    x, y, w, h = bbox
    return min(x, y) >= 0 and x + w <= width and y + h <= height
