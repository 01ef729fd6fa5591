"""A set in which all is written as COCO writes it that is written otherwise but clear."""

import os
from typing import Any, Dict, List, NamedTuple

from tfmaskrcnn.data.checking.clear_ids import (
    clear_annotation_ids,
    clear_categories,
    clear_image_ids,
    clear_lists,
    known,
)
from tfmaskrcnn.data.checking.clear_images import clear_file_names, clear_sizes
from tfmaskrcnn.data.checking.clear_objects import clear_objects
from tfmaskrcnn.data.checking.notes import Change, Notes
from tfmaskrcnn.data.checking.plain_objects import (
    NOTHING_KNOWN,
    PlainObjects,
    plain_objects,
    sizes_of,
)
from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.lazy_entries import LazyEntries, read_coco_lazily
from tfmaskrcnn.data.coco.surely_good import LookedThrough
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import read_json


class Cleared(NamedTuple):
    """A set as COCO has it as far as that is clear, and what was otherwise."""

    raw: Dict[str, Any]
    findings: List[Finding]
    changes: List[Change]
    plain: PlainObjects = NOTHING_KNOWN


def read_lists(json_path: str) -> Cleared:
    """The JSON of a set, with lists where it has objects of entries; long ones may be lazy.

    Raises:
        InputError: it is none, and it is not clear what its lists are.
    """
    notes = Notes()
    try:
        return Cleared(read_coco_lazily(json_path), [], [])
    except InputError as error:
        raw = read_json(json_path)
        cleared = clear_lists(raw, notes) if isinstance(raw, dict) else raw
        whole = isinstance(raw, dict) and all(
            isinstance(cleared.get(key), list) for key in ("images", "annotations", "categories")
        )
        if not notes.findings or not whole:
            raise error from None
    return Cleared(cleared, notes.findings, notes.changes)


def clear_set(raw: Dict[str, Any], image_dir: str, exif: str) -> Cleared:
    """`raw`, of which the three lists are there, with every entry mended whose meaning is clear.

    What is found wrong here is what is mended here: the lists of both have equal lengths. Entries
    keep their order and number, and those that are right are not copied.

    Args:
        raw: the parsed JSON.
        image_dir: the folder that its file names start from.
        exif: `input.exif`, which view of an image the sizes are of.
    """
    notes, image_dir = Notes(), os.fspath(image_dir)
    lists = clear_lists(raw, notes)
    lists["images"] = list(lists["images"])
    categories = clear_categories(lists["categories"], notes)
    numbered = clear_image_ids(lists["images"], notes)
    annotations = clear_annotation_ids(
        lists["annotations"],
        known(lists["images"], numbered, "file_name"),
        known(lists["categories"], categories, "name"),
        notes,
    )
    images = clear_file_names(numbered, image_dir, notes)
    images = clear_sizes(images, annotations, image_dir, exif, notes)
    if isinstance(annotations, LazyEntries):
        annotations = LookedThrough(annotations, sizes_of(images))
    plain = plain_objects(annotations, images)
    annotations = clear_objects(annotations, images, plain.others, notes)
    parts = {"images": images, "annotations": annotations, "categories": categories}
    return Cleared({**lists, **parts}, notes.findings, notes.changes, plain)
