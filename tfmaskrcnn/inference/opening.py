"""Opens what can predict: a run, a single file that is taken as one, or an exported model.

A SavedModel needs no Keras, an ONNX or TFLite file no TensorFlow. "Folder" means any of them here:
`support.single_file` tells how paths lead into a file.
"""

import dataclasses
import os
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.named_runs import model_folder
from tfmaskrcnn.config.class_sources import ClassSources
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.run_paths import with_paths_found
from tfmaskrcnn.config.yaml_files import load_config, split_override
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.exported import (
    exported_config,
    exported_json,
    saved_model_predictor,
)
from tfmaskrcnn.inference.runtimes.file_about import (
    check_described,
    file_about,
    is_model_file,
    kind_of_file,
)
from tfmaskrcnn.inference.runtimes.file_predictor import file_predictor
from tfmaskrcnn.inference.runtimes.network_opening import check_runtime, open_network
from tfmaskrcnn.inference.score_thresholds import (
    ScoreThresholds,
    exported_thresholds,
    run_thresholds,
    stored_thresholds,
)
from tfmaskrcnn.inference.trained_sizes import (
    NetworkInput,
    TrainedSizes,
    exported_sizes,
    run_sizes,
)
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.given import A_PATH, TEXTS, takes
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import SUFFIX, about, exists, is_single_file


@dataclasses.dataclass(frozen=True)
class FromRun:
    """What is known of a model in memory because it comes from a run; no class of Keras's."""

    config: Optional[Config] = None  # the whole
    thresholds: Optional[ScoreThresholds] = None  # that lie there, of whatever weights
    trained: bool = False  # whether anything is known of its training


class Source(NamedTuple):
    """A model that is ready to predict, and what its configuration says."""

    predict: Callable[[List[np.ndarray]], List[Instances]]
    class_names: Tuple[str, ...]
    category_ids: Tuple[int, ...]
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    max_detections: Tuple[int, ...] = (1, 10, 100)
    channels: int = 3  # of the images that `predict` takes
    exif: str = "apply"  # how they are read, the model's `input.exif`
    keypoint_sigmas: Tuple[float, ...] = ()
    thresholds: Optional[ScoreThresholds] = None  # that were chosen for this model, if any were
    input: Optional[NetworkInput] = None  # how it resizes pictures; None where that is not known
    sizes: Optional[TrainedSizes] = None  # of its training; None where they are not known
    trained: bool = True  # False of imported weights, whose training nothing is known of
    max_pixels: Optional[int] = None  # of a picture; larger ones are refused
    data_classes: Optional[ClassSources] = None  # which categories of the data are which class


def is_saved_model(folder: str) -> bool:
    """Whether `folder` is a SavedModel."""
    return storage.exists(os.path.join(folder, "saved_model.pb"))


def is_exported(folder: str) -> bool:
    """Whether `folder` is an exported model and not a run."""
    return is_model_file(folder) or is_saved_model(folder)


def a_kind_of(folder: str) -> str:
    """What the exported model `folder` is, for messages: "an ONNX file" or its like."""
    if is_model_file(folder):
        kind = kind_of_file(folder)
        return f"{'an' if kind[0] == 'O' else 'a'} {kind}"
    return "a SavedModel"


def check_artefacts(paths: Sequence[str]) -> None:
    """Find without TensorFlow what is wrong with models that are to be compared.

    Raises:
        InputError: one is no run, SavedModel, .onnx or .tflite file; or the first does not say
            what it is.
    """
    check_model(paths[0])
    for path in paths[1:]:
        if is_model_file(path):
            file_about(path)  # if it is not there or damaged; it may say nothing
        else:
            check_model(path)


def check_model(
    folder: str,
    needs_data: bool = False,
    overrides: Sequence[str] = (),
    runtime: Optional[str] = None,
) -> Optional[Config]:
    """The configuration of a run, None of an exported model; finds what is wrong.

    Without TensorFlow. Args and Raises: see `open_source`.
    """
    check_runtime(folder, runtime)
    if is_model_file(folder):
        check_described(folder)
    if not is_exported(folder):
        config = run_config(folder, overrides)
        if needs_data and not (config.data.val_json and config.data.val_images):
            raise InputError(f"{folder} has no val split; give --json FILE and --images FOLDER.")
        stored_thresholds(folder, config.model.num_classes)  # if they are damaged
        return config
    if overrides:
        raise InputError(
            f"{folder} is {a_kind_of(folder)}, whose settings were fixed when it was exported; "
            "--set is for run folders."
        )
    if needs_data:
        raise InputError(f"{folder} names no data; give --json FILE and --images FOLDER.")
    return None


@takes(folder=A_PATH, overrides=TEXTS)
def open_source(
    folder: str,
    needs_data: bool = False,
    overrides: Sequence[str] = (),
    runtime: Optional[str] = None,
) -> Source:
    """The model in `folder`, by what lies there; see above for what it needs.

    Args:
        folder: a run, a single-file model, a SavedModel, an .onnx or .tflite file, or the name of
            published weights.
        needs_data: its `val_json` and `val_images` will be used.
        overrides: `"key=value"` changes of a run's configuration.
        runtime: of an .onnx file, "onnxruntime" (None) or "openvino".

    Raises:
        InputError: `folder` is none of them, is damaged, names no data though they are needed, or
            does not fit the overrides or the runtime; or the runtime is not installed.
    """
    folder = os.fspath(model_folder(folder))
    config = check_model(folder, needs_data, overrides, runtime)
    return open_checked(folder, config, runtime)


def open_checked(folder: str, config: Optional[Config], runtime: Optional[str] = None) -> Source:
    """The model in `folder`, for which `check_model` has given `config`."""
    if config is None:
        return _open_exported(folder, runtime)
    model = with_weights(config, folder)

    def predict(images):
        return model.predict_images(images, batch_size=len(images))

    input = NetworkInput.of(config.model.input.model_dump())
    # Who sets another input has decided how large pictures are to the network.
    own = input == NetworkInput.of(run_config(folder).model.input.model_dump())
    trained = own and _knows_training(config, folder)
    return Source(
        predict,
        config.model.class_names,
        config.model.category_ids,
        config.data.val_json,
        config.data.val_images,
        config.evaluation.max_detections,
        config.model.input.channels,
        config.model.input.exif,
        config.model.keypoint_head.sigmas,
        run_thresholds(folder, config.model.num_classes),
        input,
        model.trained_sizes if own else None,
        trained,
        data_classes=config.data.classes,
    )


def with_weights(config: Config, folder: str):
    """The `MaskRCNN` of `config` with the weights of a run folder or single file."""
    from tfmaskrcnn.model.mask_rcnn import MaskRCNN
    from tfmaskrcnn.model.weights import load_weights

    model = MaskRCNN(config.model)
    load_weights(model, Run(folder).weights)
    # Plain attributes, which an export of the model takes along.
    model.trained_sizes = run_sizes(folder)
    thresholds = stored_thresholds(folder, config.model.num_classes)
    model.from_run = FromRun(config, thresholds, _knows_training(config, folder))
    return model


def _knows_training(config: Config, folder: str) -> bool:
    if is_single_file(folder):  # whose configuration names no data
        return about(folder).get("trained") is True
    return bool(config.data.train_json or config.data.train_tfrecord)


def run_config(folder: str, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a run folder, changed by `"key=value"` overrides.

    Raises:
        InputError: `folder` is no run, or an override is of training.
    """
    if not storage.exists(folder):
        raise InputError(f"There is no folder {folder}.")
    if is_exported(folder):
        raise InputError(f"{folder} is {a_kind_of(folder)}; wanted the folder of a training run.")
    if not exists(os.path.join(folder, "config.json")):
        if is_single_file(folder):
            raise InputError(f"{folder} has no config.json in it.")
        raise InputError(
            f"{folder} is neither a run (no config.json) nor a SavedModel (no saved_model.pb), nor "
            f"a {SUFFIX}, .onnx or .tflite file."
        )
    for override in overrides:
        if split_override(override)[0][0] == "train":
            raise InputError(f"--set {override}: this command does not train.")
    return with_paths_found(load_config(folder, overrides), folder)


def _open_exported(folder: str, runtime: Optional[str]) -> Source:
    model = exported_config(folder)
    if is_model_file(folder):
        predict = file_predictor(open_network(folder, runtime), model)
    else:
        predict = saved_model_predictor(folder)
    names, ids = tuple(model.get("class_names", ())), tuple(model.get("category_ids", ()))

    head = model.get("keypoint_head", {})
    labels = {"class_names": names, "skeleton": head.get("skeleton", ())}

    def named(images):
        return [dataclasses.replace(found, **labels) for found in predict(images)]

    input = model.get("input", {})
    source = Source(
        named,
        names,
        ids,
        channels=input.get("channels", 3),
        exif=input.get("exif", "apply"),
        keypoint_sigmas=tuple(head.get("sigmas", ())),
        thresholds=exported_thresholds(folder, model.get("num_classes")),
    )
    return about_exported(folder, source)


def about_exported(folder: str, source: Source) -> Source:
    """`source` with what an exported model tells of the sizes of pictures."""
    input, about = exported_config(folder).get("input"), exported_json(folder, "export.json")
    return source._replace(
        input=NetworkInput.of(input) if input else None,
        sizes=exported_sizes(folder),
        trained=about.get("trained", True),
        max_pixels=about.get("options", {}).get("max_pixels"),
    )
