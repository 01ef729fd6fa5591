"""Pictures that are read and looked at; what goes wrong with one does not stop the others."""

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.drawing.drawing_style import DrawingStyle, picture_size
from tfmaskrcnn.drawing.fitted_sizes import first_channels, fitted_by_strips
from tfmaskrcnn.errors import InputError, one_line, short_path
from tfmaskrcnn.inference.clips import NoFrame
from tfmaskrcnn.inference.image_sources import Picture
from tfmaskrcnn.inference.image_windows import ArrayWindows, ImageWindows, open_windows
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.inference.tiling.tiled_prediction import PicturePredictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.limits import MAX_PIXELS
from tfmaskrcnn.support.progress_bar import Progress

# What a picture may make of a model besides InputError: no memory for it.
_NO_MEMORY = ("MemoryError", "ResourceExhaustedError", "_ArrayMemoryError")


class Pixels:
    """A picture's pixels, of which no more is made than is asked for."""

    def __init__(self, windows: ImageWindows):
        self.windows = windows
        self._whole: Optional[np.ndarray] = None

    @property
    def size(self) -> Tuple[int, int]:
        """(height, width)."""
        return self.windows.size

    def whole(self) -> np.ndarray:
        """[H, W, C] uint8; it is kept."""
        if self._whole is None:
            self._whole = self.windows.whole()
        return self._whole

    @property
    def parts(self) -> Union[np.ndarray, ImageWindows]:
        """[H, W, C] uint8 to be sliced, `parts[top:bottom, left:right]`; it is not kept."""
        return self.windows if self._whole is None else self._whole

    def fitted(self, style: DrawingStyle) -> np.ndarray:
        """[h, w, 3] or [h, w] uint8 of the size that a picture of this style has."""
        wanted = picture_size(self.size, style)
        if wanted == self.size or self._whole is not None:
            return first_channels(self.whole())
        return fitted_by_strips(self.windows.read, self.size, wanted)


class Look(NamedTuple):
    """What has become of one picture; nothing at all of the frame behind a video's last."""

    picture: Picture
    pixels: Optional[Pixels] = None
    found: Optional[Instances] = None
    failure: Optional[str] = None  # a sentence, if nothing is known


class Looker:
    """Looks at pictures by a model, whole or in tiles."""

    def __init__(self, source: Source, tiles: TileOptions, progress: Optional[Progress] = None):
        """Take a model; `progress` is told of the tiles done of a picture."""
        self._source = source
        self._predictor = PicturePredictor(source, tiles, progress)

    def look(self, pictures: Sequence[Picture]) -> Iterator[Look]:
        """What is found in each of a few pictures, which go through the network together.

        Those that are seen in tiles, or made smaller, go by themselves.
        """
        looks = [self._opened(picture) for picture in pictures]
        whole = [look for look in looks if look.pixels and self._is_usual(look.pixels)]
        found = iter(self._together(whole))
        for look in looks:
            if look.pixels is None:
                yield look
            elif self._is_usual(look.pixels):
                yield next(found)
            else:
                self._predictor.tell(look.pixels.size, short_path(look.picture.name, 120))
                yield self._alone(look)

    def pixels(self, picture: Picture) -> Pixels:
        """Its pixels, to be read.

        Raises:
            InputError: they cannot be.
        """
        reading = self._source.channels, self._source.exif
        if picture.path is not None:
            return Pixels(open_windows(picture.path, *reading))
        return Pixels(ArrayWindows(picture.pixels(*reading)))

    def _is_usual(self, pixels: Pixels) -> bool:
        height, width = pixels.size
        return height * width <= MAX_PIXELS and not self._predictor.in_tiles(pixels.size)

    def _opened(self, picture: Picture) -> Look:
        try:
            pixels = self.pixels(picture)
            if self._is_usual(pixels):
                pixels.whole()  # damage is found here
        except NoFrame:  # a video has ended
            return Look(picture)
        except (InputError, MemoryError) as error:
            return Look(picture, failure=reason(picture, error))
        return Look(picture, pixels)

    def _together(self, looks: List[Look]) -> List[Look]:
        if not looks:
            return []
        for look in looks:
            self._predictor.tell(look.pixels.size, short_path(look.picture.name, 120))
        found = self._tried(looks)
        if isinstance(found, str):  # of which of them?
            return [look for one in looks for look in self._one(one)]
        return [look._replace(found=instances) for look, instances in zip(looks, found)]

    def _one(self, look: Look) -> List[Look]:
        found = self._tried([look])
        failed = isinstance(found, str)
        return [look._replace(failure=found) if failed else look._replace(found=found[0])]

    def _tried(self, looks: List[Look]) -> Union[List[Instances], str]:
        """What is found, or a sentence on why nothing is."""
        try:
            return list(self._source.predict([look.pixels.whole() for look in looks]))
        except Exception as error:
            return _told(looks[0].picture, error)

    def _alone(self, look: Look) -> Look:
        try:
            return look._replace(found=self._predictor(look.pixels.windows))
        except Exception as error:
            return look._replace(failure=_told(look.picture, error))


def reason(picture: Picture, error: Exception) -> str:
    """A sentence that names the picture."""
    name = short_path(picture.name, 120)
    if isinstance(error, OSError):
        return f"{name}: {one_line(error)}."
    if not isinstance(error, InputError):
        return f"There is not enough memory for {name} ({one_line(error, 80) or 'MemoryError'})."
    return str(error) if name in str(error) else f"{name}: {error}"


def _told(picture: Picture, error: Exception) -> str:
    if not isinstance(error, InputError) and type(error).__name__ not in _NO_MEMORY:
        raise error
    return reason(picture, error)
