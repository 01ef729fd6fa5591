"""Where predictions come from on the command line: a run folder or an exported SavedModel."""

import glob
import json
import logging
import os
import platform
from importlib import metadata
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from tfmaskrcnn.data.reading import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation.run import saved_model_predictor
from tfmaskrcnn.files import replaced, writable_folder
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.visualize import draw

_LOG = logging.getLogger(__name__)
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")


class Source(NamedTuple):
    """A model that is ready to predict, and what its configuration says."""

    predict: Callable[[List[np.ndarray]], List[Instances]]
    class_names: Tuple[str, ...]
    category_ids: Tuple[int, ...]
    val_json: Optional[str] = None
    val_images: Optional[str] = None
    max_detections: Tuple[int, ...] = (1, 10, 100)


def is_saved_model(folder: str) -> bool:
    """Whether `folder` is an exported model and not a run."""
    return os.path.exists(os.path.join(folder, "saved_model.pb"))


def open_source(folder: str) -> Source:
    """The model in `folder`, by what lies there. A SavedModel is opened without Keras."""
    if is_saved_model(folder):
        model = _saved_config(folder)
        labels = tuple(model.get("class_names", ())), tuple(model.get("category_ids", ()))
        return Source(saved_model_predictor(folder), *labels)
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise InputError(
            f"{folder} is neither a run (no config.json) nor a SavedModel (no saved_model.pb)."
        )
    from tfmaskrcnn.config_files import load_config
    from tfmaskrcnn.train.loop import load

    model, config = load(folder), load_config(folder)

    def predict(images):
        return model.predict_images(images, batch_size=len(images))

    return Source(
        predict,
        config.model.class_names,
        config.model.category_ids,
        config.data.val_json,
        config.data.val_images,
        config.evaluation.max_detections,
    )


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
    from rich.progress import track

    paths = find_images(inputs)
    writable_folder(folder)
    pictures = _picture_names(paths)
    results: List[Dict[str, Any]] = []
    starts = range(0, len(paths), max(batch_size, 1))
    for start in track(starts, description="predicting"):
        part = paths[start : start + batch_size]
        images = [read_image(path) for path in part]
        for i, (image, found) in enumerate(zip(images, source.predict(images)), start=start):
            ids = source.category_ids or range(1, int(found.classes.max(initial=0)) + 1)
            entries = found.coco_results(i + 1, list(ids))
            results += [{**entry, "file_name": paths[i]} for entry in entries]
            picture = draw(image, found, threshold)
            Image.fromarray(picture).save(os.path.join(folder, pictures[i]))
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
    paths: Dict[str, None] = {}
    for text in inputs:
        if os.path.isdir(text):
            names = sorted(os.listdir(text))
            found = [os.path.join(text, n) for n in names if n.lower().endswith(_IMAGE_ENDINGS)]
        elif os.path.exists(text):
            found = [text]
        else:
            found = sorted(p for p in glob.glob(text, recursive=True) if os.path.isfile(p))
        if not found:
            kind = "holds no image" if os.path.isdir(text) else "matches no file"
            raise InputError(f"{text} {kind}.")
        paths.update(dict.fromkeys(found))
    return list(paths)


def _picture_names(paths: Sequence[str]) -> List[str]:
    """A PNG name for each path; a number keeps equal names of different folders apart."""
    names, taken = [], set()
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = f"{stem}.png", 2
        while name in taken:
            name, number = f"{stem}_{number}.png", number + 1
        taken.add(name)
        names.append(name)
    return names


def describe(folder: str) -> Dict[str, Any]:
    """What a run folder or SavedModel holds, JSON-ready."""
    if is_saved_model(folder):
        import tensorflow as tf

        loaded = tf.saved_model.load(folder)
        signatures = {
            name: {
                "inputs": _shapes(signature.structured_input_signature[1]),
                "outputs": _shapes(signature.structured_outputs),
            }
            for name, signature in loaded.signatures.items()
        }
        return {"kind": "SavedModel", "signatures": signatures, "model": _saved_config(folder)}
    from tfmaskrcnn.config_files import load_config
    from tfmaskrcnn.train.loop import Run
    from tfmaskrcnn.weights import read_weights

    config, weights = load_config(folder), read_weights(Run(folder).weights)
    count = sum(array.size for array in weights.values())
    return {
        "kind": "run",
        "weights": {"arrays": len(weights), "parameters": count},
        "config": config.model_dump(mode="json"),
    }


def versions() -> Dict[str, str]:
    """Versions of Python and of the packages that decide how the program runs."""
    found = {"python": platform.python_version()}
    for name in ("tfmaskrcnn", "tensorflow", "tensorflow-cpu", "keras", "numpy", "pycocotools"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _shapes(specs) -> Dict[str, str]:
    return {name: f"{spec.dtype.name} {spec.shape}" for name, spec in sorted(specs.items())}


def _saved_config(folder: str) -> Dict[str, Any]:
    """The configuration inside a SavedModel; empty for a model exported by another program."""
    path = os.path.join(folder, "assets", "config.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)
