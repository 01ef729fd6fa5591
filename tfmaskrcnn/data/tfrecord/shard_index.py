"""The index beside a shard: where its records are, and what a data set is checked by.

Nothing that it says is believed: the records it names have to fill the shard exactly, and its
sizes, boxes and classes have to be such as `writing` writes.
"""

import json
import os
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.data.coco.file import field
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.array_files import read_arrays

INDEX_SUFFIX = ".index.npz"
VERSION = 1
# TFRecord frames each record: its length and that number's checksum before, its own after it.
HEADER_BYTES, FRAME_BYTES = 12, 16
_MAX_SHARDS = 1_000_000
_MAX_NAME = 4096  # characters of a file name


class _Kind(NamedTuple):
    """Of an array of the index."""

    dtype: str
    count: str  # of its rows: images or objects
    columns: Tuple[int, ...] = ()


_KINDS = {
    "offsets": _Kind("i8", "images"),
    "lengths": _Kind("i8", "images"),
    "checksums": _Kind("u4", "images"),
    "image_ids": _Kind("i8", "images"),
    "sizes": _Kind("i4", "images", (2,)),
    "counts": _Kind("i8", "images"),
    "boxes": _Kind("f4", "objects", (4,)),
    "classes": _Kind("i4", "objects"),
    "crowd": _Kind("?", "objects"),
}


def read_index(path: str) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """The arrays of the index of the shard `path`, and what else it says.

    Raises:
        InputError: it is missing, damaged, of another version or file, or says what cannot be.
    """
    index = path + INDEX_SUFFIX
    try:
        arrays = read_arrays(index)
        about = json.loads(arrays.pop("about").tobytes())
        if not isinstance(about, dict):
            raise ValueError("it does not say what it is of")
        if about.get("version") != VERSION:
            found = quoted(about.get("version"))
            raise InputError(f"{index} has version {found}, wanted {VERSION}.")
        size = storage.size(path)
        if size != about.get("size"):
            raise InputError(
                f"{path} has {size} bytes, but its index is of {quoted(about.get('size'))}; write "
                "the shards anew."
            )
        _check_about(about)
        _check_arrays(arrays, about, size)
    except FileNotFoundError:
        raise InputError(
            f"{path} has no index {os.path.basename(index)}; write the shards with `tfmaskrcnn "
            "write-tfrecord`."
        ) from None
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = "no 'about'" if isinstance(error, KeyError) else quoted(str(error), 180)[1:-1]
        raise InputError(
            f"The index {index} cannot be read: {reason}; write the shards anew."
        ) from None
    return arrays, about


def _check_about(about: Dict[str, Any]) -> None:
    """What all shards share, and the names of the images."""
    shard, shards = about.get("shard"), about.get("shards")
    if type(shards) is not int or type(shard) is not int or not 0 <= shard < shards <= _MAX_SHARDS:
        raise ValueError(f"it is shard {quoted(shard)} of {quoted(shards)}")
    if not isinstance(about.get("masks"), bool) or not isinstance(about.get("set"), str):
        raise ValueError("it does not say of which set it is")
    categories = about.get("categories")
    if not isinstance(categories, list) or not categories:
        raise ValueError("it has no categories")
    ids = {_checked(category, "id", int) for category in categories}
    names = [_checked(category, "name", str) for category in categories]
    if len(ids) != len(names) or not all(abs(i) < 2**63 for i in ids):
        raise ValueError("the ids of its categories are not unique")
    if not isinstance(about.get("names"), list):
        raise ValueError("it has no names of images")
    for name in about["names"]:
        if len(_checked({"name": name}, "name", str)) > _MAX_NAME or "\0" in name:
            raise ValueError("a file name that no file has")


def _checked(entry: Any, key: str, kind: type) -> Any:
    try:
        return field(entry, key, kind, "an entry")
    except InputError as error:
        raise ValueError(str(error).rstrip(".")) from None


def _check_arrays(arrays: Dict[str, np.ndarray], about: Dict[str, Any], size: int) -> None:
    if set(arrays) != set(_KINDS):
        raise ValueError(f"it has the arrays {quoted(sorted(arrays), 100)}")
    counts = {"images": len(about["names"]), "objects": len(arrays["boxes"])}
    for name, kind in _KINDS.items():
        array, shape = arrays[name], (counts[kind.count], *kind.columns)
        if array.shape != shape or array.dtype != np.dtype(kind.dtype):
            raise ValueError(
                f"{name} is {quoted(array.shape)} {array.dtype}, wanted {shape} {kind.dtype}"
            )
    offsets, lengths, objects = arrays["offsets"], arrays["lengths"], arrays["counts"]
    # By Python's numbers, which do not overflow.
    ends = np.cumsum([0, *(min(max(n, 0), size) + FRAME_BYTES for n in lengths.tolist())]).tolist()
    if (lengths < 0).any() or offsets.tolist() != ends[:-1] or ends[-1] != size:
        raise ValueError("its records do not fill the shard one after the other")
    if (objects < 0).any() or sum(objects.tolist()) != counts["objects"]:
        raise ValueError("the objects of its images are not as many as it has")
    if (arrays["sizes"] < 1).any():
        raise ValueError("an image without pixels")
    if len(np.unique(arrays["image_ids"])) != counts["images"]:
        raise ValueError("an image id occurs twice")
    classes = arrays["classes"]
    if ((classes < 1) | (classes > len(about["categories"]))).any():
        raise ValueError(f"an object is of a class that is not in 1..{len(about['categories'])}")
    limits = np.repeat(np.tile(arrays["sizes"], 2), objects, axis=0)  # of each box's sides
    boxes = arrays["boxes"]
    inside = (boxes >= 0) & (boxes <= limits) & np.isfinite(boxes)
    if not inside.all() or not (boxes[:, 2:] > boxes[:, :2]).all():
        raise ValueError("an object's box is not in its image, or has no area")
