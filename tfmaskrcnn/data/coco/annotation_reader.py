"""The annotations of a COCO file as objects that keep the rules."""

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotation_ids import AnnotationIds, checked_id
from tfmaskrcnn.data.coco.annotations import (
    Checked,
    Fault,
    checked_box,
    checked_segmentation,
    is_number,
)
from tfmaskrcnn.data.coco.data_classes import Numbering
from tfmaskrcnn.data.coco.file import field
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints
from tfmaskrcnn.data.coco.object_table import ObjectTable, joined, table_of
from tfmaskrcnn.data.coco.reading_rules import OnFault, Rules
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.data.coco.surely_good import clear_annotations
from tfmaskrcnn.errors import listed, quoted


class AnnotationReader:
    """Reads the annotations of a file, many together or one by one, and says what is wrong."""

    def __init__(
        self,
        annotations: Sequence[Any],
        images: Dict[int, Dict[str, Any]],
        classes: Numbering,
        json_path: str,
        on_fault: OnFault,
        rules: Rules,
    ):
        """A reader.

        Args:
            annotations: entries of the file.
            images: id -> entry of images that keep the rules.
            classes: of the file.
            json_path: names the file in errors.
            on_fault: is told of each fault.
            rules: what is read.
        """
        self._annotations, self._images = annotations, images
        self._classes, self._rules = classes, rules
        self._path, self._on_fault = json_path, on_fault
        self._ids = AnnotationIds(annotations)
        self._found: List[Checked] = []  # one by one
        self._left_out = 0

    def objects(self) -> Tuple[ObjectTable, int]:
        """The objects of all images; and how many are of categories that are no class."""
        sizes = {i: (image["height"], image["width"]) for i, image in self._images.items()}
        if self._rules.keypoint_names:
            sizes = {}  # keypoints are looked at one by one
        tables, start = [], 0
        for clear in clear_annotations(self._annotations, sizes):
            table = _of_classes(clear.table, self._classes.class_of, self._rules.masks)
            tables.append(self._taken(table, range(start, start + clear.looked_at)))
            start += clear.looked_at
        tables.append(table_of(self._found, len(self._rules.keypoint_names)))
        return joined(tables), self._left_out

    def _taken(self, table: ObjectTable, entries: range) -> ObjectTable:
        """Those of clear objects that count; the others of the same `entries` are looked at."""
        rows = {position: row for row, position in enumerate(table.positions.tolist())}
        own, kept = table.annotation_ids.tolist(), table.classes > 0
        is_class, takes = kept.tolist(), self._ids.takes
        for n in entries:  # an id is of the first that has it
            row = rows.get(n)
            if row is None:
                self._look_at(n)
            elif is_class[row] and not takes(own[row]):
                kept[row] = False
                self._look_at(n)
        self._left_out += is_class.count(False)
        return table.only(kept)

    def _look_at(self, n: int) -> None:
        """Look at entry `n`, which is found, left out or told of."""
        entry, where = self._annotations[n], f"{self._path}: entry {n} of 'annotations'"
        if isinstance(entry, dict) and self._classes.leaves_out(entry.get("category_id")):
            self._left_out += 1  # whatever is wrong with it
            return
        try:
            image_id = checked_id(entry, "image_id", where)
            annotation_id, fault = self._ids.of(entry, where, f"{self._path}: annotation")
            if fault:
                self._on_fault("annotations", n, fault)
            where = f"{self._path}: annotation {annotation_id} of image {image_id}"
            if image_id not in self._images:
                missing = f"{where}: there is no image {image_id} in 'images'."
                raise Fault("unknown-image", missing)
            image, class_of = self._images[image_id], self._classes.class_of
            found = _object(entry, image, class_of, where, self._rules)
        except Fault as fault:
            self._on_fault("annotations", n, fault)
        else:
            self._found.append(Checked(n, image_id, annotation_id, *found))


def _of_classes(table: ObjectTable, class_of: Dict[int, int], masks: bool) -> ObjectTable:
    """Objects of known categories, with their classes; with `masks` those that have one."""
    numbers = np.array([class_of.get(i, -1) for i in table.classes.tolist()], np.int32)
    taken = (numbers >= 0) & (table.parts > 0 if masks else True)
    return table._replace(classes=numbers).only(taken)


def _object(entry: Dict, image: Dict, class_of: Dict[int, int], where: str, rules: Rules):
    """Class, crowd, box, segmentation and keypoints of an annotation."""
    category_id = field(entry, "category_id", int, where)
    if category_id not in class_of:
        known = listed(class_of)
        unknown = f"{where}: category_id {quoted(category_id)} is not in 'categories' ({known})."
        raise Fault("unknown-category", unknown)
    crowd = entry.get("iscrowd", 0)
    if isinstance(crowd, (list, dict)) or crowd not in (0, 1):
        raise Fault("entry", f"{where}: 'iscrowd' is {quoted(crowd)}, wanted 0 or 1.")
    size, points = (image["height"], image["width"]), None
    try:
        box, shape = _shapes(entry, *size, rules.masks)
        if rules.keypoint_names:
            names, offset = rules.keypoint_names, rules.keypoint_offset
            points = checked_keypoints(entry.get("keypoints"), names, offset, *size)
    except Fault as fault:
        raise Fault(fault.rule, f"{where}: {fault}") from None
    return class_of[category_id], bool(crowd), box, shape, points


def _shapes(entry: Dict, height: int, width: int, masks: bool):
    """Box and segmentation of an annotation; a box that is missing is that of the mask."""
    shape, area = entry.get("segmentation"), entry.get("area")
    if masks or shape:
        shape = checked_segmentation(shape, height, width)
    if area is not None and not is_number(area):
        raise Fault("entry", f"its area is {quoted(area)}, wanted a number.")
    if entry.get("bbox") is not None or not shape:
        return checked_box(entry.get("bbox"), height, width), shape or None
    x, y, w, h = coco_mask.toBbox(as_rle(shape, height, width)).tolist()
    return checked_box([x, y, w, h], height, width), shape
