"""Which of many polygons cross themselves, and which lie in another: all of them at a time."""

from typing import NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.data.coco.annotation_arrays import after, spans

_CLEAR_TURN = 1e-10  # of the span's square; far above what float64 rounds
_SAME_LENGTH = 8  # points that polygons which are compared together may differ by, padded
_AT_A_TIME = 2**16  # pairs of edges, so that they stay in the processor's cache


class Polygons(NamedTuple):
    """P closed polygons."""

    points: np.ndarray  # [V, 2] float64 xy, of all of them
    starts: np.ndarray  # [P] int, where each begins
    ends: np.ndarray  # [P] int

    @property
    def counts(self) -> np.ndarray:
        """[P] int, points of each."""
        return self.ends - self.starts


def crossing(polygons: Polygons) -> np.ndarray:
    """[P] bool: which polygons cross themselves; touching is none."""
    which = np.flatnonzero(~winds_once(polygons))
    lengths = -(-polygons.counts[which] // _SAME_LENGTH) * _SAME_LENGTH
    found = np.zeros(len(polygons.starts), bool)
    for length in np.unique(lengths).tolist():
        members = which[lengths == length]
        most = max(1, _AT_A_TIME // length**2)
        for start in range(0, len(members), most):
            some = members[start : start + most]
            # The last point is repeated: edges without a length cross nothing.
            steps = np.minimum(np.arange(length), polygons.counts[some, None] - 1)
            padded = polygons.points[polygons.starts[some, None] + steps]
            found[some] = crossing_edges(padded).any(axis=(1, 2))
    return found


@np.errstate(all="ignore")  # of no area, and then without a middle
def winds_once(polygons: Polygons) -> np.ndarray:
    """[P] bool: which polygons clearly go around their middle once and never back.

    Their edges lie in sectors of their own, so that none crosses another. Many drawn outlines are
    so, and this is quick.
    """
    points, starts, ends = polygons
    x, y = np.ascontiguousarray(points.T)
    after_x, after_y = after(x, starts, ends), after(y, starts, ends)
    turns = x * after_y - y * after_x
    thrice = 3 * np.add.reduceat(turns, starts)
    middle = [
        np.add.reduceat((column + next_one) * turns, starts) / thrice
        for column, next_one in ((x, after_x), (y, after_y))
    ]
    x, y = (column - np.repeat(c, ends - starts) for column, c in zip((x, y), middle))
    after_y = after(y, starts, ends)
    turns = x * after_y - y * after(x, starts, ends)
    low, high = spans(points, starts)
    clear = _CLEAR_TURN * np.sum((high - low) ** 2, axis=1)
    one_way = np.minimum.reduceat(turns, starts) > clear
    one_way |= np.maximum.reduceat(turns, starts) < -clear
    # Each time around passes from below the middle to above it on one side.
    up, down = (y < 0) & (after_y >= 0), (y >= 0) & (after_y < 0)
    rounds = (np.add.reduceat(passed, starts, dtype=int) for passed in (up, down))
    return one_way & np.all([count == 1 for count in rounds], axis=0)


def crossing_edges(points: np.ndarray) -> np.ndarray:
    """[..., n, n] bool: which edges of closed polygons [..., n, 2] cross; touching is none."""
    points = np.float64(points)
    x, y = points[..., 0], points[..., 1]
    dx, dy = (np.roll(side, -1, axis=-1) - side for side in (x, y))
    # On which side of edge i point j lies; edges cross if each has its ends on both of the other's.
    turn = dx[..., :, None] * (y[..., None, :] - y[..., :, None])
    turn -= dy[..., :, None] * (x[..., None, :] - x[..., :, None])
    apart = turn * np.roll(turn, -1, axis=-1) < 0
    return apart & np.swapaxes(apart, -1, -2)


def within(polygons: Polygons, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """[n] bool: of pairs of polygons, whether all points of one lie in the other.

    Args:
        polygons: all of them.
        inner, outer: [n] int, which they are.
    """
    if not len(inner):
        return np.zeros(0, bool)
    points, starts, counts = polygons.points, polygons.starts, polygons.counts
    pairs, point = _each(starts[inner], counts[inner])
    outer = outer[pairs]  # of each point of the inner ones
    tests, edge = _each(starts[outer], counts[outer])
    x, y = points[point[tests]].T
    columns = np.ascontiguousarray(points.T)
    (ax, ay), (bx, by) = (
        [column[edge] for column in sides]
        for sides in (columns, [after(c, starts, polygons.ends) for c in columns])
    )
    # The even-odd rule, as in `holes`.
    rise = np.where(ay == by, 1.0, by - ay)  # a level edge spans no height
    crossed = ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / rise + ax)
    odd = np.bincount(tests, crossed, minlength=len(point)) % 2 == 1
    return np.bincount(pairs, ~odd, minlength=len(inner)) == 0


def _each(starts: np.ndarray, counts: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """For all of `counts` [n] places from `starts` [n] on: whose it is, and the place."""
    owners = np.repeat(np.arange(len(starts)), counts)
    return owners, np.arange(len(owners)) + (starts - np.cumsum(counts) + counts)[owners]
