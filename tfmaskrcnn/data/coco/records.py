"""COCO instance annotations, checked once and kept as records."""

import logging
import os
from collections import Counter
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import Segmentation
from tfmaskrcnn.data.coco.data_classes import ClassesLike, DataClasses
from tfmaskrcnn.data.coco.entries import BELIEVED_PIXELS, Entries, read_entries
from tfmaskrcnn.data.coco.faults import Faults
from tfmaskrcnn.data.coco.file import check_kind
from tfmaskrcnn.data.coco.image_arrays import ImageArray
from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.data.coco.kept_sets import Kept, keep, place_of, read_kept
from tfmaskrcnn.data.coco.keypoint_annotations import KeypointNames, keypoint_names
from tfmaskrcnn.data.coco.lazy_entries import read_coco_lazily
from tfmaskrcnn.data.coco.object_table import ImageHead, ObjectTable
from tfmaskrcnn.data.coco.reading_rules import OnFault, Rules
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.collecting import no_collecting
from tfmaskrcnn.support.given import A_FOLDER, A_PATH, takes

_LOG = logging.getLogger(__name__)


class Record(NamedTuple):
    """One image and its n objects."""

    image_id: int
    path: Union[str, ImageBytes, ImageArray]  # of the image file, or what it holds
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
    category_ids: Tuple[int, ...]  # of classes 1..K; ascending unless classes were chosen
    json_path: str
    keypoints: Optional[KeypointNames] = None  # None if not read


@takes(json_path=A_PATH, image_dir=A_FOLDER)
def load_coco(
    json_path: str,
    image_dir: str,
    skip_invalid: bool = False,
    masks: bool = True,
    keypoint_head: Optional[KeypointHeadConfig] = None,
    classes: ClassesLike = None,
) -> CocoData:
    """Read and check a COCO instance JSON; the image files' contents are not read.

    What a file of more than 20 MB was read to is kept in the user's cache, for the next time.

    Classes are 1..K in the order of the category ids, or in that of `classes`. A box that reaches
    over the image's edge is clipped. Images without objects are kept.

    Args:
        json_path: the annotations.
        image_dir: the folder that its file names start from.
        skip_invalid: leave wrong annotations out and log their number, instead of stopping. Wrong
            images and categories always stop.
        masks: False takes annotations without a segmentation too.
        keypoint_head: if it is enabled, keypoints are read as well; their number and names are
            those of the JSON's categories. An object may have none.
        classes: of which categories objects are read, as `data.classes`; None reads all. The class
            of several categories has the lowest of their ids.

    Raises:
        InputError: one sentence that names the file, the id, the value found and the value wanted.
    """
    json_path, image_dir = os.fspath(json_path), os.fspath(image_dir)
    rules = masks, keypoint_head, DataClasses.of(classes)
    joints = keypoint_head is not None and keypoint_head.enabled
    place = None if joints else place_of(json_path, masks, rules[-1])
    with no_collecting():
        data, left_out = _of_kept(place, json_path, image_dir) if place else (None, 0)
        if data is None:
            data, entries, clean = _read(json_path, image_dir, skip_invalid, rules)
            left_out = entries.left_out
            if place and clean:
                _keep(place, data, entries)
    _report(json_path, data.records, left_out)
    return data


def _read(
    json_path: str, image_dir: str, skip_invalid: bool, rules: tuple
) -> Tuple[CocoData, Entries, bool]:
    """A set, its entries, and whether nothing was wrong.

    Args: see `load_coco`; `rules` are the last three of `checked_set`.
    """
    raw = read_coco_lazily(json_path)
    faults = Faults(raw, json_path, image_dir, skip_invalid)
    data, entries = checked_set(raw, json_path, image_dir, faults, *rules)
    stop_if_all_wrong(data, faults)
    faults.report()
    return data, entries, not faults.any


def _of_kept(place: str, json_path: str, image_dir: str) -> Tuple[Optional[CocoData], int]:
    """A set, and how many annotations it leaves out, if it is kept and all its images are there."""
    kept = read_kept(place)
    if kept is None:
        return None, 0
    if not storage.is_folder(image_dir):
        return None, 0
    try:
        records = _records(kept.heads, kept.table, image_dir)
    except ValueError:  # it is damaged
        return None, 0
    files = storage.FilesThere()
    if not all(record.path in files for record in records):
        return None, 0
    _LOG.info("%s: taken from what was read of it before, %s.", json_path, place)
    return CocoData(records, kept.class_names, kept.category_ids, json_path), kept.left_out


def _keep(place: str, data: CocoData, entries: Entries) -> None:
    heads = entries.heads()
    if any(head.height * head.width > BELIEVED_PIXELS for head in heads):
        return  # whose files are looked at each time
    classes = data.class_names, data.category_ids
    keep(place, Kept(*classes, entries.left_out, heads, entries.table), data.json_path)


def checked_set(
    raw: Dict[str, Any],
    json_path: str,
    image_dir: str,
    on_fault: OnFault,
    masks: bool,
    keypoint_head: Optional[KeypointHeadConfig],
    classes: Optional[DataClasses] = None,
) -> Tuple[CocoData, Entries]:
    """What `load_coco` does with the parsed JSON `raw`, and the entries that its records are of.

    Each fault of an entry goes to `on_fault`.

    Raises:
        InputError: something is wrong with the set as a whole.
    """
    keypoints, rules = rules_of(raw, json_path, masks, keypoint_head, classes)
    check_kind(raw["annotations"], json_path, masks)
    entries = read_entries(raw, json_path, os.fspath(image_dir), on_fault, rules)
    return data_of(entries, json_path, image_dir, keypoints), entries


def stop_if_all_wrong(data: CocoData, faults: Faults) -> None:
    """Raise an `InputError` if annotations were left out and none is left."""
    if faults.left_out and not any(len(r.classes) for r in data.records):
        raise InputError(f"All {faults.left_out} annotations are wrong, the first: {faults.first}")


def rules_of(
    raw: Dict[str, Any],
    json_path: str,
    masks: bool,
    keypoint_head: Optional[KeypointHeadConfig],
    classes: Optional[DataClasses] = None,
) -> Tuple[Optional[KeypointNames], Rules]:
    """The keypoints that are read, if any, and the rules of reading."""
    if keypoint_head is None or not keypoint_head.enabled:
        return None, Rules(masks, classes=classes)
    keypoints = keypoint_names(_used(raw["categories"], classes), json_path)
    return keypoints, Rules(masks, keypoints.names, keypoint_head.pixel_offset, classes)


def _used(categories: List[Any], classes: Optional[DataClasses]) -> List[Any]:
    """The entries of categories without those that become no class."""
    if classes is None:
        return categories
    named = [c for c in categories if isinstance(c, dict) and isinstance(c.get("name"), str)]
    return [c for c in named if classes.class_of(c["name"]) is not None]


def data_of(
    entries: Entries, json_path: str, image_dir: str, keypoints: Optional[KeypointNames] = None
) -> CocoData:
    """The records of entries that keep the rules."""
    table, names = entries.table, entries.categories
    records = _records(entries.heads(), table, os.fspath(image_dir))
    return CocoData(records, tuple(names.values()), tuple(names), json_path, keypoints)


def _records(heads: Sequence[ImageHead], table: ObjectTable, image_dir: str) -> List[Record]:
    """The images and their objects; raises `ValueError` where an object is of none of them."""
    order, counts = table.by_image(np.array([head.image_id for head in heads], np.int64))
    # One array for all images, of which each has a part: there are many.
    boxes, classes = table.boxes.astype(np.float32)[order], table.classes[order]
    crowd, ids = table.crowd[order], table.annotation_ids[order].tolist()
    shapes = table.segmentations()
    shapes = [shapes[row] for row in order.tolist()]
    points = None if table.keypoints is None else table.keypoints[order]
    records, start, join = [], 0, os.path.join
    for (image_id, name, height, width), end in zip(heads, np.cumsum(counts).tolist()):
        part = slice(start, end)
        record = Record(
            image_id=image_id,
            path=join(image_dir, name),
            file_name=name,
            height=height,
            width=width,
            boxes=boxes[part],
            classes=classes[part],
            crowd=crowd[part],
            segmentations=shapes[part],
            annotation_ids=ids[part],
            keypoints=None if points is None else points[part],
        )
        records.append(record)
        start = end
    return records


def limited(data: CocoData, limit: Optional[int]) -> CocoData:
    """`limit` images of `data`, in its order but those with objects first; None for all."""
    if limit is None or limit >= len(data.records):
        return data
    records = sorted(data.records, key=lambda record: not (~record.crowd).any())
    return data._replace(records=records[:limit])


def _report(json_path: str, records: List[Record], left_out: int) -> None:
    if left_out:
        text = "%s: data.classes leaves out %d objects of other categories: they are background."
        _LOG.info(text, json_path, left_out)
    empty = sum(not len(r.classes) for r in records)
    if empty:
        _LOG.info("%s: %d of %d images have no object.", json_path, empty, len(records))
    names = Counter(r.file_name for r in records)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        _LOG.warning("%s: %d files belong to several images: %s", json_path, len(twice), twice[0])
