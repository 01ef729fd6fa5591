"""What a large COCO file was read to, as arrays in the user's cache: read again in a few seconds.

The file's own bytes name what is kept of it, so a changed file is another one. What is kept is only
ever a copy: if it is missing, damaged or of another version, the file is read.
"""

import contextlib
import hashlib
import json
import logging
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.data.coco.data_classes import DataClasses
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
VERSION = 1  # counts up when reading gives something else of the same file
LEAST = 20_000_000  # bytes; smaller files are read in a moment
KEPT = 4  # sets; one of COCO's size takes 150 MB
_BLOCK = 1 << 20  # bytes
_RLE = -1  # polygons of an object that has a run-length encoding


class Kept(NamedTuple):
    """A set without its paths: N images, n objects in all."""

    class_names: Tuple[str, ...]
    category_ids: Tuple[int, ...]
    left_out: int  # annotations of categories that are no class
    rows: List[tuple]  # N times what a `Record` has, in its order, but for the path


def place_of(json_path: str, masks: bool, classes: Optional[DataClasses]) -> Optional[str]:
    """Where it is kept what a file is read to by these rules; None of a small file, or of none."""
    try:
        if storage.size(json_path) < LEAST:
            return None
        digest = hashlib.blake2b(digest_size=16)
        with open_regular(json_path) as file:
            for block in iter(lambda: file.read(_BLOCK), b""):
                digest.update(block)
    except (OSError, ValueError):  # whoever reads the file tells
        return None
    chosen = None
    if classes is not None:
        chosen = [[name, *sources] for name, sources in classes.sources.items()], classes.complete
    digest.update(json.dumps([VERSION, masks, chosen]).encode())
    return cache_folder("sets", f"{digest.hexdigest()}.npz")


def read_kept(place: str) -> Optional[Kept]:
    """What is kept at `place`; None if that is nothing whole."""
    try:
        arrays = read_arrays(place)
        about = json.loads(arrays["about"].tobytes())
        found = Kept(
            tuple(about["class_names"]),
            tuple(about["category_ids"]),
            int(about["left_out"]),
            list(_rows(arrays, about["file_names"])),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    with contextlib.suppress(OSError):  # of a cache that may only be read
        os.utime(place)  # what is used last is removed last
    return found


def keep(place: str, records: Sequence[Any], about: Dict[str, Any], json_path: str) -> None:
    """Write records to `place`, and remove what was not used for the longest time.

    Args:
        place: of `place_of`.
        records: without keypoints.
        about: `class_names`, `category_ids`, `left_out`.
        json_path: names the set in the log.
    """
    with not_vital():
        folder = writable_folder(os.path.dirname(place))
        remove_leftovers(folder)
        about = {**about, "file_names": [record.file_name for record in records]}
        save_arrays(place, {**_arrays(records), "about": _bytes_of(about)})
        size = os.path.getsize(place) / 1e6
        _LOG.info("%s: kept for the next time in %s (%.0f MB).", json_path, place, size)
        with contextlib.suppress(OSError):  # another process may remove them too
            paths = [os.path.join(folder, name) for name in os.listdir(folder)]
            for old in sorted(paths, key=os.path.getmtime)[:-KEPT]:
                os.remove(old)


def _arrays(records: Sequence[Any]) -> Dict[str, np.ndarray]:
    shapes = [shape or () for record in records for shape in record.segmentations]
    polygons = [p for shape in shapes if not isinstance(shape, dict) for p in shape]
    parts = [_RLE if isinstance(shape, dict) else len(shape) for shape in shapes]
    ids = [i for record in records for i in record.annotation_ids]
    return {
        "image_ids": np.array([r.image_id for r in records], np.int64),
        "sizes": np.array([(r.height, r.width) for r in records], np.int64),
        "counts": np.array([len(r.classes) for r in records], np.int64),
        "boxes": np.concatenate([r.boxes for r in records]),
        "classes": np.concatenate([r.classes for r in records]),
        "crowd": np.concatenate([r.crowd for r in records]),
        "annotation_ids": np.array(ids, np.int64),
        "parts": np.array(parts, np.int64),
        "lengths": np.array([len(p) for p in polygons], np.int64),
        "points": np.concatenate([np.zeros(0, np.float32), *polygons]),
        "rles": _bytes_of([shape for shape in shapes if isinstance(shape, dict)]),
    }


def _bytes_of(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _rows(arrays: Dict[str, np.ndarray], names: List[str]) -> Iterator[tuple]:
    """What the records have; raises `ValueError` where the arrays do not fit each other."""
    counts, parts = arrays["counts"], arrays["parts"]
    count, objects = len(names), int(counts.sum())
    rles = json.loads(arrays["rles"].tobytes())
    fits = [len(arrays[key]) == count for key in ("image_ids", "sizes", "counts")]
    keys = ("boxes", "classes", "crowd", "annotation_ids", "parts")
    fits += [len(arrays[key]) == objects for key in keys]
    fits.append(np.count_nonzero(parts == _RLE) == len(rles))
    fits.append(np.maximum(parts, 0).sum() == len(arrays["lengths"]))
    fits.append(arrays["lengths"].sum() == len(arrays["points"]))
    if not all(fits):
        raise ValueError("its arrays are of different sets")
    shapes = _shapes(arrays, iter(rles))
    ends = np.cumsum(counts)
    slices = map(slice, (ends - counts).tolist(), ends.tolist())
    ids = arrays["annotation_ids"].tolist()
    images = zip(arrays["image_ids"].tolist(), names, arrays["sizes"].tolist(), slices)
    for image_id, name, (height, width), part in images:
        objects = [arrays[key][part] for key in ("boxes", "classes", "crowd")]
        yield image_id, name, height, width, *objects, shapes[part], ids[part]


def _shapes(arrays: Dict[str, np.ndarray], rles: Iterator[Dict]) -> List[Any]:
    """Of each object its polygons, views of one array; or its RLE, or None."""
    ends = np.cumsum(arrays["lengths"])
    starts = ends - arrays["lengths"]
    points = arrays["points"]
    views = [points[a:b] for a, b in zip(starts.tolist(), ends.tolist())]
    found, at = [], 0
    for count in arrays["parts"].tolist():
        if count == _RLE:
            found.append(next(rles))
        else:
            found.append(views[at : at + count] or None)
            at += count
    return found
