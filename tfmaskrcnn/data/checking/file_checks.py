"""Checks of the image files: each is decoded once, in threads."""

import os
from collections import defaultdict
from typing import Iterable, List, NamedTuple, Optional

from tfmaskrcnn.data.checking.file_content import content_keys
from tfmaskrcnn.data.checking.notes import image_named
from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.data.coco.file_names import shown_name
from tfmaskrcnn.data.coco.image_files import ImageFacts, check_size, image_facts
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage

_GREY_MODE = "L"
_ORDINARY_MODES = defaultdict(lambda: ("npy",))  # by the number of channels
_ORDINARY_MODES.update({1: ("L", "npy"), 3: ("L", "RGB", "npy"), 4: ("RGBA", "npy")})
_MODES = {
    "1": "black and white; it becomes 0 and 255",
    "P": "an image with a palette; its colours are looked up",
    "PA": "an image with a palette and alpha; alpha is dropped",
    "LA": "grey with alpha; alpha is dropped",
    "RGBA": "colour with alpha; alpha is dropped",
    "CMYK": "CMYK; it is converted without a colour profile",
    "YCbCr": "YCbCr; it is converted to RGB",
    "LAB": "LAB; it is converted to RGB",
}
_TURNS = {
    2: "mirrored left to right",
    3: "upside down",
    4: "mirrored top to bottom",
    5: "mirrored and turned by a quarter",
    6: "turned by a quarter to the right",
    7: "mirrored and turned by a quarter",
    8: "turned by a quarter to the left",
}


class Looked(NamedTuple):
    """What an image file holds."""

    facts: Optional[ImageFacts]  # None if it cannot be read
    unreadable: str  # why not, or what is damaged; else empty


class FileReport(NamedTuple):
    """What is known of one image."""

    looked: Looked
    findings: List[Finding]


NOT_LOOKED = Looked(None, "")


def look(path: str, channels: int, exif: str = "apply") -> Looked:
    """Decode a file; `exif` is `input.exif`."""
    try:
        return Looked(image_facts(path, channels, exif), "")
    except InputError as error:
        return Looked(None, str(error))


def check_file(record: Record, looked: Looked, channels: int, exif: str = "apply") -> List[Finding]:
    """Compare what the file of a record holds with the JSON."""
    facts, found = looked.facts, []
    place = record.file_name, record.image_id
    where = image_named(record)
    if looked.unreadable:
        text = f"image {record.image_id}: {looked.unreadable}"
        found.append(Finding("image-unreadable", text, *place))
    if facts:
        try:
            size = record.height, record.width
            check_size(record.path, facts[:2], size, facts.orientation, exif)
        except Fault as fault:
            text = f"image {record.image_id}: {fault}"
            found.append(Finding(fault.rule, text, *place))
    if facts and facts.orientation != 1:
        turn = _TURNS[facts.orientation]
        done = f"viewers show it {turn}, and so does training (input.exif=apply)."
        if exif == "ignore":
            done = f"viewers show it {turn}, training does not (input.exif=ignore)."
        text = f"its EXIF orientation is {facts.orientation}: {done}"
        found.append(Finding("exif", f"{where}: {text}", *place))
    if facts and facts.mode == _GREY_MODE and channels == 3:
        found.append(Finding("grey", f"{where}: it is grey.", *place))
    elif facts and facts.mode not in _ORDINARY_MODES[channels]:
        what = _MODES.get(facts.mode, f"of the mode {facts.mode}, 16 bits; divided by 257")
        found.append(Finding("image-mode", f"{where}: it is {what}.", *place))
    return found


def check_names(records: Iterable[Record], missing: Iterable[int]) -> List[Finding]:
    """File names that occur twice, or that differ from another or from the disk in case only.

    Args:
        records: all of them.
        missing: the image ids whose files do not exist.
    """
    found, seen = [], {}
    for record in records:
        place = record.file_name, record.image_id
        first = seen.setdefault(record.file_name.casefold(), record)
        if first is record:
            continue
        rule = "same-file" if first.file_name == record.file_name else "file-case"
        text = f"images {first.image_id} and {record.image_id} have the files "
        text += f"{shown_name(first.file_name)} and {shown_name(record.file_name)}."
        found.append(Finding(rule, text, *place))
    missing, listings = set(missing), {}
    for record in records:
        if record.image_id not in missing:
            continue
        folder, name = os.path.split(record.path)
        if folder not in listings:
            listed = storage.names_in(folder)
            listings[folder] = {other.casefold(): other for other in listed}
        there = listings[folder].get(name.casefold())
        if there:
            name = shown_name(record.file_name)
            text = f"image {record.image_id}: the JSON says {name}, the disk {there}."
            found.append(Finding("file-case", text, record.file_name, record.image_id))
    return found


def check_copies(records: Iterable[Record], others: Iterable[Record] = ()) -> List[Finding]:
    """Files with the same content, within `records` and (leaks) between them and `others`.

    Only files of equal length are read.
    """
    records, others = list(records), list(others)
    keys = content_keys(record.path for record in records + others)
    found, first_of, leaked_of = [], {}, {}
    for record in others:
        leaked_of.setdefault(keys.get(record.path), record)
    for record in records:
        key, place = keys.get(record.path), (record.file_name, record.image_id)
        if key is None:
            continue
        first = first_of.setdefault(key, record)
        where = image_named(record)
        if first.path != record.path:
            text = f"has the same content as {image_named(first)}."
            found.append(Finding("duplicate-image", f"{where} {text}", *place))
        other = leaked_of.get(key)
        if other is not None:
            text = f"is {image_named(other)} of the other set too."
            found.append(Finding("leak", f"{where} {text}", *place))
    return found
