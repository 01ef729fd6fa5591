"""Small pictures of images with raw annotations drawn in, however wrong those are."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from tfmaskrcnn.data.coco.annotations import Fault, checked_segmentation, is_number
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.pages import jpeg_uri

SIDE = 240  # of a picture, pixels
CONTEXT = 0.75  # around an object, times its longer side on each side
MIN_CUT = 48  # pixels of the image that are shown at least
MAX_DRAWN = 400  # objects in one picture
_FAR = 1e9  # pixels, at which a point is drawn that lies further away
_BOX, _MASK, _PALE = (255, 70, 70), (70, 220, 255), (255, 214, 70)


def picture(
    record: Record,
    annotations: Sequence[Dict[str, Any]],
    annotation_id: Optional[int] = None,
    channels: int = 3,
    exif: str = "apply",
) -> Optional[str]:
    """A data URI of a JPEG, None if the image cannot be read.

    Args:
        record: the image.
        annotations: the JSON's entries of it.
        annotation_id: show the surroundings of this one, its box in red and its mask in blue, the
            others pale; None shows the whole image.
        channels: of the model's input.
        exif: the view that is shown, `input.exif`.
    """
    try:
        pixels = read_image(record.path, channels=channels, exif=exif)
    except InputError:
        return None
    image = Image.fromarray(pixels[..., :3] if channels >= 3 else pixels[..., 0]).convert("RGB")
    chosen = [a for a in annotations if annotation_id is not None and a.get("id") == annotation_id]
    shape = checked_shape(chosen[0], record) if chosen else None
    window = _window(image, chosen[0], shape) if chosen else (0, 0, *image.size)
    scale = min(SIDE / (window[2] - window[0]), SIDE / (window[3] - window[1]))
    size = tuple(max(1, round((window[k + 2] - window[k]) * scale)) for k in (0, 1))
    image = image.resize(size, Image.Resampling.BICUBIC, box=window)
    to_picture = _Drawing(image, window, scale, record)
    for annotation in annotations[:MAX_DRAWN]:
        if not chosen or annotation is not chosen[0]:
            to_picture.draw(annotation, None, _PALE, _PALE)
    if chosen:
        to_picture.draw(chosen[0], shape, _BOX, _MASK, width=2)
    return jpeg_uri(image)


def checked_shape(annotation: Dict[str, Any], record: Record):
    """The segmentation of an annotation, None if it has none that can be drawn."""
    try:
        return checked_segmentation(annotation.get("segmentation"), record.height, record.width)
    except Fault:
        return None


def corners(annotation: Dict[str, Any]) -> Optional[Tuple[float, float, float, float]]:
    """(x1, y1, x2, y2) of a bbox of four finite numbers, not clipped, in order; else None."""
    bbox = annotation.get("bbox")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_number, bbox)):
        return None
    x, y, w, h = bbox
    return min(x, x + w), min(y, y + h), max(x, x + w), max(y, y + h)


class _Drawing:
    """A picture of the `window` (x1, y1, x2, y2) of an image."""

    def __init__(self, image: Image.Image, window, scale: float, record: Record):
        self._pen, self._size, self._record = ImageDraw.Draw(image), image.size, record
        self._image, self._window, self._scale = image, window, scale

    def draw(self, annotation, shape, box_color, mask_color, width: int = 1) -> None:
        box = corners(annotation)
        if box is not None:
            x1, y1, x2, y2 = self._points(np.array(box).reshape(2, 2))
            self._pen.rectangle(
                [x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)], outline=box_color, width=width
            )
        if isinstance(shape, list):
            for polygon in shape:
                line = self._points(polygon.reshape(-1, 2))
                self._pen.line([*line, *line[:2]], fill=mask_color, width=2)
        elif shape is not None:
            self._bitmap(shape, mask_color)

    def _points(self, points: np.ndarray) -> List[float]:
        """[n, 2] (x, y) of the image as a flat list in the picture; far ones at its border."""
        near = np.clip(np.float64(points), -_FAR, _FAR)
        moved = (near - self._window[:2]) * self._scale
        return np.clip(moved, -9 * SIDE, 9 * SIDE).reshape(-1).tolist()

    def _bitmap(self, rle, color) -> None:
        mask = decode(rle, self._record.height, self._record.width)
        shown = Image.fromarray(mask.astype(np.uint8) * 110)
        shown = shown.resize(self._size, Image.Resampling.BILINEAR, box=self._window)
        self._image.paste(color, (0, 0), shown)


def _window(image: Image.Image, annotation: Dict[str, Any], shape) -> Tuple[float, ...]:
    """(x1, y1, x2, y2): the part of the image around an object; all of it if that is unclear."""
    boxes = [box for box in [corners(annotation)] if box is not None]
    if isinstance(shape, list):
        points = np.concatenate([p.reshape(-1, 2) for p in shape])
        boxes.append((*points.min(axis=0).tolist(), *points.max(axis=0).tolist()))
    if not boxes:
        return (0, 0, *image.size)
    limit = np.array(image.size, float)
    low = np.clip(np.min([b[:2] for b in boxes], axis=0), 0, limit)
    high = np.clip(np.max([b[2:] for b in boxes], axis=0), 0, limit)
    side = max(MIN_CUT, math.ceil(max(high - low) * (1 + 2 * CONTEXT)))
    side = np.minimum(side, limit)
    start = np.clip((low + high - side) / 2, 0, limit - side)
    return (*start.tolist(), *(start + side).tolist())
