"""A model from the checkpoint of another framework, in that framework's dialect."""

import logging
import os
from typing import Dict, List, Mapping, Optional, Sequence, Union

import numpy as np

from tfmaskrcnn.checkpoints import detectron2, imagenet, matterport, torchvision
from tfmaskrcnn.checkpoints.coco_classes import coco_labels
from tfmaskrcnn.checkpoints.fetching import known_file
from tfmaskrcnn.checkpoints.keras_h5 import read_keras_h5
from tfmaskrcnn.checkpoints.presets import (
    DETECTRON2,
    KEYPOINTS,
    MATTERPORT,
    TORCHVISION,
    TRAINED_BN,
)
from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.checkpoints.weight_table import converted, with_channels
from tfmaskrcnn.config import person_keypoints
from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.run import Config
from tfmaskrcnn.config.yaml_files import parse_config, save_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.mask_rcnn import MaskRCNN
from tfmaskrcnn.model.weights import CLASS_LAYERS, load_weights, named_weights, save_weights
from tfmaskrcnn.support.files import writable_folder
from tfmaskrcnn.support.given import A_PATH_OR_ARRAYS, A_TEXT, TEXTS, takes

_LOG = logging.getLogger(__name__)
# Each source's table, dialect and reader of files.
SOURCES = {
    "torchvision": (torchvision, TORCHVISION, read_torch),
    "detectron2": (detectron2, DETECTRON2, read_torch),
    "matterport": (matterport, MATTERPORT, read_keras_h5),
}
# For `skip`: all layers whose shape depends on the number of classes.
HEADS = "heads"
_STEM = "backbone/stem/kernel"


@takes(checkpoint=A_PATH_OR_ARRAYS, source=A_TEXT, overrides=TEXTS)
def from_checkpoint(
    checkpoint: Union[str, Mapping[str, np.ndarray]],
    source: str = "torchvision",
    num_classes: Optional[int] = None,
    overrides: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> MaskRCNN:
    """A model with the weights of another framework, which gives that framework's detections.

    COCO's number of classes gets COCO's names and category ids. What was loaded is logged.

    Args:
        checkpoint: a file, read without PyTorch and without running what it asks for, or its
            arrays by name.
        source: "torchvision" for `maskrcnn_resnet50_fpn`, `fasterrcnn_resnet50_fpn`, their `_v2`,
            `keypointrcnn_resnet50_fpn` and their like with other ResNets. Class k is its label k. A
            file that it publishes is known by its content and gets its epsilon of norms.
            "detectron2" for `mask_rcnn_R_50_FPN_3x`, `mask_rcnn_X_101_32x8d_FPN_3x`, those named
            `_gn` and `_syncbn`, Faster and Keypoint R-CNN and their like. Class k is Detectron2's
            k - 1. To train on, set "roi.sampling_ratio=2".
            "matterport" for `mask_rcnn_coco.h5` and its like; class k is Matterport's. What its
            training set otherwise, such as image sizes and anchors, goes into `overrides`.
        num_classes: foreground classes of the model; None takes the checkpoint's. With another
            number than the checkpoint's, the layers that depend on it start at random.
        overrides: "key=value" changes of the configuration, such as "input.min_side=512". With
            "input.channels=4" (and as many entries in `input.mean` and `input.std`) the first
            convolution is spread over the new channels.
        skip: layers that start at random instead of from the checkpoint: "heads" for all that
            depend on the number of classes, or paths such as "mask_head".

    Raises:
        InputError: the file or a key is wrong; or weights are missing or superfluous, by name.
    """
    if source not in SOURCES:
        raise InputError(f"There is no source {source!r}; wanted one of {', '.join(SOURCES)}.")
    theirs, preset, read = SOURCES[source]
    is_file = isinstance(checkpoint, (str, os.PathLike))
    what = os.fspath(checkpoint) if is_file else "The given dictionary"
    state = _no_classifier(read(checkpoint) if is_file else checkpoint, what)
    found = theirs.architecture_of(state, what)
    kind = f"{what} is no Mask R-CNN with {found.backbone.name} and FPN of {source}"
    arrays = converted(theirs.weights_only(state), theirs.table_of(found), kind)
    facts = [
        *found.overrides(TRAINED_BN.get(source, "bn")),
        f"model.num_classes={found.num_classes if num_classes is None else num_classes}",
        *(KEYPOINTS[source] if found.num_keypoints else ()),
    ]
    facts += _untold(checkpoint, source) if is_file else ()
    config = parse_config({}, [*preset, *facts, *overrides], source).model
    model = MaskRCNN(_labelled(config, found.num_classes))
    skip = _skipped(skip, model)
    if model.config.num_classes != found.num_classes and not set(CLASS_LAYERS) <= set(skip):
        if num_classes is None:
            raise _other_classes(what, found.num_classes, model.config.num_classes)
        skip += CLASS_LAYERS
    _check_anchors(what, arrays, model.config, skip)
    arrays[_STEM] = with_channels(arrays[_STEM], model.config.input.channels)
    load_weights(model, arrays, skip)
    _report(what, arrays, skip, model)
    return model


def import_weights(
    checkpoint: str,
    source: str,
    folder: str,
    overrides: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> str:
    """Write the model of `from_checkpoint` as a run folder, which `load` and the commands take.

    Returns:
        `folder`.

    Raises:
        InputError: as `from_checkpoint`; or `folder` holds something already.
    """
    folder = os.fspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        raise InputError(f"{folder} is not empty; choose a new folder.")
    model = from_checkpoint(checkpoint, source, overrides=overrides, skip=skip)
    writable_folder(folder)
    save_weights(model, os.path.join(folder, "weights.npz"))
    save_config(Config(model=model.config), os.path.join(folder, "config.json"))
    return folder


def _untold(path: str, source: str) -> Sequence[str]:
    """Settings of a published file, known by its content, that its arrays do not tell."""
    found = known_file(os.fspath(path))
    if found is None or found[1].source != source:
        return ()
    name, entry = found
    _LOG.info("%s is the published %s%s.", path, name, "".join(f", {s}" for s in entry.settings))
    return entry.settings


def _no_classifier(state: Mapping[str, np.ndarray], what: str) -> Mapping[str, np.ndarray]:
    """`state`, unless it is that of a backbone alone."""
    if imagenet.is_classifier(state):
        raise InputError(
            f"{what} is a classifier without a detector's heads; name it as backbone.weights of a "
            "configuration instead."
        )
    return state


def _labelled(config: ModelConfig, num_classes: int) -> ModelConfig:
    """`config` with COCO's labels if it has none and the checkpoint's classes are COCO's."""
    if config.class_names or config.num_classes != num_classes:
        return config
    names, ids = coco_labels(num_classes)
    head = config.keypoint_head
    if head.enabled and head.names == person_keypoints.NAMES and num_classes == 1:
        names, ids = ("person",), (1,)
    return config.model_copy(update={"class_names": names, "category_ids": ids})


def _skipped(skip: Sequence[str], model: MaskRCNN) -> List[str]:
    """Layer paths for `load_weights`; "heads" stands for all that depend on the classes."""
    layers: List[str] = []
    known = tuple(f"{name}/" for name in named_weights(model))
    for name in skip:
        if name == HEADS:
            layers += CLASS_LAYERS
        elif any(path.startswith(f"{name.rstrip('/')}/") for path in known):
            layers.append(name)
        else:
            raise InputError(
                f"There is no layer {name!r} to skip; wanted {HEADS!r} or a path such as "
                "'mask_head' or 'box_head/fc1'."
            )
    return layers


def _check_anchors(what: str, arrays, config: ModelConfig, skip: Sequence[str]) -> None:
    """An `InputError` unless the checkpoint has as many anchors as the configuration."""
    found = arrays["rpn/objectness/bias"].size
    wanted = len(config.anchors.sizes[0]) * len(config.anchors.ratios)
    if found != wanted and not any(name.startswith("rpn") for name in skip):
        raise InputError(
            f"{what} has {found} anchors at each place, anchors.sizes and anchors.ratios make "
            f"{wanted}; set them to its model's."
        )


def _other_classes(what: str, found: int, wanted: int) -> InputError:
    return InputError(
        f"{what} has {found} classes, num_classes is {wanted}; skip {HEADS!r} to leave the layers "
        "that depend on it at random."
    )


def _report(what: str, arrays: Dict[str, np.ndarray], skip: Sequence[str], model: MaskRCNN) -> None:
    """Log what came from the checkpoint and what did not."""
    prefixes = tuple(f"{name.rstrip('/')}/" for name in skip)
    random = [name for name in named_weights(model) if f"{name}/".startswith(prefixes)]
    loaded = [name for name in arrays if name not in set(random)]
    count = sum(arrays[name].size for name in loaded)
    _LOG.info("%s: %d weights loaded (%.1f million numbers).", what, len(loaded), count / 1e6)
    if random:
        layers = sorted({name.rsplit("/", 1)[0] for name in random})
        _LOG.info("Not taken, at random instead: %s.", ", ".join(layers))
    if model.config.class_names:
        _LOG.info("Classes: %s, ...", ", ".join(model.config.class_names[:3]))
