"""Which view of an image with an EXIF orientation its masks were drawn on, by the pictures."""

from typing import Dict, List, NamedTuple

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.checking.rules import Finding
from tfmaskrcnn.data.coco.image_files import ImageFacts, read_image
from tfmaskrcnn.data.coco.orientation import turned, turned_back
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError

SAMPLE = 40  # images that are looked at
MAX_PIXELS = 2**24  # of an image that is looked at
_OBJECTS = 20  # of an image
LEAST = 6  # objects that must tell
# The other view's outlines must lie on edges so many times as strong, for so many of the objects.
CLEARLY, MOSTLY = 1.3, 0.75


class _Edges(NamedTuple):
    chosen: float  # mean step of brightness across an object's outline in the view that is used
    other: float  # the same in the other view


def check_views(
    records: List[Record], facts: Dict[int, ImageFacts], config: Config
) -> List[Finding]:
    """A finding if outlines clearly lie on edges in the other view of images that are turned.

    Where the two views differ in size the JSON tells which is meant; here are the others.
    """
    exif = config.model.input.exif
    doubtful = [r for r in records if len(r.classes) and _is_doubtful(r, facts.get(r.image_id))]
    places = np.linspace(0, len(doubtful) - 1, min(SAMPLE, len(doubtful))).astype(int)
    chosen = [doubtful[n] for n in places]
    found = [e for r in chosen for e in _edges(r, facts[r.image_id].orientation, config)]
    if len(found) < LEAST:
        return []
    better = np.mean([e.other > e.chosen for e in found])
    ratio = sum(e.other for e in found) / max(sum(e.chosen for e in found), 1e-9)
    if better < MOSTLY or ratio < CLEARLY:
        return []
    views = {"apply": "stored", "ignore": "turned"}
    other = "ignore" if exif == "apply" else "apply"
    text = (
        f"in {len(chosen)} images with an EXIF orientation the outlines of {len(found)} objects "
        f"lie on edges {min(ratio, 99):.1f} times as strong in the {views[exif]} pixels; they seem "
        f"to be drawn on those: input.exif={other}."
    )
    return [Finding("exif-view", text)]


def _is_doubtful(record: Record, facts) -> bool:
    """Whether the size cannot tell which view an image's annotations are of."""
    if facts is None or facts.orientation == 1 or facts[:2] != (record.height, record.width):
        return False
    square = record.height == record.width
    return (facts.orientation < 5 or square) and record.height * record.width <= MAX_PIXELS


def _edges(record: Record, orientation: int, config: Config) -> List[_Edges]:
    exif, channels = config.model.input.exif, config.model.input.channels
    try:
        pixels = read_image(record.path, channels=channels, exif=exif)
    except InputError:
        return []
    other = turned_back(pixels, orientation) if exif == "apply" else turned(pixels, orientation)
    steps = [_steps(view) for view in (pixels, other)]
    found = []
    for segmentation in record.segmentations[:_OBJECTS]:
        if segmentation is not None:
            outline = _outline(decode(segmentation, record.height, record.width))
            if outline.any():
                found.append(_Edges(*(float(step[outline].mean()) for step in steps)))
    return found


def _steps(pixels: np.ndarray) -> np.ndarray:
    """[H, W] how much the brightness changes at each pixel."""
    grey = pixels.astype(np.float32).mean(axis=-1)
    dy, dx = (np.zeros_like(grey) for _ in range(2))
    dy[1:-1] = np.abs(grey[2:] - grey[:-2])
    dx[:, 1:-1] = np.abs(grey[:, 2:] - grey[:, :-2])
    return dy + dx


def _outline(mask: np.ndarray) -> np.ndarray:
    """[H, W] bool: the mask's own pixels at its edge, those at the image's border left out."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = (
        mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    )
    outline = mask & ~inner
    outline[[0, -1]] = outline[:, [0, -1]] = False
    return outline
