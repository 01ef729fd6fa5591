"""Values of a batch that contradict what they are said to be: NumPy, on one batch of a training."""

from typing import Dict, List

import numpy as np

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.errors import InputError

# How far boxes may leave the padded image, pixels: rounding of those who clip in other units.
_EDGE = 1.0
# Images may be brighter or darker than bytes can be after a change of colours of one's own.
_BRIGHTER = 1.5
# A mask lies where its box lies in the whole image, to this share of a side, ...
_NEAR = 0.06
# ... and does not fill its own frame on this many shares of a side: what a box shows is tight.
_LOOSE = 0.15


def check_values(batch: Dict[str, np.ndarray], config: ModelConfig) -> None:
    """Look at a batch whose keys, dtypes and shapes are right.

    Args:
        batch: "image", "size", "gt_boxes", "gt_classes", "gt_valid" and, with a mask branch,
            "gt_masks", as `MaskRCNN` wants them.
        config: of the model.

    Raises:
        InputError: the first thing that is wrong, as a sentence without a name of the batch.
    """
    image, valid, boxes = batch["image"], batch["gt_valid"], batch["gt_boxes"]
    _check_image(image, config)
    _check_sizes(batch["size"], image.shape[1:3])
    if not valid.any():
        return
    _check_boxes(boxes[valid], image.shape[1:3])
    _check_classes(batch["gt_classes"][valid], config.num_classes)
    if "gt_masks" in batch:
        _check_masks(batch["gt_masks"][valid])
        limits = np.tile(np.array(image.shape[1:3], np.float32), 2)
        sizes = np.broadcast_to(np.tile(batch["size"], 2)[:, np.newaxis], boxes.shape)[valid]
        _check_frames(batch["gt_masks"][valid], [boxes[valid] / limits, boxes[valid] / sizes])


def _check_image(image: np.ndarray, config: ModelConfig) -> None:
    mean, std = np.float32(config.input.mean), np.float32(config.input.std)
    least, most = (-mean / std).min(), ((255.0 - mean) / std).max()
    low, high = image.min(), image.max()
    if not np.isfinite([low, high]).all():
        raise InputError("image holds numbers that are not finite.")
    if high > _BRIGHTER * most + 1 or low < _BRIGHTER * least - 1:
        raise InputError(
            f"image holds {low:.4g} to {high:.4g}; normalised by input.mean and input.std it is "
            f"within {least:.4g} to {most:.4g}."
        )


def _check_sizes(sizes: np.ndarray, padded) -> None:
    if not ((sizes > 0) & (sizes <= np.array(padded))).all():
        wrong = sizes[~((sizes > 0) & (sizes <= np.array(padded))).all(axis=1)][0]
        raise InputError(
            f"size holds {wrong.tolist()}; wanted the (height, width) in pixels of the image "
            f"without its padding, at most {tuple(padded)}."
        )


def _check_boxes(boxes: np.ndarray, padded) -> None:
    """Boxes [n, 4] of valid rows."""
    wanted = "wanted (y1, x1, y2, x2) in pixels of the padded image"
    if not np.isfinite(boxes).all():
        raise InputError(f"gt_boxes holds numbers that are not finite; {wanted}.")
    flat = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1)
    if flat.any():
        found = f"gt_boxes holds {boxes[flat][0].tolist()}, without area, where gt_valid is true"
        raise InputError(f"{found}; {wanted}.")
    if boxes.min() >= 0 and boxes.max() <= 1:
        raise InputError(f"gt_boxes lies in 0..1; {wanted}.")
    beyond = (boxes[:, :2] < -_EDGE).any(axis=1)
    beyond |= (boxes[:, 2:] > np.array(padded) + _EDGE).any(axis=1)
    if beyond.any():
        raise InputError(
            f"gt_boxes holds {boxes[beyond][0].tolist()}, outside of the image of {padded[0]} x "
            f"{padded[1]} (height x width); {wanted}."
        )


def _check_classes(classes: np.ndarray, num_classes: int) -> None:
    wrong = classes[(classes < 1) | (classes > num_classes)]
    if wrong.size:
        raise InputError(
            f"gt_classes holds {wrong[0]} in a row where gt_valid is true; wanted 1 to "
            f"{num_classes}, 0 is the background."
        )


def _check_masks(masks: np.ndarray) -> None:
    """Masks [n, m, m] of valid rows."""
    if masks.max() > 1:
        raise InputError(f"gt_masks holds values up to {masks.max()}; wanted 0 and 1.")
    if not masks.any():
        raise InputError(
            "gt_masks is zero in all rows where gt_valid is true; wanted the mask of each object."
        )


def _check_frames(masks: np.ndarray, places: List[np.ndarray]) -> None:
    """Refuse masks of whole images in the place of what the boxes show.

    Args:
        masks: [n, m, m] of valid rows.
        places: of the boxes in their images, with and without its padding, [n, 4] yxyx shares.
    """
    frames = np.array([_frame(mask) for mask in masks])  # [n, 4]
    loose = np.abs(frames - (0, 0, 1, 1)).max(axis=1) > _LOOSE
    near = [np.abs(frames - place).max(axis=1) < _NEAR for place in places]
    if np.count_nonzero(loose & np.any(near, axis=0)) > len(masks) / 2:
        raise InputError(
            "gt_masks shows each object where it lies in the whole image; wanted what its box "
            "shows, cut out and resampled."
        )


def _frame(mask: np.ndarray) -> np.ndarray:
    """[4] yxyx bounds of a mask [m, m] in shares of its sides; those of all of an empty one."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.array([0.0, 0.0, 1.0, 1.0])
    bounds = np.array([rows[0], cols[0], rows[-1] + 1, cols[-1] + 1])
    return bounds / np.tile(mask.shape, 2)
