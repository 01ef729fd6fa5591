"""How instances are painted: fills, contours, boxes, keypoints, labels. See `visualize`."""

import functools
import os
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfmaskrcnn.drawing.strokes import strokes
from tfmaskrcnn.ops.paste import Window

Color = Tuple[int, int, int]

# Bright, saturated, and apart from each other in hue or lightness: readable on photographs, on
# dark fluorescence and on pink histology when used with an opaque contour.
PALETTE: Tuple[Color, ...] = (
    (255, 82, 82),
    (64, 196, 255),
    (105, 240, 120),
    (255, 202, 40),
    (213, 109, 255),
    (255, 145, 45),
    (38, 230, 205),
    (255, 110, 180),
    (124, 138, 255),
    (200, 235, 60),
    (0, 168, 107),
    (205, 133, 85),
)
CROWD_COLOR: Color = (190, 190, 190)
SEAM_COLOR: Color = (25, 25, 25)  # around the lines of a skeleton
FILL_OPACITY = 0.4
BOX_OPACITY = 0.75
SMALL_SIDE = 1000  # images with a longer side under this are enlarged by a whole factor
OVERSAMPLING = 2  # of the overlay, for smooth contours
TOLERATED_HIDING = 0.15  # share of an object that a label may cover without looking elsewhere
MAX_HIDING = 0.6  # a label that would cover more of an object is left out


class DrawnObject(NamedTuple):
    """One object as it is to be painted."""

    box: np.ndarray  # [4] yxyx pixels of the original image
    color: Color
    label: str  # empty for none
    # [J, 3] (y, x, score or visibility), pixels of the original image; above 0 is drawn.
    keypoints: Optional[np.ndarray] = None
    skeleton: Sequence[Tuple[int, int]] = ()  # keypoints joined by lines


def paint(
    image: np.ndarray,
    objects: List[DrawnObject],
    windows_at: Callable[[int], Iterable[Window]],
) -> np.ndarray:
    """The image, enlarged if it is small, with fills and contours, boxes and labels.

    Args:
        image: [H, W, 3] or [H, W] uint8.
        objects: in the order in which labels get their place.
        windows_at: gives their masks in pixels of the image enlarged by a factor; no windows at
            all where there are boxes alone.

    Returns:
        [s H, s W, 3] uint8.
    """
    image = as_rgb(image)
    height, width = image.shape[:2]
    scale = max(1, round(SMALL_SIDE / max(height, width)))
    size = width * scale, height * scale
    base = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    line = max(2.0, max(size) / 560)  # output pixels
    overlay = _Overlay(size[1], size[0], OVERSAMPLING if max(size) <= 2000 else 1)
    windows = list(windows_at(scale * overlay.factor))
    boxes = [o.box * scale for o in objects]
    areas = [np.prod(np.maximum(b[2:] - b[:2], 0)) for b in boxes]
    order = np.argsort(areas)[::-1]  # small ones stay visible on large ones
    has_labels = any(o.label for o in objects)
    for i in order:
        if windows:
            overlay.mask(windows[i], objects[i].color, line)
    for i in order:
        # Boxes help to tell what a label belongs to; around unlabelled masks they are clutter.
        if has_labels or not windows:
            overlay.box(boxes[i], objects[i].color, max(1.0, line / 2))
    for i in order:
        if objects[i].keypoints is not None:
            overlay.keypoints(objects[i], scale, line)
    picture = Image.fromarray(overlay.on(base))
    _write_labels(picture, boxes, objects)
    return np.asarray(picture)


class _Overlay:
    """Colours with opacity on a finer grid than the picture they will be laid over."""

    def __init__(self, height: int, width: int, factor: int):
        self.factor = factor
        self.color = np.zeros((height * factor, width * factor, 3), np.uint8)
        self.opacity = np.zeros((height * factor, width * factor), np.float32)

    def mask(self, window: Window, color: Color, line: float) -> None:
        """A translucent mask with an opaque contour inside its border, `line` pixels wide."""
        (top, left, bitmap), (h, w) = window, window.bitmap.shape
        part = slice(top, top + h), slice(left, left + w)
        inner = _eroded(bitmap, round(line * self.factor))
        self.color[part][bitmap] = color
        self.opacity[part][bitmap] = FILL_OPACITY
        self.opacity[part][bitmap & ~inner] = 1.0

    def box(self, box: np.ndarray, color: Color, line: float) -> None:
        """A rectangle of lines that lie inside the box."""
        size = np.array(self.opacity.shape)
        if np.any(box[2:] * self.factor <= 0) or np.any(box[:2] * self.factor >= size):
            return
        t = max(1, round(line * self.factor))
        low = np.clip(np.round(box[:2] * self.factor), 0, size - 1).astype(int)
        high = np.clip(np.round(box[2:] * self.factor), low + 1, size).astype(int)
        (y1, x1), (y2, x2) = low, high
        for y, x in (
            (slice(y1, min(y1 + t, y2)), slice(x1, x2)),
            (slice(max(y2 - t, y1), y2), slice(x1, x2)),
            (slice(y1, y2), slice(x1, min(x1 + t, x2))),
            (slice(y1, y2), slice(max(x2 - t, x1), x2)),
        ):
            self.color[y, x] = color
            self.opacity[y, x] = np.maximum(self.opacity[y, x], BOX_OPACITY)

    def keypoints(self, item: DrawnObject, scale: int, line: float) -> None:
        """Lines of the object's colour in a dark seam, and dots with a white rim over them."""
        drawn = item.keypoints[:, 2] > 0
        places = item.keypoints[:, 1::-1] * (scale * self.factor)  # (x, y)
        lines = [(places[a], places[b]) for a, b in item.skeleton if drawn[a] and drawn[b]]
        dots = places[drawn]
        unit = line * self.factor
        for width, radius, color in (
            (1.8 * unit, 2.2 * unit, SEAM_COLOR),
            (1.0 * unit, 0.0, item.color),
            (0.0, 1.8 * unit, (255, 255, 255)),
            (0.0, 1.2 * unit, item.color),
        ):
            shown = (lines if width else [], dots if radius else [])
            part, bitmap = strokes(self.opacity.shape, *shown, width, radius)
            self.color[part][bitmap] = color
            self.opacity[part][bitmap] = 1.0

    def on(self, base: np.ndarray) -> np.ndarray:
        """The uint8 picture of `base` under the overlay."""
        f = self.factor
        total = np.zeros(base.shape, np.float32)  # mean of the overlay's points in each pixel
        cover = np.zeros((*base.shape[:2], 1), np.float32)
        for i in range(f):
            for j in range(f):
                opacity = self.opacity[i::f, j::f, None] / f**2
                total += self.color[i::f, j::f] * opacity
                cover += opacity
        return np.round(base * (1 - cover) + total).astype(np.uint8)


def smooth_window(mask: np.ndarray, scale: int) -> Window:
    """A bitmap [H, W] enlarged without stairs, on the part of the image where it is on."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Window(0, 0, np.zeros((0, 0), bool))
    top, left = rows[0], columns[0]
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    h, w = part.shape
    padded = Image.fromarray(np.pad(part, 1).astype(np.uint8) * 255)
    large = padded.resize(((w + 2) * scale, (h + 2) * scale), Image.Resampling.BICUBIC)
    bitmap = np.asarray(large)[scale:-scale, scale:-scale] >= 128
    return Window(int(top) * scale, int(left) * scale, bitmap)


def _eroded(bitmap: np.ndarray, steps: int) -> np.ndarray:
    """The pixels more than `steps` away from the border, by crosses and squares in turn."""
    h, w = bitmap.shape
    for step in range(steps):
        p = np.pad(bitmap, 1)
        bitmap = p[1:-1, 1:-1] & p[:h, 1:-1] & p[2:, 1:-1] & p[1:-1, :w] & p[1:-1, 2:]
        if step % 2:
            bitmap = bitmap & p[:h, :w] & p[:h, 2:] & p[2:, :w] & p[2:, 2:]
    return bitmap


def choose_colors(boxes: np.ndarray, classes: np.ndarray, one_class: bool) -> List[Color]:
    """Per class; with one class per instance, so that neighbours differ."""
    if not one_class:
        of_class = _class_colors(np.unique(classes).tolist())
        return [of_class[k] for k in classes.tolist()]
    chosen = np.zeros(len(boxes), int)
    reach = 0.5 * np.median(boxes[:, 2:] - boxes[:, :2]) if len(boxes) else 0
    grown = boxes + reach * np.float32([-1, -1, 1, 1])
    for i, box in enumerate(grown):
        low, high = np.maximum(grown[:i, :2], box[:2]), np.minimum(grown[:i, 2:], box[2:])
        near = chosen[:i][np.all(low < high, axis=-1)]
        used = np.bincount(near, minlength=len(PALETTE))
        # Start elsewhere each time, or isolated objects would all have the first colour.
        turned = np.roll(used, -i)
        chosen[i] = (int(np.argmin(turned)) + i) % len(PALETTE)
    return [PALETTE[c] for c in chosen]


def _class_colors(present: Sequence[int]) -> Dict[int, Color]:
    """The same colour in every image, but where two classes of one image would share it."""
    chosen: Dict[int, int] = {}
    for k in present:
        wanted = [(k - 1 + step) % len(PALETTE) for step in range(len(PALETTE))]
        free = [c for c in wanted if c not in chosen.values()]
        chosen[k] = (free or wanted)[0]
    return {k: PALETTE[c] for k, c in chosen.items()}


def _write_labels(picture: Image.Image, boxes, objects: List[DrawnObject]) -> None:
    """Labels in boxes of their own colour, each where it hides no earlier one."""
    pen = ImageDraw.Draw(picture)
    font = label_font(int(np.clip(max(picture.size) / 72, 12, 40)))
    pad = max(2, font.size // 5)
    placed = np.zeros((0, 4))
    for box, item in zip(boxes, objects):
        if not item.label:
            continue
        width = pen.textlength(item.label, font=font) + 2 * pad
        place = _label_place(box, (font.size + 2 * pad, width), picture.size, placed, boxes)
        if place is None:
            continue
        placed = np.concatenate([placed, place[None]])
        y1, x1, y2, _ = place
        pen.rounded_rectangle([x1, y1, place[3], y2], radius=pad, fill=item.color)
        dark = np.dot(item.color, (0.299, 0.587, 0.114)) > 110
        ink = (15, 15, 15) if dark else (255, 255, 255)
        pen.text((x1 + pad, (y1 + y2) / 2), item.label, fill=ink, font=font, anchor="lm")


def _label_place(box, size, limits, placed: np.ndarray, boxes) -> Optional[np.ndarray]:
    """Place [4] yxyx of a label: clear of earlier labels, hiding little of small objects.

    Args:
        box: [4] yxyx, as all boxes here.
        size: (height, width) of the label.
        limits: (width, height) of the picture.
        placed: [n, 4] labels written before.
        boxes: D times [4], all objects.
    """
    (y1, x1, y2, x2), (height, width) = box, size
    corners = [
        (y1 - height, x1),
        (y1, x1),
        (y1 - height, x2 - width),
        (y2, x1),
        (y1, x2 - width),
        (y2 - height, x1),
        (y1, x2),
        (y1, x1 - width),
    ]
    highest = np.maximum([limits[1] - height, limits[0] - width], 0)
    low = np.clip(corners, 0, highest)
    places = np.concatenate([low, low + size], axis=1)  # [8, 4]
    free = places[~_overlaps(places, placed).any(axis=1)]
    if not len(free):
        return None
    boxes = np.stack(boxes)
    areas = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1)
    hidden = (_overlaps(free, boxes) / areas).max(axis=1)  # largest share of an object
    hidden[hidden < TOLERATED_HIDING] = 0
    best = np.argmin(hidden)  # the first of equals
    return free[best] if hidden[best] < MAX_HIDING else None


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, m] areas that boxes [n, 4] and [m, 4] share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1)


@functools.cache
def label_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of a size in pixels: the system's, or the one that matplotlib brings."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        import matplotlib

        path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        return ImageFont.truetype(path, size)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] uint8 of that or of a grey [H, W] image."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"wanted a uint8 image [H, W, 3], found {image.dtype} {image.shape}")
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
