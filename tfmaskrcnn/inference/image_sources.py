"""What a prediction is made on: files, folders, patterns, lists, addresses, videos, arrays."""

import itertools
import os
import sys
from typing import (
    Any,
    Dict,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    TextIO,
    Tuple,
    Union,
)

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import ImageBytes, pillow_pixels, read_image
from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.inference.clips import ClipFrame, clip_frames
from tfmaskrcnn.inference.file_stems import FileStems
from tfmaskrcnn.inference.image_paths import folder_of, paths_of, why_nothing
from tfmaskrcnn.inference.video import is_video
from tfmaskrcnn.inference.web_images import fetched, is_address, name_of
from tfmaskrcnn.support.given import A_PATH, PATHS, one_of, takes

STDIN = "-"


class Picture(NamedTuple):
    """One image to predict on, and how it is called."""

    index: int  # from 0, in the whole list
    image_id: int
    name: str  # as given: a path, an address; in `results.json`
    file_name: str  # as data sets name it, "/" between folders
    stem: str  # of the files that are written for it
    source: Any  # a path, an address, [H, W, C] uint8, a PIL image, or a `ClipFrame`

    @property
    def frame(self) -> Optional[ClipFrame]:
        """Of a video; None of other pictures."""
        return self.source if isinstance(self.source, ClipFrame) else None

    @property
    def path(self) -> Optional[str]:
        """Of its file; None of an address, an array, a PIL image or a frame."""
        is_path = isinstance(self.source, str) and not is_address(self.source)
        return self.source if is_path else None

    def content(self) -> Union[str, ImageBytes, Any]:
        """What is read: a path, the bytes behind an address, or the array or PIL image itself.

        Raises:
            InputError: an address cannot be fetched, or a frame read; `NoFrame` where a video has
                ended.
        """
        if self.frame:
            return Image.fromarray(self.frame.image())
        if not isinstance(self.source, str) or not is_address(self.source):
            return self.source
        if is_video(name_of(self.source)):
            raise InputError(f"{short_path(self.name)} is a video; download it before.")
        return fetched(self.source)

    def pixels(self, channels: int = 3, exif: str = "apply") -> np.ndarray:
        """[H, W, C] uint8, see `read_image`; raises its `InputError`."""
        content = self.content()
        if isinstance(content, (str, ImageBytes)):
            return read_image(content, None, channels, exif)
        if not isinstance(content, np.ndarray):
            return pillow_pixels(content, self.name, channels, exif)
        grey = content[..., None] if content.ndim == 2 else content
        grey = np.repeat(grey, 3, axis=-1) if content.ndim == 2 and channels == 3 else grey
        good = grey.ndim == 3 and grey.shape[2] == channels and grey.dtype == np.uint8
        if not good or 0 in grey.shape:
            raise InputError(
                f"{self.name} must be a uint8 array [height, width, {channels}], "
                f"found {content.dtype} {quoted(content.shape)}."
            )
        return grey


def list_pictures(
    inputs: Iterable[Any],
    recursive: bool = False,
    ids_from: Optional[str] = None,
    stdin: Optional[TextIO] = None,
    every: int = 1,
    without: Optional[str] = None,
) -> List[Picture]:
    """Every image that `inputs` stand for, once, in order.

    Args:
        inputs: image and video files, folders of images, glob patterns, http(s) addresses, "-" (a
            list of these, a line each, from `stdin`), uint8 arrays [H, W, C] and PIL images.
        recursive: folders within folders too, sorted by path; files that are written for them keep
            the folders.
        ids_from: a COCO JSON, from which image ids and file names are taken.
        stdin: what "-" reads; None takes the process's own.
        every: N takes every N-th frame of videos. Each frame is a picture "clip.mp4#000012" (from
            0), and so is the end of a video, which has no pixels and no image id.
        without: a folder that is not recursed into, nor searched by a pattern from outside: the
            outputs of a time before. Nor are folders beside it that hold a prediction.

    Raises:
        InputError: an input stands for nothing, or an image has no id in `ids_from`.
    """
    listed = _listed(inputs, stdin)
    sources, folders = _sources(listed, recursive, without)
    names, arrays = [], 0
    for source in sources:
        arrays += not isinstance(source, str)
        names.append(source if isinstance(source, str) else f"image_{arrays}")
    file_names = _file_names(sources, names, common_folder(given for given, _ in listed))
    stems = [_stem(source, name, root) for source, name, root in zip(sources, names, folders)]
    sources, names, file_names, stems = _with_frames(sources, names, file_names, stems, every)
    shown = [i for i, s in enumerate(sources) if not isinstance(s, ClipFrame) or not s.is_end]
    ids = dict(zip(shown, itertools.count(1)))
    if ids_from is not None:
        from tfmaskrcnn.inference.known_ids import known_images  # it needs pycocotools

        rows = known_images(ids_from, [names[i] for i in shown], [file_names[i] for i in shown])
        for i, image_id, file_name in zip(shown, *rows):
            ids[i], file_names[i] = image_id, file_name
    ids = [ids.get(i, 0) for i in range(len(sources))]
    own = FileStems()
    rows = zip(ids, names, file_names, map(own.of, stems), sources)
    return [Picture(i, *row) for i, row in enumerate(rows)]


@takes(inputs=one_of(PATHS, A_PATH))
def find_images(inputs: Sequence[str], recursive: bool = False) -> List[str]:
    """The image files that files, folders and glob patterns stand for, each once, sorted within.

    Raises:
        InputError: one of them stands for nothing.
    """
    return _sources([(os.fspath(text), False) for text in inputs], recursive)[0]


def _listed(inputs: Iterable[Any], stdin: Optional[TextIO]) -> List[Tuple[Any, bool]]:
    """Inputs, and whether each may be missing: what a list names and is not there is told later."""
    listed = []
    for given in inputs:
        given = os.fspath(given) if isinstance(given, os.PathLike) else given
        if not isinstance(given, str) or given != STDIN:
            listed.append((given, False))
            continue
        text = os.fsdecode(_bytes_of_stdin()) if stdin is None else stdin.read()
        lines = [line for line in _lines(text) if line.strip()]
        if not lines:
            raise InputError("The list on stdin is empty; wanted an image a line.")
        listed += [(line, True) for line in lines]
    return listed


def _lines(text: str) -> List[str]:
    """The names in a list; programs on Windows begin it with a mark, and end lines by two."""
    text = text[1:] if text.startswith("\ufeff") else text
    if "\0" in text:  # of `find -print0`, for names that have line ends
        return text.split("\0")
    # Not `splitlines`: names may have what it takes for ends of lines.
    return [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]


def _bytes_of_stdin() -> bytes:
    # Names of files may be in no encoding.
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read().encode() if buffer is None else buffer.read()


def _sources(
    listed: Sequence[Tuple[Any, bool]], recursive: bool, without: Optional[str] = None
) -> Tuple[List[Any], List[str]]:
    """Paths, addresses and arrays, each path once; and of each the folder it was found below.

    The folder is "" unless it is recursed into.
    """
    found: Dict[Any, Tuple[Any, str]] = {}
    for given, may_be_missing in listed:
        if not isinstance(given, str) or is_address(given):
            key = given if isinstance(given, str) else ("array", len(found))
            found.setdefault(key, (given, ""))
            continue
        paths, root = paths_of(given, recursive, without)
        if not paths and may_be_missing and not os.path.isdir(given):
            paths = [given]
        if not paths:
            raise InputError(why_nothing(given))
        for path in paths:
            found.setdefault(os.path.abspath(path), (path, root))
    return [source for source, _ in found.values()], [root for _, root in found.values()]


def _file_names(sources: Sequence[Any], names: Sequence[str], common: str) -> List[str]:
    """Paths from the folder `common`; of what is no file, a name to go by."""
    found: List[str] = []
    counts: Dict[str, int] = {}
    taken: Set[str] = set()
    for source, name in zip(sources, names):
        if not isinstance(source, str):
            name = f"{name}.png"
        elif is_address(source):
            name = name_of(source)
        else:
            name = os.path.relpath(os.path.abspath(source), common).replace(os.sep, "/")
        number = counts[name] = counts.get(name, 0) + 1
        own = name if number == 1 else f"{number}_{name}"  # of addresses many may end alike
        while own in taken:
            number += 1
            own = f"{number}_{name}"
        taken.add(own)
        found.append(own)
    return found


def _with_frames(sources, names, file_names, stems, every: int) -> Tuple[List, List, List, List]:
    """The same lists, with the frames of each video and its end in place of its path."""
    rows = []
    for row in zip(sources, names, file_names, stems):
        source, name, file_name, stem = row
        if not isinstance(source, str) or is_address(source) or not is_video(source):
            rows.append(row)
            continue
        frames = clip_frames(source, every)
        rows += [(f, name + of_name, file_name + of_name, stem + end) for f, of_name, end in frames]
    return tuple(map(list, zip(*rows))) if rows else ([], [], [], [])


def common_folder(inputs: Iterable[Any]) -> str:
    """The deepest folder that all `inputs` lie in, or are; "" if there are no paths among them."""
    paths = [given for given in inputs if isinstance(given, str) and not is_address(given)]
    folders = {os.path.abspath(folder_of(path)) for path in paths}
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:  # several drives of Windows
        return os.path.abspath(os.sep)


def _stem(source: Any, name: str, root: str) -> str:
    """The picture's name without its ending; below a folder that is recursed into with folders."""
    if not isinstance(source, str):
        return name
    if is_address(source):
        return os.path.splitext(name_of(source))[0]
    inner = os.path.relpath(source, root) if root else os.path.basename(source)
    return os.path.splitext(inner)[0].replace(os.sep, "/")
