"""Whether a picture is seen in tiles, how large they are, where they lie, and what is said."""

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.trained_sizes import NetworkInput, TrainedSizes

AUTO, NONE = "auto", "none"
# A picture is seen as in training down to this share of the smallest scale of training.
_ROOM = 0.95
# Where the large objects of training fill more of their pictures' shorter side, a larger picture
# shows the same things in more pixels, and is shrunk.
_FILLING = 0.5
# Nothing is known of a run from before sizes were kept: its pictures were about as large as the
# network's input, at most twice as large.
_UNKNOWN = TrainedSizes(0.5, 1.0, 1.0, 0.0, 0.0)
_LEAST_TILE, _LEAST_OVERLAP = 32, 8
_OBJECTS = 1.25  # overlap, in the sides of large objects: both tiles shall see it with a margin
_SHARES = 0.125, 0.5  # of a tile's side, least and most overlap
_DEFAULT_SHARE = 0.25  # where nothing is known of the objects


class TileOptions(NamedTuple):
    """How pictures are cut into tiles.

    Raises:
        InputError: (of `checked`) a value is none of these.
    """

    # "auto": as the run was trained, where the picture would be shrunk too much; "none": never;
    # a number: squares of so many pixels of the picture, where it is larger.
    size: Union[str, int] = AUTO
    overlap: Optional[int] = None  # pixels of the picture; None: by the objects of training
    batch_size: int = 1  # tiles that go through the network together

    def checked(self) -> "TileOptions":
        """These options, if they can be."""
        number = type(self.size) is int and self.size >= _LEAST_TILE
        if not number and self.size not in (AUTO, NONE):
            raise InputError(
                f"The tile size is {quoted(self.size)}; wanted auto, none or a number of pixels "
                f"from {_LEAST_TILE} on."
            )
        most = self.size // 2 if number else math.inf
        if self.overlap is not None and not (
            type(self.overlap) is int and _LEAST_OVERLAP <= self.overlap <= most
        ):
            end = f"to half of the tile, {most}" if number else "on"
            raise InputError(
                f"The overlap is {quoted(self.overlap)}; wanted a number of pixels from "
                f"{_LEAST_OVERLAP} {end}, as large as the objects if they are to be seen whole."
            )
        if type(self.batch_size) is not int or self.batch_size < 1:
            raise InputError(f"batch_size is {quoted(self.batch_size)}; wanted 1 or more.")
        return self


class Tile(NamedTuple):
    """A part of a picture, pixels."""

    y: int
    x: int
    h: int
    w: int


class TilePlan(NamedTuple):
    """What is done with pictures of one size."""

    size: Tuple[int, int]  # (height, width) of the picture
    tile: Optional[Tuple[int, int]] = None  # (height, width); None: it is seen as a whole
    overlap: int = 0
    sentence: Optional[str] = None  # what a person should know
    warning: bool = False  # small objects will be missed

    def tiles(self) -> List[Tile]:
        """Row by row; all of one size, evenly laid, overlapping by as much as wanted or more."""
        if self.tile is None:
            return [Tile(0, 0, *self.size)]
        rows, columns = (starts(side, own, self.overlap) for side, own in zip(self.size, self.tile))
        return [Tile(y, x, *self.tile) for y in rows for x in columns]


def starts(side: int, tile: int, overlap: int) -> List[int]:
    """Where tiles begin that cover `side` pixels."""
    if side <= tile:
        return [0]
    overlap = min(overlap, tile - 1)
    count = -(-(side - overlap) // (tile - overlap))
    return [round(i * (side - tile) / (count - 1)) for i in range(count)]


def plan_of(
    size: Sequence[int],
    options: TileOptions,
    input: Optional[NetworkInput],
    sizes: Optional[TrainedSizes],
    trained: bool = True,
) -> TilePlan:
    """What is done with pictures of `size` (height, width).

    Args:
        size: pixels.
        options: what was asked for.
        input: of the model; None where it is not known how it resizes.
        sizes: of its training; None where they are not known.
        trained: False of imported weights, whose training nothing is known of.
    """
    size = int(size[0]), int(size[1])
    known = sizes or (_UNKNOWN if trained and input else None)
    if type(options.size) is int:
        if max(size) <= options.size:
            return TilePlan(size)
        tile = min(options.size, size[0]), min(options.size, size[1])
        return _planned(size, tile, options, input, known, sizes is not None)
    if input is None or known is None:
        return TilePlan(size)
    whole, usual = input.scale(size), input.tile(known.scale_middle, size)
    if whole >= _ROOM * known.scale_low or usual == size:
        return TilePlan(size)
    if options.size == NONE or known.object_share > _FILLING:
        return TilePlan(size, sentence=_shrunk(size, whole, known, options, usual), warning=True)
    return _planned(size, usual, options, input, known, sizes is not None)


def _planned(size, tile, options, input, sizes, known: bool) -> TilePlan:
    overlap = _overlap(tile, options, input, sizes)
    plan = TilePlan(size, tile, overlap)
    text = (
        f"{size[1]} x {size[0]} pixels in {len(plan.tiles())} tiles of {tile[1]} x {tile[0]} that "
        f"overlap by {overlap}"
    )
    if input is None or sizes is None:
        return plan._replace(sentence=f"{text}.")
    scale, whole = input.scale(tile), input.scale(size)
    about = f"; as a whole it would be {whole:.2f} of its size to the network"
    if not known:
        about += (
            ", tiles are at most as large as its input (sizes of training are not known, the model "
            "is from before they were kept)"
        )
    elif _ROOM * sizes.scale_low <= scale <= sizes.scale_high / _ROOM:
        about += f", tiles are {scale:.2f} as in training"
    else:
        best = input.tile(sizes.scale_middle, size)
        about += (
            f", tiles are {scale:.2f}, pictures of training were {_range(sizes)}: a tile size of "
            f"{max(best)} sees objects as in training"
        )
    return plan._replace(sentence=f"{text}{about}.")


def _overlap(tile, options: TileOptions, input, sizes) -> int:
    if options.overlap is not None:
        return min(options.overlap, min(tile) // 2)
    least, most = (share * min(tile) for share in _SHARES)
    if input is None or sizes is None or not sizes.object_side:
        return round(_DEFAULT_SHARE * min(tile))
    side = _OBJECTS * sizes.object_side / sizes.scale_middle  # pixels of the picture
    return round(min(max(side, least), most))


def _shrunk(size, whole: float, sizes: TrainedSizes, options: TileOptions, tile) -> str:
    text = (
        f"{size[1]} x {size[0]} pixels are shrunk to {whole:.2f} of their size for the network; "
        f"pictures of training were {_range(sizes)}, so small objects will be missed"
    )
    if options.size == AUTO:
        text += ". As large objects fill pictures of training, tiles are made only if asked for"
    way = f"--tile {max(tile)}" if options.size == AUTO else f"--tile auto or --tile {max(tile)}"
    return f"{text} ({way})."


def _range(sizes: TrainedSizes) -> str:
    low, high = f"{sizes.scale_low:.2f}", f"{sizes.scale_high:.2f}"
    return low if low == high else f"{low} to {high}"
