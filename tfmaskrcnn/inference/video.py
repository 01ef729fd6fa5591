"""Video files: their frames as images, and pictures as a video file."""

import contextlib
import functools
import logging
import os
import re
import subprocess
from typing import Iterator, List, Optional, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.inference import ffmpeg
from tfmaskrcnn.support.files import open_regular
from tfmaskrcnn.support.given import A_PATH, takes

_LOG = logging.getLogger(__name__)
VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".mxf"),
)
# Frames a second where a file says nothing of it.
_DEFAULT_FPS = 25.0
# A video that ends more than this before the time that it says of itself lacks frames.
_MISSING_SECONDS = 0.5


class Frame(tuple):
    """(frame_index, seconds, image): `image` is [H, W, 3] uint8, RGB."""

    __slots__ = ()


def is_video(path: str) -> bool:
    """Whether a path ends as video files do."""
    return os.fspath(path).lower().endswith(VIDEO_ENDINGS)


def frame_name(file_name: str, frame_index: int) -> str:
    """How results call a frame: "clip.mp4#000012"."""
    return f"{file_name}#{frame_index:06d}"


def frame_of(name: str) -> Tuple[str, Optional[int]]:
    """The inverse of `frame_name`: ("clip.mp4", 12); the index is None for other names."""
    match = re.fullmatch(r"(.+)#(\d{6,})", name, re.DOTALL)
    if not match or not is_video(match.group(1)):
        return name, None
    return match.group(1), int(match.group(2))


class VideoFrames:
    """The frames of a video file, each stored frame once, with its time.

    Frames are turned as the file asks (a phone's), and come in the order in which they are shown.
    Where frames follow each other in varying time, none is repeated or left out. Iterating gives
    `Frame`s (frame_index, seconds, image); frame_index counts all frames of the file from 0,
    whatever `every` is.

    Args:
        path: a file that ffmpeg reads.
        every: N takes the frames 0, N, 2N ...
        start: no frame_index before it is given; those frames are decoded and passed over.

    Raises:
        InputError: there is no such file, no picture in it, or no ffmpeg. While iterating, after
            the last frame that could be read: the rest of the file is damaged.
    """

    @takes(path=A_PATH)
    def __init__(self, path: str, every: int = 1, start: int = 0):
        if every < 1 or start < 0:
            raise InputError(
                f"every is {quoted(every)} and start {quoted(start)}; wanted every of 1 or more, "
                "and start of 0 or more."
            )
        self.path, self.every, self.start = os.fspath(path), every, start
        self._name = short_path(self.path)
        try:
            with open_regular(self.path) as file:
                if not file.read(1):
                    raise InputError(f"{self._name} is empty (0 bytes); wanted a video.")
        except OSError as error:
            raise InputError(f"Cannot read {self._name}: {error.strerror}.") from None
        except ValueError as error:  # a NUL, or `InputError`
            if isinstance(error, InputError):
                raise
            raise InputError(f"Cannot read {quoted(self.path)}: {error}.") from None
        arguments = [*self._input(), "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-"]
        with ffmpeg.running(arguments, subprocess.DEVNULL) as (_, heard):
            heard.join()
        if heard.size is None:
            raise self._unreadable(heard.faults)
        self.size = heard.size  # (height, width) as seen
        self.fps = heard.fps or _DEFAULT_FPS  # mean, frames a second of the file
        self._duration = heard.duration

    @functools.cached_property
    def count(self) -> int:
        """Frames that iterating from frame 0 gives, found without decoding them.

        For a bar on the terminal: a damaged file gives fewer.
        """
        arguments = [*self._input(), "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"]
        with ffmpeg.running(arguments) as (process, _):
            numbers = re.findall(rb"^frame= *(\d+)", process.stdout.read(), re.MULTILINE)
        frames = int(numbers[-1]) if numbers else 1
        return -(-max(frames, 1) // self.every)

    def __iter__(self) -> Iterator[Frame]:
        return self.from_frame(self.start)

    def from_frame(self, start: int) -> Iterator[Frame]:
        """As iterating, but with another `start`."""
        index, seconds = 0, 0.0
        with contextlib.closing(ffmpeg.Times()) as times:
            # One thread: how several mend damaged frames together is left to chance.
            arguments = ["-threads", "1", *self._input(), "-vf", times.filters]
            arguments += [*ffmpeg.each_frame_once(), "-pix_fmt", "rgb24", "-f", "rawvideo"]
            running = ffmpeg.running([*arguments, "pipe:1"], inherited=times.inherited)
            with running as (process, heard):
                times.started()
                image = np.empty((*self.size, 3), np.uint8)
                # All frames pass: filters that choose some count anew where the size changes.
                while _filled(image, process.stdout):
                    told_seconds = times.next()
                    seconds = index / self.fps if told_seconds is None else told_seconds
                    if index >= start and index % self.every == 0:
                        yield Frame((index, seconds, image))
                        image = np.empty((*self.size, 3), np.uint8)
                    index += 1
                process.stdout.close()  # it must not wait for a reader
                heard.join()
                process.wait()
        self._check_end(index, seconds, process.returncode, heard)

    def _input(self) -> List[str]:
        # "file:", so that no name is taken for an option or an address; only files, because a
        # playlist in the guise of a video would make ffmpeg open addresses.
        place = f"file:{self.path}"
        return ["-protocol_whitelist", "file", "-i", place, "-map", "0:v:0", "-an", "-sn", "-dn"]

    def _unreadable(self, faults: List[str]) -> InputError:
        faults = [fault for fault in faults if fault] or ["it holds no frame"]
        if any("matches no streams" in fault for fault in faults):
            return InputError(f"{self._name} holds no video.")
        return InputError(f"{self._name} cannot be read as a video: {faults[0]}.")

    def _check_end(self, frames: int, seconds: float, status: int, heard: ffmpeg.Heard) -> None:
        """Say what was wrong with the file, once all its readable frames are given."""
        end = seconds + 1 / self.fps
        if heard.new_size:
            text = (
                "Within %s the frames change to %d x %d pixels; they were made %d x %d as before."
            )
            _LOG.warning(text, self._name, *heard.new_size[::-1], *self.size[::-1])
        short = self._duration is not None and self._duration - end > _MISSING_SECONDS
        if status or not frames or (heard.faults and short):
            of = f" of {self._duration:.1f}" if self._duration else ""
            why = heard.faults[0] if heard.faults else f"ffmpeg ends with {status}"
            first = "first frame" if frames == 1 else f"first {frames} frames"
            raise InputError(
                f"{self._name} is damaged: only the {first} could be read, "
                f"{end:.1f}{of} seconds ({why})."
            )
        if heard.faults:
            text = "%s is damaged in places, where frames may look wrong (%s)."
            _LOG.warning(text, self._name, heard.faults[0])


def _filled(image: np.ndarray, stream) -> bool:
    """Whether `stream` had enough bytes to fill `image`."""
    view, done = memoryview(image).cast("B"), 0
    while done < len(view):
        number = stream.readinto(view[done:])
        if not number:
            return False
        done += number
    return True
