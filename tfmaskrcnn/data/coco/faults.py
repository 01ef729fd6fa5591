"""What becomes of entries that break a rule: reading stops, or leaves them out and counts them."""

import logging
import os
import shlex
from typing import Any, Dict, Optional, Tuple

from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.file_names import name_candidates
from tfmaskrcnn.data.coco.foreign import LOOKED_AT, foreign_format
from tfmaskrcnn.data.coco.lazy_entries import with_heads
from tfmaskrcnn.data.coco.meaning import (
    clear_box,
    clear_category_name,
    clear_crowd,
    clear_id,
    clear_segmentation,
)
from tfmaskrcnn.errors import quoted, short_path
from tfmaskrcnn.support import storage

_SHOWN = 3  # files of a folder
_LOG = logging.getLogger(__name__)


class Faults:
    """An `OnFault` that stops at the first fault, or leaves wrong annotations out."""

    def __init__(
        self,
        raw: Dict[str, Any],
        json_path: str,
        image_dir: Optional[str] = None,
        skip_invalid: bool = False,
    ):
        """`raw` is the parsed JSON; wrong images and categories always stop."""
        self._raw, self._path, self._skip = raw, json_path, skip_invalid
        self._image_dir = image_dir
        self.left_out = self._renumbered = 0
        self.first = ""  # what was wrong with the first that was left out

    def __call__(self, part: str, number: int, fault: Fault) -> None:
        """Raise `fault` with what to do about it, or count it."""
        if part != "annotations" or not self._skip:
            raise self.explained(part, number, fault) from None
        if fault.rule == "annotation-id":
            self._renumbered += 1
            return
        self.first = self.first or str(self.explained(part, number, fault))
        self.left_out += 1

    @property
    def any(self) -> bool:
        """Whether there was one."""
        return bool(self.left_out or self._renumbered)

    def of_image(self, image_id: int) -> None:
        """Raise what is wrong in an image, where that was put off; here nothing was."""

    def explained(self, part: str, number: int, fault: Fault) -> Fault:
        """`fault` with the command that mends it, where the meaning is clear."""
        if "--fix" in str(fault):  # it was explained before
            return fault
        foreign = foreign_format(with_heads(self._raw, LOOKED_AT), self._path)
        if foreign:
            return Fault(fault.rule, f"{fault} {foreign}")
        if fault.rule == "image-missing" and self._image_dir is not None:
            name = self._raw[part][number]["file_name"]
            what, mended = _there_instead(self._image_dir, name)
        elif fault.rule == "annotation-id":
            what, mended = "Ids must differ", True
        else:
            meant = _meant(self._raw, part, number)
            what, mended = f"It is {meant}", meant is not None
            if not mended:
                return fault
        images = shlex.quote(short_path(self._image_dir)) if self._image_dir else "IMAGES"
        paths = f"{shlex.quote(short_path(self._path))} {images}"
        command = f"`tfmaskrcnn check-data {paths} --fix FILE` mends it"
        return Fault(fault.rule, f"{fault} {what}{': ' + command if mended else ''}.")

    def report(self) -> None:
        """Log what was left out."""
        if self.left_out:
            text = "%s: left out %d wrong annotations, the first: %s"
            _LOG.warning(text, self._path, self.left_out, self.first)
        if self._renumbered:
            text = "%s: %d annotation ids are missing or repeated; they are numbered anew."
            _LOG.warning(text, self._path, self._renumbered)


def _there_instead(image_dir: str, name: str) -> Tuple[str, bool]:
    """What is in the folder where a file is missing, and whether it is clear which is meant."""
    for candidate in name_candidates(name):
        if storage.is_file(os.path.join(image_dir, candidate)):
            return f"There is {quoted(candidate)} in {quoted(image_dir)}", True
    there = storage.names_in(image_dir)
    if not there:
        return f"{quoted(image_dir)} is empty", False
    some = ", ".join(quoted(one) for one in there[:_SHOWN])
    return f"{quoted(image_dir)} holds {some}{', ...' if len(there) > _SHOWN else ''}", False


def _meant(raw: Dict[str, Any], part: str, number: int) -> Optional[str]:
    """What an entry that breaks a rule clearly means, in words; None if that is not clear."""
    entry = raw[part][number]
    if not isinstance(entry, dict):
        return None
    ids = ("id", "image_id", "category_id") if part == "annotations" else ("id",)
    values = [entry.get(key) for key in ids]
    if any(type(value) is not int and clear_id(value) is not None for value in values):
        return "an integer, written in another way"
    if part == "categories" and clear_category_name(entry.get("name")) is not None:
        return "a name that is a number"
    if part != "annotations":
        return None
    crowd = entry.get("iscrowd", 0)
    if isinstance(crowd, (str, type(None))) and clear_crowd(crowd) is not None:
        return "0 or 1, written in another way"
    if clear_box(entry.get("bbox")) not in (None, entry.get("bbox")):
        return "four numbers, written in another way"
    for image in raw["images"]:
        if isinstance(image, dict) and image.get("id") == entry.get("image_id"):
            size = image.get("height"), image.get("width")
            if all(type(side) is int and 0 < side < 2**31 for side in size):
                meaning = clear_segmentation(entry.get("segmentation"), entry.get("bbox"), *size)
                return meaning and meaning.what
    return None
