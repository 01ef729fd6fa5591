"""From M x M mask probabilities to bitmaps or COCO RLE in the image's own pixels (NumPy).

Bilinear interpolation is separable, so a mask on its window is `rows @ mask @ columns.T` with two
small tent-weight matrices: no float canvas of the image's size is ever made.
"""

from typing import Dict, Iterable, Iterator, List, NamedTuple, Tuple, Union

import numpy as np

PASTE_RULES = ("aligned", "torchvision", "matterport")


class Window(NamedTuple):
    """The part of an image that a mask may cover; the mask is False everywhere else."""

    top: int  # row of the image where the bitmap starts
    left: int  # column of the image where the bitmap starts
    bitmap: np.ndarray  # [h, w] bool, h or w 0 when nothing of the mask is in the image


def paste_masks(probabilities, boxes, height: int, width: int, **options) -> np.ndarray:
    """The masks of `paste_windows` (which takes the same) as bitmaps: [D, H, W] bool."""
    out = np.zeros((len(boxes), height, width), bool)
    windows = paste_windows(probabilities, boxes, height, width, **options)
    for canvas, (top, left, bitmap) in zip(out, windows):
        canvas[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return out


def paste_to_rle(probabilities, boxes, height: int, width: int, **options) -> List[Dict]:
    """The masks of `paste_windows` as D COCO compressed RLE dicts (`counts` is a str)."""
    windows = paste_windows(probabilities, boxes, height, width, **options)
    return [window_rle(window, height, width) for window in windows]


def paste_windows(
    probabilities: np.ndarray,
    boxes: np.ndarray,
    height: int,
    width: int,
    threshold: float = 0.5,
    rule: str = "aligned",
) -> Iterator[Window]:
    """Masks that are given as probabilities inside their boxes, in the image's own pixels.

    A pixel is on when the probability interpolated at its centre is at least `threshold`.

    Args:
        probabilities: [D, M, M] float32 in [0, 1].
        boxes: [D, 4] float32 yxyx pixels of the image; may reach outside it.
        height, width: size of the image, pixels.
        threshold: positive.
        rule: `"aligned"` (Detectron2) stretches the mask over exactly the float box and takes
            zeros outside it; an empty box gives an empty mask. `"torchvision"` pads the mask by
            one zero, scales the box by (M + 2) / M, truncates it to integers and keeps the old
            `+ 1` in its size, which is at least 1. `"matterport"` is the aligned rule on the box
            rounded to integers, halves to even, within the mask's range and nothing outside the
            box.

    Returns:
        The D masks one by one, each on the part of the image that it may cover.
    """
    probabilities = np.asarray(probabilities, np.float32)
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    if probabilities.ndim != 3 or len(probabilities) != len(boxes):
        raise ValueError(
            f"paste wants masks [D, M, M] and boxes [D, 4], found {probabilities.shape} and "
            f"{boxes.shape}"
        )
    if threshold <= 0:  # zeros outside the boxes would be on
        raise ValueError(f"threshold must be positive, found {threshold}")
    if rule not in PASTE_RULES:
        raise ValueError(f"rule must be one of {PASTE_RULES}, found {rule!r}")
    return _windows(probabilities, boxes, (height, width), np.float32(threshold), rule)


def window_rle(window: Window, height: int, width: int) -> Dict:
    """COCO compressed RLE of one mask of a [height, width] image, JSON-ready."""
    return edges_rle(run_edges(window, height), height, width)


def edges_rle(edges: np.ndarray, height: int, width: int) -> Dict:
    """COCO compressed RLE of the runs that `run_edges` gives, JSON-ready."""
    from pycocotools import mask as coco_mask  # only people who ask for RLE need it

    # A run that reaches the image's last row goes on in the first row of the next column.
    joined = np.flatnonzero(edges[1:-1:2] == edges[2::2]) * 2 + 1
    edges = np.delete(edges, [*joined, *(joined + 1)]) if len(joined) else edges
    counts = np.diff(edges, prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    rle = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return _json_ready(rle)


def run_edges(window: Window, height: int) -> np.ndarray:
    """[2n] int: start, stop, start, stop ... of the runs, counted down the columns of the image.

    A run ends with its column; `height` is the image's, whose pixel (y, x) is number x height + y.
    """
    h, w = window.bitmap.shape
    columns = np.zeros((w, h + 1), bool)  # the last row stays off: each column's last run ends
    columns[:, :h] = window.bitmap.T
    flat = columns.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False))  # XOR of neighbours
    column, row = edges // (h + 1), edges % (h + 1)
    return (column + window.left) * height + row + window.top


def masks_to_rle(masks: np.ndarray) -> List[Dict]:
    """COCO compressed RLE dicts of [D, H, W] bool bitmaps, JSON-ready."""
    from pycocotools import mask as coco_mask

    return [_json_ready(coco_mask.encode(np.asfortranarray(m, dtype=np.uint8))) for m in masks]


def rle_to_masks(rles: List[Dict], height: int, width: int) -> np.ndarray:
    """[D, H, W] bool bitmaps of COCO compressed RLE dicts."""
    from pycocotools import mask as coco_mask

    out = np.zeros((len(rles), height, width), bool)
    for canvas, rle in zip(out, rles):
        canvas[...] = coco_mask.decode(rle)
    return out


def rle_windows(rles: Iterable[Dict], height: int, width: int) -> Iterator[Window]:
    """COCO compressed RLE dicts one by one, each as the smallest window that holds its mask.

    Nothing of the image's size is made: time and memory are those of the runs and the window.

    Raises:
        ValueError: an RLE is of another size, or its runs do not fill it.
    """
    for rle in rles:
        if tuple(rle["size"]) != (height, width):
            found = "x".join(str(side) for side in rle["size"])
            raise ValueError(f"An RLE has the size {found}, wanted {height}x{width}.")
        edges = np.cumsum(run_lengths(rle["counts"]) if len(rle["counts"]) else [0])
        if edges[-1] != height * width or np.any(np.diff(edges, prepend=0) < 0):
            raise ValueError(f"The runs of an RLE do not fill its {height}x{width} pixels.")
        yield _runs_window(edges, height)


def run_lengths(counts: Union[str, bytes]) -> np.ndarray:
    """[n] int64 of a compressed RLE that pycocotools can read, off and on in turn.

    Each number is little-endian in characters of 5 bits, the bit 32 saying that more follow and
    the last bit 16 being the sign; from the fourth number on it is added to the last but one.
    """
    text = counts.encode() if isinstance(counts, str) else counts
    chars = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(chars < 32) + 1
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    place = np.arange(len(chars)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((chars & 31) << (5 * place), starts)
    numbers -= np.where(chars[ends - 1] & 16, 1 << (5 * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _windows(probabilities, boxes, size, threshold, rule) -> Iterator[Window]:
    side = probabilities.shape[-1]
    boxes = np.round(boxes) if rule == "matterport" else boxes
    starts, stops = _torchvision_boxes(boxes, side) if rule == "torchvision" else _edges(boxes)
    lengths = stops - starts  # [D, 2] float64, as all of these: (height, width)
    whole = np.all(np.isfinite(lengths) & (lengths > 0), axis=-1, keepdims=True)
    # Interpolation reaches half a mask cell beyond the box before it is down to zero.
    reach = 0.0 if rule == "matterport" else lengths / (2 * side)
    first = np.where(whole, np.clip(np.ceil(starts - reach - 0.5), 0, size), 0).astype(int)
    last = np.where(whole, np.clip(np.floor(stops + reach + 0.5), 0, size), 0).astype(int)
    last = np.maximum(first, last)
    for mask, start, length, low, high in zip(probabilities, starts, lengths, first, last):
        if np.any(low == high):
            yield Window(low[0], low[1], np.zeros(high - low, bool))
            continue
        rows = _tent_weights(low[0], high[0], start[0], length[0], side)  # [h, M]
        columns = _tent_weights(low[1], high[1], start[1], length[1], side)  # [w, M]
        values = rows @ mask @ columns.T
        if rule == "matterport":
            values = np.clip(values, mask.min(), mask.max())  # as skimage does
        yield Window(low[0], low[1], values >= threshold)


def _runs_window(edges: np.ndarray, height: int) -> Window:
    """The window of the runs that end at [n] `edges`, off and on in turn, down the columns."""
    on = len(edges) // 2 * 2
    starts, stops = edges[:on:2], edges[1:on:2]
    starts, stops = starts[stops > starts], stops[stops > starts]
    if not len(starts):
        return Window(0, 0, np.zeros((0, 0), bool))
    left, right = int(starts[0] // height), int((stops[-1] - 1) // height) + 1
    # A run that goes on in the next column has this one's last row and that one's first.
    longer = np.any(starts // height != (stops - 1) // height)
    top = 0 if longer else int(np.min(starts % height))
    bottom = height if longer else int(np.max((stops - 1) % height)) + 1
    h, w = bottom - top, right - left
    steps = np.zeros(h * w + 1, np.int8)
    for ends, step in ((starts, 1), (stops - 1, -1)):
        place = (ends // height - left) * h + ends % height - top
        np.add.at(steps, place + (step < 0), step)
    covered = np.cumsum(steps[:-1], dtype=np.int8) > 0
    return Window(top, left, np.ascontiguousarray(covered.reshape(w, h).T))


def _edges(boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    return boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)


def _torchvision_boxes(boxes: np.ndarray, side: int) -> Tuple[np.ndarray, np.ndarray]:
    """The float boxes for which the aligned rule does what torchvision does with `boxes`."""
    # float32, in torchvision's order of operations: a truncation follows.
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * np.float32((side + 2) / side)
    center = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    low, high = np.trunc(center - half), np.trunc(center + half)
    length = np.maximum(high.astype(np.float64) - low + 1, 1)  # of the mask with its padding
    start = low + length / (side + 2)
    return start, start + length * side / (side + 2)


def _tent_weights(first: int, last: int, start: float, length: float, side: int) -> np.ndarray:
    """[last - first, M] float32: weights of the mask's cells at the pixel centres of one axis."""
    cells = (np.arange(first, last) + (0.5 - start)) * (side / length) - 0.5
    distance = np.abs(cells[:, None] - np.arange(side))
    return np.maximum(1.0 - distance, 0.0).astype(np.float32)


def _json_ready(rle: Dict) -> Dict:
    return {"size": [int(s) for s in rle["size"]], "counts": rle["counts"].decode("ascii")}
