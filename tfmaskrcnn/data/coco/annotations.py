"""Checks of single COCO annotations; each failure says the value found and the value wanted."""

import math
from numbers import Real
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.data.coco.polygons import outline_length, polygon_area
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.ops.paste import run_lengths

# One polygon is a flat float32 array x1, y1, x2, y2, ...; an RLE is a dict with "size", "counts".
Segmentation = Union[List[np.ndarray], Dict[str, Any]]
_Span = Tuple[float, float, float, float]  # x1, y1, x2, y2
# Sides of its image that a coordinate may lie outside of it: what is further is no annotation.
FAR = 10
# Pixels along the outline of one polygon. One traced pixel by pixel around every pixel of a
# megapixel image has as many; the rasteriser takes some 100 bytes for each.
MAX_OUTLINE = 4_000_000


class Fault(InputError):
    """One entry of a data set breaks a rule."""

    def __init__(self, rule: str, message: str):
        """`rule` is a key of `checking.rules.RULES`."""
        super().__init__(message)
        self.rule = rule


class Checked(NamedTuple):
    """An annotation that keeps the rules."""

    position: int  # of its entry in the file's list
    image_id: int
    annotation_id: int  # its own, or a new one if that is wrong
    number: int  # of its class, 1..K; while reading also 0, of none
    crowd: bool
    box: List[float]  # yxyx pixels, clipped to the image
    segmentation: Optional[Segmentation]
    keypoints: Optional[np.ndarray]  # [J, 3]


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number that a float can hold."""
    usual = type(value) in (int, float)  # the fast road
    if not usual and (not isinstance(value, Real) or isinstance(value, bool)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of an integer of some hundred digits
        return False


def checked_box(bbox: Any, height: int, width: int) -> List[float]:
    """COCO's [x, y, width, height] as [y1, x1, y2, x2], clipped to the image.

    Raises:
        Fault: no four finite numbers, no area, no part inside the image, or far outside of it.
    """
    good = isinstance(bbox, (list, tuple)) and len(bbox) == 4 and all(map(is_number, bbox))
    if not good:
        wanted = "wanted [x, y, width, height] of four finite numbers"
        raise Fault("box", f"its bbox is {quoted(bbox)}; {wanted}.")
    x, y, box_width, box_height = map(float, bbox)
    if box_width <= 0 or box_height <= 0:
        raise Fault(
            "box-area", f"its bbox {quoted(bbox)} has no area; wanted width and height above 0."
        )
    corners = (y, x, y + box_height, x + box_width)
    return clipped_box(corners, "its bbox", bbox, height, width)


def clipped_box(
    corners: Sequence[float], name: str, given: Any, height: int, width: int
) -> List[float]:
    """[y1, x1, y2, x2] of a box of positive sides, clipped to the image.

    Args:
        corners: y1, x1, y2, x2, pixels.
        name, given: what an error calls the box, and what it was given as.
        height, width: of the image, pixels.

    Raises:
        Fault: no part inside the image, or far outside of it.
    """
    y1, x1, y2, x2 = corners
    _refuse_far((x1, y1, x2, y2), height, width, f"{name} reaches")
    y1, x1, y2, x2 = max(y1, 0.0), max(x1, 0.0), min(y2, float(height)), min(x2, float(width))
    # In float32, which it becomes: of a box that is thinner than its steps nothing would be left.
    if np.float32(y2) <= np.float32(y1) or np.float32(x2) <= np.float32(x1):
        outside = y2 <= y1 or x2 <= x1
        what = "lies outside" if outside else "is too small to count in"
        raise Fault(
            "box-outside" if outside else "box-area",
            f"{name} {quoted(given)} {what} the image of {height} x {width} pixels "
            "(height x width).",
        )
    return [y1, x1, y2, x2]


def checked_segmentation(segmentation: Any, height: int, width: int) -> Segmentation:
    """Polygons as flat float32 arrays, or the RLE dict as it is.

    Raises:
        Fault: neither of the two, nothing in it, a polygon of less than three points, without
            area or outside the image, or an RLE that does not fit the image.
    """
    if segmentation is None or (isinstance(segmentation, (list, dict)) and not segmentation):
        raise Fault(
            "segmentation",
            f"its segmentation is {quoted(segmentation)}; wanted polygons or an RLE, "
            "because a mask is trained for every box.",
        )
    if isinstance(segmentation, dict):
        return checked_rle(segmentation, height, width)
    if not isinstance(segmentation, list):
        raise Fault(
            "segmentation",
            f"its segmentation is a {type(segmentation).__name__}; wanted a list of polygons "
            "or an RLE with 'size' and 'counts'.",
        )
    # Parts of one or two points enclose nothing; programs that simplify outlines leave such.
    parts = [p for p in segmentation if not isinstance(p, list) or len(p) not in (2, 4)]
    found = [_checked_polygon(polygon, height, width) for polygon in parts or segmentation]
    polygons, spans = [polygon for polygon, _ in found], [span for _, span in found]
    if not any(polygon_area(p) > 0 for p in polygons):
        raise Fault("mask-area", "its polygons enclose no area.")
    low_x, low_y = (min(span[axis] for span in spans) for axis in (0, 1))
    high_x, high_y = (max(span[axis] for span in spans) for axis in (2, 3))
    if low_x >= width or low_y >= height or high_x <= 0 or high_y <= 0:
        raise Fault(
            "polygon-outside",
            f"its polygons span x {low_x:g}..{high_x:g}, y {low_y:g}..{high_y:g}, outside the "
            f"image of {height} x {width} pixels (height x width).",
        )
    return polygons


def _refuse_far(span: _Span, height: int, width: int, what: str) -> None:
    """Raise a `Fault` if it reaches more than `FAR` sides outside of its image."""
    low_x, low_y, high_x, high_y = span
    near_x = low_x >= -FAR * width and high_x <= (FAR + 1) * width
    if not near_x or low_y < -FAR * height or high_y > (FAR + 1) * height:
        raise Fault(
            "far",
            f"{what} from x {low_x:g}, y {low_y:g} to x {high_x:g}, y {high_y:g}, more than {FAR} "
            f"sides outside the image of {height} x {width} pixels (height x width).",
        )


def _checked_polygon(polygon: Any, height: int, width: int) -> Tuple[np.ndarray, _Span]:
    """The flat polygon as float32, and its span; there are millions, so this is written for speed.

    All is computed in float64: in float32 a number that is far too large would be infinite.
    """
    if not isinstance(polygon, (list, tuple)):
        raise Fault(
            "polygon",
            f"its segmentation holds {quoted(polygon)}; wanted a list of polygons, "
            "each a list [x1, y1, x2, y2, ...].",
        )
    if len(polygon) < 6 or len(polygon) % 2:
        raise Fault(
            "polygon",
            f"a polygon has {len(polygon)} coordinates; wanted x, y pairs of at least 3 points.",
        )
    # Of numbers other than these two types each is looked at.
    numbers = set(map(type, polygon)) <= {int, float} or all(map(is_number, polygon))
    try:
        points = np.array(polygon, np.float64) if numbers else np.array([np.nan])
    except OverflowError:  # of an integer of some hundred digits
        points = np.array([np.inf])
    xs, ys = points[::2], points[1::2]
    span = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())) if len(ys) else ()
    if not span or not all(map(math.isfinite, span)):  # a NaN is its own minimum and maximum
        raise Fault("polygon", f"a polygon holds {quoted(polygon)}; wanted finite numbers only.")
    _refuse_far(span, height, width, "a polygon reaches")
    longest = len(xs) * max(span[2] - span[0], span[3] - span[1])
    length = outline_length(points) if longest > MAX_OUTLINE else 0.0
    if length > MAX_OUTLINE:
        raise Fault(
            "outline",
            f"a polygon's outline is {length:.3g} pixels long; wanted at most {MAX_OUTLINE:g}.",
        )
    return points.astype(np.float32), span


def checked_rle(rle: Dict[str, Any], height: int, width: int) -> Dict[str, Any]:
    """`rle` with nothing but "size" and "counts", which fill the image.

    Raises:
        Fault: they do not, there are none, or no pixel is inside.
    """
    counts, size = rle.get("counts"), rle.get("size")
    if not isinstance(counts, (list, str, bytes)) or not counts:
        raise Fault(
            "rle", f"the 'counts' of its RLE are {quoted(counts)}; wanted a list or a string."
        )
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise Fault(
            "rle-size",
            f"the 'size' of its RLE is {quoted(size)}; wanted the image's [{height}, {width}] "
            "(height, width).",
        )
    if isinstance(counts, list) and not all(type(c) is int for c in counts):
        raise Fault("rle", "the run lengths of its RLE must be integers.")
    if isinstance(counts, list):
        runs, total, least = counts, sum(counts), min(counts)  # integers of any size
        inside = any(runs[1::2])
    else:
        runs = _unpacked(counts)
        total, least, inside = int(runs.sum()), int(runs.min()), runs[1::2].any()
        if runs.max() > height * width:  # then a sum of many may have overflowed
            total = int(runs.max())
    if least < 0 or total != height * width:
        raise Fault(
            "rle",
            f"the run lengths of its RLE add up to {quoted(total)}, the least is {quoted(least)}; "
            f"wanted {height} * {width} = {height * width}, none negative.",
        )
    if not inside:
        raise Fault("mask-area", "its RLE covers no pixel.")
    return {"size": [height, width], "counts": counts}


def _unpacked(counts: Union[str, bytes]) -> np.ndarray:
    """Run lengths of a compressed RLE: pycocotools takes one that ends early without a word."""
    if not counts.isascii():
        raise _no_runs(counts)
    text = counts.encode() if isinstance(counts, str) else counts
    chars = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    last = (chars & 32) == 0
    if chars.min() < 0 or chars.max() > 63 or not last[-1]:
        raise _no_runs(counts)
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 6:  # more than the 32 bits of a run length
        raise _no_runs(counts)
    return run_lengths(counts)


def _no_runs(counts: Any) -> Fault:
    return Fault("rle", f"the 'counts' of its RLE are no compressed run lengths: {quoted(counts)}.")
