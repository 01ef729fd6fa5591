"""Evaluate anything that finds instances: a model, a function, an exported SavedModel."""

import inspect
import os
from typing import Callable, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import Record, load_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.progress_bar import Progress

Predictor = Callable[[List[np.ndarray]], List[Instances]]


def evaluate(
    source,
    json_path: str,
    image_dir: str,
    max_detections: Sequence[int] = (1, 10, 100),
    batch_size: int = 1,
    limit: Optional[int] = None,
    progress: Optional[Progress] = None,
    channels: int = 3,
    keypoint_sigmas: Sequence[float] = (),
    kaggle_threshold: Optional[float] = None,
) -> CocoResult:
    """COCO's numbers of `source` on a data set.

    Args:
        source: a function from a list of uint8 [H, W, C] images (RGB if C is 3) to a list of
            `Instances`, an object with such a method `predict_images`, or the folder of an
            exported SavedModel.
        json_path: COCO instance JSON.
        image_dir: the folder that its file names start from.
        max_detections: ascending; recall is reported at each, everything else at the last.
        batch_size: images handed to `source` together.
        limit: evaluate the first so many images only.
        progress: called with (images done, images in all).
        channels: C, the model's `input.channels`.
        keypoint_sigmas: of OKS, the model's `keypoint_head.sigmas`; none for the defaults.
        kaggle_threshold: also compute the Data Science Bowl's score of detections from this score.

    Raises:
        InputError: a file is missing or wrong, or the classes differ from the data set's.
    """
    predict = as_predictor(source)
    # Annotations that training refuses are left to pycocotools, which counts all of them.
    records = load_coco(json_path, image_dir, skip_invalid=True, masks=False).records[:limit]
    evaluator = CocoEvaluator(json_path, max_detections, keypoint_sigmas=keypoint_sigmas)
    add_predictions(evaluator, predict, records, batch_size, progress, channels)
    return evaluator.result(kaggle_threshold)


def add_predictions(
    evaluator: CocoEvaluator,
    predict: Predictor,
    records: Sequence[Record],
    batch_size: int = 1,
    progress: Optional[Progress] = None,
    channels: int = 3,
) -> None:
    """Read the images of `records`, batch by batch, and add what `predict` finds in them."""
    for start in range(0, len(records), batch_size):
        batch = records[start : start + batch_size]
        images = [read_image(r.path, (r.height, r.width), channels) for r in batch]
        found = predict(images)
        if len(found) != len(batch):
            raise ValueError(f"{len(found)} results for {len(batch)} images.")
        evaluator.add_many([r.image_id for r in batch], found)
        if progress:
            progress(start + len(batch), len(records))


def as_predictor(source) -> Predictor:
    """The function behind what `evaluate` takes as its source."""
    if isinstance(source, (str, os.PathLike)):
        return saved_model_predictor(source)
    method = getattr(source, "predict_images", None)
    if method is not None:
        if "batch_size" in inspect.signature(method).parameters:
            return lambda images: method(images, batch_size=len(images))
        return method
    if callable(source):
        return source
    raise InputError(
        f"Cannot evaluate a {type(source).__name__}; wanted a function, an object with "
        "predict_images, or the folder of a SavedModel."
    )
