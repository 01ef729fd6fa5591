"""Keypoints of COCO annotations: read, checked, and moved with their image.

COCO writes x, y, visibility of each keypoint, where x and y name a pixel and visibility is 0 (not
labelled), 1 (labelled, hidden) or 2 (visible). Here they are (y, x, visibility) in continuous
pixels like boxes, and both 1 and 2 count as visible, as in COCO's evaluation.
"""

import math
from numbers import Real
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import Fault
from tfmaskrcnn.errors import InputError, quoted

# COCO's pixel index of a point may lie this far outside the image: continuous coordinates of the
# border, in files that have those.
BORDER = 1.0


class KeypointNames(NamedTuple):
    """What the categories of a data set say of their keypoints."""

    names: Tuple[str, ...]  # of the J keypoints
    skeleton: Tuple[Tuple[int, int], ...]  # pairs of 0-based indices


def keypoint_names(categories: List[Dict[str, Any]], json_path: str) -> KeypointNames:
    """The keypoints that the categories share; categories without any are passed over.

    Raises:
        InputError: no category has keypoints, two have different ones, or the skeleton is wrong.
    """
    with_keypoints = [c for c in categories if isinstance(c, dict) and c.get("keypoints")]
    if not with_keypoints:
        raise InputError(
            f"{json_path}: no category has 'keypoints', the list of their names; it is no COCO "
            "keypoint set. Set keypoint_head.enabled=false to train without keypoints."
        )
    first = with_keypoints[0]
    label = quoted(first.get("name"))
    for other in with_keypoints:
        if not isinstance(other["keypoints"], list):
            raise InputError(
                f"{json_path}: the 'keypoints' of category {quoted(other.get('name'))} are "
                f"{quoted(other['keypoints'])}; wanted the list of their names."
            )
        if other["keypoints"] != first["keypoints"]:
            raise InputError(
                f"{json_path}: the categories {label} and {quoted(other.get('name'))} have "
                "different 'keypoints'; the keypoint head has the same for all classes."
            )
    names = tuple(str(name) for name in first["keypoints"])
    skeleton = first.get("skeleton") or []
    try:
        pairs = tuple((int(a) - 1, int(b) - 1) for a, b in skeleton)  # COCO counts from 1
    except (TypeError, ValueError):
        pairs = ((-1, -1),)
    if any(not 0 <= i < len(names) for pair in pairs for i in pair):
        raise InputError(
            f"{json_path}: the 'skeleton' of category {label} must hold pairs of the "
            f"numbers 1 to {len(names)}."
        )
    return KeypointNames(names, pairs)


def check_keypoint_names(
    found: Optional[KeypointNames], head: KeypointHeadConfig, json_path: str
) -> None:
    """Raise an `InputError` unless the data set `json_path` has the keypoints that `head` finds."""
    if not head.enabled:
        return
    if found is None:
        raise InputError(
            f"{json_path} was read without keypoints, but keypoint_head is enabled; give "
            "load_coco the keypoint_head of the configuration."
        )
    names = found.names
    if len(names) != head.num_keypoints or (head.names and head.names != names):
        named = f", named {', '.join(head.names)}" if head.names else ""
        raise InputError(
            f"{json_path} has {len(names)} keypoints ({', '.join(names)}); "
            f"keypoint_head.num_keypoints is {head.num_keypoints}{named}."
        )


def checked_keypoints(
    keypoints: Any, names: Sequence[str], offset: float, height: int, width: int
) -> np.ndarray:
    """[J, 3] float32 (y, x, visibility) of an annotation's `keypoints`; zeros where there are none.

    Args:
        keypoints: x, y, visibility of each keypoint in one list, or None.
        names: of the J keypoints.
        offset: is added to x and y of labelled points: 0.5 leads to the pixel's centre.
        height, width: of the image, pixels.

    Raises:
        Fault: another number of numbers, one that is not finite, a visibility other than
            0, 1, 2, or a labelled point outside the image.
    """
    count = len(names)
    if keypoints is None or (isinstance(keypoints, list) and not keypoints):
        return np.zeros((count, 3), np.float32)
    if not isinstance(keypoints, list) or len(keypoints) != 3 * count:
        found = f"{len(keypoints)} entries" if isinstance(keypoints, list) else "no list"
        raise Fault(
            "keypoints",
            f"its keypoints are {found}; wanted {3 * count} numbers, x, y and visibility of "
            f"{count} keypoints.",
        )
    if not all(isinstance(v, Real) and math.isfinite(v) for v in keypoints):
        raise Fault("keypoints", "its keypoints must be finite numbers only.")
    points = np.array(keypoints, np.float64).reshape(-1, 3)
    for name, (x, y, visibility) in zip(names, points):
        if visibility not in (0, 1, 2):
            raise Fault(
                "keypoints", f"the visibility of its {name} is {visibility:g}, wanted 0, 1 or 2."
            )
        inside = -BORDER <= x <= width - 1 + BORDER and -BORDER <= y <= height - 1 + BORDER
        if visibility and not inside:
            raise Fault(
                "keypoints",
                f"its {name} at x {x:g}, y {y:g} lies outside the image of {height} x {width} "
                "pixels (height x width).",
            )
    labelled = points[:, 2] > 0
    points[:, :2] = np.where(labelled[:, None], points[:, 1::-1] + offset, 0)
    return points.astype(np.float32)


def moved_keypoints(
    keypoints: np.ndarray,
    matrix: np.ndarray,
    window: Tuple[int, int],
    flip_pairs: Sequence[Tuple[int, int]],
) -> np.ndarray:
    """Keypoints of the original image in the output; those outside the window become zeros.

    In a mirrored image left and right change places: a person's left hand has become a right one.

    Args:
        keypoints: [n, J, 3] float32 (y, x, visibility).
        matrix: [2, 3] original -> output.
        window: (height, width) of the output.
        flip_pairs: indices that change places when `matrix` mirrors.
    """
    points = np.float64(keypoints[..., :2]) @ np.float64(matrix[:, :2]).T + matrix[:, 2]
    inside = np.all((points >= 0) & (points <= window), axis=-1, keepdims=True)
    moved = np.concatenate([points, keypoints[..., 2:]], axis=-1)
    moved = np.where(inside & (keypoints[..., 2:] > 0), moved, 0).astype(np.float32)
    (a, b), (c, d) = matrix[:, :2]
    if a * d - b * c < 0:
        order = np.arange(keypoints.shape[1])
        for i, j in flip_pairs:
            order[i], order[j] = j, i
        moved = moved[:, order]
    return moved


def padded_rows(rows: np.ndarray, index: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """[G, ...]: row `index[g]` of `rows` where `valid[g]`, else zeros."""
    padded = np.zeros((len(index), *rows.shape[1:]), rows.dtype)
    padded[valid] = rows[index[valid]]
    return padded
