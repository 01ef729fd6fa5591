"""Pictures as a video file."""

import contextlib
import logging
import os
import re
import subprocess
import tempfile
from typing import Optional

import numpy as np

from tfmaskrcnn.errors import InputError, one_line, quoted, short_path
from tfmaskrcnn.inference import ffmpeg
from tfmaskrcnn.support.files import writable_file
from tfmaskrcnn.support.given import A_PATH, takes

_LOG = logging.getLogger(__name__)
# Ending -> ffmpeg's name of the container; all of them with H.264, which every player shows.
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# x264's constant quality: 18 is said to be free of visible loss, each 6 more halve the file.
_QUALITY = 20


def check_video_path(path: str) -> str:
    """`path`, if a video can be written there.

    Raises:
        InputError: of another ending, a folder, or ffmpeg is missing.
    """
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in CONTAINERS:
        raise InputError(
            f"A video cannot be written as {quoted(os.fspath(path))}; wanted a name that ends in "
            f"{', '.join(CONTAINERS)}."
        )
    ffmpeg.program()
    return writable_file(path)


class VideoWriter:
    """Writes pictures as a silent video; a context manager.

    The file appears, in place of a former one, when the block ends: without an error, or by a
    Ctrl-C after at least one picture. H.264 wants even sides: an odd one gets its last row or
    column twice.

    Args:
        path: ends in .mp4, .m4v, .mov or .mkv.
        fps: pictures a second.
    """

    @takes(path=A_PATH)
    def __init__(self, path: str, fps: float):
        if not 0 < fps < 1e5:
            raise InputError(f"The frames a second of a video are {quoted(fps)}; wanted over 0.")
        self.path, self.fps = check_video_path(path), float(fps)
        self.count = 0  # pictures so far
        self._target = os.path.realpath(self.path)
        self._temporary = f"{self._target}.{os.getpid()}.tmp"
        _remove_leftovers(self._target)
        self._process: Optional[subprocess.Popen] = None
        self._said = None  # a file of what ffmpeg says
        self._size = (0, 0)
        self._slots = 0  # pictures in the file, with those that are held
        self._last: Optional[np.ndarray] = None

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if self._process is None:
                if kind is None:
                    _LOG.warning("No picture for the video %s; it is not written.", self.path)
            elif kind is None or issubclass(kind, KeyboardInterrupt):
                self._finish()
        finally:
            self._stop()

    def add(self, picture: np.ndarray, seconds: Optional[float] = None) -> None:
        """Append a picture.

        Args:
            picture: [H, W, 3] uint8, RGB; all of one size.
            seconds: when it is shown, since the start; the one before it is held so long, to the
                nearest 1 / fps. None: 1 / fps after the one before.

        Raises:
            InputError: it is of another size than the first, or cannot be written.
        """
        if self._process is None:
            self._size = picture.shape[:2]
            self._start()
        if picture.shape != (*self._size, 3) or picture.dtype != np.uint8:
            raise InputError(
                f"A picture of the video {short_path(self.path)} is {picture.dtype} "
                f"{quoted(picture.shape)}; wanted uint8 {quoted((*self._size, 3))} as the first."
            )
        held = 0 if seconds is None else round(seconds * self.fps) - self._slots
        for _ in range(held if self._last is not None else 0):
            self._write(self._last)
        odd = [(0, side % 2) for side in self._size]
        self._last = np.ascontiguousarray(np.pad(picture, [*odd, (0, 0)], mode="edge"))
        self._write(self._last)
        self.count += 1

    def _start(self) -> None:
        height, width = (side + side % 2 for side in self._size)
        container = CONTAINERS[os.path.splitext(self.path)[1].lower()]
        given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        given += ["-r", f"{self.fps:.6f}", "-i", "pipe:0"]
        coded = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(_QUALITY)]
        # 8 bits and half the colour samples, or many players stay black; an index at the front.
        coded += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", container]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [ffmpeg.program(), "-y", "-loglevel", "error", *given, *coded]
            + [f"file:{self._temporary}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,  # a Ctrl-C must not end it before the file is whole
        )

    def _write(self, picture: np.ndarray) -> None:
        self._slots += 1
        try:
            self._process.stdin.write(picture.data)
        except OSError:  # it is gone, and has said why
            self._process.wait()
            raise self._failed() from None

    def _finish(self) -> None:
        try:
            self._process.stdin.close()
        except OSError:
            self._process.wait()
            raise self._failed() from None
        if self._process.wait():
            raise self._failed()
        os.replace(self._temporary, self._target)

    def _failed(self) -> InputError:
        self._said.seek(0)
        said = one_line(self._said.read(2000).decode("utf-8", "replace"))
        return InputError(
            f"Cannot write {short_path(self.path)}: {said or self._process.returncode}."
        )

    def _stop(self) -> None:
        """Leave no process and no unfinished file behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._said is not None:
            self._said.close()
        if os.path.exists(self._temporary):
            os.remove(self._temporary)


def _remove_leftovers(target: str) -> None:
    """What killed processes left of this very file."""
    folder, name = os.path.split(target)
    for other in os.listdir(folder):
        if re.fullmatch(re.escape(name) + r"\.\d+\.tmp", other):
            with contextlib.suppress(OSError):
                os.remove(os.path.join(folder, other))
