"""How objects are painted: masks, boxes, keypoints, labels, in this order. See `visualize`."""

from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.drawing.canvas import Canvas, oversampling
from tfmaskrcnn.drawing.captions import write_labels
from tfmaskrcnn.drawing.coloring import Color
from tfmaskrcnn.drawing.drawing_style import DrawingStyle
from tfmaskrcnn.ops.paste import Window

_LINES_IN_SIDE = 420  # of contours, side by side, in the longer side of a picture
_LINES_IN_OBJECT = 12  # at least, in the side of the median object

# From the index of an object, the finer pixels for one of the image (along y, along x) and the
# (height, width) in finer pixels, to its mask there.
WindowOf = Callable[[int, np.ndarray, Tuple[int, int]], Window]


class DrawnObject(NamedTuple):
    """One object as it is to be painted."""

    box: np.ndarray  # [4] yxyx pixels of the image
    color: Color
    label: str  # empty for none
    # [J, 3] (y, x, score or visibility), pixels of the image; above 0 is drawn.
    keypoints: Optional[np.ndarray] = None
    skeleton: Sequence[Tuple[int, int]] = ()  # keypoints joined by lines


def paint(
    base: np.ndarray,
    size: Tuple[int, int],
    objects: List[DrawnObject],
    window_of: Optional[WindowOf],
    style: DrawingStyle,
) -> np.ndarray:
    """The picture with masks or splashes of colour, boxes, keypoints and labels.

    One mask is made at a time, on the part of the picture that it covers.

    Args:
        base: [h, w, 3] uint8, the image in the size of the picture.
        size: (height, width) of the image, in whose pixels the objects are.
        objects: in the order in which labels get their place.
        window_of: gives their masks; None where there are boxes alone.
        style: `boxes` must not be None.

    Returns:
        [h, w, 3] uint8, an array of its own.
    """
    scale = np.divide(base.shape[:2], size)  # pixels of the picture for one of the image
    boxes = np.array([o.box * np.tile(scale, 2) for o in objects]).reshape(-1, 4)
    line = style.line_width or line_width(boxes, base.shape[:2])
    splash = style.look == "splash"
    canvas = Canvas(base, splash)
    order = np.argsort(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), kind="stable")
    order = order[::-1]  # small ones stay visible on large ones
    for i in order if splash or (style.masks and window_of) else ():
        window, factor = _window(i, boxes[i], scale, base.shape[:2], window_of)
        if splash:
            canvas.splash(window, factor)
        else:
            canvas.mask(window, factor, objects[i].color, line)
    frame = line / 2 if window_of and style.masks else line
    for i in order if style.boxes else ():
        canvas.box(boxes[i], objects[i].color, max(1.0, frame))
    for i in order:
        if objects[i].keypoints is not None:
            points = objects[i].keypoints * np.float32([*scale, 1])
            canvas.keypoints(points, objects[i].skeleton, objects[i].color, 1.25 * line)
    texts, colors = [o.label for o in objects], [o.color for o in objects]
    every = bool(style.labels or style.scores or style.numbers)
    write_labels(canvas.picture, boxes, texts, colors, every)
    return canvas.picture


def line_width(boxes: np.ndarray, size: Tuple[int, int]) -> float:
    """Of contours in a picture of (height, width), pixels: thinner where objects are small."""
    widest = max(1.0, max(size) / _LINES_IN_SIDE)
    if not len(boxes):
        return widest
    sides = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1))
    return float(np.clip(np.median(sides) / _LINES_IN_OBJECT, 1.0, widest))


def smooth_window(window: Window, scale: np.ndarray, size: Tuple[int, int]) -> Window:
    """A mask in pixels of another size, enlarged without stairs.

    Args:
        window: pixels of the image.
        scale: wanted pixels for one of the image, along y and x.
        size: (height, width) of the image in wanted pixels.
    """
    top, left, bitmap = window
    if not bitmap.any() or tuple(scale) == (1, 1):
        return window
    start = np.array([top, left])
    pad = 1 + np.ceil(1 / scale).astype(int)  # rounding outwards stays on the padded bitmap
    low = np.floor(start * scale).astype(int)
    high = np.minimum(np.ceil((start + bitmap.shape) * scale).astype(int), size)
    high = np.maximum(high, low + 1)
    (y1, x1), (y2, x2) = low / scale - start + pad, high / scale - start + pad
    padded = np.pad(bitmap, [(pad[0], pad[0]), (pad[1], pad[1])]).astype(np.uint8) * 255
    wanted = (int(high[1] - low[1]), int(high[0] - low[0]))
    box = (x1, y1, min(x2, padded.shape[1]), min(y2, padded.shape[0]))
    large = Image.fromarray(padded).resize(wanted, Image.Resampling.BICUBIC, box=box)
    values = np.asarray(large)
    # Of something smaller than a pixel, the pixel that shows most of it.
    return Window(int(low[0]), int(low[1]), values >= min(128, max(values.max(), 1)))


def _window(i: int, box, scale, size, window_of: Optional[WindowOf]) -> Tuple[Window, int]:
    """The mask of an object, or its box, in finer pixels, and how many of them make one."""
    limits = np.tile(size, 2)
    y1, x1, y2, x2 = np.clip(box, 0, limits)
    factor = oversampling(y2 - y1, x2 - x1)
    if window_of is not None:
        return window_of(i, scale * factor, (size[0] * factor, size[1] * factor)), factor
    low, high = np.round(np.multiply([(y1, x1), (y2, x2)], factor)).astype(int)
    return Window(low[0], low[1], np.ones(high - low, bool)), factor
