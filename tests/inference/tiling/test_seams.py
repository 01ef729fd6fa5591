"""`inference/tiling/seams.py`; what tiles find together is in `test_tiled_prediction.py`."""

import numpy as np

from tfmaskrcnn.inference.tiling import seams
from tfmaskrcnn.inference.tiling.pieces import Piece
from tfmaskrcnn.inference.tiling.seams import merged
from tfmaskrcnn.inference.tiling.tile_plan import Tile
from tfmaskrcnn.ops.mask_runs import box_runs


def test_hundreds_of_small_neighbours_are_compared_at_once(monkeypatch):
    size, tiles = (120, 220), [Tile(0, 0, 120, 120), Tile(0, 100, 120, 120)]
    boxes = [(y, x, y + 8, x + 8) for y in range(0, 120, 10) for x in range(0, 220, 10)]
    pieces = [
        Piece(np.float32(box), 0.9 - 0.1 * k, 1, box_runs(box, size), (k,), False)
        for box in boxes
        for k, tile in enumerate(tiles)
        if tile.x <= box[1] and box[3] <= tile.x + tile.w
    ]
    meet, asked = seams._meet, []

    def counted(some, box):
        asked.append(box)
        return meet(some, box)

    monkeypatch.setattr(seams, "_meet", counted)
    found = merged(pieces, tiles, size[0], 20)
    assert sorted(tuple(piece.box.tolist()) for piece in found) == boxes
    assert {piece.tiles for piece in found} == {(0,), (0, 1), (1,)}
    assert len(asked) == len(pieces) + len(found)  # not by hundreds for each
