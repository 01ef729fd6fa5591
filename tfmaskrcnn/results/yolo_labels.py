"""YOLO segmentation: a folder with `data.yaml`, labels and links to the images."""

import contextlib
import functools
import logging
import os
from typing import Iterable, Iterator

import numpy as np
import yaml

from tfmaskrcnn.results.image_result import ImageResult, ResultOptions, stem_path
from tfmaskrcnn.results.outlined import (
    Outlined,
    categories,
    highest_class,
    joined,
    outlined,
    shares,
)
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced, writable_file

_LOG = logging.getLogger(__name__)


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `yolo/data.yaml` and `yolo/labels/<stem>.txt`; `yolo/images` has links to the images.

    A line is the class, from 0, and the outline in shares of the image's sides; parts and holes are
    joined to it by lines to and fro, which enclose nothing. Where there is no mask, it is a box.

    `data.yaml` has no `path`: readers then start at its folder, but take "." for where they run.
    """
    data = set_path("yolo", folder)
    root = os.path.dirname(data)
    os.makedirs(os.path.join(root, "images"), exist_ok=True)
    missing, highest = "", 0
    for result in results:
        highest = max(highest, highest_class(result))
        lines = "".join(_lines(result, options))
        _put(_label_path(root, result.stem), lines)
        if not _linked(result, os.path.join(root, "images")):
            missing = missing or result.file_name
    names = dict(enumerate(name for _, name in categories(options, highest)))
    content = {"train": "images", "val": "images", "names": names}
    with replaced(data, "w") as file:
        yaml.safe_dump(content, file, allow_unicode=True, sort_keys=False)
    if missing:
        _tell_missing(root, missing)


@functools.lru_cache(maxsize=16)  # once, however often a set is written again
def _tell_missing(root: str, file_name: str) -> None:
    _LOG.warning(
        "%s/images has no link to %s, nor perhaps to others; put the images there under the "
        "names of their labels before training on them.",
        *(root, file_name),
    )


def _lines(result: ImageResult, options: ResultOptions) -> Iterator[str]:
    size = result.found.size
    for one in outlined(result, options):
        if one.polygons:
            numbers = shares(joined(one.polygons), size)
        else:
            numbers = _middle_and_sides(one) / (size[1], size[0])
        words = " ".join(f"{v:.6f}" for v in numbers.reshape(-1))
        yield f"{one.class_index - 1} {words}\n"


def _label_path(root: str, stem: str) -> str:
    """Where readers look: at the image's place, but the last folder called images is labels."""
    *folders, name = ("images", *stem.split("/"))
    last = max(i for i, folder in enumerate(folders) if folder == "images")
    folders[last] = "labels"
    return stem_path(root, "/".join([*folders, name]), ".txt")


def _middle_and_sides(one: Outlined) -> np.ndarray:
    """[2, 2] pixels: the middle of the box, its width and height."""
    x1, y1, x2, y2 = one.box
    return np.array([[(x1 + x2) / 2, (y1 + y2) / 2], [x2 - x1, y2 - y1]])


def _put(path: str, text: str) -> None:
    """Write `text` where it is not there already: a set is written again as it grows."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8", newline="") as file:
        if file.read(len(text) + 1) == text:
            return
    with replaced(writable_file(path), "w") as file:
        file.write(text)


def _linked(result: ImageResult, folder: str) -> bool:
    """Whether there is a link to the image, of the name that its labels have."""
    if result.path is None or not os.path.isfile(result.path):
        return False
    ending = os.path.splitext(result.path)[1]
    link = stem_path(folder, result.stem, ending)
    target = os.path.realpath(result.path)
    try:
        if os.path.lexists(link):
            return os.path.realpath(link) == target
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)
    except OSError:  # a file system without links
        return False
    return True
