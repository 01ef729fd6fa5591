"""Pictures that show the same: copies in another format, quality, size or brightness.

Each becomes a small grey picture, without its mean and contrast. Copies differ nowhere by much;
photos of one scene differ where something has moved, so they are no copies.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import opened, opened_picture, stored_pixels
from tfmaskrcnn.data.coco.orientation import turned
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.progress_bar import Progress

SIDE = 32  # cells of the small picture
_DECODED = 8 * SIDE  # pixels that a JPEG is decoded to at least; fewer would move its edges
# Levels of 255 between the cells, as a standard deviation. Below, rounding is most of what is seen.
_LEAST_CONTRAST = 1.0
# Of copies, in standard deviations of the picture: the root of the mean square of all cells'
# differences, and the largest one. Saved anew (JPEG 30 to 75, 0.5 to 2 times the size), pictures of
# COCO are up to 0.08 and 0.35 apart, of dark nuclei 0.13 and 0.44; different ones at least 0.2 and
# 0.9, of a fixed camera less in the mean alone.
_MEAN_APART, _MOST_APART = 0.12, 0.5
_AXES = 8  # coordinates by which most pairs are passed over
_ROWS = 256  # pictures compared at a time
# With so many of its nearest copies a picture is paired; the others hang on these.
_MOST_PAIRS = 32


class NearCopies(NamedTuple):
    """What a look at n pictures has found."""

    pairs: List[Tuple[int, int]]  # of places in the list of pictures
    unreadable: List[str]  # a sentence for each file that is missing or damaged


def near_copies(paths: Sequence[str], progress: Optional[Progress] = None) -> NearCopies:
    """Pairs of pictures that show the same; enough of them that groups of copies hang together.

    Args:
        paths: of image files. Arrays (.npy) are passed over.
        progress: called with (pictures read, pictures in all).
    """
    places, pictures, unreadable = [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for place, (picture, fault) in enumerate(pool.map(_looked_at, paths)):
            if picture is not None:
                places.append(place)
                pictures.append(picture)
            if fault:
                unreadable.append(fault)
            if progress:
                progress(place + 1, len(paths))
    found = similar_pairs(np.array(pictures, np.float16).reshape(-1, SIDE * SIDE))
    return NearCopies([(places[i], places[j]) for i, j in found], unreadable)


def small_picture(path: str) -> Optional[np.ndarray]:
    """[SIDE * SIDE] float16 cells of mean 0 and variance 1; None of an array or without contrast.

    Raises:
        InputError: there is no such picture.
    """
    with opened(path) as file:
        if path.endswith(".npy"):
            return None
        cells = opened_picture(file, path, 1, _cells)
    contrast = cells.std()
    if contrast < _LEAST_CONTRAST:
        return None
    return ((cells - cells.mean()) / contrast).astype(np.float16).reshape(-1)


def similar_pairs(pictures: np.ndarray) -> List[Tuple[int, int]]:
    """Pairs of rows that are copies.

    Args:
        pictures: [n, SIDE * SIDE] float16, of `small_picture`.
    """
    count, cells = pictures.shape
    if count < 2:
        return []
    reach = _MEAN_APART * np.sqrt(cells)  # distance of two copies; on any axis they are as near
    axes = _main_axes(pictures)
    order = np.argsort(axes[:, 0], kind="stable")
    axes, pairs = axes[order], []
    ends = np.searchsorted(axes[:, 0], axes[:, 0] + reach, side="right")
    for start in range(0, count, _ROWS):
        rows = axes[start : start + _ROWS]
        others = axes[start : ends[start : start + _ROWS].max()]
        apart = _squared_distances(rows, others)  # [rows, others]
        for i in range(len(rows)):
            later = i + 1 + np.flatnonzero(apart[i, i + 1 :] <= reach**2)
            if len(later) > _MOST_PAIRS:
                later = later[np.argsort(apart[i, later], kind="stable")[:_MOST_PAIRS]]
            own, theirs = order[start + i], order[start + later]
            alike = theirs[_alike(pictures[own], pictures[theirs])]
            pairs += [(int(own), int(other)) for other in alike]
    return pairs


def _looked_at(path: str) -> Tuple[Optional[np.ndarray], str]:
    try:
        return small_picture(path), ""
    except InputError as error:
        return None, str(error)


def _cells(image: Image.Image, path: str, channels: int) -> np.ndarray:
    """[SIDE, SIDE] float64 means of the picture's cells, as viewers turn it."""
    image.draft("L", (_DECODED, _DECODED))  # of JPEG alone
    grey = turned(*stored_pixels(image, path, channels))[..., 0]
    # A box would jump by whole pixels at the edges of its cells.
    small = Image.fromarray(grey.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float64)


def _main_axes(pictures: np.ndarray) -> np.ndarray:
    """[n, _AXES] float32: where the pictures lie along directions in which they differ much.

    Distances here are at most those of the pictures.
    """
    coarse = [_coarse(part) for part in np.array_split(pictures, len(pictures) // 10_000 + 1)]
    coarse = np.concatenate(coarse)
    directions = np.linalg.eigh(coarse.T @ coarse)[1][:, : -_AXES - 1 : -1]  # the largest first
    return coarse @ directions


def _coarse(pictures: np.ndarray) -> np.ndarray:
    """[n, 64] float32 pictures of 8 x 8 cells, of such a scale that no distance grows."""
    side = SIDE // 8
    blocks = pictures.astype(np.float32).reshape(-1, 8, side, 8, side)
    return blocks.sum(axis=(2, 4)).reshape(-1, 64) / side


def _squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = (rows**2).sum(axis=1)[:, np.newaxis] + (others**2).sum(axis=1)
    return squares - 2 * rows @ others.T


def _alike(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[n] bool: which of the [n, SIDE * SIDE] others are copies of one."""
    apart = np.abs(others.astype(np.float32) - one.astype(np.float32))
    most = apart.max(axis=1, initial=0.0)
    return (np.sqrt(np.mean(apart**2, axis=1)) <= _MEAN_APART) & (most <= _MOST_APART)
