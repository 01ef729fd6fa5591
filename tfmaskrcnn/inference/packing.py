"""`save`: a model as a single file that this program opens wherever it takes a run."""

import dataclasses
import io
import json
import logging
import os
import zipfile
from typing import Any, BinaryIO, Dict, NamedTuple, Optional

import numpy as np

from tfmaskrcnn.config.model import OWN
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import override
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.opening import FromRun
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds, content_digest
from tfmaskrcnn.support.files import replaced, writable_file, write_arrays
from tfmaskrcnn.support.given import path_text
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import ABOUT, FORMAT, SUFFIX
from tfmaskrcnn.support.versions import versions

_LOG = logging.getLogger(__name__)
# What of a configuration is of the place where a model was trained: its paths, and code.
_OF_THE_PLACE = (
    *("data.train_json", "data.train_images", "data.train_tfrecord", "data.val_json"),
    *("data.val_images", "data.augment.function", "train.weights"),
)


class _Parts(NamedTuple):
    """What a file is made of."""

    config: Config
    thresholds: Optional[ScoreThresholds]
    trained: bool  # whether its training is known, of which it has sizes perhaps


def save(model, path: str, thresholds: Optional[ScoreThresholds] = None) -> str:
    """Write `model` as one file: weights, configuration, class names, score thresholds.

    It holds numbers and JSON, no code and no pickle, and no paths of the machine it was trained on.
    `load`, the commands and `train.weights` take it as they take a run, to the same bits.

    Args:
        model: a `MaskRCNN`.
        path: of the file; its name ends in `.tfmaskrcnn`. It appears whole or not at all.
        thresholds: of the scores of its classes; None takes those of the run that `model` was
            loaded from, as long as its weights are the run's.

    Returns:
        `path`.

    Raises:
        InputError: the model cannot be kept so, or the file cannot be written.
    """
    path = check_name(path)
    arrays = _arrays(model)
    content = io.BytesIO()
    write_arrays(content, arrays)
    with zipfile.ZipFile(content) as archive:
        digest = content_digest(archive)
    parts = _parts(model, thresholds, digest)
    with replaced(path, size=content.getbuffer().nbytes) as file:
        _write(file, _texts(parts, getattr(model, "trained_sizes", None)), content)
    return path


def check_name(path: str) -> str:
    """`path`, if a single file can be written there.

    Raises:
        InputError: its name ends otherwise, or nothing can be written.
    """
    path = path_text(path, "The name of the file")
    if not path.endswith(SUFFIX):
        raise InputError(f"{path}: the file's name has to end in {SUFFIX}.")
    return writable_file(path)


def _arrays(model) -> Dict[str, np.ndarray]:
    from tfmaskrcnn.model.mask_rcnn import MaskRCNN
    from tfmaskrcnn.model.weights import named_weights

    if not isinstance(model, MaskRCNN):
        raise InputError(f"save takes a MaskRCNN, found {type(model).__name__}.")
    if model.config.backbone.name == OWN:
        raise InputError("A single file holds no backbone of your own; save a .keras file instead.")
    arrays = {name: np.asarray(v.numpy(), np.float32) for name, v in named_weights(model).items()}
    spoilt = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if spoilt:
        raise InputError(f"{spoilt[0]} of the model holds numbers that are infinite or NaN.")
    return arrays


def _parts(model, thresholds: Optional[ScoreThresholds], digest: str) -> _Parts:
    known: FromRun = getattr(model, "from_run", None) or FromRun()
    whole = known.config or Config()
    left_out = list(_OF_THE_PLACE)
    if os.path.sep in (model.config.backbone.weights or ""):  # a file, and not a name
        left_out.append("model.backbone.weights")
    config = whole.model_copy(update={"model": model.config})
    config = override(config, [f"{key}=null" for key in left_out])
    if thresholds is not None:
        if len(thresholds.scores) != model.config.num_classes:
            raise InputError(
                f"There are thresholds of {len(thresholds.scores)} classes, the model has "
                f"{model.config.num_classes}."
            )
        thresholds = dataclasses.replace(thresholds, weights=digest)
    elif known.thresholds is not None:
        if known.thresholds.weights in ("", digest):
            thresholds = known.thresholds
        else:
            _LOG.warning("The model's weights are no longer those of its score thresholds.")
    trained = known.trained or getattr(model, "trained_sizes", None) is not None
    return _Parts(config, thresholds, trained)


def _texts(parts: _Parts, sizes) -> Dict[str, str]:
    """Member -> text; the names are those of a run's files."""
    about: Dict[str, Any] = {"format": FORMAT, "trained": parts.trained, "versions": versions()}
    run = Run("")
    texts = {ABOUT: json.dumps(about, indent=2) + "\n"}
    texts[run.config] = parts.config.model_dump_json(indent=2) + "\n"
    if parts.thresholds is not None:
        texts[run.thresholds] = parts.thresholds.to_json()
    if sizes is not None:
        texts[run.trained_sizes] = sizes.to_json()
    return texts


def _write(file: BinaryIO, texts: Dict[str, str], weights: io.BytesIO) -> None:
    """The archive; by `open`, which gives members no time, so that equal models are equal files."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in texts.items():
            with archive.open(name, "w") as part:
                part.write(text.encode("utf-8"))
        with archive.open(os.path.basename(Run("").weights), "w", force_zip64=True) as part:
            part.write(weights.getbuffer())
