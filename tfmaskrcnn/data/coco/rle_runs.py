"""Run lengths of an RLE that may be damaged, read along columns, as COCO has them, or along rows.

All here takes time and memory by the number of runs, never by a size that a file merely claims.
"""

from typing import Any, List, Optional, Tuple

import numpy as np

from tfmaskrcnn.ops.paste import run_lengths

_LIMIT = 2**40  # of a run: more than the pixels of any image
_ROOM = 2**26  # pixels of a mask that is turned


def runs_of(counts: Any) -> Optional[np.ndarray]:
    """[n] int64 of the `counts` of an RLE, from 0 to _LIMIT; None if they are none.

    Whole numbers may be floats or texts.
    """
    if isinstance(counts, (str, bytes)):
        return _unpacked(counts)
    if not isinstance(counts, (list, tuple)) or not counts:
        return None
    try:
        numbers = [float(c) for c in counts if not isinstance(c, bool)]
    except (TypeError, ValueError, OverflowError):
        return None
    if len(numbers) != len(counts) or not all(0 <= v <= _LIMIT and v == int(v) for v in numbers):
        return None
    return np.array(numbers).astype(np.int64)


def runs_box(
    runs: np.ndarray, height: int, width: int, along_rows: bool = False
) -> Optional[Tuple[int, int, int, int]]:
    """(x, y, width, height) of the mask; None if it is empty or the runs do not fill the image."""
    if int(runs.sum()) != height * width:
        return None
    ends = np.cumsum(runs)
    start, end = ends[0:-1:2], ends[1::2]
    on = end > start
    if not on.any():
        return None
    line = width if along_rows else height
    first, last = start[on], end[on] - 1
    wraps = first // line != last // line
    low = 0 if wraps.any() else int((first % line).min())
    high = line - 1 if wraps.any() else int((last % line).max())
    across = int((first // line).min()), int((last // line).max())
    along = low, high
    (x1, x2), (y1, y2) = (along, across) if along_rows else (across, along)
    return x1, y1, x2 - x1 + 1, y2 - y1 + 1


def turned_runs(runs: np.ndarray, height: int, width: int) -> Optional[List[int]]:
    """Runs that were counted along rows, counted along columns; None of an image too large."""
    if height * width > _ROOM or int(runs.sum()) != height * width:
        return None
    flags = (np.arange(len(runs)) % 2).astype(np.uint8)
    flat = np.repeat(flags, runs).reshape(height, width).T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def _unpacked(counts) -> Optional[np.ndarray]:
    """Of a compressed RLE: six bits a character, of which the highest says that more follow."""
    text = counts.encode(errors="replace") if isinstance(counts, str) else counts
    chars = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(chars) or chars.min() < 0 or chars.max() > 63 or chars[-1] & 32:
        return None
    ends = np.flatnonzero((chars & 32) == 0)
    if np.diff(ends, prepend=-1).max() > 7:
        return None
    runs = run_lengths(text)
    return runs if runs.min() >= 0 and runs.max() <= _LIMIT else None
