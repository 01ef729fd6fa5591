"""Checks of the image files: each is decoded once, in threads."""

import hashlib
import os
from collections import defaultdict
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.image_files import ImageFacts, check_size, image_facts
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.errors import InputError

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
_BLOCK = 1 << 20  # bytes read at a time


class FileReport(NamedTuple):
    """What is known of one image's file."""

    facts: Optional[ImageFacts]  # None if it cannot be read
    findings: List[Finding]


def check_file(record: Record, channels: int) -> FileReport:
    """Decode the file of a record and compare it with the JSON."""
    facts, found = None, []
    place = record.file_name, record.image_id
    where = f"image {record.image_id} ({record.file_name})"
    try:
        facts = image_facts(record.path, channels)
        check_size(record.path, facts[:2], (record.height, record.width))
    except InputError as error:
        rule = getattr(error, "rule", "image-unreadable")
        found.append(Finding(rule, f"image {record.image_id}: {error}", *place))
    if facts and facts.orientation != 1:
        text = f"its EXIF orientation is {facts.orientation}; viewers turn it, training does not."
        found.append(Finding("exif", f"{where}: {text}", *place))
    if facts and facts.mode == _GREY_MODE and channels == 3:
        found.append(Finding("grey", f"{where}: it is grey.", *place))
    elif facts and facts.mode not in _ORDINARY_MODES[channels]:
        what = _MODES.get(facts.mode, f"of the mode {facts.mode}, 16 bits; divided by 257")
        found.append(Finding("image-mode", f"{where}: it is {what}.", *place))
    return FileReport(facts, found)


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
        text += f"{first.file_name} and {record.file_name}."
        found.append(Finding(rule, text, *place))
    missing, listings = set(missing), {}
    for record in records:
        if record.image_id not in missing:
            continue
        folder, name = os.path.split(record.path)
        if folder not in listings:
            listed = os.listdir(folder) if os.path.isdir(folder) else []
            listings[folder] = {other.casefold(): other for other in listed}
        there = listings[folder].get(name.casefold())
        if there:
            text = f"image {record.image_id}: the JSON says {record.file_name}, the disk {there}."
            found.append(Finding("file-case", text, record.file_name, record.image_id))
    return found


def check_copies(records: Iterable[Record], others: Iterable[Record] = ()) -> List[Finding]:
    """Files with the same content, within `records` and (leaks) between them and `others`.

    Only files of equal length are read.
    """
    records, others = list(records), list(others)
    by_length = _by_length(records + others)
    content: Dict[str, Tuple[bytes, ...]] = {}

    def key_of(record: Record):
        length = by_length.get(record.path)
        if length is None:
            return None
        if record.path not in content:
            content[record.path] = _digest(record.path)
        return length, content[record.path]

    found, first_of, leaked_of = [], {}, {}
    for record in others:
        leaked_of.setdefault(key_of(record), record)
    for record in records:
        key, place = key_of(record), (record.file_name, record.image_id)
        if key is None:
            continue
        first = first_of.setdefault(key, record)
        where = f"image {record.image_id} ({record.file_name})"
        if first.path != record.path:
            text = f"has the same content as image {first.image_id} ({first.file_name})."
            found.append(Finding("duplicate-image", f"{where} {text}", *place))
        other = leaked_of.get(key)
        if other is not None:
            text = f"is image {other.image_id} ({other.file_name}) of the other set too."
            found.append(Finding("leak", f"{where} {text}", *place))
    return found


def _by_length(records: List[Record]) -> Dict[str, int]:
    """Path -> bytes, of files that share their length with another entry."""
    groups = defaultdict(list)
    for record in records:
        try:
            groups[os.path.getsize(record.path)].append(record.path)
        except OSError:
            continue  # missing: found elsewhere
    return {path: size for size, paths in groups.items() if len(paths) > 1 for path in paths}


def _digest(path: str) -> bytes:
    """A hash of a file's content; unique for a file that cannot be read."""
    digest = hashlib.blake2b()
    try:
        with open(path, "rb") as file:
            while True:
                block = file.read(_BLOCK)
                if not block:
                    return digest.digest()
                digest.update(block)
    except OSError:
        return path.encode(errors="surrogateescape")
