"""`crops/`: each object cut out of its image, transparent around it."""

import os

import numpy as np
from PIL import Image

from tfmaskrcnn.drawing.overlays import first_channels
from tfmaskrcnn.ops.paste import Window
from tfmaskrcnn.ops.region_measures import tight
from tfmaskrcnn.results.image_result import ImageResult, ResultOptions
from tfmaskrcnn.results.object_files import folder_of_objects, object_name
from tfmaskrcnn.support.files import replaced


def write(result: ImageResult, folder: str, options: ResultOptions) -> None:
    """Write `<stem>/0012_nucleus.png` of each object: RGBA, of the size of its mask.

    Alpha is 255 in the mask and 0 around it; the colours there are the image's. Of boxes alone
    the whole box is cut out. An object without a pixel in the image has no file.
    """
    found, path = result.found, folder_of_objects(folder, result)
    windows = found.windows() if found.has_masks else map(_box_window, found.boxes)
    for number, name, window in zip(found.numbers.tolist(), found.names, windows):
        top, left, alpha = tight(window)
        h, w = alpha.shape
        # A box may reach outside the image.
        pixels = result.image[top : top + h, left : left + w]
        if pixels.size and alpha.size:
            crop = _rgba(pixels, alpha[: pixels.shape[0], : pixels.shape[1]])
            with replaced(os.path.join(path, f"{object_name(number, name)}.png")) as file:
                Image.fromarray(crop).save(file, "PNG")


def _box_window(box: np.ndarray) -> Window:
    """All pixels of a yxyx box that lies right and below of the image's corner."""
    y1, x1, y2, x2 = np.maximum(np.round(box), 0).astype(int).tolist()
    return Window(y1, x1, np.ones((max(y2 - y1, 0), max(x2 - x1, 0)), bool))


def _rgba(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[h, w, 4] uint8 of the channels that a picture can show, of an image [h, w, C]."""
    shown = first_channels(pixels)
    color = shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
    return np.concatenate([color, alpha[..., None].astype(np.uint8) * 255], axis=2)
