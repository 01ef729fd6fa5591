"""Evaluate anything that finds instances: a model, a function, an exported SavedModel."""

import inspect
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from tfmaskrcnn.data.coco.data_classes import ClassesLike, DataClasses
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import Record
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.class_choice import ClassChoice
from tfmaskrcnn.evaluation.coco_evaluator import CocoEvaluator
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile
from tfmaskrcnn.evaluation.reporting.report import Report, check_iou
from tfmaskrcnn.inference.exported import saved_model_predictor
from tfmaskrcnn.inference.loading import load
from tfmaskrcnn.inference.opening import is_exported, open_source
from tfmaskrcnn.inference.runtimes.file_about import is_model_file
from tfmaskrcnn.inference.tiling.tile_plan import TileOptions
from tfmaskrcnn.inference.tiling.tiled_prediction import tiled_predictor
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.given import A_COUNT, A_FOLDER, A_PATH, A_TEXT, TEXTS, Kind, check, takes
from tfmaskrcnn.support.progress_bar import Progress

_LIMITS = Kind(lambda value: isinstance(value, Sequence) and len(value) == 3, "three numbers")

Predictor = Callable[[List[np.ndarray]], List[Instances]]


class EvaluationOptions(NamedTuple):
    """How `evaluate` and `report` judge."""

    max_detections: Sequence[int] = (1, 10, 100)  # ascending; all but recall is at the last
    batch_size: int = 1  # images handed to the source together
    limit: Optional[int] = None  # the first so many images only
    progress: Optional[Progress] = None  # called with (images done, images in all)
    channels: int = 3  # C, the model's `input.channels`
    exif: str = "apply"  # or "ignore", the model's `input.exif`
    # Of OKS, the model's `keypoint_head.sigmas`; none for the defaults.
    keypoint_sigmas: Sequence[float] = ()
    # Also compute the Data Science Bowl's score of detections from this score.
    kaggle_threshold: Optional[float] = None
    # Categories to judge, by name; "car=vehicle" judges the model's cars as the file's vehicles.
    # None of them: all that the model knows.
    classes: Sequence[str] = ()
    # `data.classes` of the training: which categories of the file became which class.
    data_classes: ClassesLike = None
    # How large images are seen: "none" as a whole, "auto" as a MaskRCNN or SavedModel was trained,
    # or in tiles of so many pixels that overlap by so many (None: by the objects of training).
    tile: Union[str, int] = "none"
    overlap: Optional[int] = None


@takes(json_path=A_PATH, image_dir=A_FOLDER)
def evaluate(source, json_path: str, image_dir: str, **options) -> CocoResult:
    """COCO's numbers of `source` on a data set.

    Args:
        source: a function from a list of uint8 [H, W, C] images (RGB if C is 3) to a list of
            `Instances`, an object with such a method `predict_images`, or what `load` takes: a run
            folder, a single-file model, the folder of a SavedModel, which needs no Keras.
        json_path: COCO instance JSON.
        image_dir: the folder that its file names start from.
        options: of `EvaluationOptions`.

    Raises:
        InputError: a file is missing or wrong, the classes differ from the data set's, or an option
            is unknown.
    """
    options = options_of(options)
    evaluator, _ = _evaluated(source, json_path, image_dir, options)
    return evaluator.result(options.kaggle_threshold)


@takes(json_path=A_PATH, image_dir=A_FOLDER, name=A_TEXT)
def report(
    source, json_path: str, image_dir: str, name: str = "", iou: float = 0.5, **options
) -> Report:
    """Why `source` has the numbers it has, and which threshold to take: see `Report`.

    `write_page(report, "report.html")` makes a page of it, `to_json` and `write_csv` tables.

    Args:
        source: as in `evaluate`; so are `json_path` and `image_dir`.
        name: what the report calls the model; empty for its path or type.
        iou: least IoU with an object of a detection that is right.
        options: of `EvaluationOptions`.

    Raises:
        InputError: as in `evaluate`; `iou` is out of range.
    """
    options = options_of(options)
    check_iou(iou)
    evaluator, records = _evaluated(source, json_path, image_dir, options)
    path = isinstance(source, (str, os.PathLike))
    return Report(
        result=evaluator.result(options.kaggle_threshold),
        examined=evaluator.examined(),
        source=name or (os.fspath(source) if path else type(source).__name__),
        data=os.fspath(json_path),
        iou=iou,
        image_paths={record.image_id: record.path for record in records},
        brightness=dict(evaluator.brightness),
        channels=options.channels,
        exif=options.exif,
    )


def options_of(options: Dict[str, Any]) -> EvaluationOptions:
    """The options by their names.

    Raises:
        InputError: there is no such option, or a value is out of range.
    """
    unknown = [name for name in options if name not in EvaluationOptions._fields]
    if unknown:
        known = ", ".join(EvaluationOptions._fields)
        raise InputError(f"There is no option {unknown[0]!r}; wanted {known}.")
    found = EvaluationOptions(**options)
    check(found.batch_size, "batch_size", A_COUNT)
    check(found.classes, "classes", TEXTS)
    check(found.max_detections, "max_detections", _LIMITS)
    if found.limit is not None:
        check(found.limit, "limit", A_COUNT)
    if found.exif not in ("apply", "ignore"):
        raise InputError(f"exif is {found.exif!r}; wanted 'apply' or 'ignore'.")
    if found.kaggle_threshold is not None and not 0 <= found.kaggle_threshold <= 1:
        raise InputError(f"kaggle_threshold is {found.kaggle_threshold}; wanted 0 to 1.")
    TileOptions(found.tile, found.overlap).checked()
    return found


def _evaluated(source, json_path: str, image_dir: str, options: EvaluationOptions):
    """The evaluator that has seen what `source` finds, and the records of its images."""
    if isinstance(source, (str, os.PathLike)) and not is_exported(source):
        source = load(source)
    cut = TileOptions(options.tile, options.overlap)
    predict = tiled_predictor(as_predictor(source), source, cut)
    choice = ClassChoice.of(options.classes, leave_out_unknown=True)
    sigmas, limits = options.keypoint_sigmas, options.max_detections
    wanted = DataClasses.of(options.data_classes, complete=False)
    truth = GroundTruthFile(json_path, image_dir, skip_invalid=True, classes=wanted)
    records = truth.data.records[: options.limit]
    evaluator = CocoEvaluator(truth, limits, keypoint_sigmas=sigmas, choice=choice)
    steps = (options.batch_size, options.progress, (options.channels, options.exif))
    add_predictions(evaluator, predict, records, *steps)
    return evaluator, records


def add_predictions(
    evaluator: CocoEvaluator,
    predict: Predictor,
    records: Sequence[Record],
    batch_size: int = 1,
    progress: Optional[Progress] = None,
    reading: Tuple[int, str] = (3, "apply"),
) -> None:
    """Read the images of `records`, batch by batch, and add what `predict` finds in them.

    `reading` is the model's `input.channels` and `input.exif`.
    """
    for start in range(0, len(records), batch_size):
        batch = records[start : start + batch_size]
        images = [read_image(r.path, (r.height, r.width), *reading) for r in batch]
        found = predict(images)
        if len(found) != len(batch):
            raise ValueError(f"{len(found)} results for {len(batch)} images.")
        for result in found:
            if not isinstance(result, Instances):
                raise InputError(f"The source gives a {type(result).__name__}, wanted Instances.")
        for record, image in zip(batch, images):
            evaluator.brightness[record.image_id] = float(image.mean())
        evaluator.add_many([r.image_id for r in batch], found)
        if progress:
            progress(start + len(batch), len(records))


def as_predictor(source) -> Predictor:
    """The function behind what `evaluate` takes as its source."""
    if isinstance(source, (str, os.PathLike)):
        if is_model_file(source):
            return open_source(source).predict
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
        "predict_images, or an exported model."
    )
