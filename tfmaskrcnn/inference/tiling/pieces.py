"""What is found in one tile, in pixels of the picture, with masks as their runs."""

import dataclasses
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.inference.tiling.tile_plan import Tile
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.mask_runs import EMPTY, area, box_runs, runs_rle, union, window_runs
from tfmaskrcnn.ops.paste import Window

# What ends so near to a tile's edge, in pixels of the picture, may go on beyond it.
_NEAR = 2.0
# What lies nearer to a tile's edge than this share of its side may be cut without reaching it: of
# two views that one counts the less, the nearer its edge is.
_RIM = 0.1


@dataclasses.dataclass(eq=False)
class Piece:
    """An object, or the part of it that a tile shows."""

    box: np.ndarray  # [4] float32 yxyx, pixels of the picture
    score: float
    kind: int  # class, 1..K
    runs: np.ndarray  # [n, 2] of `ops.mask_runs`; of its box where there is no mask
    tiles: Tuple[int, ...]  # that have seen it, by index
    cut: bool  # it reaches the edge of its tile, where the picture goes on
    depth: float = np.inf  # of what is cut: how far from that edge it reaches into the tile, pixels
    trust: float = 1.0  # of its score against that of another view
    keypoints: Optional[np.ndarray] = None  # [J, 3] float32 (y, x, score)
    has_mask: bool = True  # False: the runs are the box's, though the model gives masks

    @property
    def rank(self) -> Tuple[bool, float]:
        """The higher, the rather it stays: what is whole before what is cut, then by score."""
        return not self.cut, self.score * self.trust

    @property
    def side(self) -> float:
        """Its longer side, pixels."""
        return float(np.max(self.box[2:] - self.box[:2]))


def pieces_of(found: Instances, tile: Tile, index: int, size: Tuple[int, int]) -> List[Piece]:
    """The pieces in tile number `index` of a picture of `size`."""
    moved = found.boxes + np.float32([tile.y, tile.x, tile.y, tile.x])
    pieces = []
    for i, (box, window) in enumerate(zip(moved, _windows(found))):
        runs = EMPTY if window is None else _runs(window, tile, size)
        # Of a box that is a little short of the edge the mask may reach it.
        room, depth = min(_room(part, tile, size) for part in (box, *_extent(runs, size[0])))
        share = min(room / (_RIM * min(tile.h, tile.w)), 1.0)
        keypoints = None
        if found.keypoints is not None:
            keypoints = found.keypoints[i] + np.float32([tile.y, tile.x, 0.0])
        pieces.append(
            Piece(
                box,
                float(found.scores[i]),
                int(found.classes[i]),
                runs if len(runs) else box_runs(box, size),
                (index,),
                room <= _NEAR,
                depth if room <= _NEAR else np.inf,
                max(share, 0.0),
                keypoints,
                len(runs) > 0,
            )
        )
    return pieces


def enlarged(piece: Piece, factor: int, size: Tuple[int, int], reduced: Tuple[int, int]) -> Piece:
    """A piece in a picture of size `reduced`, as one in `size`, that is `factor` times as large."""
    limit = np.float32([*size, *size])
    points = piece.keypoints
    return dataclasses.replace(
        piece,
        box=np.minimum(piece.box * factor, limit),
        runs=_enlarged_runs(piece.runs, factor, size, reduced[0]),
        keypoints=None if points is None else points * np.float32([factor, factor, 1.0]),
    )


def joined(pieces: Sequence[Piece]) -> Piece:
    """One object of pieces that are all cut: all that they show of it."""
    best = max(pieces, key=lambda piece: area(piece.runs))
    if len(pieces) == 1:
        return best
    runs = best.runs
    for piece in pieces:
        if piece is not best and piece.has_mask == best.has_mask:
            runs = union(runs, piece.runs)
    boxes = np.stack([piece.box for piece in pieces])
    return dataclasses.replace(
        best,
        box=np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]),
        score=max(piece.score for piece in pieces),
        runs=runs,
        tiles=tuple(sorted({tile for piece in pieces for tile in piece.tiles})),
    )


def instances_of(pieces: Sequence[Piece], like: Instances, size: Tuple[int, int]) -> Instances:
    """The objects of a picture of `size`, best first, with masks and labels as `like` has them."""
    pieces = sorted(pieces, key=lambda piece: -piece.score)
    rles = None
    if like.has_masks:
        rles = [runs_rle(p.runs if p.has_mask else EMPTY, *size) for p in pieces]
    points = None
    if like.keypoints is not None:
        points = np.reshape([p.keypoints for p in pieces], (-1, *like.keypoints.shape[1:]))
    return dataclasses.replace(
        like,
        boxes=np.reshape([p.box for p in pieces], (-1, 4)),
        scores=[p.score for p in pieces],
        classes=[p.kind for p in pieces],
        size=size,
        mask_probabilities=None,
        exact_rle=rles,
        keypoints=points,
        ids=None,
    )


def _windows(found: Instances) -> Iterator[Optional[Window]]:
    return found.windows() if found.has_masks else iter([None] * len(found))


def _runs(window: Window, tile: Tile, size: Tuple[int, int]) -> np.ndarray:
    moved = Window(window.top + tile.y, window.left + tile.x, window.bitmap)
    return window_runs(moved, size[0])


def _extent(runs: np.ndarray, height: int) -> List[np.ndarray]:
    """The yxyx box of a mask, if it has pixels."""
    if not len(runs):
        return []
    columns, rows = runs // height, runs[:, 0] % height
    last = np.max(rows + runs[:, 1] - runs[:, 0])
    return [np.array([rows.min(), columns[0, 0], last, columns[-1, 0] + 1])]


def _room(box: np.ndarray, tile: Tile, size: Tuple[int, int]) -> Tuple[float, float]:
    """Pixels from the nearest edge of its tile, that is not the picture's, to a box and its end."""
    rooms = [(np.inf, np.inf)]
    for low, high, start, length, side in (
        (box[0], box[2], tile.y, tile.h, size[0]),
        (box[1], box[3], tile.x, tile.w, size[1]),
    ):
        if start > 0:
            rooms.append((float(low - start), float(high - start)))
        if start + length < side:
            rooms.append((float(start + length - high), float(start + length - low)))
    return min(rooms)


def _enlarged_runs(runs: np.ndarray, factor: int, size, height: int) -> np.ndarray:
    """Runs in a picture `height` pixels high, in one of `size` that is `factor` times as large."""
    columns, low = runs[:, 0] // height, runs[:, 0] % height
    high = np.minimum((low + runs[:, 1] - runs[:, 0]) * factor, size[0])
    across = (columns[:, None] * factor + np.arange(factor)).reshape(-1)  # n x factor
    starts, stops = np.repeat(low * factor, factor), np.repeat(high, factor)
    inside = across < size[1]
    made = np.stack([across * size[0] + starts, across * size[0] + stops], axis=1)[inside]
    return made[np.argsort(made[:, 0], kind="stable")]
