"""COCO instance annotations, checked once and kept as records."""

import logging
import os
from collections import Counter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import Fault, Segmentation, checked_box, checked_segmentation
from tfmaskrcnn.data.coco.file import check_kind, field, read_coco
from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.data.coco.keypoint_annotations import (
    KeypointNames,
    checked_keypoints,
    keypoint_names,
)
from tfmaskrcnn.errors import InputError

_LOG = logging.getLogger(__name__)
_INT64_MAX = 2**63 - 1
# Called with "images", "annotations" or "categories", the entry's number in it, and what is wrong;
# if it returns, the entry is left out (an image whose file is missing stays).
OnFault = Callable[[str, int, Fault], None]


class Record(NamedTuple):
    """One image and its n objects."""

    image_id: int
    path: Union[str, ImageBytes]  # of the image file, or what it holds
    file_name: str  # as the JSON has it
    height: int
    width: int
    boxes: np.ndarray  # [n, 4] float32, yxyx pixels of the original image, clipped to it
    classes: np.ndarray  # [n] int32, 1..K
    crowd: np.ndarray  # [n] bool
    # n times flat xy polygons, or an RLE dict; None where an annotation is a box alone.
    segmentations: List[Optional[Segmentation]]
    annotation_ids: List[int]
    # [n, J, 3] float32 (y, x, visibility 0, 1 or 2), pixels as the boxes'; None if not read.
    keypoints: Optional[np.ndarray] = None


class CocoData(NamedTuple):
    """A data set."""

    records: Sequence[Record]  # in the JSON's order of images
    class_names: Tuple[str, ...]  # of classes 1..K
    category_ids: Tuple[int, ...]  # of classes 1..K, ascending
    json_path: str
    keypoints: Optional[KeypointNames] = None  # None if not read


class _Reader(NamedTuple):
    """What of an annotation is read besides its box and class."""

    masks: bool  # every annotation must have a segmentation
    keypoint_names: Tuple[str, ...] = ()  # empty without a keypoint head
    keypoint_offset: float = 0.0


def load_coco(
    json_path: str,
    image_dir: str,
    skip_invalid: bool = False,
    masks: bool = True,
    keypoint_head: Optional[KeypointHeadConfig] = None,
) -> CocoData:
    """Read and check a COCO instance JSON; the image files' contents are not read.

    Classes are 1..K in the order of the category ids. A box that reaches over the image's edge is
    clipped. Images without objects are kept.

    Args:
        json_path: the annotations.
        image_dir: the folder that its file names start from.
        skip_invalid: leave wrong annotations out and log their number, instead of stopping. Wrong
            images and categories always stop.
        masks: False takes annotations without a segmentation too.
        keypoint_head: if it is enabled, keypoints are read as well; their number and names are
            those of the JSON's categories. An object may have none.

    Raises:
        InputError: one sentence that names the file, the id, the value found and the value wanted.
    """
    json_path, skipped = os.fspath(json_path), []

    def on_fault(part: str, _: int, fault: Fault) -> None:
        if not skip_invalid or part != "annotations":
            raise fault from None
        skipped.append(str(fault))

    raw = read_coco(json_path)
    data = checked_coco(raw, json_path, image_dir, on_fault, masks, keypoint_head)
    if skipped and not any(len(r.classes) for r in data.records):
        raise InputError(f"All {len(skipped)} annotations are wrong, the first: {skipped[0]}")
    _report(json_path, data.records, skipped)
    return data


def checked_coco(
    raw: Dict[str, Any],
    json_path: str,
    image_dir: str,
    on_fault: OnFault,
    masks: bool = True,
    keypoint_head: Optional[KeypointHeadConfig] = None,
) -> CocoData:
    """What `load_coco` does with the parsed JSON `raw`; each fault of an entry goes to `on_fault`.

    Raises:
        InputError: something is wrong with the set as a whole.
    """
    image_dir = os.fspath(image_dir)
    names = _categories(raw["categories"], json_path, on_fault)
    class_of = {category_id: k for k, category_id in enumerate(names, start=1)}
    images = _images(raw["images"], json_path, image_dir, on_fault)
    check_kind(raw["annotations"], json_path, masks)
    keypoints, reader = None, _Reader(masks)
    if keypoint_head is not None and keypoint_head.enabled:
        keypoints = keypoint_names(raw["categories"], json_path)
        reader = _Reader(masks, keypoints.names, keypoint_head.pixel_offset)
    objects = _objects(raw["annotations"], images, class_of, json_path, on_fault, reader)
    records = [_record(image, objects.get(i, []), image_dir, reader) for i, image in images.items()]
    return CocoData(records, tuple(names.values()), tuple(names), json_path, keypoints)


def limited(data: CocoData, limit: Optional[int]) -> CocoData:
    """`limit` images of `data`, in its order but those with objects first; None for all."""
    if limit is None or limit >= len(data.records):
        return data
    records = sorted(data.records, key=lambda record: not (~record.crowd).any())
    return data._replace(records=records[:limit])


def _categories(entries: List[Any], json_path: str, on_fault: OnFault) -> Dict[int, str]:
    """Category id -> name, ascending ids."""
    names = {}
    for n, entry in enumerate(entries):
        where = f"{json_path}: entry {n} of 'categories'"
        try:
            category_id = field(entry, "id", int, where)
            if category_id in names:
                repeats = f"{where} repeats the id {category_id}; ids must be unique."
                raise Fault("category-id", repeats)
            names[category_id] = field(entry, "name", str, where)
        except Fault as fault:
            on_fault("categories", n, fault)
    if not names:
        raise InputError(f"{json_path}: 'categories' is empty; wanted at least one.")
    return dict(sorted(names.items()))


def _images(
    entries: List[Any], json_path: str, image_dir: str, on_fault: OnFault
) -> Dict[int, Dict[str, Any]]:
    """Image id -> its entry, in the order given."""
    if not entries:
        raise InputError(f"{json_path}: 'images' is empty; wanted at least one.")
    if not os.path.isdir(image_dir):
        raise InputError(f"The image folder {image_dir} does not exist.")
    images = {}
    for n, entry in enumerate(entries):
        try:
            image_id = _image_id(entry, images, f"{json_path}: entry {n} of 'images'", json_path)
            images[image_id] = entry
            path = os.path.join(image_dir, entry["file_name"])
            if not os.path.isfile(path):
                where = f"{json_path}: image {image_id}"
                raise Fault("image-missing", f"{where}: the file {path} does not exist.")
        except Fault as fault:
            on_fault("images", n, fault)
    return images


def _image_id(entry: Any, images: Dict[int, Dict], where: str, json_path: str) -> int:
    """The id of an image's entry, all of which is checked."""
    image_id = field(entry, "id", int, where)
    if abs(image_id) > _INT64_MAX:
        raise Fault("entry", f"{where}: the id {image_id} does not fit 64 bits.")
    where = f"{json_path}: image {image_id}"
    if image_id in images:
        raise Fault("image-id", f"{where} occurs twice in 'images'; ids must be unique.")
    for key in ("height", "width"):
        if field(entry, key, int, where) <= 0:
            raise Fault("entry", f"{where}: '{key}' is {entry[key]}, wanted pixels above 0.")
    if "\0" in field(entry, "file_name", str, where):
        raise Fault("entry", f"{where}: 'file_name' is {entry['file_name']!r}, which no file has.")
    return image_id


def _objects(annotations, images, class_of, json_path, on_fault, reader):
    """Image id -> [(box, class, crowd, segmentation, keypoints, annotation id)]."""
    objects: Dict[int, List[Tuple]] = {}
    seen = set()
    for n, entry in enumerate(annotations):
        where = f"{json_path}: entry {n} of 'annotations'"
        try:
            annotation_id = field(entry, "id", int, where)
            image_id = field(entry, "image_id", int, where)
            where = f"{json_path}: annotation {annotation_id} of image {image_id}"
            if annotation_id in seen:
                raise Fault("annotation-id", f"{where} repeats the annotation id {annotation_id}.")
            seen.add(annotation_id)
            if image_id not in images:
                missing = f"{where}: there is no image {image_id} in 'images'."
                raise Fault("unknown-image", missing)
            found = _object(entry, images[image_id], class_of, where, reader)
        except Fault as fault:
            on_fault("annotations", n, fault)
        else:
            objects.setdefault(image_id, []).append((*found, annotation_id))
    return objects


def _object(entry: Dict, image: Dict, class_of: Dict[int, int], where: str, reader: _Reader):
    """Box, class, crowd, segmentation and keypoints of an annotation."""
    category_id = field(entry, "category_id", int, where)
    if category_id not in class_of:
        known = ", ".join(map(str, list(class_of)[:10])) + (", ..." if len(class_of) > 10 else "")
        unknown = f"{where}: category_id {category_id} is not in 'categories' ({known})."
        raise Fault("unknown-category", unknown)
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise Fault("entry", f"{where}: 'iscrowd' is {crowd!r}, wanted 0 or 1.")
    size, shape = (image["height"], image["width"]), entry.get("segmentation")
    try:
        box = checked_box(entry.get("bbox"), *size)
        shape = checked_segmentation(shape, *size) if reader.masks or shape else None
        names, offset, points = reader.keypoint_names, reader.keypoint_offset, None
        if names:
            points = checked_keypoints(entry.get("keypoints"), names, offset, *size)
    except Fault as fault:
        raise Fault(fault.rule, f"{where}: {fault}") from None
    return box, class_of[category_id], bool(crowd), shape, points


def _record(image: Dict[str, Any], objects: List[Tuple], image_dir: str, reader) -> Record:
    boxes, classes, crowd, segmentations, points, ids = zip(*objects) if objects else ((),) * 6
    names = reader.keypoint_names
    return Record(
        image_id=image["id"],
        path=os.path.join(image_dir, image["file_name"]),
        file_name=image["file_name"],
        height=image["height"],
        width=image["width"],
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int32),
        crowd=np.array(crowd, bool),
        segmentations=list(segmentations),
        annotation_ids=list(ids),
        keypoints=np.reshape(points, (-1, len(names), 3)) if names else None,
    )


def _report(json_path: str, records: List[Record], skipped: List[str]) -> None:
    if skipped:
        _LOG.warning(
            "%s: left out %d wrong annotations, the first: %s", json_path, len(skipped), skipped[0]
        )
    empty = sum(not len(r.classes) for r in records)
    if empty:
        _LOG.info("%s: %d of %d images have no object.", json_path, empty, len(records))
    names = Counter(r.file_name for r in records)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        _LOG.warning("%s: %d files belong to several images: %s", json_path, len(twice), twice[0])
