"""A single-file model: a zip archive of what a run folder needs to be used, and how it is read.

A path leads into it as into a folder: "nuclei.tfmaskrcnn/config.json". `files` follows such paths,
so whatever reads a run takes a file too. Members are read by name and never unpacked to the disk;
unpacked by hand they are a run folder.
"""

import io
import json
import os
import zipfile
from typing import Any, BinaryIO, Dict, NamedTuple, Optional

from tfmaskrcnn.errors import InputError, one_line, quoted, short_path
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.archives import open_archive

SUFFIX = ".tfmaskrcnn"
ABOUT = "model.json"  # the member by which a file is known
FORMAT = 1  # counts up when a reader of before would read something wrongly
_WEIGHTS = "weights.npz"
_MOST_TEXT = 1 << 22  # bytes of a member that is text; a configuration of 1203 classes has 40 kB


class Place(NamedTuple):
    """A member of a single-file model."""

    file: str
    member: str


def is_single_file(path: str) -> bool:
    """Whether `path` is a file with the name of a single-file model."""
    return os.fspath(path).endswith(SUFFIX) and storage.is_file(path)


def place_in(path: str) -> Optional[Place]:
    """Where `path` leads to within a single-file model; None if it leads into none."""
    path = os.fspath(path)
    if not isinstance(path, str):
        return None
    file, member = os.path.split(path)
    return Place(file, member) if is_single_file(file) else None


def exists(path: str) -> bool:
    """`os.path.exists`, also of a path that leads into a single-file model.

    Raises:
        InputError: the file is damaged.
    """
    place = place_in(path)
    if place is None:
        return storage.exists(path)
    return place.member in _content(place.file, ABOUT)[1]


def open_member(place: Place) -> BinaryIO:
    """The bytes of a member.

    Raises:
        FileNotFoundError: there is no such member.
        InputError: the file is no single-file model, of a newer version, damaged, or packed.
    """
    content, names = _content(place.file, place.member)
    if place.member not in names:
        raise FileNotFoundError(2, "it is not in the file", os.path.join(*place))
    return io.BytesIO(content)


def about(file: str) -> Dict[str, Any]:
    """What a single-file model tells of itself: `format`, `trained`, `versions`.

    Raises: see `open_member`.
    """
    return _about(file, _content(file, ABOUT)[0])


def _content(file: str, member: str):
    """(the bytes of a member, empty if it is not there; the names of all members)."""
    shown = short_path(file)
    try:
        with storage.open_bytes(file) as stream:
            if not storage.size(file):
                raise InputError(f"{shown} is empty (0 bytes); wanted a single-file model.")
            with open_archive(stream) as archive:
                names = set(archive.namelist())
                if ABOUT not in names:
                    raise InputError(f"{shown} is no single-file model: {ABOUT} is not in it.")
                _about(file, _read(archive, ABOUT, shown))
                return _read(archive, member, shown) if member in names else b"", names
    except InputError:
        raise
    except zipfile.BadZipFile:
        raise InputError(f"{shown} is cut off, damaged or no single-file model.") from None
    except OSError as error:
        raise InputError(f"Cannot read {shown}: {error.strerror or error}.") from None
    except Exception as error:  # of a damaged archive, zipfile raises a dozen kinds
        reason = one_line(error).rstrip(".") or type(error).__name__
        raise InputError(f"{shown} is damaged or no single-file model: {reason}.") from None


def _read(archive: zipfile.ZipFile, member: str, shown: str) -> bytes:
    info = archive.getinfo(member)
    if member == _WEIGHTS:
        # An archive within it: packed twice, it could unpack into far more than the file has.
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{shown}: {member} in it is compressed; wanted it as it is.")
    elif info.file_size > _MOST_TEXT:
        raise InputError(f"{shown}: {member} in it has {info.file_size} bytes, too many.")
    return archive.read(info)


def _about(file: str, content: bytes) -> Dict[str, Any]:
    shown = short_path(file)
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown}: {ABOUT} in it is no JSON: {one_line(error)}.") from None
    number = found.get("format") if isinstance(found, dict) else None
    if type(number) is not int or number < 1:
        raise InputError(
            f"{shown}: the format in its {ABOUT} is {quoted(number)}; wanted a number from 1 on."
        )
    if number > FORMAT:
        raise InputError(
            f"{shown} is of format {quoted(number)}, of a newer tfmaskrcnn; this one reads formats "
            f"up to {FORMAT}: update it."
        )
    return found
