"""Files of single objects, `<stem>/0012_nucleus.png`, and how objects give way to each other."""

import dataclasses
import os
import re
from typing import Iterator, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.results.image_result import ImageResult, stem_path
from tfmaskrcnn.support.files import writable_folder

_OWN = re.compile(r"\d{4,}_.*\.png")
_LONGEST = 40  # characters of a class in a name


def object_name(number: int, class_name: str) -> str:
    """A name of files and regions such as "0012_nucleus"; what names cannot hold is "-"."""
    label = "".join(c if (c.isalnum() and c <= "\uffff") or c in "_-" else "-" for c in class_name)
    return f"{number:04d}_{label[:_LONGEST]}"


def folder_of_objects(folder: str, result: ImageResult) -> str:
    """The folder `<stem>` below `folder`, without the files that an earlier prediction left there.

    It is not made where there is no object.
    """
    path = stem_path(folder, result.stem)
    for name in os.listdir(path) if os.path.isdir(path) else ():
        if _OWN.fullmatch(name):
            os.remove(os.path.join(path, name))
    return writable_folder(path) if len(result.found) else path


def with_masks(result: ImageResult, format_name: str) -> Instances:
    """What was found, where it has masks.

    Raises:
        InputError: there are boxes alone.
    """
    if len(result.found) and not result.found.has_masks:
        raise InputError(f"--save {format_name} wants masks; this model finds boxes alone.")
    return result.found


def without_overlaps(found: Instances) -> Iterator[Tuple[int, Window]]:
    """(number, mask) of each object, best score first; pixels of better ones are taken out.

    Takes a byte for each pixel of the image.
    """
    order = np.argsort(-found.scores, kind="stable")
    ordered = dataclasses.replace(found, ids=found.numbers)[order]
    taken = np.zeros(found.size, bool)
    for number, (top, left, bitmap) in zip(ordered.numbers.tolist(), ordered.windows()):
        there = taken[top : top + bitmap.shape[0], left : left + bitmap.shape[1]]
        own = bitmap & ~there
        there |= bitmap
        yield number, Window(top, left, own)
