"""What a value of a COCO file clearly means that is not written as COCO writes it.

Pure functions: no file is read. Each returns None where the value is as it should be, or where more
than one thing could be meant.
"""

import json
import math
import re
from numbers import Real
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from tfmaskrcnn.data.coco.box_readings import bitmap_runs, reading_by_box
from tfmaskrcnn.data.coco.rle_runs import runs_box, runs_of, turned_runs

_INT64_MAX = 2**63 - 1
_FLOAT_EXACT = 2**53  # above it a float may stand for several integers
_DEPTH = 16  # of lists in lists
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MAX_TEXT = 1_000_000  # characters of a segmentation that is a text
# A box that is given in two places: how far the two may be apart, in pixels.
_SAME_BOX = 1.0
# How well an RLE must give its box to be known by it: pixels on each side.
_RLE_BOX = 2.0
_CROWD_TEXTS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
_POINT_LISTS = (("x", "y"), ("all_points_x", "all_points_y"))


class Meaning(NamedTuple):
    """What a segmentation clearly means."""

    what: str  # what it is now: "a list of points"
    mended: Any  # in COCO's form: a list of polygons, or an RLE


class _Outline(NamedTuple):
    """Polygons found in nested lists, and what was odd about the way there."""

    polygons: List[List[float]]  # flat
    points: bool  # some were given as points
    texts: bool  # some numbers were texts
    depth: int  # lists around a polygon


def clear_segmentation(segmentation: Any, bbox: Any, height: int, width: int) -> Optional[Meaning]:
    """What a segmentation in another form than COCO's clearly means.

    Args:
        segmentation: of the JSON, anything.
        bbox: the annotation's, anything; one of four numbers decides between readings.
        height, width: of the image, pixels.

    Returns:
        None if it is as COCO has it, or if its meaning is not clear.
    """
    if isinstance(segmentation, dict):
        return _clear_dict(segmentation, bbox, height, width)
    if isinstance(segmentation, str):
        found = _parsed(segmentation)
        if found is None:
            return None
        inner = clear_segmentation(found, bbox, height, width)
        if inner is None and isinstance(found, list) and not all(map(_is_polygon, found)):
            return None
        return Meaning("a text", inner.mended if inner else found)
    if not isinstance(segmentation, (list, tuple)) or not segmentation:
        return None
    runs = bitmap_runs(segmentation, height, width)
    if runs is not None:
        return Meaning("a mask of zeros and ones", {"size": [height, width], "counts": runs})
    reading = reading_by_box(segmentation, clear_box(bbox), height, width)
    if reading is not None:
        return Meaning(*reading)
    if all(map(_is_polygon, segmentation)):
        return None
    if all(isinstance(part, dict) and "counts" in part for part in segmentation):
        return _rle_in_list(segmentation, bbox, height, width)
    outline = _outline(segmentation)
    if outline is None:
        return _box_as_polygon(segmentation, bbox)
    if outline.points:
        return Meaning("a list of points", outline.polygons)
    if outline.depth == 0:
        return Meaning("a flat list of coordinates", outline.polygons)
    if outline.depth > 1:
        return Meaning("a polygon with a list too many around it", outline.polygons)
    return Meaning("a polygon of texts", outline.polygons) if outline.texts else None


def clear_id(value: Any) -> Optional[int]:
    """The integer that an id is, or clearly stands for: 7, 7.0, "7"; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= _INT64_MAX else None
    if isinstance(value, float):
        exact = math.isfinite(value) and value == int(value) and abs(value) <= _FLOAT_EXACT
        return int(value) if exact else None
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,19}(\.0*)?", value.strip(), re.ASCII):
        found = int(value.strip().split(".")[0])
        return found if abs(found) <= _INT64_MAX else None
    return None


def clear_number(value: Any) -> Optional[float]:
    """The finite number that a value is, or that a text says; an int stays one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Real):
        try:
            return value if math.isfinite(value) else None
        except OverflowError:  # an integer beyond every float
            return None
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value.strip()):
        found = float(value)
        if not math.isfinite(found):
            return None
        return int(found) if found == int(found) and abs(found) < _FLOAT_EXACT else found
    return None


def clear_box(bbox: Any) -> Optional[List[float]]:
    """[x, y, width, height] of a box given as texts, in a list too many or by names."""
    if isinstance(bbox, str):
        bbox = _parsed(bbox)
    while isinstance(bbox, list) and len(bbox) == 1:
        bbox = bbox[0]
    if isinstance(bbox, dict):
        for names in (("x", "y", "width", "height"), ("x", "y", "w", "h")):
            if all(name in bbox for name in names):
                bbox = [bbox[name] for name in names]
                break
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4:
        return None
    numbers = [clear_number(v) for v in bbox]
    return None if any(v is None for v in numbers) else numbers


def clear_crowd(value: Any) -> Optional[int]:
    """0 or 1 of an `iscrowd`: of texts, of true and false, and 0 of null."""
    if value is None:
        return 0
    if isinstance(value, str):
        return _CROWD_TEXTS.get(value.strip().lower())
    return int(value) if isinstance(value, (bool, Real)) and value in (0, 1) else None


def clear_category_name(value: Any) -> Optional[str]:
    """The name of a category whose name is a number; None for other values, texts included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not -_FLOAT_EXACT < value < _FLOAT_EXACT:  # NaN too
        return None
    return str(int(value)) if value == int(value) else str(value)


def _is_polygon(part: Any) -> bool:
    """Whether it has the form of COCO's flat polygon; its numbers may still be no good."""
    return (
        isinstance(part, (list, tuple))
        and len(part) >= 6
        and len(part) % 2 == 0
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in part)
    )


def _parsed(text: str) -> Any:
    """A list or object that was written as text, or numbers with commas or spaces between."""
    if len(text) > _MAX_TEXT:
        return None
    try:
        found = json.loads(text)
        return found if isinstance(found, (list, dict)) and found else None
    except (ValueError, RecursionError):
        pass
    parts = re.split(r"[\s,;]+", text.strip())
    numbers = [clear_number(part) for part in parts]
    if None in numbers:
        return None
    return numbers if len(numbers) == 4 else [numbers] if len(numbers) >= 6 else None


def _clear_dict(value: Dict, bbox: Any, height: int, width: int) -> Optional[Meaning]:
    if "counts" in value:
        return _clear_rle(value, bbox, height, width)
    for names in _POINT_LISTS:
        flat = _interleaved(*(value.get(name) for name in names))
        if flat:
            return Meaning("lists of x and of y", [flat])
    return None


def _interleaved(xs: Any, ys: Any) -> Optional[List[float]]:
    """x1, y1, x2, y2, ... of two lists of at least three numbers each."""
    if not isinstance(xs, list) or not isinstance(ys, list) or not len(xs) == len(ys) >= 3:
        return None
    flat = [clear_number(v) for pair in zip(xs, ys) for v in pair]
    return None if None in flat else flat


def _outline(value: Any, depth: int = 0) -> Optional[_Outline]:
    """The polygons in nested lists; None if there is anything else in them."""
    if depth > _DEPTH or not isinstance(value, (list, tuple)) or not value:
        return None
    numbers = [clear_number(v) for v in value]
    if all(v is not None for v in numbers):
        texts = any(isinstance(v, str) for v in value)
        flat = len(value) >= 6 and len(value) % 2 == 0
        return _Outline([numbers], False, texts, depth) if flat else None
    points = [_point(v) for v in value]
    if len(points) >= 3 and all(points):
        return _Outline([[v for point in points for v in point]], True, False, depth)
    if isinstance(value[0], dict) and len(value) == 1:
        meaning = _clear_dict(value[0], None, 0, 0) if "counts" not in value[0] else None
        return _Outline(meaning.mended, True, False, depth) if meaning else None
    parts = [_outline(v, depth + 1) for v in value]
    if not all(parts):
        return None
    polygons = [p for part in parts for p in part.polygons]
    flags = (any(part[k] for part in parts) for k in (1, 2))
    return _Outline(polygons, *flags, max(part.depth for part in parts))


def _point(value: Any) -> Optional[Sequence[float]]:
    if isinstance(value, dict):
        value = [value.get("x"), value.get("y")]
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    numbers = [clear_number(v) for v in value]
    return None if None in numbers else numbers


def _box_as_polygon(value: Any, bbox: Any) -> Optional[Meaning]:
    """Four numbers that are the annotation's box, or its corners, in any nesting."""
    box = clear_box(bbox)
    for _ in range(_DEPTH):
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_point, value)):
        value = [v for point in value for v in _point(point)]
    numbers = clear_box(value) if isinstance(value, (list, tuple)) else None
    if box is None or numbers is None or min(box[2:]) <= 0:
        return None
    x, y, w, h = box
    ways = (box, [x, y, x + w, y + h])
    if not any(np.abs(np.subtract(numbers, way, dtype=float)).max() <= _SAME_BOX for way in ways):
        return None
    return Meaning("the box given as polygon", [[x, y, x + w, y, x + w, y + h, x, y + h]])


def _rle_in_list(parts: Sequence[Dict], bbox: Any, height: int, width: int) -> Optional[Meaning]:
    if len(parts) != 1:
        return None
    inner = _clear_rle(parts[0], bbox, height, width)
    what = "an RLE in a list" + (f", and {inner.what}" if inner else "")
    return Meaning(what, inner.mended if inner else parts[0])


def _clear_rle(rle: Dict, bbox: Any, height: int, width: int) -> Optional[Meaning]:
    """An RLE whose size, order or numbers are not COCO's, if it fills the image's pixels."""
    counts, size = rle.get("counts"), rle.get("size")
    runs = runs_of(counts)
    if runs is None or int(runs.sum()) != height * width:
        return None
    swapped = False
    if size is not None:
        sides = [clear_id(v) for v in size] if isinstance(size, (list, tuple)) else []
        swapped = sides == [width, height] and height != width
        if not swapped and sides != [height, width]:
            return None
    as_coco = isinstance(size, (list, tuple)) and list(size) == [height, width]
    sound = isinstance(counts, (str, bytes)) or all(type(c) is int for c in counts)
    fits = [_gives(runs, bbox, height, width, along_rows) for along_rows in (False, True)]
    mended = {**rle, "size": [height, width]}
    if not sound:
        mended["counts"] = runs.tolist()
    if fits == [False, True]:
        turned = turned_runs(runs, height, width)
        return turned and Meaning("an RLE counted along rows", {**mended, "counts": turned})
    if swapped:
        return Meaning("an RLE whose size is swapped", mended) if fits[0] else None
    if not as_coco:
        what = "an RLE without its size" if size is None else "an RLE whose size is no integers"
        return Meaning(what, mended)
    return None if sound else Meaning("an RLE whose run lengths are no integers", mended)


def _gives(runs: np.ndarray, bbox: Any, height: int, width: int, along_rows: bool) -> bool:
    """Whether an RLE has this bounding box; False without one."""
    found, box = runs_box(runs, height, width, along_rows), clear_box(bbox)
    if found is None or box is None:
        return False
    corners = [np.array([x, y, x + w, y + h], float) for x, y, w, h in (found, box)]
    return bool(np.abs(corners[0] - corners[1]).max() <= _RLE_BOX)
