"""A picture onto which objects are laid one by one; only the part around each is worked on."""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from tfmaskrcnn.drawing.coloring import Color
from tfmaskrcnn.drawing.strokes import strokes
from tfmaskrcnn.ops.paste import Window

SEAM_COLOR: Color = (25, 25, 25)  # around contours, boxes and the lines of a skeleton
WHITE: Color = (255, 255, 255)
FILL_OPACITY = 0.4
BOX_OPACITY = 0.75
SEAM_OPACITY = 0.5  # dark enough for yellow on white, unseen on dark pictures
OVERSAMPLING = 2  # of bitmaps, for smooth contours
_COARSE_FROM = 4_000_000  # pixels of a picture's part that is not oversampled
_STRIP_PIXELS = 1_000_000  # blended at a time


def oversampling(height: float, width: float) -> int:
    """The factor by which bitmaps of a part of the picture are finer than its pixels."""
    return OVERSAMPLING if height * width <= _COARSE_FROM else 1


class Layer(NamedTuple):
    """A bitmap in one colour."""

    bitmap: np.ndarray  # [h, w] bool
    color: Color
    opacity: float
    # Over the image alone, so that objects below this one do not shine through; else over all.
    alone: bool = True


class Canvas:
    """`picture` [H, W, 3] uint8 changes, `base` of the same shape is the image below it."""

    def __init__(self, base: np.ndarray, splash: bool = False):
        self.base = base
        self.picture = _grey(base) if splash else base.copy()

    def mask(self, window: Window, factor: int, color: Color, line: float) -> None:
        """A translucent mask with an opaque contour inside its border and a dark seam around it.

        Args:
            window: pixels of the picture divided by `factor`.
            factor: see `oversampling`.
            color: of the mask.
            line: width of the contour, pixels of the picture.
        """
        seam = max(1, round(0.4 * line * factor))
        bitmap = _padded(window.bitmap, (seam, seam), (seam, seam))
        inner = eroded(bitmap, max(1, round(line * factor)))
        far = eroded(~_padded(bitmap, (seam, seam), (seam, seam)), seam)[seam:-seam, seam:-seam]
        layers = [
            Layer(~far & ~bitmap, SEAM_COLOR, SEAM_OPACITY, alone=False),
            Layer(inner, color, FILL_OPACITY),
            Layer(bitmap & ~inner, color, 1.0),
        ]
        self._lay((window.top - seam, window.left - seam), factor, layers)

    def splash(self, window: Window, factor: int) -> None:
        """A mask in the image's own colours."""
        self._lay((window.top, window.left), factor, [Layer(window.bitmap, WHITE, 0.0)])

    def box(self, box: np.ndarray, color: Color, line: float) -> None:
        """A rectangle of lines that lie inside the box [4] yxyx, with a dark seam around it."""
        size = np.array(self.picture.shape[:2])
        if np.any(box[2:] <= 0) or np.any(box[:2] >= size):
            return
        low = np.clip(np.round(box[:2]), 0, size - 1).astype(int)
        high = np.clip(np.round(box[2:]), low + 1, size).astype(int)
        thick, seam = max(1, round(line)), max(1, round(0.4 * line))
        self._frame(low - seam, high + seam, seam, SEAM_COLOR, SEAM_OPACITY)
        self._frame(low, high, thick, color, BOX_OPACITY)

    def keypoints(self, points: np.ndarray, skeleton: Sequence, color: Color, line: float) -> None:
        """Lines of the object's colour in a dark seam, and dots with a white rim over them.

        Args:
            points: [J, 3] (y, x, drawn if above 0), pixels of the picture.
            skeleton: pairs of indices of points.
            color: of the object.
            line: width, pixels.
        """
        drawn = points[:, 2] > 0
        if not drawn.any():
            return
        spread = np.ptp(points[drawn, :2], axis=0) + 8 * line
        factor = oversampling(*np.minimum(spread, self.picture.shape[:2]))
        places = points[:, 1::-1] * factor  # (x, y)
        lines = [(places[a], places[b]) for a, b in skeleton if drawn[a] and drawn[b]]
        dots, unit = places[drawn], line * factor
        canvas = tuple(side * factor for side in self.picture.shape[:2])
        for width, radius, paint in (
            (1.8 * unit, 2.2 * unit, SEAM_COLOR),
            (1.0 * unit, 0.0, color),
            (0.0, 1.8 * unit, WHITE),
            (0.0, 1.2 * unit, color),
        ):
            shown = (lines if width else [], dots if radius else [])
            part, bitmap = strokes(canvas, *shown, width, radius)
            place = part[0].start, part[1].start
            self._lay(place, factor, [Layer(bitmap, paint, 1.0)])

    def _frame(self, low, high, thick: int, color: Color, opacity: float) -> None:
        (y1, x1), (y2, x2) = low, high
        up, down = min(y1 + thick, y2), max(y2 - thick, y1 + thick)
        left, right = min(x1 + thick, x2), max(x2 - thick, x1 + thick)
        for y, x in (
            (slice(y1, up), slice(x1, x2)),
            (slice(down, y2), slice(x1, x2)),
            (slice(up, down), slice(x1, left)),
            (slice(up, down), slice(right, x2)),
        ):
            y, x = slice(max(y.start, 0), max(y.stop, 0)), slice(max(x.start, 0), max(x.stop, 0))
            part = self.picture[y, x]
            part[...] = np.round(part * (1 - opacity) + np.float32(color) * opacity)

    def _lay(self, place: Tuple[int, int], factor: int, layers: List[Layer]) -> None:
        """Lay bitmaps that do not overlap over the picture.

        Args:
            place: (top, left) of the bitmaps, pixels divided by `factor`; may be outside.
            factor: see `oversampling`.
            layers: of one shape.
        """
        height, width = self.picture.shape[:2]
        first = [p // factor for p in place]  # pixel in which the bitmaps begin
        before = [p - f * factor for p, f in zip(place, first)]
        shape = layers[0].bitmap.shape
        last = [-(-(p + n) // factor) for p, n in zip(place, shape)]
        after = [(z - f) * factor - b - n for z, f, b, n in zip(last, first, before, shape)]
        covers = [_cover(_padded(layer.bitmap, before, after), factor) for layer in layers]
        x1 = max(first[1], 0)
        x2 = max(min(last[1], width), x1)
        rows = max(1, _STRIP_PIXELS // max(x2 - x1, 1))
        for y1 in range(max(first[0], 0), min(last[0], height), rows):
            y2 = min(y1 + rows, last[0], height)
            part = np.s_[y1 - first[0] : y2 - first[0], x1 - first[1] : x2 - first[1]]
            strip = self.picture[y1:y2, x1:x2]
            below = self.base[y1:y2, x1:x2]
            out = strip.astype(np.float32)
            for layer, cover in zip(layers, covers):
                share = cover[part][..., None] / np.float32(factor**2)
                ground = (below if layer.alone else strip) * np.float32(1 - layer.opacity)
                out += share * (ground + np.float32(layer.color) * layer.opacity - strip)
            strip[...] = np.round(out)


def eroded(bitmap: np.ndarray, steps: int) -> np.ndarray:
    """The pixels more than `steps` away from the border, by crosses and squares in turn.

    Crosses and squares each add up to a large one, which is put together of a few shifts.
    """
    for square, total in ((False, steps - steps // 2), (True, steps // 2)):
        done = 0
        while done < total:
            step = min(max(done, 1), total - done)
            bitmap = _shifted(bitmap, step, square)
            done += step
    return bitmap


def _shifted(bitmap: np.ndarray, step: int, square: bool) -> np.ndarray:
    """Where `bitmap` is on there and `step` away, at the four sides or the eight of a square."""
    h, w = bitmap.shape
    p = _padded(bitmap, (step, step), (step, step))
    far, rows, columns = 2 * step, np.s_[step : step + h], np.s_[step : step + w]
    if square:
        tall = p[:h] & p[rows] & p[far:]
        return tall[:, :w] & tall[:, columns] & tall[:, far:]
    return bitmap & p[:h, columns] & p[far:, columns] & p[rows, :w] & p[rows, far:]


def _padded(bitmap: np.ndarray, before: Sequence[int], after: Sequence[int]) -> np.ndarray:
    """`np.pad` with False, in a tenth of the time that it takes on small bitmaps."""
    (y, x), (y2, x2) = before, after
    h, w = bitmap.shape
    out = np.zeros((y + h + y2, x + w + x2), bool)
    out[y : y + h, x : x + w] = bitmap
    return out


def _cover(bitmap: np.ndarray, factor: int) -> np.ndarray:
    """[h, w] uint8: how many of the finer pixels are on in each pixel."""
    total = np.zeros([n // factor for n in bitmap.shape], np.uint8)
    for i in range(factor):
        for j in range(factor):
            total += bitmap[i::factor, j::factor]
    return total


def _grey(image: np.ndarray) -> np.ndarray:
    """The image without colours; darker where it has none, or nothing would stand out."""
    weights = np.float32([0.299, 0.587, 0.114])
    out, colorful = np.empty_like(image), False
    rows = max(1, _STRIP_PIXELS // max(image.shape[1], 1))
    for y in range(0, len(image), rows):
        strip = image[y : y + rows]
        colorful = colorful or bool(np.any(np.ptp(strip, axis=2) > 24))
        out[y : y + rows] = np.round(strip @ weights)[..., None]
    return out if colorful else out // 3
