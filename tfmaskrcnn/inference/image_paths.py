"""Paths of the images that files, folders and patterns stand for."""

import glob
import logging
import os
import re
from typing import Iterable, List, Optional, Tuple

from tfmaskrcnn.errors import InputError, short_path
from tfmaskrcnn.inference.journal import NAME as JOURNAL
from tfmaskrcnn.support.storage import same_place

_LOG = logging.getLogger(__name__)
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")


def paths_of(text: str, recursive: bool, without: Optional[str]) -> Tuple[List[str], str]:
    """The files that `text` stands for, sorted; and the folder that is recursed into, or "".

    What cannot be read may be among them: a folder within, a link to nowhere.

    Args:
        text: a file, a folder or a pattern.
        recursive: folders within folders too.
        without: see `list_pictures`.

    Raises:
        InputError: a folder cannot be read.
    """
    if not os.path.isdir(text):
        return _matching(text, without), ""
    paths: List[str] = []

    def unreadable(error: OSError) -> None:
        if error.filename == text:
            raise InputError(f"The folder {short_path(text)} cannot be read: {error.strerror}.")
        paths.append(error.filename)  # to be named among what could not be used

    # It does not follow links, which may form a circle.
    for folder, below, names in os.walk(text, onerror=unreadable):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if without:
            below[:] = [n for n in below if not _holds_outputs(os.path.join(folder, n), without)]
        paths += _images_in(folder, names)
        if not recursive:
            break
    return paths, text if recursive else ""


def folder_of(text: str) -> str:
    """The folder that `text` is, or that it lies in; of a pattern that before its first "*"."""
    if os.path.isdir(text):
        return text
    return os.path.dirname(text if os.path.lexists(text) else before_wildcards(text))


def before_wildcards(text: str) -> str:
    """The part of a pattern in front of its first wildcard; all of what is no pattern."""
    return text[: re.search(r"[*?[]|$", text).start()]


def why_nothing(text: str) -> str:
    """A sentence: `text` stands for no image."""
    if os.path.isdir(text):
        return f"{short_path(text)} holds no image."
    if os.path.lexists(text):
        return f"{short_path(text)} is neither a file nor a folder."
    if before_wildcards(text) != text:
        return f"{short_path(text)} matches no file."
    if text.endswith(("/", os.sep)):
        kind = "folder"
    else:
        kind = "file" if os.path.splitext(text)[1] else "file or folder"
    return f"There is no {kind} {short_path(text)}."


def _holds_outputs(folder: str, without: str) -> bool:
    """Whether `folder` is `without`, or holds another prediction (another part) beside it."""
    if same_place(folder, without):
        return True
    beside = same_place(os.path.dirname(folder), os.path.dirname(os.path.abspath(without)))
    if not beside or not os.path.exists(os.path.join(folder, JOURNAL)):
        return False
    _LOG.info("%s holds a prediction (%s), and is left out.", short_path(folder), JOURNAL)
    return True


def _matching(text: str, without: Optional[str]) -> List[str]:
    """The file `text`, or the files that match it as a pattern."""
    try:
        if os.path.exists(text):
            return [text] if os.path.isfile(text) else []
        paths = [path for path in sorted(glob.glob(text, recursive=True)) if _is_file(path)]
    except ValueError:  # a NUL, or half a character
        return []
    outputs = os.path.join(os.path.realpath(without), "") if without else None
    fixed = os.path.dirname(before_wildcards(text))
    if outputs is None or os.path.join(os.path.realpath(fixed), "").startswith(outputs):
        return paths
    return [path for path in paths if not os.path.realpath(path).startswith(outputs)]


def _images_in(folder: str, names: Iterable[str]) -> List[str]:
    # Names with a dot first are leavings of operating systems, such as "._photo.jpg".
    chosen = [name for name in sorted(names) if not name.startswith(".")]
    chosen = [name for name in chosen if name.lower().endswith(IMAGE_ENDINGS)]
    return [path for path in (os.path.join(folder, n) for n in chosen) if _is_file(path)]


def _is_file(path: str) -> bool:
    """Whether there is a file, or a link to one that is not there: it will be named."""
    return os.path.isfile(path) or (os.path.islink(path) and not os.path.exists(path))
