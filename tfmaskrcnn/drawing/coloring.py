"""Which colour each object of a picture gets."""

import colorsys
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

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
# A class's shades: turn of the hue in degrees, at most, and share of white in the mixture (below 0
# of black). The first is its colour itself. Four are enough for regions that touch in a plane.
SHADES = ((0, 0.0), (-42, -0.28), (38, 0.3), (0, 0.62))
HUES_APART = 90  # degrees between classes of a picture from which on shades turn by all of it
TOUCHING = 0.03  # share of their size by which boxes of objects that touch may be apart


def choose_colors(
    boxes: np.ndarray,
    classes: np.ndarray,
    one_class: bool,
    color_by: str = "auto",
    ids: Optional[np.ndarray] = None,
) -> List[Color]:
    """D colours, see `DrawingStyle.color_by`.

    Args:
        boxes: [D, 4] yxyx.
        classes: [D] int, from 1.
        one_class: whether there is no other class that one could mean.
        color_by: "auto", "class" or "object".
        ids: [D] numbers that objects keep over frames; a number has the same colour in all
            frames, unless a neighbour with a lower row has it.
    """
    if color_by == "object" or (color_by == "auto" and one_class):
        reach = 0.5 * np.median(boxes[:, 2:] - boxes[:, :2]) if len(boxes) else 0
        # Start elsewhere each time, or isolated objects would all have the first colour.
        first = np.arange(len(boxes)) if ids is None else ids - 1
        everyone = np.zeros(len(boxes), int)
        chosen = _apart(boxes, reach, everyone, first, len(PALETTE))
        return [PALETTE[c] for c in chosen]
    of_class = _class_colors(np.unique(classes).tolist())
    colors = [of_class[k] for k in classes.tolist()]
    if color_by == "class":
        return colors
    reach = TOUCHING * (boxes[:, 2:] - boxes[:, :2]) + 1
    first = np.zeros(len(boxes), int) if ids is None else ids - 1
    shades = _apart(boxes, reach, classes, first, len(SHADES))
    spread = min(1.0, _hue_gap(list(of_class.values())) / HUES_APART)
    return [shade_of(color, s, spread) for color, s in zip(colors, shades)]


def shade_of(color: Color, shade: int, spread: float = 1.0) -> Color:
    """One of the `SHADES` of a colour; `spread` 0..1 is the share of their turns that is taken."""
    if not shade:
        return color
    turn, white = SHADES[shade]
    hue, light, saturation = colorsys.rgb_to_hls(*(c / 255 for c in color))
    turned = np.array(colorsys.hls_to_rgb((hue + spread * turn / 360) % 1, light, saturation))
    mixed = turned * (1 - abs(white)) + max(white, 0)
    red, green, blue = (round(255 * c) for c in mixed.tolist())
    return red, green, blue


def _hue_gap(colors: Sequence[Color]) -> float:
    """Degrees between the two colours that are closest in hue; 360 of a single one."""
    hues = sorted(360 * colorsys.rgb_to_hls(*(c / 255 for c in color))[0] for color in colors)
    return min(np.diff([*hues, hues[0] + 360])) if hues else 360.0


def _apart(boxes, reach, groups: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
    """[D] int below `count`: each the least used among the near ones before it, from `first` on.

    Near are boxes of the same group that overlap when they are grown by `reach`.
    """
    chosen = np.zeros(len(boxes), int)
    low, high = boxes[:, :2] - reach, boxes[:, 2:] + reach
    for i in range(len(boxes)):
        shared = np.minimum(high[:i], high[i]) - np.maximum(low[:i], low[i])
        near = np.all(shared > 0, axis=-1) & (groups[:i] == groups[i])
        used = np.bincount(chosen[:i][near], minlength=count)
        start = int(first[i]) % count
        chosen[i] = (int(np.argmin(np.roll(used, -start))) + start) % count
    return chosen


def _class_colors(present: Sequence[int]) -> Dict[int, Color]:
    """The same colour in every image, but where two classes of one image would share it."""
    chosen: Dict[int, int] = {}
    for k in present:
        wanted = [(k - 1 + step) % len(PALETTE) for step in range(len(PALETTE))]
        free = [c for c in wanted if c not in chosen.values()]
        chosen[k] = (free or wanted)[0]
    return {k: PALETTE[c] for k, c in chosen.items()}
