"""A predictor of pictures of any size: whole where the model can see them so, else in tiles."""

import dataclasses
import logging
import math
import os
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.image_windows import ArrayWindows, ImageWindows, PartWindows
from tfmaskrcnn.inference.opening import Source, about_exported
from tfmaskrcnn.inference.tiling.montage import SENTENCE, fields_of, joined_over_seams, moved_to
from tfmaskrcnn.inference.tiling.pieces import Piece, enlarged, instances_of, pieces_of
from tfmaskrcnn.inference.tiling.seams import merged, without_finer
from tfmaskrcnn.inference.tiling.tile_plan import (
    AUTO,
    NONE,
    Tile,
    TileOptions,
    TilePlan,
    plan_of,
)
from tfmaskrcnn.inference.trained_sizes import NetworkInput
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.limits import MAX_PIXELS
from tfmaskrcnn.ops.paste import Window, window_rle
from tfmaskrcnn.support.progress_bar import Progress

_LOG = logging.getLogger(__name__)
# An overview has a pixel for a square of so many; of a very large picture for more, so that it has
# no more pixels than this.
_STEP, _OVERVIEW = 4, 1 << 26
# What has a side of this share of the overlap may be seen whole by no tile.
_UNSEEN = 0.8
# An overview so much larger than a tile goes through the network as a whole.
_ONE_LOOK = 2.0


class _Level(NamedTuple):
    """A picture, or it made smaller, and its tiles."""

    factor: int  # pixels of the level before that a side of this one's pixel is
    plan: TilePlan


class PicturePredictor:
    """What a model finds in a picture of any size.

    A picture that is seen in tiles has its masks as RLE (`Instances.exact_rle`); memory is that of
    a tile, of the picture as it is read, and of the result. Others are predicted as they are.
    """

    def __init__(
        self,
        source: Source,
        options: Optional[TileOptions] = None,
        progress: Optional[Progress] = None,
    ):
        """Take a model.

        Args:
            source: from `opening.open_source`.
            options: how pictures are cut.
            progress: told of the tiles done, of how many, for each picture in tiles.

        Raises:
            InputError: an option cannot be.
        """
        self._source, self._progress = source, progress
        self._options = (options or TileOptions()).checked()
        self._told = set()

    def plan_of(self, size: Sequence[int]) -> TilePlan:
        """What is done with pictures of `size` (height, width)."""
        source = self._source
        return plan_of(size, self._options, source.input, source.sizes, source.trained)

    def plan(self, size: Sequence[int]) -> Optional[str]:
        """What a person should know of pictures of `size`: a sentence, None if there is nothing."""
        return self.plan_of(size).sentence

    def in_tiles(self, size: Sequence[int]) -> bool:
        """Whether pictures of `size` are seen in tiles; others may go to `source.predict`."""
        return self.plan_of(size).tile is not None

    def tell(self, size: Sequence[int], name: str = "") -> None:
        """Log what a person should know of a picture called `name`; the same thing once."""
        plan = self.plan_of(size)
        if plan.sentence and plan.sentence not in self._told:
            self._told.add(plan.sentence)
            text = f"{name}: {plan.sentence}" if name else plan.sentence
            _LOG.log(logging.WARNING if plan.warning else logging.INFO, "%s", text)

    def __call__(self, picture: ImageWindows) -> Instances:
        """The objects in a picture, best first, in its own pixels."""
        plan = self.plan_of(picture.size)
        if plan.tile is None:
            return self._whole(picture)
        fields = self._fields(picture)
        plans = [_levels(self.plan_of(field[2:])) for field in fields]
        total, done = sum(len(level.plan.tiles()) for levels in plans for level in levels), 0

        def tick(count: int) -> None:
            nonlocal done
            done += count
            if self._progress:
                self._progress(done, total)

        if len(fields) == 1:
            pieces, like = self._found(picture, plans[0], tick)
            return instances_of(pieces, like, picture.size)
        pieces, height = [], picture.size[0]
        for index, (field, levels) in enumerate(zip(fields, plans)):
            found, like = self._found(PartWindows(picture, *field), levels, tick)
            pieces += [moved_to(piece, field, index, height) for piece in found]
        return instances_of(joined_over_seams(pieces, fields, picture), like, picture.size)

    def _fields(self, picture: ImageWindows) -> List[Tile]:
        """Where contrast and brightness matter, the pictures that a picture was put together of."""
        input = self._source.input
        if input is None or not (input.stretch_contrast or input.invert_bright):
            return [Tile(0, 0, *picture.size)]
        fields = fields_of(picture)
        if len(fields) > 1:
            _LOG.info(SENTENCE, len(fields))
        return fields

    def _found(self, picture, levels, tick) -> Tuple[List[Piece], Instances]:
        """The objects in a level's picture with those of the levels above it."""
        plan = levels[0].plan
        pieces, like = self._in_tiles(picture, plan, tick)
        if len(levels) == 1:
            return pieces, like
        factor = levels[1].factor
        small = ArrayWindows(picture.reduced(factor))
        coarse, _ = self._found(small, levels[1:], tick)
        least = _UNSEEN * plan.overlap
        coarse = [
            enlarged(piece, factor, picture.size, small.size)
            for piece in coarse
            if piece.side * factor >= least
        ]
        return without_finer(coarse, pieces, least), like

    def _in_tiles(self, picture, plan: TilePlan, tick) -> Tuple[List[Piece], Instances]:
        tiles, size, pieces, like = plan.tiles(), picture.size, [], None
        for start in range(0, len(tiles), self._options.batch_size):
            part = tiles[start : start + self._options.batch_size]
            found = self._source.predict([picture.read(*tile) for tile in part])
            for i, (tile, instances) in enumerate(zip(part, found), start=start):
                pieces += pieces_of(instances, tile, i, size)
                like = instances[:0]
            tick(len(part))
        return merged(pieces, tiles, size[0], plan.overlap), like

    def _whole(self, picture: ImageWindows) -> Instances:
        """Of one look; a large picture that the model makes smaller is made smaller before."""
        height, width = picture.size
        limit = min(self._source.max_pixels or MAX_PIXELS, MAX_PIXELS)
        factor = math.ceil(math.sqrt(height * width / limit))
        input = self._source.input
        shrunk = input is not None and input.scale(picture.size) * factor <= 1
        if factor == 1 or not shrunk:
            return self._source.predict([picture.whole()])[0]
        found = self._source.predict([picture.reduced(factor)])[0]
        return _scaled(found, factor, picture.size)


def tiled(source: Source, options: TileOptions, progress: Optional[Progress] = None) -> Source:
    """`source` with a `predict` that sees large pictures in tiles, and says so."""
    predictor = PicturePredictor(source, options, progress)

    def predict(images: List[np.ndarray]) -> List[Instances]:
        sizes = [image.shape[:2] for image in images]
        for size in sizes:
            predictor.tell(size)
        if not any(predictor.in_tiles(size) for size in sizes):
            return source.predict(images)
        return [predictor(ArrayWindows(image)) for image in images]

    return source._replace(predict=predict)


def tiled_predictor(predict, model: Any, options: TileOptions):
    """`predict`, the predictor of `model`, as one that sees large pictures in tiles.

    Args:
        predict: from a list of uint8 [H, W, C] images to a list of `Instances`.
        model: a `MaskRCNN`, the folder of a SavedModel, or anything else, of which it is not known
            how it resizes.
        options: a size of "none" gives `predict`.

    Raises:
        InputError: the size is "auto" of a model that it is not known of.
    """
    if options.checked().size == NONE:
        return predict
    source = Source(predict, (), ())
    config = getattr(model, "config", None)
    if isinstance(model, (str, os.PathLike)):
        source = about_exported(os.fspath(model), source)
    elif hasattr(config, "input"):
        sizes, input = getattr(model, "trained_sizes", None), config.input.model_dump()
        source = source._replace(input=NetworkInput.of(input), sizes=sizes)
    elif options.size == AUTO:
        raise InputError(
            f"tile is 'auto', but a {type(model).__name__} does not tell how it resizes images; "
            "give the side of a tile in pixels."
        )
    return tiled(source, options).predict


def _levels(plan: TilePlan) -> List[_Level]:
    """The picture, then smaller ones, each seen in tiles as the first, until one look suffices."""
    levels, size = [_Level(1, plan)], plan.size
    while levels[-1].plan.tile is not None and len(levels[-1].plan.tiles()) > 1:
        pixels = size[0] * size[1]
        longest = max(side / own for side, own in zip(size, plan.tile))
        factor = max(
            min(_STEP, math.ceil(longest / _ONE_LOOK)), math.ceil(math.sqrt(pixels / _OVERVIEW))
        )
        factor = max(factor, 2)
        size = tuple(-(-side // factor) for side in size)
        tile = tuple(min(own, side) for own, side in zip(plan.tile, size))
        one = all(side <= _ONE_LOOK * own for side, own in zip(size, plan.tile))
        levels.append(_Level(factor, TilePlan(size, None if one else tile, plan.overlap)))
    return levels


def _scaled(found: Instances, factor: int, size: Tuple[int, int]) -> Instances:
    """What was found in a picture that was made smaller, in one of `size`."""
    limit = np.float32([*size, *size])
    rles = found.exact_rle
    if rles is not None:
        windows = (
            Window(w.top * factor, w.left * factor, _enlarged(w.bitmap, factor))
            for w in found.windows()
        )
        rles = [window_rle(_cut(window, size), *size) for window in windows]
    points = found.keypoints
    return dataclasses.replace(
        found,
        boxes=np.minimum(found.boxes * factor, limit),
        size=size,
        exact_rle=rles,
        keypoints=None if points is None else points * np.float32([factor, factor, 1.0]),
    )


def _enlarged(bitmap: np.ndarray, factor: int) -> np.ndarray:
    return np.repeat(np.repeat(bitmap, factor, axis=0), factor, axis=1)


def _cut(window: Window, size: Tuple[int, int]) -> Window:
    return window._replace(bitmap=window.bitmap[: size[0] - window.top, : size[1] - window.left])
