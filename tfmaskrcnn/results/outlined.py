"""Objects of a result with their polygons: what the writers of annotation formats share."""

import itertools
import math
import unicodedata
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config import person_keypoints
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.ops.region_measures import tight
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions, stem_path
from tfmaskrcnn.results.polygons_of_masks import MaskPolygon
from tfmaskrcnn.support.files import writable_file

# Pixels by which shares are larger: COCO's rasteriser rounds up at half pixels, where slopes have
# their points, and would round down what is less by the digits that are not written.
_NUDGE = 0.01


class Outlined(NamedTuple):
    """An object as annotation tools draw it; all coordinates are pixels of the image."""

    number: int  # as in pictures and tables
    name: str  # of its class, as `tool_name`
    class_index: int  # 1..K
    score: float
    box: Tuple[float, float, float, float]  # x1, y1, x2, y2, in the image, never without area
    polygons: List[MaskPolygon]  # none where there is no mask; then the box stands for the object
    window: Optional[Window]  # the mask, as small as can be; None where it has no pixel
    keypoints: Sequence[Tuple[str, float, float]]  # (name, x, y)

    @property
    def has_hole(self) -> bool:
        """Whether outlines alone would cover more than the mask."""
        return any(part.holes for part in self.polygons)


def outlined(result: ImageResult, options: ResultOptions) -> Iterator[Outlined]:
    """The objects of an image one by one, best first."""
    found = result.found
    windows = map(tight, found.windows()) if found.has_masks else itertools.repeat(None)
    names = keypoint_names(result) if found.keypoints is not None else ()
    rows = zip(found.numbers, found.names, found.classes, found.scores, found.boxes, windows)
    for i, (number, name, class_index, score, box, window) in enumerate(rows):
        window = window if window is not None and window.bitmap.size else None
        polygons = [] if window is None else options.polygons(window)
        points = [
            (joint, round(float(x), 2), round(float(y), 2))
            for joint, (y, x, _) in zip(names, found.keypoints[i] if names else ())
        ]
        yield Outlined(
            *(int(number), tool_name(name), int(class_index), round(float(score), 6)),
            *(_visible(box, found.size), polygons, window, points),
        )


def tool_name(name: str) -> str:
    """A class as annotation tools and our importers take it: no characters of control."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in name)
    return "".join(kept) if name.strip() else "unnamed"


def categories(
    options: ResultOptions, highest: int = 0, exact: bool = False
) -> List[Tuple[int, str]]:
    """(id in the training data, name) of classes 1..K, K being `highest` at least.

    Names are by `tool_name`, or exact as in training; "class 3" where there is none.
    """
    count = max(len(options.class_names), len(options.category_ids), highest)
    names = [*options.class_names]
    names += [f"class {k}" for k in range(len(names) + 1, count + 1)]
    ids = [category_id(options, k) for k in range(1, count + 1)]
    return list(zip(ids, names if exact else map(tool_name, names)))


def category_id(options: ResultOptions, class_index: int) -> int:
    """The id of a class in the training data; its number where there is none."""
    ids = options.category_ids
    return ids[class_index - 1] if class_index <= len(ids) else class_index


def highest_class(result: ImageResult) -> int:
    """The highest class index in an image, 0 without objects."""
    return int(result.found.classes.max(initial=0))


def keypoint_names(result: ImageResult) -> Tuple[str, ...]:
    """The names of the J keypoints of a result: COCO's of persons, or their numbers."""
    joints = result.found.keypoints.shape[1]
    persons = tuple(map(tuple, result.found.skeleton)) == person_keypoints.SKELETON
    if persons and joints == len(person_keypoints.NAMES):
        return person_keypoints.NAMES
    return tuple(f"keypoint {j}" for j in range(1, joints + 1))


def joined(polygons: Sequence[MaskPolygon]) -> np.ndarray:
    """[n, 2] xy: parts and holes as one ring, for formats that have nothing else.

    The rings are joined at their nearest points by lines to and fro, which enclose nothing.
    """
    rings = [ring for part in polygons for ring in (part.outer, *part.holes)]
    ring = rings[0]
    for other in rings[1:]:
        distance = ((ring[:, None] - other[None]) ** 2).sum(axis=-1)
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        detour = np.concatenate([other[j:], other[: j + 1], ring[i : i + 1]])
        ring = np.concatenate([ring[: i + 1], detour, ring[i + 1 :]])
    return ring


def shares(ring: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """[n, 2] xy pixels as shares, 0 to 1, of the sides of an image of `size` (height, width)."""
    return np.clip((ring + _NUDGE) / (size[1], size[0]), 0, 1)


def flat(ring: np.ndarray) -> List[float]:
    """[n, 2] xy as x1, y1, x2, y2, ... to a hundredth of a pixel; whole numbers as such."""
    return [int(v) if v == int(v) else v for v in np.round(ring, 2).reshape(-1).tolist()]


def result_path(folder: str, result: ImageResult, ending: str) -> str:
    """Where a file of an image's own is written; its folder is made."""
    return writable_file(stem_path(folder, result.stem, ending))


def _visible(box: np.ndarray, size: Tuple[int, int]) -> Tuple[float, float, float, float]:
    """x1, y1, x2, y2 of a yxyx box in the image; of what has no area there, the nearest pixel."""
    spans = []
    for low, high, side in zip(box[[1, 0]].tolist(), box[[3, 2]].tolist(), size[::-1]):
        low, high = max(low, 0.0), min(high, float(side))
        if high - low < 0.01:
            low = float(min(max(math.floor(low), 0), side - 1))
            high = low + 1
        spans.append((round(low, 2), round(high, 2)))
    (x1, x2), (y1, y2) = spans
    return x1, y1, x2, y2
