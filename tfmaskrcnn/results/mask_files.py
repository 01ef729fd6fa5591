"""`masks/`: a PNG for each object, of its image's size."""

import os
import zlib

import numpy as np
from PIL import Image

from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.object_files import folder_of_objects, object_name, with_masks
from tfmaskrcnn.support.files import replaced


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>/0012_nucleus.png` of each object: 255 in the mask, 0 elsewhere, 8 bits.

    `convert --from png` reads them, as files of a folder `NAME` for each image.

    Raises:
        InputError: there are boxes alone.
    """
    found, path = with_masks(result, "masks"), folder_of_objects(folder, result)
    canvas = np.zeros(found.size, np.uint8) if len(found) else None
    for number, name, window in zip(found.numbers.tolist(), found.names, found.windows()):
        h, w = window.bitmap.shape
        part = canvas[window.top : window.top + h, window.left : window.left + w]
        part[window.bitmap] = 255
        with replaced(os.path.join(path, f"{object_name(number, name)}.png")) as file:
            # Runs are all there is to compress: a third of the usual time.
            Image.fromarray(canvas).save(file, "PNG", compress_type=zlib.Z_RLE)
        part[...] = 0
