"""One object out of what several tiles show of it.

Finds of two tiles are one object if their masks say so: what both see whole by their IoU, what an
edge cuts by the intersection over the smaller of what the two show in the pixels that both tiles
have. Boxes would join dense neighbours, whose masks have nothing in common. A tile has one find of
an object at most: what its own NMS kept apart stays apart.
"""

import dataclasses
from collections import defaultdict
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from tfmaskrcnn.inference.tiling.pieces import Piece, joined
from tfmaskrcnn.inference.tiling.tile_plan import Tile
from tfmaskrcnn.ops.mask_runs import area, clipped, intersection

# From this IoU, or intersection over the smaller, on two finds are one object.
SAME = 0.5
# The edge of an object that another tile sees whole, and takes for another or for nothing: it
# reaches no further into its tile than this share of the overlap.
_SLIVER = 0.25
# From this IoU on with what an overview sees, the pieces of an object are all of it, drawn finer.
_AGREED = 0.6
_CELL = 256  # pixels of a square of the grid in which neighbours are looked for


def merged(
    pieces: Sequence[Piece], tiles: Sequence[Tile], height: int, overlap: int
) -> List[Piece]:
    """The objects that pieces of all tiles of a picture show, each once.

    Args:
        pieces: of all tiles.
        tiles: by index.
        height: of the picture.
        overlap: of the tiles, at least.
    """
    groups = _groups(pieces, tiles, height)
    found = []
    for group in groups:
        whole = [piece for piece in group if not piece.cut]
        if not whole:
            if all(piece.depth < _SLIVER * overlap for piece in group):
                continue  # a tile that sees further finds nothing there
            found.append(joined(group))
            continue
        best = max(whole, key=lambda piece: piece.rank)
        seen = tuple(sorted({tile for piece in group for tile in piece.tiles}))
        found.append(dataclasses.replace(best, tiles=seen))
    return _without_parts(found)


def without_finer(coarse: Sequence[Piece], fine: Sequence[Piece], least: float) -> List[Piece]:
    """`fine` finds, with those `coarse` ones of an overview that no tile could show whole.

    Args:
        coarse: of the picture made smaller; only those with a side of `least` pixels or more count.
        fine: of the tiles. They stay, but for parts of what the overview sees whole.
        least: pixels.
    """
    kept, gone = [], set()
    neighbours = _Neighbours(fine, all_classes=True)
    for large in sorted(coarse, key=lambda piece: -piece.score):
        if large.side < least:
            continue
        common = [(p, intersection(large.runs, p.runs)) for p in neighbours.near(large)]
        common = [(p, pixels) for p, pixels in common if pixels]
        own = area(large.runs)
        whole = [(p, pixels) for p, pixels in common if not p.cut]
        crowd = sum(pixels for _, pixels in whole) >= SAME * own
        # Of a thin one the overview's mask is the wider.
        seen = any(
            p.side >= SAME * large.side and pixels >= SAME * area(p.runs) for p, pixels in whole
        )
        common = [(p, pixels) for p, pixels in common if p.kind == large.kind]
        pieced = any(pixels >= _AGREED * (own + area(p.runs) - pixels) for p, pixels in common)
        # Tiles see it whole, or as a crowd of smaller ones, of whatever class; or all its pieces.
        if crowd or seen or pieced:
            continue
        kept.append(large)
        for piece, pixels in common:
            if pixels >= SAME * area(piece.runs) and (piece.cut or piece.score < large.score):
                gone.add(id(piece))
    return [piece for piece in fine if id(piece) not in gone] + kept


def _groups(pieces: Sequence[Piece], tiles: Sequence[Tile], height: int) -> List[List[Piece]]:
    """Pieces of one object each; of a tile there is one at most in a group."""
    links = sorted(_links(pieces, tiles, height), key=lambda link: -link[0])
    group = list(range(len(pieces)))
    members: Dict[int, List[int]] = {i: [i] for i in group}
    for _, i, j in links:
        a, b = group[i], group[j]
        if a == b:
            continue
        seen = {tile for k in members[a] for tile in pieces[k].tiles}
        if any(tile in seen for k in members[b] for tile in pieces[k].tiles):
            continue
        for k in members[b]:
            group[k] = a
        members[a] += members.pop(b)
    return [[pieces[k] for k in rows] for rows in members.values()]


def _links(pieces, tiles, height: int) -> Iterator[Tuple[float, int, int]]:
    """(likeness, i, j) of pieces that different tiles have of one object, perhaps."""
    number = {id(piece): i for i, piece in enumerate(pieces)}
    neighbours = _Neighbours(pieces)
    areas = [area(piece.runs) for piece in pieces]
    for i, piece in enumerate(pieces):
        for other in neighbours.near(piece):
            j = number[id(other)]
            if j <= i or set(piece.tiles) & set(other.tiles):
                continue
            common = intersection(piece.runs, other.runs)
            if not common:
                continue
            if piece.cut or other.cut:
                both = _common_part(tiles[piece.tiles[0]], tiles[other.tiles[0]])
                parts = (area(clipped(p.runs, both, height)) for p in (piece, other))
                likeness = common / max(min(parts), 1)
            else:
                likeness = common / (areas[i] + areas[j] - common)
            if likeness >= SAME:
                yield likeness, i, j


def _without_parts(found: Sequence[Piece]) -> List[Piece]:
    """Without those that lie in better ones, unless a tile has seen both."""
    kept: List[Piece] = []
    gone = set()
    neighbours = _Neighbours(found)
    for piece in sorted(found, key=lambda piece: piece.rank, reverse=True):
        if id(piece) in gone:
            continue
        kept.append(piece)
        own, seen = area(piece.runs), set(piece.tiles)
        for other in neighbours.near(piece):
            if other.rank >= piece.rank or seen & set(other.tiles):
                continue
            common = intersection(piece.runs, other.runs)
            if common and common >= SAME * min(own, area(other.runs)):
                gone.add(id(other))
    return kept


class _Neighbours:
    """Pieces by place, and by class unless `all_classes`."""

    def __init__(self, pieces: Sequence[Piece], all_classes: bool = False):
        self._cells: Dict[Tuple[int, int, int], List[int]] = defaultdict(list)
        self._all, self._pieces = all_classes, pieces
        self._boxes = np.reshape([piece.box for piece in pieces], (-1, 4))
        for i, piece in enumerate(pieces):
            for cell in self._of(piece):
                self._cells[cell].append(i)

    def near(self, piece: Piece) -> List[Piece]:
        """All others, of its class or of all, whose boxes meet its box."""
        found = dict.fromkeys(i for cell in self._of(piece) for i in self._cells.get(cell, ()))
        rows = np.fromiter(found, np.int64, len(found))  # a cell may have hundreds of small ones
        close = [self._pieces[i] for i in rows[_meet(self._boxes[rows], piece.box)].tolist()]
        return [p for p in close if p is not piece]

    def _of(self, piece: Piece):
        y1, x1, y2, x2 = (np.asarray(piece.box) // _CELL).astype(int)
        return (
            (0 if self._all else piece.kind, row, column)
            for row in range(y1, y2 + 1)
            for column in range(x1, x2 + 1)
        )


def _meet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n] bool, which boxes [n, 4] meet another [4]; masks may reach a pixel beyond them."""
    last, first = np.minimum(a[:, 2:], b[2:]), np.maximum(a[:, :2], b[:2])
    return np.all(last + 1 > first - 1, axis=1)


def _common_part(a: Tile, b: Tile) -> Tuple[int, int, int, int]:
    """The yxyx box of the pixels that both tiles show."""
    return (
        *(max(a.y, b.y), max(a.x, b.x)),
        *(min(a.y + a.h, b.y + b.h), min(a.x + a.w, b.x + b.w)),
    )
