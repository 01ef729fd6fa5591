"""Entries of a cleared set, mended one by one where that has one answer."""

from typing import Any, Dict, List, NamedTuple, Optional

from pycocotools import mask as coco_mask

from tfmaskrcnn.data.checking.check_result import CheckResult
from tfmaskrcnn.data.checking.holes import first_hole
from tfmaskrcnn.data.checking.notes import Change, is_plain_id
from tfmaskrcnn.data.checking.object_checks import (
    area_fault,
    box_fits,
    inside_image,
    mask_box,
    mask_rle,
)
from tfmaskrcnn.data.coco.annotations import (
    Fault,
    checked_box,
    checked_segmentation,
    is_number,
    polygon_area,
)
from tfmaskrcnn.data.coco.file_names import shown_name
from tfmaskrcnn.data.coco.segmentation import MIN_AREA
from tfmaskrcnn.errors import quoted

NO_AREA, NO_IMAGE, TWICE = (
    "objects without area",
    "annotations of no image",
    "objects annotated twice",
)
LOST = (NO_AREA, NO_IMAGE)  # an object annotated twice is still there once
MOST_STRAYS = 0.25  # of all annotations, which are left out if their image is not there
# Of a polygon that encloses nothing inside the image, whatever else is wrong with the object.
_NOTHING = ("mask-area", "polygon-outside")


class Mended(NamedTuple):
    """A new JSON."""

    raw: Dict[str, Any]
    changes: List[Change]


def mended(result: CheckResult, crowds: bool = True) -> Mended:
    """The JSON of a check with what is mended in it; see `docs/check_data.md`.

    Args:
        result: of the check; the JSON inside stays as it is.
        crowds: False makes crowd regions objects.
    """
    mender = _Mender(result, crowds)
    images = [mender.image(entry) for entry in result.raw["images"]]
    annotations = mender.annotations(result.raw["annotations"])
    kept = {
        "categories": mender.categories(result.raw["categories"]),
        "images": [entry for entry in images if entry is not None],
        "annotations": annotations,
    }
    return Mended({**result.raw, **kept}, result.changes + mender.changes)


class _Mender:
    """What is known while the entries are gone through, in their order."""

    def __init__(self, result: CheckResult, crowds: bool):
        self.changes: List[Change] = []
        self._crowds, self._masks = crowds, result.config.model.mask_head.enabled
        self._images: Dict[int, Dict[str, Any]] = {}  # id -> its entry in the new JSON
        self._keeps_strays = False  # annotations of images that are not there
        self._duplicates = {
            f.annotation_id for f in result.findings if f.rule == "duplicate-object"
        }
        self._corners = any(f.rule == "box-xyxy" and not f.file_name for f in result.findings)

    def categories(self, entries: List[Any]) -> List[Any]:
        """Those of the new JSON: without repetitions of the same id and name."""
        kept = []
        for entry in entries:
            if any(_same_category(entry, other) for other in kept):
                text = f"category {quoted(entry['id'])}: left out its second entry."
                self._note("categories listed twice", text)
            else:
                kept.append(entry)
        return kept

    def image(self, entry: Any) -> Optional[Dict[str, Any]]:
        """The entry in the new JSON, None to leave it out."""
        image_id = entry.get("id") if isinstance(entry, dict) else None
        if not is_plain_id(image_id):
            self._keeps_strays = True  # this may be the image of any annotation
            return entry
        first = self._images.get(image_id)
        if first is not None:
            if first.get("file_name") != entry.get("file_name"):
                return entry  # whose annotations are whose?
            self._note("images listed twice", f"image {image_id}: left out its second entry.")
            return None
        self._images[image_id] = entry
        return entry

    def annotations(self, entries: List[Any]) -> List[Any]:
        """Those of the new JSON."""
        ids = [entry.get("image_id") if isinstance(entry, dict) else None for entry in entries]
        strays = sum(is_plain_id(i) and i not in self._images for i in ids)
        # So many are no remains of an image that was taken out: something is wrong with the ids.
        self._keeps_strays |= strays > MOST_STRAYS * len(entries)
        done = [self._annotation(entry) for entry in entries]
        return [entry for entry in done if entry is not None]

    def _annotation(self, entry: Any) -> Optional[Dict[str, Any]]:
        """The entry in the new JSON, None to leave it out."""
        if not isinstance(entry, dict) or not is_plain_id(entry.get("id")):
            return entry
        annotation_id, image_id = entry["id"], entry.get("image_id")
        if not is_plain_id(image_id):
            return entry
        where = f"annotation {quoted(annotation_id)} of image {quoted(image_id)}"
        image = self._images.get(image_id)
        if image is None:
            if self._keeps_strays:
                return entry
            self._note(NO_IMAGE, f"{where}: left out, there is no such image.")
            return None
        where += f" ({shown_name(image.get('file_name'))})"
        if annotation_id in self._duplicates:
            self._note(TWICE, f"{where}: left out the second time.")
            return None
        if entry.get("iscrowd") == 1 and not self._crowds:
            self._note("crowd regions", f"{where}: it is an object now, no crowd region.")
            entry = {**entry, "iscrowd": 0}
        size = image.get("height"), image.get("width")
        if not all(is_plain_id(side) and 0 < side < 2**31 for side in size):
            return entry
        return self._object(dict(entry), *size, where)

    def _object(self, entry, height: int, width: int, where: str) -> Optional[Dict[str, Any]]:
        shape = entry.get("segmentation")
        if isinstance(shape, list) and shape:
            shape = self._polygons(shape, height, width, where)
            if not shape and not self._masks:
                self._note("masks left out", f"{where}: left out its mask, its box stays.")
            elif not shape:
                text = f"{where}: left out, no polygon has area inside the image."
                self._note(NO_AREA, text)
                return None
            entry["segmentation"] = shape
        try:
            shape = checked_segmentation(shape, height, width) if shape else None
        except Fault as fault:
            if fault.rule not in _NOTHING:
                return entry
            self._note(NO_AREA, f"{where}: left out, {fault}")
            return None
        if shape is None:
            return self._box_alone(entry, height, width, where)
        self._box_of_mask(entry, shape, height, width, where)
        self._area_of_mask(entry, shape, height, width, where)
        return entry

    def _area_of_mask(self, entry, shape, height: int, width: int, where: str) -> None:
        if isinstance(shape, list) and first_hole(shape) and is_number(entry.get("area")):
            return  # it may be the one trace of a hole
        pixels = int(coco_mask.area(mask_rle(shape, height, width)))
        area = entry.get("area")
        if not is_number(area) or area_fault(area, pixels):
            area = max(1, pixels)
            text = f"{where}: its area is {area}, was {quoted(entry.get('area'))}."
            self._note("areas", text)
            entry["area"] = area

    def _polygons(self, polygons: List, height: int, width: int, where: str) -> List[List[float]]:
        """Without those that enclose nothing inside the image; the others cut off at its edge."""
        kept: List[Any] = []
        if all(isinstance(p, list) and len(p) in (1, 3, 5) for p in polygons):
            return polygons  # no points, but something else that nobody knows
        for polygon in polygons:
            try:
                (flat,) = checked_segmentation([polygon], height, width)
            except Fault as fault:
                few = isinstance(polygon, list) and len(polygon) < 6  # no three points ...
                few = few and all(map(is_number, polygon))  # ... and nothing else
                if few or fault.rule in _NOTHING:
                    self._note("polygons left out", f"{where}: left out a polygon, {fault}")
                else:
                    kept.append(polygon)  # not clear what it is
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
        if tight is None:
            return
        try:
            fits = box_fits(checked_box(bbox, height, width), tight)
            fits = fits and _inside(bbox, height, width)
        except Fault:
            fits = False
        if not fits:
            y1, x1, y2, x2 = tight
            entry["bbox"] = [round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)]
            text = f"{where}: its bbox is its mask's, {entry['bbox']}, was {quoted(bbox)}."
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
        except (Fault, KeyError, TypeError, ValueError, OverflowError) as error:
            if getattr(error, "rule", "box") not in ("box-area", "box-outside"):
                return entry
            self._note(NO_AREA, f"{where}: left out, {error}")
            return None
        if not _inside(entry["bbox"], height, width):
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            text = f"{where}: clipped its bbox to {entry['bbox']}, was {quoted(bbox)}."
            self._note("boxes clipped", text)
        if entry.get("area") is not None and not is_number(entry["area"]):
            area = (y2 - y1) * (x2 - x1)
            self._note("areas", f"{where}: its area is {area:g}, was {quoted(entry['area'])}.")
            entry["area"] = area
        return entry

    def _note(self, kind: str, message: str) -> None:
        self.changes.append(Change(kind, message))


def _same_category(a: Any, b: Any) -> bool:
    keys = ("id", "name")
    return (
        isinstance(a, dict)
        and isinstance(b, dict)
        and all(key in a and type(a[key]) is type(b.get(key)) and a[key] == b[key] for key in keys)
    )


def _inside(bbox, height: int, width: int) -> bool:
    x, y, w, h = bbox
    return min(x, y) >= 0 and x + w <= width and y + h <= height
