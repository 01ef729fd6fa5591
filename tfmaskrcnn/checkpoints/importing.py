"""A model from the checkpoint of another framework, in that framework's dialect."""

import logging
import os
from typing import Mapping, Optional, Sequence, Union

import numpy as np

from tfmaskrcnn.checkpoints import detectron2, torchvision
from tfmaskrcnn.checkpoints.presets import DETECTRON2, TORCHVISION
from tfmaskrcnn.checkpoints.reading import read_torch
from tfmaskrcnn.checkpoints.table import converted
from tfmaskrcnn.config import Config
from tfmaskrcnn.config_files import parse_config, save_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.files import writable_folder
from tfmaskrcnn.model import MaskRCNN
from tfmaskrcnn.weights import CLASS_LAYERS, load_weights, save_weights

_LOG = logging.getLogger(__name__)
# Each source's table and dialect.
SOURCES = {"torchvision": (torchvision, TORCHVISION), "detectron2": (detectron2, DETECTRON2)}


def from_checkpoint(
    checkpoint: Union[str, Mapping[str, np.ndarray]],
    source: str = "torchvision",
    num_classes: Optional[int] = None,
    overrides: Sequence[str] = (),
) -> MaskRCNN:
    """A model with the weights of another framework, which gives that framework's detections.

    Args:
        checkpoint: a file, which is read without PyTorch and without running what it asks for, or
            its arrays by name.
        source: "torchvision" for `maskrcnn_resnet50_fpn` and its like with other plain ResNets.
            Class k is torchvision's label k. Its COCO_V1 weights want the override
            "backbone.norm_epsilon=0", which torchvision sets when it loads them itself.
            "detectron2" for `mask_rcnn_R_50_FPN_3x` and its like with other plain ResNets. Class k
            is Detectron2's k - 1. To train on, set "roi.sampling_ratio=2".
        num_classes: foreground classes of the model; None takes the checkpoint's. Of another number
            than the checkpoint's, the layers that depend on it start at random.
        overrides: "key=value" changes of the configuration, such as "input.min_side=512".

    Raises:
        InputError: the file or a key is wrong, or the weights are not exactly those of such a
            model; missing and superfluous ones are named.
    """
    if source not in SOURCES:
        raise InputError(f"There is no source {source!r}; wanted one of {', '.join(SOURCES)}.")
    theirs, preset = SOURCES[source]
    is_file = isinstance(checkpoint, (str, os.PathLike))
    what = os.fspath(checkpoint) if is_file else "The given dictionary"
    tensors = theirs.weights_only(read_torch(checkpoint) if is_file else checkpoint)
    found = theirs.architecture_of(tensors, what)
    kind = f"{what} is no Mask R-CNN with ResNet-{found.depth} and FPN of {source}"
    arrays = converted(tensors, theirs.table_of(found), kind)
    facts = [
        f"backbone.name=resnet{found.depth}",
        f"model.num_classes={found.num_classes if num_classes is None else num_classes}",
        f"mask_head.num_convs={found.num_mask_convs}",
    ]
    model = MaskRCNN(parse_config({}, [*preset, *facts, *overrides], source).model)
    skip = () if model.config.num_classes == found.num_classes else CLASS_LAYERS
    load_weights(model, arrays, skip)
    if skip:
        _LOG.info("%s has %d classes: %s start at random.", what, found.num_classes, skip)
    return model


def import_weights(checkpoint: str, source: str, folder: str, overrides: Sequence[str] = ()) -> str:
    """Write the model of `from_checkpoint` as a run folder, which `load` and the commands take.

    Returns:
        `folder`.

    Raises:
        InputError: as `from_checkpoint`; or `folder` holds something already.
    """
    folder = os.fspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        raise InputError(f"{folder} is not empty; choose a new folder.")
    model = from_checkpoint(checkpoint, source, overrides=overrides)
    writable_folder(folder)
    save_weights(model, os.path.join(folder, "weights.npz"))
    save_config(Config(model=model.config), os.path.join(folder, "config.json"))
    return folder
