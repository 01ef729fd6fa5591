"""Which order boxes are in that are not (y1, x1, y2, x2) in pixels, if they tell it themselves."""

from typing import Callable, Dict, List, Optional

import numpy as np

from tfmaskrcnn.errors import InputError

# How far a box may leave its image, as a share of a side, before its order is doubted: those who
# draw boxes are less than exact, and augmentation of one's own cuts images.
_BEYOND = 0.05
# Mean IoU of boxes and the boxes of their masks: below the first they are of other things, from the
# second on they are of the same.
_OTHER, _SAME = 0.5, 0.75
_EQUAL = 0.01  # readings whose IoU differs by less cannot be told apart
_READINGS: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "(x1, y1, x2, y2)": lambda b: b[:, [1, 0, 3, 2]],
    "COCO's (x, y, width, height)": lambda b: np.stack(
        [b[:, 1], b[:, 0], b[:, 1] + b[:, 3], b[:, 0] + b[:, 2]], axis=1
    ),
    "(y, x, height, width)": lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1),
}


def refuse_other_orders(
    boxes: np.ndarray, sizes: np.ndarray, of_masks: np.ndarray, by_images: bool = True
) -> None:
    """Raise an `InputError` if all boxes together make sense in another form alone.

    Args:
        boxes: [n, 4] float64 of any number of images, as given.
        sizes: [n, 2] (height, width) of each box's image, pixels.
        of_masks: [n, 4] yxyx pixels of the objects' masks; NaN where that is not known.
        by_images: without masks boxes that leave their images are proof enough, which of the few
            boxes of a single image they are not.
    """
    finite = np.isfinite(boxes).all(axis=1)
    boxes, sizes, of_masks = boxes[finite], sizes[finite], of_masks[finite]
    if not len(boxes):
        return
    masked = np.isfinite(of_masks).all(axis=1)
    agreement = _mean_iou(boxes[masked], of_masks[masked])
    inside = boxes.min() >= 0 and boxes.max() <= 1 and sizes.min() > 1
    if inside and (agreement is None or agreement < _OTHER):
        raise InputError(
            f"all {len(boxes)} boxes lie in 0..1; wanted (y1, x1, y2, x2) in pixels: multiply them "
            "by (height, width, height, width) of their image."
        )
    readings = {name: read(boxes) for name, read in _READINGS.items()}
    if agreement is not None:
        found = _by_masks(readings, masked, of_masks, agreement)
    else:
        odd = by_images and _odd(boxes, sizes).any()
        found = [name for name, meant in readings.items() if odd and not _odd(meant, sizes).any()]
    if found:
        by_masks = agreement is not None
        proof = "their masks" if by_masks else "the images that they leave"
        text = f"the boxes are {' or '.join(found)}, as {proof} show"
        text += "; wanted (y1, x1, y2, x2) in pixels."
        if not by_masks:
            text += " If that is what they are, clip them to their images."
        raise InputError(text)


def _by_masks(
    readings: Dict[str, np.ndarray], masked: np.ndarray, of_masks: np.ndarray, agreement: float
) -> List[str]:
    """The readings that the masks fit best, if they fit well, and the boxes as given do not."""
    fits = {name: _mean_iou(meant[masked], of_masks[masked]) for name, meant in readings.items()}
    best = max(fits.values())
    clear = agreement < _OTHER and best >= _SAME
    return [name for name, fit in fits.items() if clear and fit > best - _EQUAL]


def _odd(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[n] bool: a box without area, or that leaves its image by more than is usual."""
    flat = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    room = _BEYOND * sizes
    return flat | (boxes[:, :2] < -room).any(axis=1) | (boxes[:, 2:] > sizes + room).any(axis=1)


def _mean_iou(first: np.ndarray, second: np.ndarray) -> Optional[float]:
    """Mean IoU of pairs of yxyx boxes [n, 4]; None without any."""
    if not len(first):
        return None
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = [np.maximum(b[:, 2:] - b[:, :2], 0).prod(axis=1) for b in (first, second)]
    return float((shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)).mean())
