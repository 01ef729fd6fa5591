"""A network in parts, with the non-maximum suppressions between them done in NumPy.

`export --format onnx --nms host` cuts the network where it suppresses boxes, which is in two
places: after the RPN and after the box head. The first file says in its metadata, under `KEY`, how.
Nothing here knows which runtime runs a part.
"""

import json
import os
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.runtimes.file_network import Run

KEY = "tfmaskrcnn_host_nms"


class Suppression(NamedTuple):
    """One suppression: the names of what it reads and makes, and its settings."""

    boxes: str  # [B, n, q, 4] float32 yxyx, q = 1 (shared by the classes) or the class count
    scores: str  # [B, n, k] float32
    kept: Sequence[str]  # of the four arrays of `Kept`
    iou_threshold: float
    score_threshold: float
    max_output: int


class Plan(NamedTuple):
    """How the parts of a network go together."""

    suppressions: List[Suppression]  # one behind each part but the last
    outputs: List[str]  # of the whole network


class Kept(NamedTuple):
    """Boxes that survive, by descending score; rows after `count` are zeros."""

    boxes: np.ndarray  # [B, n, 4] float32
    scores: np.ndarray  # [B, n] float32
    classes: np.ndarray  # [B, n] float32 whole numbers, index into the last axis of the scores
    count: np.ndarray  # [B] int32


def part_paths(path: str) -> List[str]:
    """The files of a network of which `path` is the first.

    >>> part_paths("nuclei.onnx")
    ['nuclei.onnx', 'nuclei.part2.onnx', 'nuclei.part3.onnx']
    """
    stem, suffix = os.path.splitext(os.fspath(path))
    return [os.fspath(path), f"{stem}.part2{suffix}", f"{stem}.part3{suffix}"]


def to_text(plan: Plan) -> str:
    """What the metadata of the first part says under `KEY`; `from_text` reads it."""
    return json.dumps([[each._asdict() for each in plan.suppressions], plan.outputs])


def from_text(text: str, path: str) -> Plan:
    """The plan in the metadata `text` of the first part, `path`.

    Raises:
        InputError: it was changed, or written by another version.
    """
    try:
        suppressions, outputs = json.loads(text)
        return Plan([Suppression(**each) for each in suppressions], outputs)
    except (TypeError, ValueError):
        raise InputError(
            f"What {path} says of its suppressions is not of this version; export it again."
        ) from None


def existing_parts(path: str) -> List[str]:
    """As `part_paths`, of files that exist.

    Raises:
        InputError: one of them is missing.
    """
    paths = part_paths(path)
    for each in paths[1:]:
        if not os.path.isfile(each):
            raise InputError(f"{path} is one of three parts, and {each} is missing beside it.")
    return paths


def chained(parts: Sequence[Run], plan: Plan) -> Run:
    """The whole network: each part, then the suppression behind it.

    Args:
        parts: functions that pick their inputs from all that is known by then, and give their own
            outputs.
        plan: of the first part's metadata.

    Returns:
        The network as one such function, from `images` and `sizes` to `plan.outputs`.
    """

    def run(inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        known = dict(inputs)
        for part, step in zip(parts, [*plan.suppressions, None]):
            known.update(part(known))
            if step is not None:
                kept = suppress(
                    known[step.boxes],
                    known[step.scores],
                    step.iou_threshold,
                    step.score_threshold,
                    step.max_output,
                )
                known.update(zip(step.kept, kept))
        return {name: known[name] for name in plan.outputs}

    return run


def suppress(
    boxes: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float,
    score_threshold: float,
    max_output: int,
) -> Kept:
    """Greedy suppression within each class, the same as `ops.nms.class_aware_nms`.

    Of equal scores the lower class comes first, then the earlier box, as in the ONNX file that
    suppresses by itself.

    Args:
        boxes: [B, n, q, 4] float32 yxyx, q = 1 (shared by the classes) or the class count.
        scores: [B, n, k] float32.
        iou_threshold: a box goes when its IoU with a better one exceeds this.
        score_threshold: boxes at or below it are not considered.
        max_output: rows of the result.
    """
    images = [
        _suppress_one(*each, iou_threshold, score_threshold, max_output)
        for each in zip(boxes, scores)
    ]
    kept = [np.stack([_filled(part, max_output) for part in each]) for each in zip(*images)]
    return Kept(*kept, np.array([len(image[1]) for image in images], np.int32))


def _suppress_one(boxes, scores, iou_threshold, score_threshold, max_output):
    """[n, q, 4] boxes and [n, k] scores -> boxes [m, 4], scores [m], classes [m] of one image."""
    scores = scores.T  # [k, n], so that of equal scores the lower class comes first
    classes, index = np.nonzero(scores > np.float32(score_threshold))
    order = np.argsort(-scores[classes, index], kind="stable")
    classes, index = classes[order], index[order]
    boxes = boxes[index, classes if boxes.shape[1] > 1 else 0]
    kept = _greedy(boxes, classes, np.float32(iou_threshold), max_output)
    classes, index = classes[kept], index[kept]
    return boxes[kept], scores[classes, index], classes.astype(np.float32)


def _greedy(boxes, classes, iou_threshold, limit) -> List[int]:
    """Rows of [n, 4] boxes, sorted by descending score, that are kept: at most `limit`."""
    first, second = boxes[:, :2].T, boxes[:, 2:].T
    (y1, x1), (y2, x2) = np.minimum(first, second), np.maximum(first, second)  # [n] each
    area = (y2 - y1) * (x2 - x1)
    left, kept = np.ones(len(boxes), bool), []
    for best in range(len(boxes)):
        if not left[best]:
            continue
        kept.append(best)
        if len(kept) == limit:
            break
        rest = slice(best + 1, None)
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        common = np.maximum(height, 0.0) * np.maximum(width, 0.0)
        union = area[best] + area[rest] - common
        # What has nothing in common may have no area, and a union of 0.
        iou = common / np.where(common > 0.0, union, 1.0)
        left[rest] &= (iou <= iou_threshold) | (classes[rest] != classes[best])
    return kept


def _filled(part: np.ndarray, length: int) -> np.ndarray:
    """`part` [m, ...] with zeros behind it, float32 [length, ...]."""
    whole = np.zeros([length, *part.shape[1:]], np.float32)
    whole[: len(part)] = part
    return whole
