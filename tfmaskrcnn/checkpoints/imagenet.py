"""ImageNet classifiers of the ResNet family as others publish them, for `model.backbone.weights`.

MSRA's and Facebook's in the names of Caffe2 (`R-50.pkl`, `R-101.pkl`, `X-101-32x8d.pkl`,
`R-50-GN.pkl` of Detectron and Detectron2), and torchvision's (`resnet50-*.pth`), which Detectron2
converts to names of its own.
"""

import logging
import re
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.resnet_names import (
    Backbone,
    backbone_of,
    backbone_table,
    torchvision_name,
)
from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.checkpoints.weight_table import converted, with_channels
from tfmaskrcnn.config.model import BackboneConfig, InputConfig
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.resnet import ResNet
from tfmaskrcnn.model.weights import load_weights

_LOG = logging.getLogger(__name__)
_IMAGENET = InputConfig()  # torchvision's mean and standard deviation are the defaults
# Not of the backbone: classifiers, the solver's state, PyTorch's counters, and the bias of a first
# convolution that Detectron leaves out too.
_OTHERS = re.compile(
    r"(stem\.)?fc\.|fc1000_|pred_|linear_|conv1_b$|.*_momentum$|.*\.num_batches_tracked$"
)
_CAFFE2_LAYERS = {
    "branch1": "shortcut",
    **{f"branch2{letter}": f"conv{i + 1}" for i, letter in enumerate("abc")},
}
_CAFFE2_VECTORS = {
    **dict.fromkeys(("bn_s", "bn_gamma", "gn_s"), "norm.weight"),
    **dict.fromkeys(("bn_b", "bn_beta", "bn_bias", "gn_b", "gn_bias"), "norm.bias"),
    **dict.fromkeys(("bn_rm", "bn_running_mean"), "norm.running_mean"),
    **dict.fromkeys(("bn_riv", "bn_running_var"), "norm.running_var"),
    "w": "weight",
}


class Imported(NamedTuple):
    """A backbone's weights and what they were trained on."""

    backbone: Backbone
    weights: Dict[str, np.ndarray]  # by attribute path within the backbone
    stride_in_1x1: bool
    std: Tuple[float, ...]  # RGB


def is_classifier(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether the names are those of a classifier that `read_backbone` reads."""
    return bool({"conv1_w", "stem.conv1.weight", "conv1.weight"} & set(tensors))


def read_backbone(path: str, channels: int = 3) -> Imported:
    """The ResNet or ResNeXt of a classifier's file, for images of `channels` channels (RGB).

    Raises:
        InputError: the file cannot be read, or does not hold exactly a known backbone, with or
            without its classifier.
    """
    tensors = {n: t for n, t in read_torch(path).items() if not _OTHERS.match(n)}
    caffe2 = "conv1_w" in tensors
    if caffe2:
        tensors, names = _from_caffe2(tensors), _same
    else:
        names = _same if "stem.conv1.weight" in tensors else torchvision_name
    backbone = backbone_of(tensors, names)
    if backbone is None:
        raise InputError(
            f"{path} is no classifier of a known ResNet or ResNeXt in the names of Caffe2, "
            f"torchvision or Detectron2; its first weights are {', '.join([*tensors][:3])}."
        )
    table, what = backbone_table(backbone, names), f"{path} is no {backbone.name}"
    weights = {name[len("backbone/") :]: a for name, a in converted(tensors, table, what).items()}
    stem = weights["stem/kernel"][:, :, ::-1] if caffe2 else weights["stem/kernel"]  # was BGR
    weights["stem/kernel"] = with_channels(stem, channels)
    undivided = caffe2 and not backbone.name.startswith("resnext")
    std = (1.0, 1.0, 1.0) if undivided else _IMAGENET.std
    return Imported(backbone, weights, undivided and backbone.norm == "bn", std)


def load_resnet(
    backbone: ResNet, config: BackboneConfig, input_config: Optional[InputConfig] = None
) -> None:
    """Give a built backbone the weights of the classifier in the file `config.weights`.

    A warning is logged where `input_config` does not normalise images as it was trained.

    Raises:
        InputError: the file cannot be read, or holds another backbone than `config` describes.
    """
    path = config.weights
    found = read_backbone(path, backbone.stem.kernel.shape[2])
    wanted = {"name": found.backbone.name, "norm": config.norm}
    if "gn" in (found.backbone.norm, config.norm):
        wanted["norm"] = "gn" if found.backbone.norm == "gn" else "frozen_bn"
    wrong = [f"{key}={value}" for key, value in wanted.items() if value != getattr(config, key)]
    if backbone.depth >= 50 and backbone.stride_in_1x1 != found.stride_in_1x1:
        wrong.append(f"stride_in_1x1={str(found.stride_in_1x1).lower()}")
    if wrong:
        settings = " ".join(f"model.backbone.{setting}" for setting in wrong)
        raise InputError(f"{path} holds another backbone than the configuration; set {settings}.")
    load_weights(backbone, found.weights)
    pixels = {"mean": _IMAGENET.mean, "std": found.std}
    given = input_config or InputConfig(**pixels)
    different = " ".join(
        f"model.input.{key}={list(value)}"
        for key, value in pixels.items()
        if given.channels == 3 and not np.allclose(getattr(given, key), value, rtol=0.02)
    )
    if different:
        _LOG.warning("%s was trained with %s, the configuration differs.", path, different)


def _from_caffe2(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` under Detectron2's names; a name that is no weight of a ResNet stays."""
    renamed = {}
    for name, tensor in tensors.items():
        stem = re.match(r"(?:res_)?conv1_(\w+)$", name)
        block = re.match(r"res(\d)_(\d+)_(branch1|branch2[abc])_(\w+)$", name)
        vector = _CAFFE2_VECTORS.get((stem or block).groups()[-1]) if stem or block else None
        if vector and stem:
            name = f"stem.conv1.{vector}"
        elif vector:
            stage, number, branch, _ = block.groups()
            name = f"res{stage}.{number}.{_CAFFE2_LAYERS[branch]}.{vector}"
        renamed[name] = tensor
    if any("_bn_" in name for name in tensors) and "stem.conv1.norm.running_mean" not in renamed:
        # Detectron's: scale and shift alone, which these statistics leave as they are.
        for name in [n for n in renamed if n.endswith(".norm.weight")]:
            zeros = np.zeros_like(renamed[name], np.float32)
            renamed[name.replace("weight", "running_mean")] = zeros
            renamed[name.replace("weight", "running_var")] = zeros + np.float32(1 - 1e-5)
    return renamed


def _same(name: str) -> str:
    return name
