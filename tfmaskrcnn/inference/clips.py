"""Videos among the pictures of a prediction: each frame is a picture."""

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.video import Frame, VideoFrames, frame_name


class NoFrame(InputError):
    """A video has ended before this frame; what was wrong, if anything, is told of its end."""


class Clip:
    """A video file whose frames are asked for one by one, at best in their order.

    Args:
        path: of the file.
        every: of `VideoFrames`.
    """

    def __init__(self, path: str, every: int = 1):
        self.path, self.every = path, every
        self.fault: Optional[InputError] = None  # what is wrong with the file, once it is known
        self.count = 0  # frames that it should have
        self.fps = 0.0  # frames a second of those that are taken
        self._seconds: Dict[int, float] = {}
        self._frames: Optional[Iterator[Frame]] = None
        self._last: Optional[Frame] = None
        self._asked = 0  # the frame that was first asked for
        self._end: Optional[int] = None  # no frame has this index or more
        try:
            self._video = VideoFrames(path, every)
            self.count, self.fps = self._video.count, self._video.fps / every
        except InputError as error:
            self.fault = error

    def image(self, index: int) -> np.ndarray:
        """[H, W, 3] uint8 of the frame `index`, a multiple of `every`.

        Raises:
            NoFrame: the video ends before.
        """
        if self._last is not None and self._last[0] == index:
            return self._last[2]
        if self._end is None or index < self._end:
            if self._frames is None or (self._last is not None and self._last[0] > index):
                self._start(index)
            while self._advance():
                if self._last[0] == index:
                    return self._last[2]
        raise NoFrame(f"{self.path} ends before frame {index}.")

    def seconds(self, index: int) -> float:
        """When a frame that was read is shown, since the start."""
        return self._seconds[index]

    def check_end(self) -> None:
        """Read to the end.

        Raises:
            InputError: what is wrong with the file.
            NoFrame: nothing is.
        """
        if self.fault is None and self._end is None:
            if self._frames is None:
                self._start(self.count * self.every)
            while self._advance():
                pass
        self._last = None
        if self.fault is not None:
            raise self.fault
        if self._end > self.count * self.every:
            raise InputError(
                f"{self.path} holds more than the {self.count} frames that it says; the others "
                "are left out."
            )
        raise NoFrame(f"{self.path} ends.")

    def _start(self, index: int) -> None:
        self._frames, self._last, self._asked = self._video.from_frame(index), None, index

    def _advance(self) -> bool:
        """Whether there is a next frame, which then is `_last`."""
        try:
            self._last = next(self._frames)
        except StopIteration:
            pass
        except InputError as error:
            self.fault = error
        else:
            self._seconds[self._last[0]] = self._last[1]
            return True
        self._end = self._asked if self._last is None else self._last[0] + 1
        self._frames = None
        return False


class ClipFrame(NamedTuple):
    """A frame of a video, as the source of a `Picture`; of index None stands for its end."""

    clip: Clip
    index: Optional[int]

    @property
    def is_end(self) -> bool:
        """Whether there is no picture in it: reading it tells whether the video was whole."""
        return self.index is None

    @property
    def seconds(self) -> float:
        """Since the start of the video; of a frame that was read."""
        return self.clip.seconds(self.index)

    def image(self) -> np.ndarray:
        """[H, W, 3] uint8; raises what `Clip.image` and `Clip.check_end` raise."""
        return self.clip.check_end() if self.is_end else self.clip.image(self.index)


def clip_frames(path: str, every: int) -> List[Tuple[ClipFrame, str, str]]:
    """The frames of a video and its end, each with what follows the path and the stem in its name.

    A file that cannot be read has an end alone.
    """
    clip = Clip(path, every)
    indices = range(0, clip.count * every, every)
    frames = [(ClipFrame(clip, i), frame_name("", i), f"_{i:06d}") for i in indices]
    return [*frames, (ClipFrame(clip, None), "", "_end")]
