"""Evaluate anything that finds instances: a model, a function, an exported SavedModel."""

import contextlib
import dataclasses
import inspect
import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import numpy as np

from tfmaskrcnn.data.coco import Record, load_coco
from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.coco import CocoEvaluator
from tfmaskrcnn.evaluation.result import CocoResult
from tfmaskrcnn.files import read_json
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.served import OUTPUTS, image_errors, load_saved_model, served_instances

Predictor = Callable[[List[np.ndarray]], List[Instances]]
Progress = Callable[[int, int], None]  # images done, images in all


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


def saved_model_predictor(path: str, paste_rule: Optional[str] = None) -> Predictor:
    """A predictor of an exported model; needs TensorFlow, but neither Keras nor the model's code.

    Args:
        path: a SavedModel folder whose signature `serving_default` takes `images` uint8
            [B, H, W, 3] and answers with the TF Object Detection API's names.
        paste_rule: of `ops.paste`; None takes what the configuration inside the folder says,
            "aligned" where there is none.

    Raises:
        InputError: no such model, signature, input or output.
    """
    import tensorflow as tf

    path = os.fspath(path)
    loaded = load_saved_model(path)
    signature = loaded.signatures.get("serving_default")
    inputs = {} if signature is None else signature.structured_input_signature[1]
    if "images" not in inputs:
        found = f"takes {sorted(inputs)}" if signature is not None else "is missing"
        raise InputError(f"{path}: the signature serving_default {found}, wanted 'images'.")
    missing = [name for name in OUTPUTS if name not in signature.structured_outputs]
    if missing:
        raise InputError(f"{path}: the signature serving_default gives no {missing[0]!r}.")
    rule = paste_rule or _exported_value(path, "mask_head", "paste_rule", "aligned")
    offset = _exported_value(path, "keypoint_head", "pixel_offset", 0.5)
    fixed_batch = inputs["images"].shape[0]  # None when it takes any number

    def predict(images: List[np.ndarray]) -> List[Instances]:
        # `loaded` has to live as long as its signature: it holds the variables.
        one_shape = len({image.shape for image in images}) == 1
        size = (fixed_batch or len(images)) if one_shape else (fixed_batch or 1)
        found = []
        for start in range(0, len(images), size) if one_shape else range(len(images)):
            part = images[start : start + size] if one_shape else images[start : start + 1]
            filled = list(part) + [part[-1]] * (size - len(part))
            outputs = loaded.signatures["serving_default"](images=tf.constant(np.stack(filled)))
            outputs = {name: value.numpy() for name, value in outputs.items()}
            errors = image_errors(outputs)
            if errors:
                raise InputError(f"{path}: {errors[0]}")
            for i, image in enumerate(part):
                instances = served_instances(outputs, i, image.shape[:2], paste_rule=rule)
                found.append(dataclasses.replace(instances, keypoint_offset=offset))
        return found

    return predict


def exported_config(folder: str) -> Dict[str, Any]:
    """The configuration inside a SavedModel; empty for a model exported by another program."""
    return exported_json(folder, "config.json")


def exported_json(folder: str, name: str) -> Dict[str, Any]:
    """What a JSON file among the assets of a SavedModel holds; empty if there is none."""
    path = os.path.join(folder, "assets", name)
    return read_json(path) if os.path.exists(path) else {}


def _exported_value(folder: str, section: str, key: str, default):
    """What `export_saved_model` left beside the graph."""
    try:
        return exported_config(folder)[section][key]
    except (OSError, ValueError, KeyError, TypeError):  # of another program or version
        return default


@contextlib.contextmanager
def progress_bar(description: str = "evaluating") -> Iterator[Progress]:
    """A bar on the terminal, as the `progress` of `evaluate`."""
    from rich import progress as parts
    from rich.console import Console

    columns = (parts.TextColumn("{task.description}"), parts.BarColumn())
    columns += (parts.MofNCompleteColumn(), parts.TimeRemainingColumn())
    console = Console(stderr=True)  # stdout is for results
    with parts.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
