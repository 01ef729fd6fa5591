"""What a large COCO file was read to, as arrays in the user's cache: read again in a few seconds.

The file's own bytes name what is kept of it, so a changed file is another one. What is kept is only
ever a copy: if it is missing, damaged or of another version, the file is read.
"""

import contextlib
import hashlib
import json
import logging
import os
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.data.coco.data_classes import DataClasses
from tfmaskrcnn.data.coco.object_table import ImageHead, ObjectTable
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.array_files import read_arrays
from tfmaskrcnn.support.cache_folder import cache_folder
from tfmaskrcnn.support.files import (
    not_vital,
    open_regular,
    remove_leftovers,
    save_arrays,
    writable_folder,
)

_LOG = logging.getLogger(__name__)
VERSION = 2  # counts up when reading gives something else of the same file
LEAST = 20_000_000  # bytes; smaller files are read in a moment
KEPT = 4  # sets; one of COCO's size takes 150 MB
_BLOCK = 1 << 20  # bytes
_COLUMNS = ObjectTable._fields[:9]  # the arrays of a table


class Kept(NamedTuple):
    """A set without its folder."""

    class_names: Tuple[str, ...]
    category_ids: Tuple[int, ...]
    left_out: int  # annotations of categories that are no class
    heads: List[ImageHead]
    table: ObjectTable


def place_of(json_path: str, masks: bool, classes: Optional[DataClasses]) -> Optional[str]:
    """Where it is kept what a file is read to by these rules; None of a small file, or of none."""
    try:
        if storage.size(json_path) < LEAST:
            return None
        digest = hashlib.sha256()  # which processors have as an instruction
        with open_regular(json_path) as file:
            for block in iter(lambda: file.read(_BLOCK), b""):
                digest.update(block)
    except (OSError, ValueError):  # whoever reads the file tells
        return None
    chosen = None
    if classes is not None:
        chosen = [[name, *sources] for name, sources in classes.sources.items()], classes.complete
    digest.update(json.dumps([VERSION, masks, chosen]).encode())
    return cache_folder("sets", f"{digest.hexdigest()[:32]}.npz")


def read_kept(place: str) -> Optional[Kept]:
    """What is kept at `place`; None if that is nothing whole."""
    try:
        arrays = read_arrays(place)
        about = json.loads(arrays["about"].tobytes())
        sizes = arrays["sizes"].T.tolist()
        heads = [arrays["heads"].tolist(), about["file_names"], *sizes]
        if len(set(map(len, heads))) != 1:
            return None
        found = Kept(
            tuple(about["class_names"]),
            tuple(about["category_ids"]),
            int(about["left_out"]),
            list(map(ImageHead, *heads)),
            ObjectTable(*(arrays[key] for key in _COLUMNS), about["rles"]),
        )
        found.table.check()
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    with contextlib.suppress(OSError):  # of a cache that may only be read
        os.utime(place)  # what is used last is removed last
    return found


def keep(place: str, kept: Kept, json_path: str) -> None:
    """Write a set to `place`, and remove what was not used for the longest time.

    Args:
        place: of `place_of`.
        kept: objects without keypoints.
        json_path: names the set in the log.
    """
    with not_vital():
        folder = writable_folder(os.path.dirname(place))
        remove_leftovers(folder)
        save_arrays(place, _arrays(kept))
        size = os.path.getsize(place) / 1e6
        _LOG.info("%s: kept for the next time in %s (%.0f MB).", json_path, place, size)
        with contextlib.suppress(OSError):  # another process may remove them too
            paths = [os.path.join(folder, name) for name in os.listdir(folder)]
            for old in sorted(paths, key=os.path.getmtime)[:-KEPT]:
                os.remove(old)


def _arrays(kept: Kept) -> Dict[str, np.ndarray]:
    heads, table = kept.heads, kept.table
    about = {
        "class_names": kept.class_names,
        "category_ids": kept.category_ids,
        "left_out": kept.left_out,
        "file_names": [head.file_name for head in heads],
        "rles": table.rles,
    }
    return {
        "heads": np.array([head.image_id for head in heads], np.int64),
        "sizes": np.array([(head.height, head.width) for head in heads], np.int64),
        **{key: getattr(table, key) for key in _COLUMNS},
        "boxes": table.boxes.astype(np.float32),
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    }
