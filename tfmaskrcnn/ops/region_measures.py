"""Size, shape and brightness of objects: scikit-image's regionprops on their windows (NumPy).

Lengths are pixels, areas pixels; pixel i covers [i, i + 1), as in boxes.
"""

from typing import Callable, Dict, Iterable, List, Optional, Tuple, Union

import numpy as np

from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.support.extras import needed

Number = Union[int, float, None]
_LENGTHS = ("perimeter", "equivalent_diameter", "centroid_x", "centroid_y")
_LENGTHS += ("axis_major", "axis_minor")
SHAPE_COLUMNS = ("area", *_LENGTHS, "orientation", "solidity")
_CHUNK = 1 << 20  # pixels whose values are made float64 at a time


def shape_measures(window: Window) -> Dict[str, Number]:
    """`SHAPE_COLUMNS` of one mask, as regionprops defines them.

    The area is an int. The orientation is regionprops': radians in [-pi/2, pi/2] from the vertical
    to the major axis, counter-clockwise. Of a mask without pixels the area and the perimeter are
    0, all else None.

    Raises:
        InputError: scikit-image is not installed.
    """
    top, left, bitmap = tight(window)
    if not bitmap.size:
        return {**dict.fromkeys(SHAPE_COLUMNS), "area": 0, "perimeter": 0.0}
    region = installed_regionprops()(bitmap.astype(np.uint8))[0]
    y, x = region.centroid  # of the centre of pixel 0
    return {
        "area": int(region.area),
        "perimeter": float(region.perimeter),
        "equivalent_diameter": float(region.equivalent_diameter_area),
        "centroid_x": left + float(x) + 0.5,
        "centroid_y": top + float(y) + 0.5,
        "axis_major": float(region.axis_major_length),
        "axis_minor": float(region.axis_minor_length),
        "orientation": float(region.orientation),
        "solidity": int(region.area) / convex_area(bitmap),
    }


def intensity_measures(window: Window, image: np.ndarray) -> Dict[str, Optional[float]]:
    """Mean and standard deviation of an object's pixels in each channel, of `intensity_columns`.

    Args:
        window: its mask.
        image: [H, W, C] or [H, W] of the window's image, any numbers.

    Returns:
        None where the mask has no pixels.
    """
    top, left, bitmap = window
    channels = _channels(image)
    names = intensity_columns(channels)
    if not bitmap.any():
        return dict.fromkeys(names)
    h, w = bitmap.shape
    pixels = image[top : top + h, left : left + w].reshape(h, w, channels)
    means = _sums(pixels, bitmap, np.zeros(channels), 1) / bitmap.sum()
    spreads = np.sqrt(_sums(pixels, bitmap, means, 2) / bitmap.sum())
    return dict(zip(names, np.stack([means, spreads], axis=1).reshape(-1).tolist()))


def intensity_columns(channels: int) -> List[str]:
    """Names of what `intensity_measures` gives of images with so many channels."""
    return [f"{of}_channel_{c + 1}" for c in range(channels) for of in ("mean", "std")]


def convex_area(bitmap: np.ndarray) -> int:
    """Pixels of the convex hull of a tight [h, w] bitmap: regionprops' `area_convex`.

    The hull of the pixels' four side middles; a pixel belongs to it if its centre does. Rows are
    counted by the two chains that bound them, exactly, in time of the pixels: regionprops asks
    for each pixel and each vertex, a minute for an object of 5000 x 5000.
    """
    rows = np.flatnonzero(bitmap.any(axis=1))
    first = bitmap[rows].argmax(axis=1)
    last = bitmap.shape[1] - 1 - bitmap[rows, ::-1].argmax(axis=1)
    lowest = -_highest_of_rows(rows, -first)
    return int(np.sum(_highest_of_rows(rows, last) - lowest + 1))


def _highest_of_rows(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[h] int: the last column of each row from 0 within the hull of pixels (rows, columns)."""
    # In half pixels, so that all is whole: the middles of the lower, right and upper side.
    y = np.stack([2 * rows - 1, 2 * rows, 2 * rows + 1], axis=1).reshape(-1)
    x = np.stack([2 * columns, 2 * columns + 1, 2 * columns], axis=1).reshape(-1)
    order = np.lexsort((x, y))
    chain = _upper_chain(zip(y[order].tolist(), x[order].tolist()))
    places = 2 * np.arange(rows[0], rows[-1] + 1)
    after = np.searchsorted(chain[:, 0], places, side="right")
    (y1, x1), (y2, x2) = chain[after - 1].T, chain[after].T
    return (x1 * (y2 - y1) + (places - y1) * (x2 - x1)) // (2 * (y2 - y1))


def _upper_chain(points: Iterable[Tuple[int, int]]) -> np.ndarray:
    """[n, 2] int64: of points (y, x), sorted, those that bound their hull at the largest x."""
    chain: List[Tuple[int, int]] = []
    for y, x in points:
        if chain and chain[-1][0] == y:
            chain.pop()  # sorted, so this one is farther out
        while len(chain) > 1:
            (y0, x0), (y1, x1) = chain[-2:]
            if (x1 - x0) * (y - y0) > (x - x0) * (y1 - y0):
                break
            chain.pop()
        chain.append((y, x))
    return np.array(chain, np.int64)


def in_units(row: Dict[str, Number], value: float, unit: str) -> Dict[str, Number]:
    """The lengths and the area of `row` again, of pixels with the side `value` in `unit`s.

    Their names end in the unit: `area_um2`, `perimeter_um`.
    """
    scaled = {f"area_{unit}2": ("area", value * value)}
    scaled.update({f"{name}_{unit}": (name, value) for name in _LENGTHS})
    return {
        new: None if row[old] is None else row[old] * factor
        for new, (old, factor) in scaled.items()
        if old in row
    }


def tight(window: Window) -> Window:
    """The smallest window around the pixels that are on; [0, 0] where there are none."""
    top, left, bitmap = window
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not len(rows):
        return Window(top, left, np.zeros((0, 0), bool))
    (y1, y2), (x1, x2) = (_ends(rows), _ends(columns))
    return Window(int(top) + y1, int(left) + x1, bitmap[y1:y2, x1:x2])


def _ends(places: np.ndarray) -> Tuple[int, int]:
    return int(places[0]), int(places[-1]) + 1


def _channels(image: np.ndarray) -> int:
    return image.shape[2] if len(image.shape) == 3 else 1


def installed_regionprops() -> Callable:
    """scikit-image's `regionprops`; an `InputError` that says what to install, if it is missing."""
    return needed(
        "skimage.measure", "scikit-image", "Measuring objects needs", "formats"
    ).regionprops


def _sums(pixels: np.ndarray, bitmap: np.ndarray, means: np.ndarray, power: int) -> np.ndarray:
    """[C] float64: sums over the mask of (value - mean) to a power, some rows at a time."""
    total = np.zeros(len(means))
    step = max(1, _CHUNK // max(1, bitmap.shape[1]))
    for start in range(0, len(bitmap), step):
        part = slice(start, start + step)
        total += ((pixels[part][bitmap[part]] - means) ** power).sum(axis=0)
    return total
