"""The program ffmpeg, which the package imageio-ffmpeg brings along: starting and hearing it."""

import atexit
import contextlib
import functools
import os
import re
import shutil
import subprocess
import threading
from typing import IO, Iterator, List, Optional, Sequence, Set, Tuple

from tfmaskrcnn.errors import InputError, one_line, short_path
from tfmaskrcnn.support.extras import needed

# "[h264 @ 0x55] [error] ...": with this level, each line says how bad it is.
LOG_LEVEL = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info")
# What the filter `showinfo` says of a frame, "n: 3 pts: 512 pts_time:0.04 ... s:161x121". It does
# so in pieces, and what other threads say between them loses its level: not to be used for long.
_FRAME = re.compile(r"\bn: *\d+ +pts: .*? s:(\d+)x(\d+)")
# "Reconfiguring filter graph because video parameters changed to yuv420p(tv), 320x200".
_CHANGE = re.compile(r"parameters changed to .*?\b(\d+)x(\d+)")
_FAULT = re.compile(r"\[(?:error|fatal|panic)\] (.*)")
# Of times that begin anew within a file; raw frames have none.
_HARMLESS = "non monotonically increasing dts to muxer"
_DURATION = re.compile(r"Duration: (\d+):(\d+):([\d.]+)")
_RATE = re.compile(r"Video: .*?([\d.]+)(k?) (?:fps|tbr)")
_KEPT_FAULTS = 20  # of thousands that a damaged file may cause


def program() -> str:
    """The path of ffmpeg.

    Raises:
        InputError: the package that brings it is missing, or is there without it.
    """
    imageio_ffmpeg = needed("imageio_ffmpeg", "imageio-ffmpeg", "Video files need", "video")
    try:
        path = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:  # wheels without the program, for rare machines
        raise InputError(f"imageio-ffmpeg has no ffmpeg here: {one_line(error)}") from None
    if shutil.which(path) is None:  # of the environment variable that imageio-ffmpeg reads
        raise InputError(f"IMAGEIO_FFMPEG_EXE is {short_path(path)}, which is no program.")
    return path


@functools.lru_cache
def each_frame_once() -> Tuple[str, str]:
    """The option by which ffmpeg repeats and drops no frame to keep a constant rate."""
    import imageio_ffmpeg

    match = re.match(r"\D{0,2}(\d+)\.(\d+)", imageio_ffmpeg.get_ffmpeg_version())
    old = match and (int(match.group(1)), int(match.group(2))) < (5, 1)
    return ("-vsync", "0") if old else ("-fps_mode", "passthrough")


class Heard(threading.Thread):
    """Reads all that ffmpeg says, so that it never waits for a reader; keeps what matters."""

    def __init__(self, stream: IO[bytes]):
        super().__init__(daemon=True)
        # (height, width) of the first frame, turned as the file asks; where `showinfo` tells.
        self.size: Optional[Tuple[int, int]] = None
        self.new_size: Optional[Tuple[int, int]] = None  # stored, after the first change of it
        self.faults: List[str] = []  # the first few errors, as ffmpeg puts them
        self.duration: Optional[float] = None  # seconds, as the file says
        self.fps: Optional[float] = None  # mean, frames a second
        self._stream = stream
        self.start()

    def run(self) -> None:
        """Until ffmpeg ends."""
        with contextlib.suppress(ValueError, OSError):  # closed
            for line in self._stream:
                self._hear(line.decode("utf-8", "replace").strip())

    def _hear(self, line: str) -> None:
        self.size = self.size or _size(_FRAME.search(line))
        self.new_size = self.new_size or _size(_CHANGE.search(line))
        fault = _FAULT.search(line)
        if fault and _HARMLESS not in line and len(self.faults) < _KEPT_FAULTS:
            self.faults.append(one_line(fault.group(1)).rstrip(". "))
        duration, rate = _DURATION.search(line), _RATE.search(line)
        if duration and self.duration is None:
            hours, minutes, seconds = (float(number) for number in duration.groups())
            self.duration = 3600 * hours + 60 * minutes + seconds
        if rate and self.fps is None:  # the first is the input's
            self.fps = float(rate.group(1)) * (1000 if rate.group(2) else 1)


class Times:
    """When each frame is shown, told by ffmpeg through a pipe beside that of the frames.

    Not on Windows, where no process can be given one.
    """

    def __init__(self):
        self._read, self._write = os.pipe() if os.name == "posix" else (None, None)
        self._lines = None if self._read is None else os.fdopen(self._read, "rb")
        self.inherited = () if self._write is None else (self._write,)

    @property
    def filters(self) -> str:
        """By which the frames have to go, to be told of."""
        if self._write is None:
            return "null"
        # A frame's metadata are printed with its time; of those that are chosen by name.
        printed = f"mode=print:key=told:file='pipe\\:{self._write}':direct=1"
        return f"metadata=mode=add:key=told:value=1,metadata={printed}"

    def started(self) -> None:
        """To be called when ffmpeg runs."""
        if self._write is not None:
            os.close(self._write)  # its end is then the end of the pipe
            self._write = None

    def next(self) -> Optional[float]:
        """Seconds of the next frame, which was read; None where they are not known."""
        while self._lines is not None:
            line = self._lines.readline()
            match = re.match(rb"frame:.*? pts_time:(\S+)", line)
            if match or not line:
                number = match.group(1) if match else b""
                return float(number) if re.fullmatch(rb"-?\d+(\.\d+)?", number) else None
        return None

    def close(self) -> None:
        """When ffmpeg is gone."""
        self.started()
        if self._lines is not None:
            self._lines.close()


def _size(match) -> Optional[Tuple[int, int]]:
    return (int(match.group(2)), int(match.group(1))) if match else None


# Of those at work: who never reads a video to its end leaves them, and then at the very end of
# Python threads stand still for ever, with whoever waits for them.
_AT_WORK: Set[Tuple[subprocess.Popen, Heard]] = set()


@atexit.register
def _end_all() -> None:
    for process, heard in list(_AT_WORK):
        process.kill()
        process.wait()
        heard.join()


@contextlib.contextmanager
def running(arguments: Sequence[str], stdout=subprocess.PIPE, inherited=()) -> Iterator[Tuple]:
    """(process, `Heard`) of an ffmpeg at work, which is gone when the block ends, however that is.

    A Ctrl-C at the terminal does not reach it: this program decides what becomes of its output.
    """
    process = subprocess.Popen(
        [program(), *LOG_LEVEL, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        pass_fds=inherited,
        start_new_session=True,
    )
    heard = Heard(process.stderr)
    _AT_WORK.add((process, heard))
    try:
        yield process, heard
    finally:
        _AT_WORK.discard((process, heard))
        if process.poll() is None:
            process.kill()
        process.wait()
        heard.join()
        process.stderr.close()
        if process.stdout:
            process.stdout.close()
