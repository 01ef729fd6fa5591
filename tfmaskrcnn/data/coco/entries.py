"""The one set of rules by which the entries of a COCO file are read: for training, evaluation,
checking and TFRecords alike."""

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.annotations import (
    Fault,
    Segmentation,
    checked_box,
    checked_segmentation,
    is_number,
)
from tfmaskrcnn.data.coco.data_classes import DataClasses, Numbering, numbering
from tfmaskrcnn.data.coco.file import INT64_MAX, field
from tfmaskrcnn.data.coco.image_files import header_sizes
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints
from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.errors import InputError, listed, quoted, short_path

# Called with "images", "annotations" or "categories", the entry's number in it, and what is wrong.
# If it returns, the entry is left out; but an image whose file is missing stays, and so does an
# annotation of which only the id is wrong: it gets a new one.
OnFault = Callable[[str, int, Fault], None]
# Pixels that are believed without a look at the image file's header: masks of this size are drawn
# in a moment. Larger ones must be as large as the file.
_BELIEVED_PIXELS = 2**26


class Rules(NamedTuple):
    """What of an annotation is read besides its class and box."""

    masks: bool = True  # every annotation must have a segmentation
    keypoint_names: Tuple[str, ...] = ()  # empty without a keypoint head
    keypoint_offset: float = 0.0
    classes: Optional[DataClasses] = None  # None for a class a category


class Checked(NamedTuple):
    """An annotation that keeps the rules."""

    entry: Dict[str, Any]  # of the JSON, with the category id of its class
    annotation_id: int  # its own, or a new one if that is wrong
    number: int  # of its class, 1..K
    crowd: bool
    box: List[float]  # yxyx pixels, clipped to the image
    segmentation: Optional[Segmentation]
    keypoints: Optional[np.ndarray]  # [J, 3]


class Entries(NamedTuple):
    """The entries of a file that keep the rules."""

    categories: Dict[int, str]  # id -> name of classes 1..K; of all categories ids ascend
    images: Dict[int, Dict[str, Any]]  # id -> entry, in the file's order
    objects: Dict[int, List[Checked]]  # image id -> its annotations, in the file's order
    left_out: int = 0  # annotations of categories that are no class


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
    objects, left_out = _objects(raw["annotations"], images, classes, json_path, on_fault, rules)
    return Entries(classes.names, images, objects, left_out)


def read_categories(entries: List[Any], json_path: str, on_fault: OnFault) -> Dict[int, str]:
    """Id -> name of a file's categories, ascending.

    Raises:
        InputError: there is none that can be used.
    """
    names, first = {}, None
    for n, entry in enumerate(entries):
        where = f"{json_path}: entry {n} of 'categories'"
        try:
            category_id = _id(entry, "id", where)
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
    if image_dir is not None and not os.path.isdir(image_dir):
        raise InputError(f"The image folder {image_dir} does not exist.")
    images = {}
    for n, entry in enumerate(entries):
        try:
            image_id = _image_id(entry, images, f"{json_path}: entry {n} of 'images'", json_path)
            where = f"{json_path}: image {image_id}"
            if image_dir is None:
                _check_believed(entry, None, where)
                images[image_id] = entry
                continue
            path = os.path.join(image_dir, _file_name(entry, where))
            there = os.path.isfile(path)
            _check_believed(entry, path if there else None, where)
            images[image_id] = entry
            if not there:
                missing = f"the file {short_path(path)} does not exist"
                raise Fault("image-missing", f"{where}: {missing}.")
        except Fault as fault:
            on_fault("images", n, fault)
    return images


def _id(entry: Any, key: str, where: str) -> int:
    value = field(entry, key, int, where)
    if abs(value) > INT64_MAX:
        raise Fault("entry", f"{where}: '{key}' is {quoted(value)}, which does not fit 64 bits.")
    return value


def _image_id(entry: Any, images: Dict[int, Dict], where: str, json_path: str) -> int:
    """The id of an image's entry; its size is checked too."""
    image_id = _id(entry, "id", where)
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
    if size[0] * size[1] <= _BELIEVED_PIXELS:
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


def _objects(
    annotations, images, classes: Numbering, json_path: str, on_fault: OnFault, rules: Rules
):
    """Image id -> its annotations; and how many are of categories that are no class."""
    objects: Dict[int, List[Checked]] = {}
    ids, left_out = _AnnotationIds(annotations), 0
    for n, entry in enumerate(annotations):
        where = f"{json_path}: entry {n} of 'annotations'"
        if isinstance(entry, dict) and classes.leaves_out(entry.get("category_id")):
            left_out += 1  # whatever is wrong with it
            continue
        try:
            image_id = _id(entry, "image_id", where)
            annotation_id, fault = ids.of(entry, where, f"{json_path}: annotation")
            if fault:
                on_fault("annotations", n, fault)
            where = f"{json_path}: annotation {annotation_id} of image {image_id}"
            if image_id not in images:
                missing = f"{where}: there is no image {image_id} in 'images'."
                raise Fault("unknown-image", missing)
            found = _object(entry, images[image_id], classes.class_of, where, rules)
        except Fault as fault:
            on_fault("annotations", n, fault)
        else:
            kept = Checked(classes.entry(entry), annotation_id, *found)
            objects.setdefault(image_id, []).append(kept)
    return objects, left_out


class _AnnotationIds:
    """Gives each annotation an id of its own."""

    def __init__(self, annotations: List[Any]):
        known = (a.get("id") for a in annotations if isinstance(a, dict))
        largest = max((i for i in known if type(i) is int and i < INT64_MAX // 2), default=0)
        self._seen, self._next = set(), max(largest, 0) + 1

    def of(self, entry: Dict[str, Any], where: str, named: str) -> Tuple[int, Optional[Fault]]:
        """The id, and what is wrong with that of the entry if it is a new one."""
        fault = None
        try:
            own = _id(entry, "id", where)
            if own in self._seen:
                text = (
                    f"{named} {own} of image {entry['image_id']} repeats the annotation id {own}."
                )
                fault = Fault("annotation-id", text)
        except Fault as missing:
            fault = Fault("annotation-id", str(missing))
        if fault:
            own, self._next = self._next, self._next + 1
        self._seen.add(own)
        return own, fault


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
