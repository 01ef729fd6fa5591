"""Images with their instances drawn in, images side by side, curves of a training run."""

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfmaskrcnn.data.segmentation import decode
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import Window, paste_windows, rle_to_masks

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
FILL_OPACITY = 0.4
BOX_OPACITY = 0.75
MAX_LABELS = 40  # with more objects labels hide more than they tell
SMALL_SIDE = 1000  # images with a longer side under this are enlarged by a whole factor
OVERSAMPLING = 2  # of the overlay, for smooth contours


class _Object(NamedTuple):
    box: np.ndarray  # [4] yxyx pixels of the original image
    color: Color
    label: str


def draw(
    image: np.ndarray,
    instances: Instances,
    score_threshold: float = 0.5,
    max_instances: int = 1000,
    labels: Optional[bool] = None,
) -> np.ndarray:
    """The image with masks, boxes and labels of its instances; small images are enlarged.

    Colours tell classes apart; instances, where there is only one class.

    Args:
        image: [H, W, 3] uint8 RGB, or [H, W] grey.
        instances: what was found in it.
        score_threshold: leave out instances with a lower score.
        max_instances: of these, draw the best.
        labels: write "name 0.97" at the boxes; None leaves labels out for more than 40 instances
            or if there is one class.

    Returns:
        [s H, s W, 3] uint8 RGB, where s is a whole number: 1 from 1000 pixels on.
    """
    if tuple(np.shape(image)[:2]) != instances.size:
        raise ValueError(f"the image is {np.shape(image)}, the instances are of {instances.size}")
    found = instances[instances.scores >= score_threshold][:max_instances]
    one_class = len(found.class_names) == 1 or (
        not found.class_names and len(found) > 0 and found.classes.max() == 1
    )
    if labels is None:
        labels = len(found) <= MAX_LABELS and not one_class
    texts = [f"{n} {s:.2f}" if labels else "" for n, s in zip(found.names, found.scores)]
    colors = _colors(found.boxes, found.classes, one_class)
    objects = [_Object(*parts) for parts in zip(found.boxes, colors, texts)]
    return _drawn(image, objects, lambda scale: _instance_windows(found, scale))


def draw_ground_truth(
    image: np.ndarray, record, class_names: Sequence[str] = (), labels: Optional[bool] = None
) -> np.ndarray:
    """The image with the annotated objects of its `data.coco.Record`, drawn like `draw` does.

    Crowd regions are grey.
    """
    count = len(record.classes)
    one_class = len(class_names) == 1 or (not class_names and np.all(record.classes == 1))
    if labels is None:
        labels = count <= MAX_LABELS and not one_class
    names = dict(enumerate(class_names, start=1))
    texts, colors = [], _colors(record.boxes, record.classes, one_class)
    for i, (k, crowd) in enumerate(zip(record.classes.tolist(), record.crowd)):
        colors[i] = CROWD_COLOR if crowd else colors[i]
        name = names.get(k, f"class {k}")
        texts.append((f"{name} (crowd)" if crowd else name) if labels else "")
    size = record.height, record.width
    masks = (decode(s, *size) for s in record.segmentations)
    objects = [_Object(*parts) for parts in zip(record.boxes, colors, texts)]
    return _drawn(image, objects, lambda scale: (_smooth_window(m, scale) for m in masks))


def side_by_side(images: Sequence[np.ndarray], captions: Sequence[str] = ()) -> np.ndarray:
    """One white sheet with the images in a row at the same height, captions above them."""
    height = max(len(image) for image in images)
    gap, font = max(8, height // 60), _font(int(np.clip(height // 32, 13, 36)))
    top = 2 * gap + font.size if captions else gap
    pictures = []
    for image in images:
        picture = Image.fromarray(_rgb(image))
        width = round(picture.width * height / picture.height)
        pictures.append(picture.resize((width, height), Image.Resampling.LANCZOS))
    total = sum(p.width for p in pictures) + gap * (len(pictures) + 1)
    sheet = Image.new("RGB", (total, top + height + gap), "white")
    pen, left = ImageDraw.Draw(sheet), gap
    for i, picture in enumerate(pictures):
        if i < len(captions):
            pen.text((left, top / 2), captions[i], fill=(30, 30, 30), font=font, anchor="lm")
        sheet.paste(picture, (left, top))
        left += picture.width + gap
    return np.asarray(sheet)


def _drawn(image, objects: List[_Object], windows_at) -> np.ndarray:
    """Fills and contours, then boxes, then labels; `windows_at(scale)` gives the masks."""
    image = _rgb(image)
    height, width = image.shape[:2]
    scale = max(1, round(SMALL_SIDE / max(height, width)))
    size = width * scale, height * scale
    base = (
        image
        if scale == 1
        else np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    )
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

    def on(self, base: np.ndarray) -> np.ndarray:
        """The uint8 picture of `base` under the overlay."""
        f, (height, width) = self.factor, base.shape[:2]
        opacity = self.opacity[..., None]
        paint = (self.color * opacity).reshape(height, f, width, f, 3).mean(axis=(1, 3))
        opacity = opacity.reshape(height, f, width, f, 1).mean(axis=(1, 3))
        return np.round(base * (1 - opacity) + paint).astype(np.uint8)


def _instance_windows(found: Instances, scale: int) -> Iterator[Window]:
    """The masks at `scale` times the image's size; nothing if there are boxes alone."""
    if found.exact_rle is not None:
        for rle in found.exact_rle:
            yield _smooth_window(rle_to_masks([rle], *found.size)[0], scale)
    elif found.mask_probabilities is not None:
        height, width = (side * scale for side in found.size)
        masks, boxes = found.mask_probabilities, found.boxes * scale
        yield from paste_windows(masks, boxes, height, width, rule=found.paste_rule)


def _smooth_window(mask: np.ndarray, scale: int) -> Window:
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


def _colors(boxes: np.ndarray, classes: np.ndarray, one_class: bool) -> List[Color]:
    """Per class; with one class per instance, so that neighbours differ."""
    if not one_class:
        of_class = _class_colors(np.unique(classes).tolist())
        return [of_class[k] for k in classes.tolist()]
    chosen = np.zeros(len(boxes), int)
    grown = boxes + np.float32([-1, -1, 1, 1]) * 0.5 * np.median(boxes[:, 2:] - boxes[:, :2])
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


def _write_labels(picture: Image.Image, boxes, objects: List[_Object]) -> None:
    """Labels in boxes of their own colour, each where it hides no earlier one."""
    pen = ImageDraw.Draw(picture)
    font = _font(int(np.clip(max(picture.size) / 72, 12, 40)))
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
    """yxyx of a label at its box: clear of earlier labels, hiding little of small objects.

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
    return free[np.argmin((_overlaps(free, boxes) / areas).sum(axis=1))]  # the first of equals


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, m] areas that boxes [n, 4] and [m, 4] share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=-1)


def _font(size: int):
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


def _rgb(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"wanted a uint8 image [H, W, 3], found {image.dtype} {image.shape}")
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
