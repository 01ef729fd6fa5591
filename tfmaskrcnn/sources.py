"""Where predictions come from on the command line: a run folder or an exported SavedModel."""

import dataclasses
import glob
import json
import logging
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.config_files import load_config, split_override
from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.run import (
    exported_config,
    exported_json,
    progress_bar,
    saved_model_predictor,
)
from tfmaskrcnn.files import replaced, writable_folder
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.served import load_saved_model
from tfmaskrcnn.visualize import draw, first_channels

_LOG = logging.getLogger(__name__)
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".npy")


class Source(NamedTuple):
    """A model that is ready to predict, and what its configuration says."""

    predict: Callable[[List[np.ndarray]], List[Instances]]
    class_names: Tuple[str, ...]
    category_ids: Tuple[int, ...]
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    max_detections: Tuple[int, ...] = (1, 10, 100)
    channels: int = 3  # of the images that `predict` takes
    keypoint_sigmas: Tuple[float, ...] = ()


def is_saved_model(folder: str) -> bool:
    """Whether `folder` is an exported model and not a run."""
    return os.path.exists(os.path.join(folder, "saved_model.pb"))


def open_source(folder: str, needs_data: bool = False, overrides: Sequence[str] = ()) -> Source:
    """The model in `folder`, by what lies there. A SavedModel is opened without Keras.

    Args:
        folder: a run or an exported SavedModel.
        needs_data: its `val_json` and `val_images` will be used.
        overrides: `"key=value"` changes of a run's configuration.

    Raises:
        InputError: `folder` is neither, is damaged, names no data though they are needed, or does
            not fit the overrides.
    """
    if is_saved_model(folder):
        if overrides:
            raise InputError(
                f"{folder} is a SavedModel, whose settings were fixed when it was exported; --set "
                "is for run folders."
            )
        if needs_data:
            raise InputError(f"{folder} names no data; give --json FILE and --images FOLDER.")
        return _open_saved_model(folder)
    config = _run_config(folder, overrides)
    if needs_data and not (config.data.val_json and config.data.val_images):
        raise InputError(f"{folder} has no val split; give --json FILE and --images FOLDER.")
    model = _with_weights(config, folder)

    def predict(images):
        return model.predict_images(images, batch_size=len(images))

    return Source(
        predict,
        config.model.class_names,
        config.model.category_ids,
        config.data.val_json,
        config.data.val_images,
        config.evaluation.max_detections,
        config.model.input.channels,
        config.model.keypoint_head.sigmas,
    )


def load_run(folder: str, overrides: Sequence[str] = ()):
    """The `MaskRCNN` of a run folder, its configuration changed by `"key=value"` overrides."""
    return _with_weights(_run_config(folder, overrides), folder)


def _with_weights(config, folder: str):
    """The `MaskRCNN` of `config` with the weights of a run folder."""
    from tfmaskrcnn.model import MaskRCNN
    from tfmaskrcnn.train.run import Run
    from tfmaskrcnn.weights import load_weights

    model = MaskRCNN(config.model)
    load_weights(model, Run(folder).weights)
    return model


def _run_config(folder: str, overrides: Sequence[str] = ()):
    if not os.path.exists(folder):
        raise InputError(f"There is no folder {folder}.")
    if is_saved_model(folder):
        raise InputError(f"{folder} is a SavedModel; wanted the folder of a training run.")
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise InputError(
            f"{folder} is neither a run (no config.json) nor a SavedModel (no saved_model.pb)."
        )
    for override in overrides:
        if split_override(override)[0][0] == "train":
            raise InputError(f"--set {override}: this command does not train.")
    return load_config(folder, overrides)


def _open_saved_model(folder: str) -> Source:
    model, predict = exported_config(folder), saved_model_predictor(folder)
    names, ids = tuple(model.get("class_names", ())), tuple(model.get("category_ids", ()))

    head = model.get("keypoint_head", {})
    labels = {"class_names": names, "skeleton": head.get("skeleton", ())}

    def named(images):
        return [dataclasses.replace(found, **labels) for found in predict(images)]

    channels = model.get("input", {}).get("channels", 3)
    sigmas = tuple(head.get("sigmas", ()))
    return Source(named, names, ids, channels=channels, keypoint_sigmas=sigmas)


def predict_files(
    source: Source, inputs: Sequence[str], folder: str, threshold: float, batch_size: int = 1
) -> str:
    """Predict on images, draw them, and write all detections in COCO's results format.

    Args:
        source: from `open_source`.
        inputs: image files, folders of them, or glob patterns.
        folder: gets a PNG an image and `results.json`, whose image ids count the images from 1.
        threshold: lowest score that is drawn; `results.json` holds all detections.
        batch_size: images that go through the network together.

    Returns:
        Path of the `results.json`.
    """
    paths = find_images(inputs)
    pictures = _picture_paths(paths, writable_folder(folder))
    results: List[Dict[str, Any]] = []
    with progress_bar("predicting") as progress:
        for start in range(0, len(paths), batch_size):
            part = paths[start : start + batch_size]
            images = [read_image(path, channels=source.channels) for path in part]
            for i, found in enumerate(source.predict(images), start=start):
                ids = source.category_ids or range(1, int(found.classes.max(initial=0)) + 1)
                entries = found.coco_results(i + 1, ids)
                results += [{**entry, "file_name": paths[i]} for entry in entries]
                _save_picture(
                    draw(first_channels(images[i - start]), found, threshold), pictures[i]
                )
            progress(start + len(images), len(paths))
    path = os.path.join(folder, "results.json")
    with replaced(path, "w") as file:
        json.dump(results, file)
    _LOG.info("%d images, %d detections; pictures in %s", len(paths), len(results), folder)
    return path


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


def describe(folder: str) -> Dict[str, Any]:
    """What a run folder or SavedModel holds, of JSON's types."""
    if is_saved_model(folder):
        about = {"kind": "SavedModel"}
        model, export = exported_config(folder), exported_json(folder, "export.json")
        if model.get("class_names"):
            about["classes"] = dict(enumerate(model["class_names"], start=1))
        if export:  # of this program
            about["exported_by"] = export.get("versions")
            about["options"] = export.get("options")
        return {**about, "signatures": _signatures(folder), "model": model}
    config = _run_config(folder)
    from tfmaskrcnn.train.run import Run
    from tfmaskrcnn.weights import read_weights

    weights = read_weights(Run(folder).weights)
    count = sum(array.size for array in weights.values())
    return {
        "kind": "run",
        "weights": {"arrays": len(weights), "parameters": count},
        "config": config.model_dump(mode="json"),
    }


def _signatures(folder: str) -> Dict[str, Any]:
    return {
        name: {
            "inputs": _shapes(signature.structured_input_signature[1]),
            "outputs": _shapes(signature.structured_outputs),
        }
        for name, signature in load_saved_model(folder).signatures.items()
    }


def _shapes(specs) -> Dict[str, str]:
    """Name -> "float32[?,20,4]"."""
    shapes = {}
    for name, spec in sorted(specs.items()):
        sides = ",".join("?" if side is None else str(side) for side in spec.shape)
        shapes[name] = f"{spec.dtype.name}[{sides}]"
    return shapes
