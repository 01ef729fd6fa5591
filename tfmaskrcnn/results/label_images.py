"""`labels/`: an image of the objects' numbers for each image."""

import functools
import logging
import os

import numpy as np
from PIL import Image

from tfmaskrcnn.results.image_result import ImageResult, ResultOptions, stem_path
from tfmaskrcnn.results.object_files import with_masks, without_overlaps
from tfmaskrcnn.support.files import replaced, writable_folder

_LOG = logging.getLogger(__name__)
_ENDINGS = {"png": (".png", "PNG", {}), "tiff": (".tif", "TIFF", {"compression": "tiff_deflate"})}
_MOST_16_BIT = 65535


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>.png`, or `<stem>.tif` where `options.label_format` is "tiff".

    A pixel is the number of its object, of the best score where several cover it, or 0. 16 bits;
    32 bits (signed) where a number is above 65,535, for which there is no PNG: it is a TIFF then.

    Raises:
        InputError: there are boxes alone.
    """
    found = with_masks(result, "labels")
    wide = int(found.numbers.max(initial=0)) > _MOST_16_BIT
    labels = np.zeros(found.size, np.int32 if wide else np.uint16)
    for number, (top, left, bitmap) in without_overlaps(found):
        labels[top : top + bitmap.shape[0], left : left + bitmap.shape[1]][bitmap] = number
    if wide and options.label_format == "png":
        _tell_wide(folder)
    kind = "tiff" if wide else options.label_format
    path = stem_path(folder, result.stem)
    writable_folder(os.path.dirname(path) or ".")
    for name, (ending, pillow_format, pillow_options) in _ENDINGS.items():
        if name == kind:
            with replaced(path + ending) as file:
                Image.fromarray(labels).save(file, pillow_format, **pillow_options)
        elif os.path.isfile(path + ending):  # of an earlier prediction
            os.remove(path + ending)


@functools.lru_cache(maxsize=16)  # once for a folder: a long video has thousands of such frames
def _tell_wide(folder: str) -> None:
    text = "Object numbers above %d, which no PNG holds: label images with them are TIFFs in %s."
    _LOG.warning(text, _MOST_16_BIT, folder)
