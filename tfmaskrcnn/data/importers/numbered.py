"""Images in which each value is an object, to one mask an object, in the time of one sorting."""

from typing import Any, Dict, Iterator, NamedTuple

import numpy as np

from tfmaskrcnn.data.coco.segmentation import as_rle
from tfmaskrcnn.errors import InputError

_MOST = 65_536  # of 16 bits; more is a picture, not a mask


class Numbered(NamedTuple):
    """The pixels of one value."""

    number: int
    places: np.ndarray  # [n] int64, ascending, along columns: x * height + y
    rle: Dict[str, Any]  # compressed


def objects_of(values: np.ndarray, path: str) -> Iterator[Numbered]:
    """The objects of an image [H, W] of integers, in the order of their values; 0 is none.

    Raises:
        InputError: there are more values than an image of objects has; `path` names it.
    """
    height, width = values.shape
    flat = values.T.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    if len(starts) > _MOST:
        raise InputError(
            f"{path} holds {len(starts)} different values, which is a picture and no image of "
            f"object numbers; wanted at most {_MOST}."
        )
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)]):
        places = order[start:end]
        if flat[places[0]]:
            yield Numbered(int(flat[places[0]]), places, rle_of(places, height, width))


def rle_of(places: np.ndarray, height: int, width: int) -> Dict[str, Any]:
    """The compressed RLE of pixels [n] that are given by ascending x * height + y, n > 0."""
    breaks = np.flatnonzero(np.diff(places) != 1)
    first = places[np.concatenate([[0], breaks + 1])]
    after = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    edges = np.stack([first, after], axis=1).reshape(-1)
    counts = np.diff(np.concatenate([[0], edges, [height * width]])).tolist()
    return as_rle({"size": [height, width], "counts": counts}, height, width)
