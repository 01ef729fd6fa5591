"""`load`: a model in Python, of whatever a person has of it."""

import os
from typing import Sequence, Union

from tfmaskrcnn.checkpoints.named_runs import model_folder
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import load_config, override
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.inference.opened_model import OpenedModel
from tfmaskrcnn.inference.opening import is_exported, open_source, run_config, with_weights
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.given import path_text
from tfmaskrcnn.support.run_folder import Run
from tfmaskrcnn.support.single_file import is_single_file

# Files of other kinds -> what opens them.
_OTHERS = {
    ".keras": "keras.models.load_model(path) opens it",
    ".h5": "a Keras model is saved to .keras, weights to .npz; mr.from_checkpoint(path, "
    "source='matterport') reads those of Matterport",
    ".pth": "mr.from_checkpoint(path, source='torchvision') or 'detectron2' reads it",
    ".pkl": "mr.from_checkpoint(path, source='detectron2') reads it",
}

ConfigLike = Union[None, str, "os.PathLike[str]", Config, ModelConfig]


def load(source: str, overrides: Sequence[str] = (), config: ConfigLike = None):
    """The model that `source` holds.

    Args:
        source: a run folder, or one that `import-weights` made; a single file that `save` wrote; a
            weights file (`.npz`); the folder of a SavedModel, an `.onnx` or `.tflite` file; or the
            name of published weights, such as "maskrcnn_resnet50_fpn_v2_coco", which are fetched
            at first use.
        overrides: `"key=value"` changes of its configuration.
        config: of a `.npz` alone: a configuration, or what `load_config` reads. None takes the
            `config.json` beside the file.

    Returns:
        A `MaskRCNN` with its weights; of what was exported the `OpenedModel` that `mr.open` gives,
        which has the same `predict_images` and cannot be trained.

    Raises:
        InputError: there is no such thing, it is damaged, or what it consists of does not fit
            together or the overrides; or published weights cannot be fetched.
    """
    source = path_text(source, "What is loaded")
    if source.endswith(".npz") and not storage.is_folder(source):
        return _of_weights(source, overrides, config)
    if config is not None:
        raise InputError(f"config is for a weights file (.npz); {source} has its own.")
    folder = model_folder(source)
    if storage.exists(folder) and is_exported(folder):
        return OpenedModel(folder, open_source(folder, overrides=overrides))
    if not storage.is_folder(folder) and not is_single_file(folder):
        raise _nothing(folder)
    return with_weights(run_config(folder, overrides), folder)


def _of_weights(path: str, overrides: Sequence[str], config: ConfigLike):
    """The `MaskRCNN` of a weights file."""
    from tfmaskrcnn.model.mask_rcnn import MaskRCNN
    from tfmaskrcnn.model.weights import load_weights

    if not storage.is_file(path):
        raise InputError(f"There is no weights file {path}.")
    if config is None:
        config = Run(os.path.dirname(path)).config
        if not storage.is_file(config):
            raise InputError(
                f"{path} holds weights alone, and there is no config.json beside it; give the "
                "model's configuration: load(path, config=...)."
            )
    model = MaskRCNN(_whole(config, overrides).model)
    load_weights(model, path)
    return model


def _whole(config: ConfigLike, overrides: Sequence[str]) -> Config:
    if isinstance(config, ModelConfig):
        config = Config(model=config)
    if isinstance(config, Config):
        return override(config, overrides) if overrides else config
    return load_config(path_text(config, "config"), overrides)


def _nothing(path: str) -> InputError:
    if not storage.exists(path):
        return InputError(f"There is no run folder, file or SavedModel {quoted(path, 150)}.")
    other = _OTHERS.get(os.path.splitext(path)[1].lower())
    return InputError(
        f"{path} is no run folder, SavedModel, .npz, .tfmaskrcnn, .onnx or .tflite file"
        + (f"; {other}." if other else ".")
    )
