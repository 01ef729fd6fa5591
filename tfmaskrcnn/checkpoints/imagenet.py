"""ImageNet classifiers of the ResNet family as others publish them, for `model.backbone.weights`.

MSRA's and Facebook's in the names of Caffe2 (`R-50.pkl`, `R-101.pkl`, `X-101-32x8d.pkl`,
`R-50-GN.pkl` of Detectron and Detectron2), and torchvision's (`resnet50-*.pth`), which Detectron2
converts to names of its own.
"""

import logging
import re
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.reading import read_torch
from tfmaskrcnn.checkpoints.resnet import Backbone, backbone_of, backbone_table, torchvision_name
from tfmaskrcnn.checkpoints.table import converted, with_channels
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model_config import InputConfig

_LOG = logging.getLogger(__name__)
_IMAGENET = InputConfig()  # torchvision's mean and standard deviation are the defaults
# Not of the backbone: classifiers, the solver's state, PyTorch's counters, and the bias of a first
# convolution that Detectron leaves out too.
_OTHERS = re.compile(
    r"(stem\.)?fc\.|fc1000_|pred_|linear_|conv1_b$|.*_momentum$|.*\.num_batches_tracked$"
)
_CAFFE2_LAYERS = {"branch1": "shortcut", "branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3"}
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
    msra = caffe2 and backbone.norm == "bn" and not backbone.name.startswith("resnext")
    plain = caffe2 and not backbone.name.startswith("resnext")
    return Imported(backbone, weights, msra, (1.0, 1.0, 1.0) if plain else _IMAGENET.std)


def check_input(path: str, found: Imported, config: Optional[InputConfig]) -> None:
    """Log how images must be normalised for these weights, where `config` does not do it."""
    wanted = {"mean": _IMAGENET.mean, "std": found.std}
    given = wanted if config is None else {key: getattr(config, key) for key in wanted}
    wrong = [
        f"model.input.{key}={list(value)}"
        for key, value in wanted.items()
        if len(given[key]) == 3 and not np.allclose(given[key], value, rtol=0.02)
    ]
    if wrong:
        _LOG.warning("%s was trained with %s; consider setting it.", path, " ".join(wrong))


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
