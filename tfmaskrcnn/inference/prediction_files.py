"""Image files in, pictures and COCO results out."""

import glob
import json
import logging
import os
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np
from PIL import Image

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.drawing.overlays import draw, first_channels
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.files import replaced, writable_folder
from tfmaskrcnn.support.progress_bar import progress_bar

_LOG = logging.getLogger(__name__)
# The lowest score that is drawn of a model without thresholds of its own.
DEFAULT_THRESHOLD = 0.5
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")


def predict_files(
    source: Source,
    inputs: Sequence[str],
    folder: str,
    threshold: Optional[float] = None,
    batch_size: int = 1,
) -> str:
    """Predict on images, draw them, and write all detections in COCO's results format.

    Args:
        source: from `open_source`.
        inputs: image files, folders of them, or glob patterns.
        folder: gets a PNG an image and `results.json`, whose image ids count the images from 1.
        threshold: lowest score that is drawn; None takes the model's own thresholds, 0.5 where it
            has none. `results.json` holds all detections.
        batch_size: images that go through the network together.

    Returns:
        Path of the `results.json`.
    """
    paths = find_images(inputs)
    pictures = _picture_paths(paths, writable_folder(folder))
    results: List[Dict[str, Any]] = []
    drawn = _drawn(source, threshold)
    with progress_bar("predicting") as progress:
        for start in range(0, len(paths), batch_size):
            part = paths[start : start + batch_size]
            images = [read_image(path, channels=source.channels) for path in part]
            for i, found in enumerate(source.predict(images), start=start):
                ids = source.category_ids or range(1, int(found.classes.max(initial=0)) + 1)
                entries = found.coco_results(i + 1, ids)
                results += [{**entry, "file_name": paths[i]} for entry in entries]
                picture = draw(first_channels(images[i - start]), drawn(found), 0.0)
                _save_picture(picture, pictures[i])
            progress(start + len(images), len(paths))
    path = os.path.join(folder, "results.json")
    with replaced(path, "w") as file:
        json.dump(results, file)
    _LOG.info("%d images, %d detections; pictures in %s", len(paths), len(results), folder)
    return path


def _drawn(source: Source, threshold: Optional[float]) -> Callable[[Instances], Instances]:
    """What chooses the detections that are drawn."""
    own = source.thresholds
    if threshold is None and own is not None:
        text = "Drawn from the model's own score thresholds on (%s), chosen on %d images."
        _LOG.info(text, own.short(), own.images)
        return own.selected
    lowest = DEFAULT_THRESHOLD if threshold is None else threshold
    return lambda found: found[found.scores >= lowest]


def find_images(inputs: Sequence[str]) -> List[str]:
    """The image files that files, folders and glob patterns stand for, each once, sorted within.

    Raises:
        InputError: one of them stands for nothing.
    """
    paths: Dict[str, str] = {}
    for text in inputs:
        if os.path.isdir(text):
            # Names with a dot first are leavings of operating systems, such as "._photo.jpg".
            names = [n for n in sorted(os.listdir(text)) if not n.startswith(".")]
            found = [os.path.join(text, n) for n in names if n.lower().endswith(_IMAGE_ENDINGS)]
        else:
            found = [text] if os.path.exists(text) else sorted(glob.glob(text, recursive=True))
        found = [path for path in found if os.path.isfile(path)]
        if not found:
            kind = "holds no image" if os.path.isdir(text) else "matches no file"
            raise InputError(f"{text} {kind}.")
        for path in found:
            paths.setdefault(os.path.abspath(path), path)
    return list(paths.values())


def _picture_paths(paths: Sequence[str], folder: str) -> List[str]:
    """A PNG for each path; a number keeps equal names of different folders apart."""
    inputs, taken, pictures = {os.path.realpath(path) for path in paths}, set(), []
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = f"{stem}.png", 2
        while name.lower() in taken:  # some file systems do not tell A.png from a.png
            name, number = f"{stem}_{number}.png", number + 1
        taken.add(name.lower())
        pictures.append(os.path.join(folder, name))
        if os.path.realpath(pictures[-1]) in inputs:
            raise InputError(
                f"The picture {pictures[-1]} would replace an input; choose another --out folder."
            )
    return pictures


def _save_picture(picture: np.ndarray, path: str) -> None:
    with replaced(path) as file:
        Image.fromarray(picture).save(file, "PNG")
