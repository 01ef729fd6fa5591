"""Pictures that were put together of several: where one ends and the next begins.

A model that stretches the contrast of its pictures, or turns bright ones dark, must not do so for
two of them at once: the dim one would go under. Such a montage is cut at its straight seams, and
each field is seen as a picture of its own. A seam that stops half-way is cut on: what lies there in
one scene is joined again.
"""

import dataclasses
from bisect import bisect_left
from typing import Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from tfmaskrcnn.inference.image_windows import ImageWindows
from tfmaskrcnn.inference.tiling.pieces import Piece, joined
from tfmaskrcnn.inference.tiling.tile_plan import Tile
from tfmaskrcnn.ops.contrast import BRIGHT_MEDIAN, STRETCH_HIGH, STRETCH_LOW
from tfmaskrcnn.ops.mask_runs import clipped

SENTENCE = "The picture was put together of %d: each is seen as one of its own."
# A seam is looked for in blocks of so many pixels along it, by the means of so many across it.
_BLOCK, _ACROSS = 16, 4
# A block jumps where the means differ by so much more than those beside them do, and some levels.
_TIMES, _LEVELS = 3.0, 1.0
# Of a field of nuclei not more than an eighth of the blocks jump at any place; at a seam, half.
_SHARE, _LEAST_BLOCKS = 0.3, 5
_LEAST_SIDE = 64  # pixels of a field
_MOST_FIELDS = 4096
_STRIP = 1 << 23  # pixels that are read at a time
_SAMPLES = 1 << 18  # pixels that tell how bright a field is
# A field is another picture if its contrast is stretched by so much more than the montage's.
_STRETCH = 1.25
_TOUCH = 3  # pixels from a seam within which an object ends at it
# IoU of the parts of a seam that two halves of one object touch, and how far their brightness may
# differ.
_SAME_CONTACT, _SAME_BRIGHTNESS = 0.75, 0.15


class _Look(NamedTuple):
    """What a model that looks at contrast and brightness makes of pixels."""

    levels: float  # between the percentiles that are stretched to 0 and to 255
    bright: bool


class _End(NamedTuple):
    """Where a piece touches a seam."""

    number: int  # of the piece
    axis: int  # 0: a seam between rows, 1: between columns
    at: int  # the first row or column behind the seam
    before: bool  # whether the piece lies before it
    first: int  # pixels along the seam
    last: int


def fields_of(picture: ImageWindows) -> List[Tile]:
    """The fields of a montage of which at least one looks unlike the whole; else the whole."""
    whole = Tile(0, 0, *picture.size)
    fields, todo = [], [whole]
    while todo and len(fields) + len(todo) <= _MOST_FIELDS:
        part = todo.pop()
        parts = _cut(part, picture)
        if len(parts) > 1:
            todo += parts
        else:
            fields.append(part)
    if todo or len(fields) < 2:
        return [whole]
    look = _look(picture, whole)
    fields.sort()
    return fields if any(_unlike(_look(picture, f), look) for f in fields) else [whole]


def moved_to(piece: Piece, field: Tile, index: int, height: int) -> Piece:
    """A piece in the pixels of a field, as one of the montage, which is `height` pixels high."""
    shift = np.float32([field.y, field.x, field.y, field.x])
    columns, rows = piece.runs[:, :1] // field.h, piece.runs[:, :1] % field.h
    starts = (columns + field.x) * height + rows + field.y
    runs = np.concatenate([starts, starts + piece.runs[:, 1:] - piece.runs[:, :1]], axis=1)
    points = piece.keypoints
    return dataclasses.replace(
        piece,
        box=piece.box + shift,
        runs=runs,
        tiles=(index,),
        keypoints=None if points is None else points + np.float32([field.y, field.x, 0.0]),
    )


def joined_over_seams(
    pieces: List[Piece], fields: List[Tile], picture: ImageWindows
) -> List[Piece]:
    """The objects of a montage; two halves that go on over a seam in one scene are one."""
    ends: Dict[Tuple[int, int, int], List[_End]] = {}
    for number, piece in enumerate(pieces):
        for end in _ends(number, piece, fields[piece.tiles[0]], picture.size[0]):
            ends.setdefault((end.axis, end.at, piece.kind), []).append(end)
    first_of = list(range(len(pieces)))  # a piece of the same object, with a lower number
    for some in ends.values():
        for a, b in _facing(some):
            if _go_on(a, b, picture):
                one, other = sorted((_root(first_of, a.number), _root(first_of, b.number)))
                first_of[other] = one
    group = [_root(first_of, number) for number in range(len(pieces))]
    members: Dict[int, List[Piece]] = {}
    for piece, name in zip(pieces, group):
        members.setdefault(name, []).append(piece)
    return [joined(some) for some in members.values()]


def _facing(ends: List[_End]) -> Iterator[Tuple[_End, _End]]:
    """Pairs of one end before a seam and one behind it that touch the same pixels of it."""
    behind = sorted((end for end in ends if not end.before), key=lambda end: end.first)
    starts = [end.first for end in behind]
    longest = max((end.last - end.first for end in behind), default=0)
    for a in (end for end in ends if end.before):
        for b in behind[bisect_left(starts, a.first - longest) : bisect_left(starts, a.last)]:
            if b.last > a.first:
                yield a, b


def _root(first_of: List[int], number: int) -> int:
    """The lowest number of a group; the way there is made shorter for the next time."""
    while first_of[number] != number:
        first_of[number] = first_of[first_of[number]]
        number = first_of[number]
    return number


def _cut(part: Tile, picture: ImageWindows) -> List[Tile]:
    """The parts between all seams that go through the whole part, down and across."""
    rows, columns = (seams(*line) for line in _lines(part, picture))
    rows, columns = [0, *rows, part.h], [0, *columns, part.w]
    return [
        Tile(part.y + top, part.x + left, bottom - top, right - left)
        for top, bottom in zip(rows, rows[1:])
        for left, right in zip(columns, columns[1:])
    ]


def seams(shares: np.ndarray, steps: np.ndarray) -> List[int]:
    """Where there are seams, each once, with room for fields between them.

    Args:
        shares: [n] of the blocks that jump there.
        steps: [n] how far, in levels, the pixels there are from those before; says it to the pixel.
    """
    found: List[int] = []
    for at in np.argsort(-shares, kind="stable"):
        if shares[at] < _SHARE:
            break
        if min([at, len(shares) - at, *(abs(at - other) for other in found)]) >= _LEAST_SIDE:
            near = slice(at - _ACROSS // 2, at + _ACROSS // 2 + 1)
            found.append(int(near.start + np.argmax(steps[near])))
    return sorted(found)


def _lines(part: Tile, picture: ImageWindows):
    """((shares, steps) [h] each, (shares, steps) [w] each) of the rows and columns, see `seams`."""
    rows, columns, blocks = np.zeros((2, part.h)), np.zeros((2, part.w)), 0
    margin = 2 * _ACROSS
    strip = max(_STRIP // part.w // _BLOCK, 1) * _BLOCK
    for y in range(0, part.h, strip):
        # Rows of the strips before and behind tell of jumps at this one's first and last rows.
        low, high = max(y - margin, 0), min(y + strip + margin, part.h)
        grey = picture.read(part.y + low, part.x, high - low, part.w).mean(axis=2, dtype=np.float32)
        own = slice(y - low, min(y + strip, part.h) - low)
        jumps = _jumps(grey[own])
        columns[0] += jumps.sum(axis=0)
        columns[1, 1:] += np.abs(np.diff(grey[own], axis=1)).sum(axis=0) / part.h
        blocks += len(jumps)
        jumps = _jumps(np.ascontiguousarray(grey.T))  # [blocks, rows]
        steps = np.pad(np.abs(np.diff(grey, axis=0)).mean(axis=1), (1, 0))
        rows[:, y : y + strip] = _share_of(jumps.sum(axis=0), len(jumps))[own], steps[own]
    columns[0] = _share_of(columns[0], blocks)
    return rows, columns


def _share_of(counts: np.ndarray, blocks: int) -> np.ndarray:
    return np.where(counts >= _LEAST_BLOCKS, counts / max(blocks, 1), 0.0)


def _jumps(grey: np.ndarray) -> np.ndarray:
    """[n, w] bool: whether block n of rows of `grey` [h, w] jumps between columns x - 1 and x."""
    count, width = max(len(grey) // _BLOCK, 1), grey.shape[1]
    starts = np.arange(count) * _BLOCK
    sizes = np.diff(np.append(starts, len(grey)))
    blocks = np.add.reduceat(grey, starts, axis=0, dtype=np.float64) / sizes[:, None]
    sums = np.cumsum(np.pad(blocks, ((0, 0), (1, 0))), axis=1)
    found = np.zeros((count, width), bool)
    if width < 4 * _ACROSS + 1:
        return found
    means = (sums[:, _ACROSS:] - sums[:, :-_ACROSS]) / _ACROSS  # of columns i to i + _ACROSS
    steps = np.abs(means[:, _ACROSS:] - means[:, :-_ACROSS])  # at column i + _ACROSS
    at = np.arange(_ACROSS, steps.shape[1] - _ACROSS)
    beside = np.maximum(steps[:, at - _ACROSS], steps[:, at + _ACROSS])
    found[:, at + _ACROSS] = steps[:, at] > _TIMES * beside + _LEVELS
    return found


def _look(picture: ImageWindows, part: Tile) -> _Look:
    every = max(int(np.sqrt(part.h * part.w / _SAMPLES)), 1)
    rows = max(_STRIP // part.w // every, 1) * every
    strips = [
        picture.read(part.y + y, part.x, min(rows, part.h - y), part.w)[::every, ::every]
        for y in range(0, part.h, rows)
    ]
    pixels = np.concatenate(strips)
    low, middle, high = np.quantile(pixels, [STRETCH_LOW, 0.5, STRETCH_HIGH])
    return _Look(float(high - low), bool(middle > BRIGHT_MEDIAN))


def _unlike(field: _Look, whole: _Look) -> bool:
    return field.bright != whole.bright or whole.levels > _STRETCH * field.levels


def _ends(number: int, piece: Piece, field: Tile, height: int) -> Iterator[_End]:
    """Where a piece ends at an edge of its field."""
    for axis in (0, 1):
        for before in (False, True):
            at = field[axis] + (field[2 + axis] if before else 0)
            box = [0, 0, height, field.x + field.w]  # yxyx
            box[axis], box[axis + 2] = (at - _TOUCH, at) if before else (at, at + _TOUCH)
            runs = clipped(piece.runs, tuple(box), height)
            if not len(runs):
                continue
            low, high = runs[:, 0], runs[:, 1] - 1  # first and last pixels, down the columns
            along = (low // height, high // height) if axis == 0 else (low % height, high % height)
            yield _End(number, axis, at, before, int(along[0].min()), int(along[1].max()) + 1)


def _go_on(a: _End, b: _End, picture: ImageWindows) -> bool:
    """Whether what ends at a seam on one side goes on beyond it, in place and in brightness."""
    first, last = max(a.first, b.first), min(a.last, b.last)
    if last - first < _SAME_CONTACT * (max(a.last, b.last) - min(a.first, b.first)):
        return False
    if a.axis == 0:
        sides = picture.read(a.at - _TOUCH, first, 2 * _TOUCH, last - first)
    else:
        sides = picture.read(first, a.at - _TOUCH, last - first, 2 * _TOUCH).swapaxes(0, 1)
    means = [float(side.mean()) for side in (sides[:_TOUCH], sides[_TOUCH:])]
    return abs(means[0] - means[1]) <= _SAME_BRIGHTNESS * max(means) + _LEVELS
