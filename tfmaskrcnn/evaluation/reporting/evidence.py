"""Pictures of what was found and what was not, with outlines as vectors over them."""

from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.drawing.overlays import MAX_LABELS, first_channels
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.analysis import verdicts as codes
from tfmaskrcnn.evaluation.analysis.coco_matching import NONE
from tfmaskrcnn.evaluation.analysis.examined import ExaminedImage
from tfmaskrcnn.evaluation.reporting.report import Report
from tfmaskrcnn.support.pages import jpeg_uri
from tfmaskrcnn.support.progress_bar import Progress, counted

WHOLE_SIDE = 900  # of a picture of a whole image, pixels at most
CROP_SIDE = 240
CONTEXT = 0.75  # around what a crop is about, times its longer side, on each side
MIN_CUT = 32  # pixels of the image that a crop shows at least
DARK = 128  # a picture whose brightest pixels are below is brightened
MAX_GAIN = 8.0
UNITS = 2  # of an outline's coordinates in a pixel of the picture: they are whole numbers
MAX_NAME = 24  # characters of a class name in a picture

# How outlines look, by verdict; a name here is a class of the style sheet. In this order they are
# painted, the most important last.
ANNOTATED = "annotated"  # the annotation of an object that is not well found
OTHER = "other"  # annotations around what a crop is about
STYLES = {
    codes.RIGHT: "right",
    codes.LOCALISATION: "outline",
    codes.CLASSIFICATION: "class",
    codes.BOTH: "class",
    codes.DUPLICATE: "doubled",
    codes.BACKGROUND: "false",
    codes.MISSED: "missed",
}
ORDER = ("right", OTHER, ANNOTATED, "doubled", "outline", "class", "false", "missed")


class Shot(NamedTuple):
    """What to take a picture of: an image, or the surroundings of a detection or an object."""

    image: int  # index into `Examined.images`
    row: int = NONE  # of `found`
    object: int = NONE  # of `objects`

    @property
    def whole(self) -> bool:
        """Whether the whole image is meant."""
        return self.row == NONE and self.object == NONE


class Layer(NamedTuple):
    """Outlines of one style."""

    style: str  # of `ORDER`
    paths: List[Tuple[str, str]]  # what an SVG path's d is, and what the outline is, in words


class Label(NamedTuple):
    """A text in a picture; coordinates as the outlines'."""

    style: str  # of `ORDER`
    x: int
    y: int
    text: str


class Picture(NamedTuple):
    """A picture as a page shows it."""

    source: str  # data URI
    size: Tuple[int, int]  # (height, width) in pixels
    layers: List[Layer]  # painted in this order
    labels: List[Label]

    @property
    def view_box(self) -> str:
        """Of the SVG with the outlines, which lies over the picture."""
        height, width = self.size
        return f"0 0 {width * UNITS} {height * UNITS}"

    @property
    def letter(self) -> int:
        """Height of a label's letters in units: the page's where it is some 520 pixels wide."""
        return _letter(self.size[1])


def take(
    report: Report, shots: Sequence[Shot], progress: Optional[Progress] = None
) -> Dict[Shot, Picture]:
    """A picture of each shot whose image can be read; each image is read once.

    Args:
        report: what the pictures are of.
        shots: what to show.
        progress: told how many images are done.
    """
    of_image: Dict[int, List[Shot]] = {}
    for shot in shots:
        of_image.setdefault(shot.image, []).append(shot)
    pictures = {}
    for i, own in counted(of_image.items(), progress):
        image = report.examined.images[i]
        pixels = _read(report, image)
        if pixels is not None:
            pictures.update({shot: _picture(report, shot, pixels) for shot in own})
    return pictures


def _read(report: Report, image: ExaminedImage) -> Optional[Image.Image]:
    path = report.image_paths.get(image.image_id)
    try:
        pixels = read_image(path, image.size, report.channels, report.exif) if path else None
    except InputError:
        return None
    return None if pixels is None else Image.fromarray(first_channels(pixels)).convert("RGB")


def _picture(report: Report, shot: Shot, pixels: Image.Image) -> Picture:
    image = report.examined.images[shot.image]
    window = (0.0, 0.0, *map(float, image.size)) if shot.whole else _window(image, shot)  # yxyx
    sides = window[2] - window[0], window[3] - window[1]
    scale = CROP_SIDE / max(sides)
    if shot.whole:
        scale = min(1.0, WHOLE_SIDE / max(sides))
    size = tuple(max(1, round(side * scale)) for side in sides)
    y1, x1, y2, x2 = window
    shown = pixels.resize(size[::-1], Image.Resampling.BICUBIC, (x1, y1, x2, y2))
    shown = _brightened(shown)
    pen = _Pen(window, scale, report.kind)
    marks = list(_marks(report, shot))
    layers: Dict[str, List] = {}
    for mark in marks:
        path = pen.outline(*mark.shape)
        if path:
            layers.setdefault(mark.style, []).append((path, mark.text))
    labels = pen.labels(marks, size) if shot.whole and len(report.class_names) > 1 else []
    ordered = [Layer(style, layers[style]) for style in ORDER if style in layers]
    return Picture(jpeg_uri(shown), size, ordered, labels)


def _brightened(picture: Image.Image) -> Image.Image:
    """A dark picture, as of fluorescence, with values multiplied so that its brightest show."""
    brightest = np.quantile(np.asarray(picture).max(axis=-1), 0.998)
    if brightest >= DARK:
        return picture
    gain = min(240 / max(brightest, 1), MAX_GAIN)
    return picture.point([min(255, round(v * gain)) for v in range(256)] * 3)


class _Mark(NamedTuple):
    """An outline before it is drawn."""

    style: str
    shape: Tuple  # a box [4] yxyx, and its RLE or None
    text: str
    label: str  # in the picture; empty for none


def _marks(report: Report, shot: Shot) -> Iterable[_Mark]:
    """What is drawn of an image: all that counts, or what a crop is about and all annotations."""
    image, verdict = report.examined.images[shot.image], report.verdicts[shot.image]
    names = [_short(name) for name in report.class_names]
    found, objects = image.found, image.objects
    for g, code in enumerate(verdict.objects):
        name = names[objects.classes[g] - 1]
        meant = shot.whole or g == shot.object
        if code == codes.MISSED and meant:
            yield _Mark("missed", _shape(objects, g), f"missed: {name}", name)
        elif not shot.whole or code == codes.MISJUDGED:
            style = ANNOTATED if meant else OTHER
            yield _Mark(style, _shape(objects, g), f"annotated: {name}", "")
    for d, code in enumerate(verdict.found):
        if code in STYLES and (shot.whole or d == shot.row):
            name, style = names[found.classes[d] - 1], STYLES[code]
            text = f"{name} {found.scores[d]:.2f}"
            label = "" if style in ("right", "doubled") else text
            yield _Mark(style, _shape(found, d), f"{code}: {text}", label)


def _shape(entries, i: int) -> Tuple:
    return entries.boxes[i], entries.rles[i] if entries.rles else None


def _window(image: ExaminedImage, shot: Shot) -> Tuple[float, ...]:
    """[4] yxyx: a square, where the image has room for one, around what `shot` is about."""
    boxes = [image.found.boxes[shot.row]] if shot.row != NONE else []
    boxes += [image.objects.boxes[shot.object]] if shot.object != NONE else []
    limit = np.array(image.size, float)
    low = np.clip(np.min([b[:2] for b in boxes], axis=0), 0, limit)
    high = np.clip(np.max([b[2:] for b in boxes], axis=0), low, limit)
    side = np.minimum(max(MIN_CUT, np.max(high - low) * (1 + 2 * CONTEXT)), limit)
    start = np.clip((low + high - side) / 2, 0, limit - side)
    return (*start.tolist(), *(start + side).tolist())


class _Pen:
    """Draws in the picture of a `window` (yxyx pixels of the image), `scale` times enlarged."""

    def __init__(self, window: Tuple[float, ...], scale: float, kind: str):
        self._window, self._scale, self._kind = np.array(window), scale * UNITS, kind

    def outline(self, box: np.ndarray, rle: Optional[Dict]) -> str:
        """The d of an SVG path; empty if nothing is in the window."""
        if np.any(box[2:] <= self._window[:2]) or np.any(box[:2] >= self._window[2:]):
            return ""
        if rle is None or self._kind == "box":
            y1, x1, y2, x2 = self._place(box.reshape(2, 2)).reshape(-1).tolist()
            return f"M{x1} {y1}H{x2}V{y2}H{x1}Z"
        return "".join(_path(self._place(line[:, ::-1])) for line in contours(rle))

    def labels(self, marks: Sequence[_Mark], size: Tuple[int, int]) -> List[Label]:
        """The labels of marks, at most `MAX_LABELS`, those left out that would hide another."""
        unit = _letter(size[1])
        placed, labels = [], []
        for mark in [m for m in marks if m.label][:MAX_LABELS]:
            y, x = self._place(mark.shape[0][:2]).tolist()
            width = round(0.6 * unit * len(mark.label))
            x = max(0, min(x, size[1] * UNITS - width))
            y = max(unit, y - unit // 4)
            if all(abs(y - b) > unit or x > a + w or x + width < a for a, b, w in placed):
                placed.append((x, y, width))
                labels.append(Label(mark.style, x, y, mark.label))
        return labels

    def _place(self, points: np.ndarray) -> np.ndarray:
        """[..., 2] (y, x) of the image as whole numbers of the picture."""
        return np.round((points - self._window[:2]) * self._scale).astype(int)


def contours(rle: Dict) -> List[np.ndarray]:
    """The closed outlines of a mask, holes too: [n, 2] (x, y) in pixels, corners cut by half."""
    import contourpy

    x, y, w, h = (int(v) for v in coco_mask.toBbox(rle))
    if not w or not h:
        return []
    part = coco_mask.decode(rle)[y : y + h, x : x + w]
    # A pixel's value is at its centre; outside the image there is nothing.
    lines = contourpy.contour_generator(z=np.pad(part, 1)).lines(0.5)
    return [line + [x - 0.5, y - 0.5] for line in lines]


def _path(points: np.ndarray) -> str:
    """The d of a closed line through [n, 2] (y, x) whole numbers, without needless points."""
    points = points[:-1] if len(points) > 1 and np.array_equal(points[0], points[-1]) else points
    points = points[np.any(points != np.roll(points, 1, axis=0), axis=1)]
    step, before = np.roll(points, -1, axis=0) - points, points - np.roll(points, 1, axis=0)
    points = points[step[:, 0] * before[:, 1] != step[:, 1] * before[:, 0]]
    if len(points) < 3:
        return ""
    moves = np.diff(points, axis=0)[:, ::-1].reshape(-1).tolist()
    return f"M{points[0, 1]} {points[0, 0]}l{' '.join(map(str, moves))}Z"


def _letter(width: int) -> int:
    return max(8, round(width * UNITS / 42))


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "\u2026"
