"""The one set of rules by which the entries of a COCO file are read: for training, evaluation,
checking and TFRecords alike."""

import dataclasses
import functools
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

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
from tfmaskrcnn.data.coco.data_classes import DataClasses, Numbering, numbering
from tfmaskrcnn.data.coco.file import field
from tfmaskrcnn.data.coco.image_files import header_sizes
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints
from tfmaskrcnn.data.coco.object_table import ImageHead, ObjectTable, joined, table_of
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.data.coco.surely_good import clear_annotations
from tfmaskrcnn.errors import InputError, listed, quoted, short_path
from tfmaskrcnn.support import storage

# Called with "images", "annotations" or "categories", the entry's number in it, and what is wrong.
# If it returns, the entry is left out; but an image whose file is missing stays, and so does an
# annotation of which only the id is wrong: it gets a new one.
OnFault = Callable[[str, int, Fault], None]
# Pixels that are believed without a look at the image file's header: masks of this size are drawn
# in a moment. Larger ones must be as large as the file.
BELIEVED_PIXELS = 2**26


class Rules(NamedTuple):
    """What of an annotation is read besides its class and box."""

    masks: bool = True  # every annotation must have a segmentation
    keypoint_names: Tuple[str, ...] = ()  # empty without a keypoint head
    keypoint_offset: float = 0.0
    classes: Optional[DataClasses] = None  # None for a class a category


@dataclasses.dataclass(frozen=True)
class Entries:
    """The entries of a file that keep the rules."""

    categories: Dict[int, str]  # id -> name of classes 1..K; of all categories ids ascend
    images: Dict[int, Dict[str, Any]]  # id -> entry, in the file's order
    table: ObjectTable  # the annotations
    annotations: Sequence[Any]  # the file's list
    numbering: Numbering
    left_out: int = 0  # annotations of categories that are no class

    @functools.cached_property
    def objects(self) -> Dict[int, List[Checked]]:
        """Image id -> its annotations, in the file's order."""
        return self.table.checked()

    def heads(self) -> List[ImageHead]:
        """The images, which have file names."""
        keys = ("file_name", "height", "width")
        return [ImageHead(i, *map(image.get, keys)) for i, image in self.images.items()]

    def entry(self, found: Checked) -> Dict[str, Any]:
        """The JSON's entry of an annotation, with the category id of its class."""
        return self.numbering.entry(self.annotations[found.position])


def read_entries(
    raw: Dict[str, Any], json_path: str, image_dir: Optional[str], on_fault: OnFault, rules: Rules
) -> Entries:
    """Check each entry of the parsed JSON `raw`; each fault goes to `on_fault`.

    Args:
        raw: of `file.read_coco`.
        json_path: names the file in errors.
        image_dir: the folder that its file names start from; None looks at no image file.
        on_fault: is told of each fault.
        rules: what is read.

    Raises:
        InputError: something is wrong with the set as a whole.
    """
    names = read_categories(raw["categories"], json_path, on_fault)
    classes = numbering(names, rules.classes, json_path)
    images = _images(raw["images"], json_path, image_dir, on_fault)
    annotations = raw["annotations"]
    one_by_one = _OneByOne(annotations, images, classes, json_path, on_fault, rules)
    table, left_out = _objects(one_by_one)
    return Entries(classes.names, images, table, annotations, classes, left_out)


def read_categories(entries: List[Any], json_path: str, on_fault: OnFault) -> Dict[int, str]:
    """Id -> name of a file's categories, ascending.

    Raises:
        InputError: there is none that can be used.
    """
    names, first = {}, None
    for n, entry in enumerate(entries):
        where = f"{json_path}: entry {n} of 'categories'"
        try:
            category_id = checked_id(entry, "id", where)
            if category_id in names:
                repeats = f"{where} repeats the id {category_id}; ids must be unique."
                raise Fault("category-id", repeats)
            names[category_id] = field(entry, "name", str, where)
        except Fault as fault:
            first = first or fault
            on_fault("categories", n, fault)
    if not names and first:
        raise InputError(f"None of the {len(entries)} categories can be used: {first}")
    if not names:
        raise InputError(f"{json_path}: 'categories' is empty; wanted at least one.")
    return dict(sorted(names.items()))


def _images(
    entries: List[Any], json_path: str, image_dir: Optional[str], on_fault: OnFault
) -> Dict[int, Dict[str, Any]]:
    if not entries:
        raise InputError(f"{json_path}: 'images' is empty; wanted at least one.")
    if image_dir is not None and not storage.is_folder(image_dir):
        raise InputError(f"The image folder {image_dir} does not exist.")
    images, files = {}, storage.FilesThere()
    for n, entry in enumerate(entries):
        try:
            image_id = _image_id(entry, images, f"{json_path}: entry {n} of 'images'", json_path)
            where = f"{json_path}: image {image_id}"
            if image_dir is None:
                _check_believed(entry, None, where)
                images[image_id] = entry
                continue
            path = os.path.join(image_dir, _file_name(entry, where))
            there = path in files
            _check_believed(entry, path if there else None, where)
            images[image_id] = entry
            if not there:
                missing = f"the file {short_path(path)} does not exist"
                raise Fault("image-missing", f"{where}: {missing}.")
        except Fault as fault:
            on_fault("images", n, fault)
    return images


def _image_id(entry: Any, images: Dict[int, Dict], where: str, json_path: str) -> int:
    """The id of an image's entry; its size is checked too."""
    image_id = checked_id(entry, "id", where)
    where = f"{json_path}: image {image_id}"
    if image_id in images:
        raise Fault("image-id", f"{where} occurs twice in 'images'; ids must be unique.")
    for key in ("height", "width"):
        if field(entry, key, int, where) <= 0:
            raise Fault(
                "entry", f"{where}: '{key}' is {quoted(entry[key])}, wanted pixels above 0."
            )
    return image_id


def _file_name(entry: Dict[str, Any], where: str) -> str:
    name = field(entry, "file_name", str, where)
    if "\0" in name:
        raise Fault("entry", f"{where}: 'file_name' is {quoted(name)}, which no file has.")
    return name


def _check_believed(entry: Dict[str, Any], path: Optional[str], where: str) -> None:
    """Refuse a size that nobody has, before masks of this size are drawn.

    Args:
        entry: of the image.
        path: of its file; None if there is none to look at.
        where: names the image.
    """
    size = entry["height"], entry["width"]
    if size[0] * size[1] <= BELIEVED_PIXELS:
        return
    if path is not None:
        try:
            found = header_sizes(path)
        except InputError as error:
            raise Fault("image-size", f"{where}: {error}") from None
        if size in found:
            return
    have = f"its file is {found[0][0]} x {found[0][1]}" if path else "there is no file to compare"
    told = f"{quoted(size[0])} x {quoted(size[1])} pixels (height x width)"
    raise Fault("image-size", f"{where} is said to have {told}; {have}.")


def _objects(one_by_one: "_OneByOne") -> Tuple[ObjectTable, int]:
    """The objects of all images; and how many are of categories that are no class."""
    rules, images, ids = one_by_one.rules, one_by_one.images, one_by_one.ids
    sizes = {i: (image["height"], image["width"]) for i, image in images.items()}
    if rules.keypoint_names:
        sizes = {}  # keypoints are looked at one by one
    tables, start = [], 0
    for clear in clear_annotations(one_by_one.annotations, sizes):
        table = _of_classes(clear.table, one_by_one.classes.class_of, rules.masks)
        rows = {position: row for row, position in enumerate(table.positions.tolist())}
        own, kept = table.annotation_ids.tolist(), table.classes > 0
        is_class = kept.tolist()
        for n in range(start, start + clear.looked_at):  # an id is of the first that has it
            row = rows.get(n)
            if row is None:
                one_by_one.read(n)
            elif is_class[row] and not ids.takes(own[row]):
                kept[row] = False
                one_by_one.read(n)
        one_by_one.left_out += is_class.count(False)
        tables.append(table.only(kept))
        start += clear.looked_at
    tables.append(table_of(one_by_one.found, len(rules.keypoint_names)))
    return joined(tables), one_by_one.left_out


def _of_classes(table: ObjectTable, class_of: Dict[int, int], masks: bool) -> ObjectTable:
    """Objects of known categories, with their classes; with `masks` those that have one."""
    numbers = np.array([class_of.get(i, -1) for i in table.classes.tolist()], np.int32)
    taken = (numbers >= 0) & (table.parts > 0 if masks else True)
    return table._replace(classes=numbers).only(taken)


class _OneByOne:
    """Reads annotations that are not clear, and says what is wrong with them."""

    def __init__(
        self,
        annotations: Sequence[Any],
        images: Dict[int, Dict[str, Any]],
        classes: Numbering,
        json_path: str,
        on_fault: OnFault,
        rules: Rules,
    ):
        self.annotations, self.images = annotations, images
        self.classes, self.rules = classes, rules
        self._path, self._on_fault = json_path, on_fault
        self.ids = AnnotationIds(annotations)
        self.found: List[Checked] = []
        self.left_out = 0  # of categories that are no class

    def read(self, n: int) -> None:
        """Look at entry `n`, which is found, left out or told of."""
        entry, where = self.annotations[n], f"{self._path}: entry {n} of 'annotations'"
        if isinstance(entry, dict) and self.classes.leaves_out(entry.get("category_id")):
            self.left_out += 1  # whatever is wrong with it
            return
        try:
            image_id = checked_id(entry, "image_id", where)
            annotation_id, fault = self.ids.of(entry, where, f"{self._path}: annotation")
            if fault:
                self._on_fault("annotations", n, fault)
            where = f"{self._path}: annotation {annotation_id} of image {image_id}"
            if image_id not in self.images:
                missing = f"{where}: there is no image {image_id} in 'images'."
                raise Fault("unknown-image", missing)
            image, class_of = self.images[image_id], self.classes.class_of
            found = _object(entry, image, class_of, where, self.rules)
        except Fault as fault:
            self._on_fault("annotations", n, fault)
        else:
            self.found.append(Checked(n, image_id, annotation_id, *found))


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
