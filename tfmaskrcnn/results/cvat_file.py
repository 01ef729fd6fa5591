"""CVAT: one XML "CVAT for images 1.1", to upload as annotations of a task."""

import shutil
import tempfile
from typing import Iterable, Iterator, TextIO
from xml.sax import saxutils

import numpy as np

from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.outlined import Outlined, categories, highest_class, outlined
from tfmaskrcnn.results.result_formats import set_path
from tfmaskrcnn.support.files import replaced

_IN_MEMORY = 1 << 24  # characters, before they go into a file
# Parts, the mask and the keypoints of one object have one group, its number; 0 is none.
_SHAPE = '    <{kind} label={label} source="auto" occluded="0" {place} z_order="0"{group}>\n'
_SCORE = '      <attribute name="score">{score}</attribute>\n    </{kind}>\n'


def write(results: Iterable[ImageResult], folder: str, options: ResultOptions) -> None:
    """Write `cvat.xml`: polygons; masks for objects with holes; boxes without a mask.

    CVAT finds the images of a task by `name`, and takes `score` over where the label has a number
    attribute of that name.
    """
    # Labels stand before the images, whose highest class is known behind them.
    with tempfile.SpooledTemporaryFile(
        _IN_MEMORY, "w+", encoding="utf-8", newline="", dir=folder
    ) as images:
        highest = _write_images(results, images, options)
        labels = "".join(
            f"        <label><name>{_text(name)}</name><attributes><attribute><name>score</name>"
            "<mutable>False</mutable><input_type>number</input_type><default_value>0"
            "</default_value><values>0;1;0.000001</values></attribute></attributes></label>\n"
            for _, name in categories(options, highest)
        )
        images.seek(0)
        with replaced(set_path("cvat", folder), "w") as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
            file.write("  <version>1.1</version>\n  <meta>\n    <task>\n      <labels>\n")
            file.write(f"{labels}      </labels>\n    </task>\n  </meta>\n")
            shutil.copyfileobj(images, file)
            file.write("</annotations>\n")


def _write_images(results: Iterable[ImageResult], file: TextIO, options: ResultOptions) -> int:
    """The part of the file that is about images; returns the highest class among their objects."""
    highest = 0
    for i, result in enumerate(results):
        highest = max(highest, highest_class(result))
        height, width = result.found.size
        name = _quoted(result.file_name)
        file.write(f'  <image id="{i}" name={name} width="{width}" height="{height}">\n')
        for one in outlined(result, options):
            file.writelines(_shapes(one))
        file.write("  </image>\n")
    return highest


def _shapes(one: Outlined) -> Iterator[str]:
    several = len(one.polygons) > 1 and not one.has_hole
    grouped = several or bool(one.keypoints)
    if one.window is None:
        corners = zip(("xtl", "ytl", "xbr", "ybr"), one.box)
        yield _shape(one, "box", " ".join(f'{key}="{v:.2f}"' for key, v in corners), grouped)
    elif one.has_hole:
        yield _shape(one, "mask", _mask(one.window), grouped)
    else:
        for part in one.polygons:
            yield _shape(one, "polygon", _points(part.outer), grouped)
    if one.keypoints:
        points = np.array([(x, y) for _, x, y in one.keypoints])
        yield _shape(one, "points", _points(points), grouped)


def _shape(one: Outlined, kind: str, place: str, grouped: bool) -> str:
    group = f' group_id="{one.number}"' if grouped else ""
    start = _SHAPE.format(kind=kind, label=_quoted(one.name), place=place, group=group)
    return start + _SCORE.format(score=one.score, kind=kind)


def _points(ring: np.ndarray) -> str:
    return 'points="' + ";".join(f"{x:.2f},{y:.2f}" for x, y in ring) + '"'


def _mask(window: Window) -> str:
    """Runs along the rows of a window, the first of them off."""
    values = window.bitmap.reshape(-1)
    ends = np.flatnonzero(np.diff(values, prepend=False))
    runs = np.diff(ends, prepend=0, append=len(values)).tolist()
    h, w = window.bitmap.shape
    place = f'left="{window.left}" top="{window.top}" width="{w}" height="{h}"'
    return f'rle="{", ".join(map(str, runs))}" {place}'


def _text(text: str) -> str:
    return saxutils.escape(_xml_text(text))


def _quoted(text: str) -> str:
    return saxutils.quoteattr(_xml_text(text))


def _xml_text(text: str) -> str:
    """Without what XML cannot hold: characters of control and halves of pairs are escaped."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c >= " " or c in "\t\n\r" else f"\\x{ord(c):02x}" for c in text)
