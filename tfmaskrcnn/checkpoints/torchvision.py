"""Weights of torchvision's Mask R-CNN with ResNet and FPN (`maskrcnn_resnet50_fpn` and its like).

A table from its names to our attribute paths, each with what its axes and rows need. The models
named `_v2` have other heads and are refused with the list of what does not fit.
"""

import re
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple

import numpy as np

from tfmaskrcnn.errors import InputError

# Blocks of layer1..layer4 and whether they are bottlenecks -> the layers of the ResNet.
_DEPTHS = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
# How names were written before torchvision 0.13, and how they are now.
_OLD_NAMES = (
    (r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2"),
    (r"^(rpn\.head\.conv)\.(weight|bias)$", r"\1.0.0.\2"),
    *((rf"^(roi_heads\.mask_head)\.mask_fcn{i + 1}\.", rf"\1.{i}.0.") for i in range(8)),
)
_COUNTER = ".num_batches_tracked"  # PyTorch's own
_NORM_VECTORS = (
    ("gamma", "weight"),
    ("beta", "bias"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
)
_DY_DX_DH_DW = (1, 0, 3, 2)  # of torchvision's (dx, dy, dw, dh)
_SHOWN = 5  # names of each kind in an error message


class Architecture(NamedTuple):
    """What a checkpoint tells about its model."""

    depth: int  # layers of the ResNet
    num_classes: int  # K, foreground only
    num_mask_convs: int


class Weight(NamedTuple):
    """One row of the table."""

    ours: str  # attribute path
    theirs: str
    convert: Callable[[np.ndarray], np.ndarray]


def with_new_names(tensors: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`tensors` under the names of torchvision 0.13 and later, without PyTorch's counters."""
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in _OLD_NAMES:
            name = re.sub(old, new, name)
        if not name.endswith(_COUNTER):
            renamed[name] = tensor
    return renamed


def architecture_of(tensors: Mapping[str, np.ndarray], what: str) -> Architecture:
    """The architecture that the names and shapes of `tensors` (new names) belong to.

    Raises:
        InputError: they are no torchvision Mask R-CNN of a plain ResNet; `what` names the file.
    """
    blocks = tuple(
        _count(tensors, rf"backbone\.body\.layer{stage}\.(\d+)\.") for stage in range(1, 5)
    )
    bottleneck = "backbone.body.layer1.0.conv3.weight" in tensors
    classes = np.shape(tensors.get("roi_heads.box_predictor.cls_score.weight", ()))
    if (blocks, bottleneck) not in _DEPTHS or len(classes) != 2:
        raise InputError(
            f"{what} is no Mask R-CNN of torchvision with a ResNet: {blocks} blocks in "
            f"backbone.body.layer1 to layer4, roi_heads.box_predictor.cls_score.weight {classes}."
        )
    num_mask_convs = _count(tensors, r"roi_heads\.mask_head\.(\d+)\.0\.")
    return Architecture(_DEPTHS[blocks, bottleneck], classes[0] - 1, num_mask_convs)


def ours_from_torchvision(
    tensors: Mapping[str, np.ndarray], architecture: Architecture, what: str
) -> Dict[str, np.ndarray]:
    """Weights by attribute path of `MaskRCNN`, in TensorFlow's axis order.

    Args:
        tensors: a state dict under the new names, PyTorch's axis order.
        architecture: from `architecture_of`.
        what: the file's name for messages.

    Raises:
        InputError: weights are missing or there are others; they are listed.
    """
    table = list(_table(architecture))
    used = {row.theirs for row in table}
    missing = [row.theirs for row in table if row.theirs not in tensors]
    unused = [name for name in tensors if name not in used]
    if missing or unused:
        raise InputError(
            f"{what} is no maskrcnn_resnet{architecture.depth}_fpn of torchvision: "
            f"{_listed('missing', missing)}; {_listed('not used', unused)}."
        )
    return {row.ours: row.convert(np.asarray(tensors[row.theirs])) for row in table}


def _table(architecture: Architecture) -> Iterator[Weight]:
    """Every weight of the model."""
    yield from _backbone(architecture.depth)
    for i in range(4):
        yield from _biased(f"fpn/laterals/{i}", f"backbone.fpn.inner_blocks.{i}.0", _conv)
        yield from _biased(f"fpn/output_convs/{i}", f"backbone.fpn.layer_blocks.{i}.0", _conv)
    yield from _biased("rpn/conv", "rpn.head.conv.0.0", _conv)
    yield from _biased("rpn/objectness", "rpn.head.cls_logits", _conv)
    yield from _biased("rpn/deltas", "rpn.head.bbox_pred", _conv, _rpn_rows)
    box, mask = "roi_heads.box_predictor", "roi_heads.mask_predictor"
    yield from _biased("box_head/fc1", "roi_heads.box_head.fc6", _dense_after_flatten)
    yield from _biased("box_head/fc2", "roi_heads.box_head.fc7", np.transpose)
    yield from _biased("box_head/class_logits", f"{box}.cls_score", np.transpose)
    yield from _biased("box_head/box_deltas", f"{box}.bbox_pred", np.transpose, _box_rows)
    for i in range(architecture.num_mask_convs):
        yield from _biased(f"mask_head/convs/{i}", f"roi_heads.mask_head.{i}.0", _conv)
    yield from _biased("mask_head/upsample", f"{mask}.conv5_mask", _conv)
    yield from _biased("mask_head/logits", f"{mask}.mask_fcn_logits", _conv, _foreground_rows)


def _backbone(depth: int) -> Iterator[Weight]:
    layers = [("stem", "conv1", "bn1")]
    blocks, bottleneck = next(key for key, value in _DEPTHS.items() if value == depth)
    for stage, count in enumerate(blocks):
        for i in range(count):
            ours, theirs = f"res{stage + 2}/{i}", f"layer{stage + 1}.{i}"
            for conv in range(1, 4 if bottleneck else 3):
                layers.append((f"{ours}/conv{conv}", f"{theirs}.conv{conv}", f"{theirs}.bn{conv}"))
            # The shape changes at a stage's first block; in ResNet-18 and -34's first stage not.
            if i == 0 and (bottleneck or stage > 0):
                down = f"{theirs}.downsample"
                layers.append((f"{ours}/shortcut", f"{down}.0", f"{down}.1"))
    for ours, conv, norm in layers:
        yield Weight(f"backbone/{ours}/kernel", f"backbone.body.{conv}.weight", _conv)
        for vector, name in _NORM_VECTORS:
            theirs = f"backbone.body.{norm}.{name}"
            yield Weight(f"backbone/{ours}/norm/{vector}", theirs, np.asarray)


def _biased(ours: str, theirs: str, kernel, rows=lambda array: array) -> Iterator[Weight]:
    """Kernel and bias of a layer; `rows` selects among the outputs, PyTorch's first axis."""
    yield Weight(f"{ours}/kernel", f"{theirs}.weight", lambda array: kernel(rows(array)))
    yield Weight(f"{ours}/bias", f"{theirs}.bias", rows)


def _conv(array: np.ndarray) -> np.ndarray:
    # OIHW -> HWIO; a transposed convolution's IOHW -> HWOI, which is Keras's order for one.
    return np.transpose(array, (2, 3, 1, 0))


def _dense_after_flatten(array: np.ndarray) -> np.ndarray:
    """[out, C * S * S] -> [S * S * C, out], S = 7: we flatten with the channels last."""
    out, size = array.shape
    array = np.reshape(array, (out, size // 49, 7, 7))
    return np.reshape(np.transpose(array, (2, 3, 1, 0)), (size, out))


def _rpn_rows(array: np.ndarray) -> np.ndarray:
    """[A * 4, ...] (dx, dy, dw, dh) of each anchor -> (dy, dx, dh, dw)."""
    by_anchor = np.reshape(array, (-1, 4, *array.shape[1:]))[:, _DY_DX_DH_DW]
    return np.reshape(by_anchor, array.shape)


def _box_rows(array: np.ndarray) -> np.ndarray:
    """[(K + 1) * 4, ...] -> [K * 4, ...]: the background has no box."""
    return _rpn_rows(array[4:])


def _foreground_rows(array: np.ndarray) -> np.ndarray:
    """[K + 1, ...] -> [K, ...]: the background has no mask."""
    return array[1:]


def _count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """How many numbers `pattern` finds at the start of the names."""
    return len({m.group(1) for m in (re.match(pattern, name) for name in tensors) if m})


def _listed(kind: str, names: List[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {kind}" + (f" ({', '.join(names[:_SHOWN])}{more})" if names else "")
