"""Images like those to come, whose activations say which range the eight bits have to cover."""

from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.image_sources import find_images
from tfmaskrcnn.support.progress_bar import progress_bar

# Fewer leave the ranges to chance; more than the upper number change them no longer.
LEAST, MOST = 10, 100


def calibration_images(directory: str) -> List[str]:
    """At most `MOST` image files of a folder, spread evenly over it.

    Raises:
        InputError: no folder of images, or fewer than `LEAST`.
    """
    paths = find_images([directory])
    if len(paths) < LEAST:
        raise InputError(
            f"{directory} holds {len(paths)} images; calibration wants at least {LEAST}, like "
            f"those to come ({MOST} are used of more)."
        )
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST)).round().astype(int)
    return [paths[i] for i in chosen]


def feeds(
    folder: str, paths: Sequence[str], shape: Tuple[int, int, int, int]
) -> Iterator[Dict[str, np.ndarray]]:
    """The inputs of `network` for each image, one batch after the other, with a bar of progress.

    Args:
        folder: the SavedModel, which says how to preprocess.
        paths: of image files.
        shape: (B, H, W, C) of the network's input; the last batch is filled up with its last image.

    Raises:
        InputError: an image cannot be read.
    """
    from tfmaskrcnn.export.check import preprocessed  # the rest of this file needs no TensorFlow

    batch, size = shape[0], shape[1:3]
    with progress_bar("calibrating") as progress:
        for start in range(0, len(paths), batch):
            rows = np.minimum(np.arange(start, start + batch), len(paths) - 1)
            images, sizes = preprocessed(folder, [paths[i] for i in rows], size)
            yield {"images": images, "sizes": sizes}
            progress(min(start + batch, len(paths)), len(paths))
