"""Pictures in, drawings, COCO results and data sets out."""

import os
from typing import Any, Optional, Sequence

from tfmaskrcnn.errors import InputError, quoted, short_path
from tfmaskrcnn.inference.clip_results import check_clips
from tfmaskrcnn.inference.image_sources import Picture, find_images, list_pictures
from tfmaskrcnn.inference.opening import Source
from tfmaskrcnn.inference.prediction_options import PredictionOptions, checked_options
from tfmaskrcnn.inference.prediction_run import Outcome, run
from tfmaskrcnn.support.given import A_PATH, takes
from tfmaskrcnn.support.storage import same_place

__all__ = ["find_images", "predict_all", "predict_files", "prepared_pictures"]


@takes(source=Source, folder=A_PATH, options=PredictionOptions)
def predict_files(
    source: Source,
    inputs: Sequence[Any],
    folder: str,
    threshold: Optional[float] = None,
    batch_size: int = 1,
    options: Optional[PredictionOptions] = None,
) -> str:
    """Predict on images, draw them, and write all detections in COCO's results format.

    An image that cannot be read is told in the log, and the rest goes on; `predict_all` returns
    which they are.

    Args:
        source: from `open_source`.
        inputs: image files, folders of them, glob patterns, http(s) addresses, uint8 arrays
            [H, W, C], PIL images.
        folder: gets a PNG an image and `results.json`, whose image ids count the images from 1.
        threshold: lowest score that is drawn; None takes the model's own thresholds, 0.5 where it
            has none. `results.json` holds all detections.
        batch_size: images that go through the network together.
        options: more of them; `threshold` and `batch_size` are then taken from here.

    Returns:
        Path of the `results.json`.
    """
    if options is None:
        options = PredictionOptions(threshold=threshold, batch_size=batch_size)
    return predict_all(source, inputs, folder, options).results


@takes(source=Source, folder=A_PATH, options=PredictionOptions)
def predict_all(
    source: Source,
    inputs: Sequence[Any],
    folder: str,
    options: Optional[PredictionOptions] = None,
) -> Outcome:
    """As `predict_files`, but tells how many images were looked at, and which could not be read.

    Raises:
        InputError: an input stands for nothing, an option cannot be used, or `folder` holds another
            prediction; or an unfinished one, and `options.resume` is False.
    """
    options = PredictionOptions() if options is None else options
    pictures = prepared_pictures(inputs, folder, options)
    return run(source, pictures, folder, options)


def prepared_pictures(
    inputs: Sequence[Any], folder: str, options: PredictionOptions
) -> Sequence[Picture]:
    """The pictures of a prediction, for `prediction_run.run`; finds what is wrong beforehand.

    Raises: see `predict_all`.
    """
    checked_options(options)
    if isinstance(inputs, (str, bytes)) or not hasattr(inputs, "__iter__"):
        raise InputError(f"The inputs are {quoted(inputs)}; wanted a list of them.")
    shape = getattr(inputs, "shape", (0,) * 4)
    if len(shape) < 3 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        raise InputError(f"The inputs are one array {quoted(tuple(shape))}; wanted [array].")
    inputs = list(inputs)
    _refuse_growing(inputs, folder, options)
    pictures = list_pictures(
        inputs, options.recursive, options.ids_from, every=options.every, without=folder
    )
    check_clips(pictures, options.video, options.shard)
    _refuse_replacing(pictures, folder, options)
    return pictures


def _refuse_growing(inputs: Sequence[Any], folder: str, options: PredictionOptions) -> None:
    """Raise if what is written would be among the inputs the next time, or with `resume`."""
    if not options.pictures and not (options.recursive and options.formats):
        return
    for text in inputs:
        path = os.fspath(text) if isinstance(text, (str, os.PathLike)) else None
        if path is not None and os.path.isdir(path) and same_place(path, folder):
            raise InputError(
                f"{short_path(path)} is an input, and its images would be joined by those that are "
                f"written; choose another --out folder, such as {os.path.join(path, 'found')}."
            )


def _refuse_replacing(pictures: Sequence[Picture], folder: str, options: PredictionOptions) -> None:
    """Raise if a file that is written would be one of the inputs."""
    folder = os.path.realpath(folder)
    read = {os.path.realpath(picture.path) for picture in pictures if picture.path}
    read |= {os.path.realpath(picture.frame.clip.path) for picture in pictures if picture.frame}
    if options.video and os.path.realpath(options.video) in read:
        raise InputError(f"--video {options.video} would replace an input; choose another name.")
    for picture in pictures if options.pictures else ():
        path = os.path.join(folder, *picture.stem.split("/")) + ".png"
        if os.path.realpath(path) in read:
            path = os.path.relpath(path, folder)
            raise InputError(
                f"The picture {path} would replace an input; choose another --out folder."
            )
    for name in options.formats:
        below = os.path.join(folder, name, "")
        for path in read:
            if path.startswith(below):
                raise InputError(f"The inputs lie in {below}, where --save {name} writes.")
