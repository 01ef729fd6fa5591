"""Lines and dots as bitmaps: what skeletons of keypoints are drawn with."""

from typing import NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw


class Strokes(NamedTuple):
    """A bitmap and the part of the canvas that it covers."""

    part: Tuple[slice, slice]
    bitmap: np.ndarray  # bool


def strokes(
    canvas: Tuple[int, int], lines: Sequence, dots: Sequence, width: float, radius: float
) -> Strokes:
    """Lines and round dots on a canvas of (height, width).

    Args:
        canvas: (height, width), pixels; what reaches outside is cut off.
        lines: pairs of (x, y) points.
        dots: (x, y) points.
        width: of the lines, pixels.
        radius: of the dots, pixels.
    """
    ends = np.reshape([*np.reshape(lines, (-1, 2)), *dots], (-1, 2))
    if not len(ends):
        return Strokes((slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool))
    reach = int(max(width, radius)) + 2
    limits = np.array(canvas[::-1])
    low = np.clip(np.floor(ends.min(axis=0)).astype(int) - reach, 0, limits)
    high = np.clip(np.ceil(ends.max(axis=0)).astype(int) + reach, low, limits)
    stencil = Image.new("1", tuple(int(v) for v in np.maximum(high - low, 1)))
    pen = ImageDraw.Draw(stencil)
    for start, end in lines:
        pen.line([tuple(start - low), tuple(end - low)], fill=1, width=max(1, round(width)))
    for x, y in [dot - low for dot in dots]:
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1)
    bitmap = np.asarray(stencil)[: high[1] - low[1], : high[0] - low[0]]
    return Strokes((slice(low[1], high[1]), slice(low[0], high[0])), bitmap)
