"""Flipped and scaled versions of an image, and what is found in them brought back to the image."""

import dataclasses
import itertools
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import masks_to_rle, rle_to_masks

FLIPS = ("hflip", "vflip", "transpose")
DEFAULT_WORDS = ("hflip",)
# A factor beyond these would leave nothing of the image, or take all memory.
SCALES = (0.1, 10.0)


class Variant(NamedTuple):
    """A version of an image: resized by a factor, then transposed, then flipped."""

    scale: float = 1.0
    transpose: bool = False  # rows become columns
    vflip: bool = False  # top and bottom change places
    hflip: bool = False  # left and right change places

    @property
    def mirrors(self) -> bool:
        """Whether left and right change places, as by an odd number of flips."""
        return bool(self.transpose) ^ bool(self.vflip) ^ bool(self.hflip)


def check_word(word: str) -> str:
    """`word`, if it is one of `FLIPS` or a number within `SCALES`.

    Raises:
        ValueError: it is neither; the message is one sentence without its full stop.
    """
    if word in FLIPS:
        return word
    try:
        factor = float(word)
    except ValueError:
        factor = float("nan")
    if not SCALES[0] <= factor <= SCALES[1]:
        known = ", ".join(FLIPS)
        raise ValueError(
            f"{word!r} is none of {known} and no scale from {SCALES[0]:g} to {SCALES[1]:g}"
        )
    return word


def variants_of(words: Sequence[str]) -> List[Variant]:
    """Every combination of the flips and scales that `words` name, the image itself first.

    Each flip is made and not made, at each of the scales, of which 1 is always one: `hflip` gives
    two variants, `hflip vflip` four, `hflip 0.8 1.25` six, `hflip vflip transpose` the eight ways
    to lay a square on itself. No word gives the image alone.

    Raises:
        ValueError: see `check_word`.
    """
    words = [check_word(word) for word in words]
    scales = dict.fromkeys([1.0, *(float(word) for word in words if word not in FLIPS)])
    choices = [(False, True) if flip in words else (False,) for flip in reversed(FLIPS)]
    return [Variant(scale, *flips) for scale in scales for flips in itertools.product(*choices)]


def moved(image: np.ndarray, variant: Variant) -> np.ndarray:
    """The image [H, W, C] transposed and flipped as `variant` says; its scale is not looked at."""
    image = image.swapaxes(0, 1) if variant.transpose else image
    image = image[::-1] if variant.vflip else image
    image = image[:, ::-1] if variant.hflip else image
    return np.ascontiguousarray(image)


def moved_back(
    found: Instances, variant: Variant, flip_pairs: Sequence[Tuple[int, int]] = ()
) -> Instances:
    """What was found in `moved(image, variant)` as found in the image.

    Args:
        found: its `size` is that of the moved image.
        variant: its scale is not looked at.
        flip_pairs: keypoints, by index from 0, that change places in a mirrored image.
    """
    size = found.size[::-1] if variant.transpose else found.size
    if not (variant.transpose or variant.vflip or variant.hflip):
        return found
    y1, x1, y2, x2 = (
        _points_back(found.boxes.reshape(-1, 2, 2), found.size, variant).reshape(-1, 4).T
    )
    low, high = (np.minimum(y1, y2), np.minimum(x1, x2)), (np.maximum(y1, y2), np.maximum(x1, x2))
    parts = {"boxes": np.stack([*low, *high], axis=1), "size": size}
    if found.mask_probabilities is not None:
        parts["mask_probabilities"] = _grids_back(found.mask_probabilities, variant)
    if found.exact_rle is not None:
        parts["exact_rle"] = _rle_back(found.exact_rle, found.size, variant)
    if found.keypoints is not None:
        points = found.keypoints.copy()
        points[..., :2] = _points_back(points[..., :2], found.size, variant)
        swap = variant.mirrors and len(points)
        parts["keypoints"] = _swapped(points, flip_pairs) if swap else points
    return dataclasses.replace(found, **parts)


def _points_back(points: np.ndarray, size: Tuple[int, int], variant: Variant) -> np.ndarray:
    """[..., 2] (y, x) of the moved image of `size` (height, width) as (y, x) of the image."""
    y, x = points[..., 0], points[..., 1]
    y = size[0] - y if variant.vflip else y
    x = size[1] - x if variant.hflip else x
    return np.stack([x, y] if variant.transpose else [y, x], axis=-1)


def _grids_back(grids: np.ndarray, variant: Variant) -> np.ndarray:
    """[n, h, w] of the moved image as [n, h, w] or [n, w, h] of the image."""
    grids = grids[:, :, ::-1] if variant.hflip else grids
    grids = grids[:, ::-1] if variant.vflip else grids
    return grids.swapaxes(1, 2) if variant.transpose else grids


def _rle_back(rles: Sequence[Dict], size: Tuple[int, int], variant: Variant) -> List[Dict]:
    """COCO RLE dicts of the moved image as such of the image; one bitmap at a time."""
    return [masks_to_rle(_grids_back(rle_to_masks([rle], *size), variant))[0] for rle in rles]


def _swapped(points: np.ndarray, pairs: Sequence[Tuple[int, int]]) -> np.ndarray:
    """[D, J, 3] with left and right keypoints exchanged."""
    order = np.arange(points.shape[1])
    for i, j in pairs:
        order[[i, j]] = j, i
    return points[:, order]
