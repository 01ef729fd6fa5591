"""Weights that others publish, by name: where they lie, how they are told from others, their AP.

All is as the publishers' own pages and code have it. torchvision writes the first digits of a
file's SHA-256 into its name, Detectron2 those of its MD5; longer ones here are of the same files,
as several who fetched them have noted. Matterport publishes none: the MD5 of its file is the one
that NVIDIA's TensorRT sample gives. What has no known digest, such as Detectron2's ImageNet files,
is not in the list, for it could not be checked.
"""

import posixpath
import re
from typing import Dict, NamedTuple, Optional, Tuple

from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support.suggestions import did_you_mean

_PYTORCH = "https://download.pytorch.org/models/"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/"
_MATTERPORT = "https://github.com/matterport/Mask_RCNN/releases/download/v2.0/"
# What their publishers say that the weights may be used for.
LICENCES = {
    "torchvision": "none stated for the weights, the code is BSD-3-Clause; the publisher points to "
    "the terms of the data sets",
    "detectron2": "CC BY-SA 3.0",
    "matterport": "MIT, that of its repository",
}


class Published(NamedTuple):
    """A file of weights that can be fetched."""

    source: str  # who publishes it, in whose dialect it is read
    address: str
    digest: str  # "sha256:" or "md5:" and all hexadecimal digits that are known, the first ones
    megabytes: Optional[float]  # of 10^6 bytes; None where it is not published
    # On COCO val2017 (Matterport: minival 2014), in percent; None of what it does not find.
    box_ap: Optional[float] = None
    mask_ap: Optional[float] = None
    keypoint_ap: Optional[float] = None
    top1: Optional[float] = None  # of a classifier, whose backbone is used; ImageNet, in percent
    settings: Tuple[str, ...] = ()  # of its dialect, which the file does not tell

    @property
    def file(self) -> str:
        """The publisher's name of the file."""
        return posixpath.basename(self.address)

    @property
    def check(self) -> str:
        """What the file is checked by, in words."""
        kind, digits = self.digest.split(":")
        whole = {"sha256": 64, "md5": 32}[kind]
        return kind if len(digits) == whole else f"first {len(digits)} digits of {kind}"


def _of_torchvision(file: str, digits: str, *numbers, **more) -> Published:
    return Published("torchvision", _PYTORCH + file, f"sha256:{digits}", *numbers, **more)


def _of_detectron2(path: str, *numbers, **more) -> Published:
    digits = re.search(r"_([0-9a-f]{6})\.pkl$", path).group(1)
    return Published("detectron2", _DETECTRON2 + path, f"md5:{digits}", None, *numbers, **more)


# torchvision takes 0 where its own weights of these models are asked for, not of `_v2`.
_NO_EPSILON = {"settings": ("backbone.norm_epsilon=0",)}
# Of configs/Misc/mask_rcnn_R_50_FPN_3x_syncbn.yaml; its other ResNets with SyncBN are MSRA's.
_STRIDE_IN_3X3 = {"settings": ("backbone.stride_in_1x1=false",)}
_MASKS, _BOXES, _POSES = "COCO-InstanceSegmentation", "COCO-Detection", "COCO-Keypoints"

# Name -> whole models. Names of Detectron2's are those of the recipes that train alike.
DETECTORS: Dict[str, Published] = {
    "maskrcnn_resnet50_fpn_coco": _of_torchvision(
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        "bf2d0c1efbc936eeee2bc95a48e80ebc86b891f61b0106485937fc29f9315fc0",
        *(178.1, 37.9, 34.6),
        **_NO_EPSILON,
    ),
    "maskrcnn_resnet50_fpn_v2_coco": _of_torchvision(
        "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        "73cbd0190fcbe3ba339921fbce2c3a0b6bb9126c9a133c85e43a2a8e060a109e",
        *(185.8, 47.4, 41.8),
    ),
    "fasterrcnn_resnet50_fpn_coco": _of_torchvision(
        "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
        "258fb6c638b15964ddcdd1ae0748c5eef1be9e732750120cc857feed3faac384",
        *(167.5, 37.0),
        **_NO_EPSILON,
    ),
    "fasterrcnn_resnet50_fpn_v2_coco": _of_torchvision(
        "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        "dd69338a24b8d7381807e247652bdc356325bcbaf1cd3e092e00e0a1a58706bf",
        *(175.2, 46.7),
    ),
    "keypointrcnn_resnet50_fpn_coco": _of_torchvision(
        "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
        "fc266e953d2b302cdcbb9ae66f71f6b0d4649928bf02dc573961e361e4918926",
        *(237.0, 54.6, None, 65.0),
        **_NO_EPSILON,
    ),
    "maskrcnn_r50_fpn_1x_coco": _of_detectron2(
        f"{_MASKS}/mask_rcnn_R_50_FPN_1x/137260431/model_final_a54504.pkl", 38.6, 35.2
    ),
    "maskrcnn_r50_fpn_3x_coco": _of_detectron2(
        f"{_MASKS}/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl", 41.0, 37.2
    ),
    "maskrcnn_r101_fpn_3x_coco": _of_detectron2(
        f"{_MASKS}/mask_rcnn_R_101_FPN_3x/138205316/model_final_a3ec72.pkl", 42.9, 38.6
    ),
    "maskrcnn_x101_32x8d_fpn_3x_coco": _of_detectron2(
        f"{_MASKS}/mask_rcnn_X_101_32x8d_FPN_3x/139653917/model_final_2d9806.pkl", 44.3, 39.5
    ),
    "maskrcnn_r50_fpn_syncbn_3x_coco": _of_detectron2(
        "Misc/mask_rcnn_R_50_FPN_3x_syncbn/169527823/model_final_3b3c51.pkl",
        *(41.9, 37.8),
        **_STRIDE_IN_3X3,
    ),
    "maskrcnn_r50_fpn_gn_3x_coco": _of_detectron2(
        "Misc/mask_rcnn_R_50_FPN_3x_gn/138602888/model_final_dc5d9e.pkl", 42.6, 38.6
    ),
    "maskrcnn_r50_fpn_gn_scratch_3x_coco": _of_detectron2(
        "Misc/scratch_mask_rcnn_R_50_FPN_3x_gn/138602908/model_final_01ca85.pkl", 39.9, 36.6
    ),
    "maskrcnn_r50_fpn_lsj_100ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ/42047764/model_final_bb69de.pkl", 44.6, 40.3
    ),
    "maskrcnn_r50_fpn_lsj_200ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_50_FPN_200ep_LSJ/42047638/model_final_89a8d3.pkl", 46.3, 41.7
    ),
    "maskrcnn_r50_fpn_lsj_400ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_50_FPN_400ep_LSJ/42019571/model_final_14d201.pkl", 47.4, 42.5
    ),
    "maskrcnn_r101_fpn_lsj_100ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_101_FPN_100ep_LSJ/42025812/model_final_4f7b58.pkl", 46.4, 41.6
    ),
    "maskrcnn_r101_fpn_lsj_200ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_101_FPN_200ep_LSJ/42131867/model_final_0bb7ae.pkl", 48.0, 43.1
    ),
    "maskrcnn_r101_fpn_lsj_400ep_coco": _of_detectron2(
        "new_baselines/mask_rcnn_R_101_FPN_400ep_LSJ/42073830/model_final_f96b26.pkl", 48.9, 43.7
    ),
    "faster_rcnn_r50_fpn_1x_coco": _of_detectron2(
        f"{_BOXES}/faster_rcnn_R_50_FPN_1x/137257794/model_final_b275ba.pkl", 37.9
    ),
    "faster_rcnn_r50_fpn_3x_coco": _of_detectron2(
        f"{_BOXES}/faster_rcnn_R_50_FPN_3x/137849458/model_final_280758.pkl", 40.2
    ),
    "faster_rcnn_r101_fpn_3x_coco": _of_detectron2(
        f"{_BOXES}/faster_rcnn_R_101_FPN_3x/137851257/model_final_f6e8b1.pkl", 42.0
    ),
    "faster_rcnn_x101_32x8d_fpn_3x_coco": _of_detectron2(
        f"{_BOXES}/faster_rcnn_X_101_32x8d_FPN_3x/139173657/model_final_68b088.pkl", 43.0
    ),
    "keypoint_rcnn_r50_fpn_1x_coco": _of_detectron2(
        f"{_POSES}/keypoint_rcnn_R_50_FPN_1x/137261548/model_final_04e291.pkl", 53.6, None, 64.0
    ),
    "keypoint_rcnn_r50_fpn_3x_coco": _of_detectron2(
        f"{_POSES}/keypoint_rcnn_R_50_FPN_3x/137849621/model_final_a6e10b.pkl", 55.4, None, 65.5
    ),
    "keypoint_rcnn_r101_fpn_3x_coco": _of_detectron2(
        f"{_POSES}/keypoint_rcnn_R_101_FPN_3x/138363331/model_final_997cc7.pkl", 56.4, None, 66.1
    ),
    "keypoint_rcnn_x101_32x8d_fpn_3x_coco": _of_detectron2(
        f"{_POSES}/keypoint_rcnn_X_101_32x8d_FPN_3x/139686956/model_final_5ad38f.pkl",
        *(57.3, None, 66.0),
    ),
    "mask_rcnn_coco": Published(
        "matterport",
        f"{_MATTERPORT}mask_rcnn_coco.h5",
        "md5:e98aaff6f99e307b5e2a8a3ff741a518",
        *(257.6, 34.7),
    ),
}

# torchvision's name, the digits of its file, MB, accuracy.
_CLASSIFIERS = (
    ("resnet18", "f37072fd", 46.8, 69.758, 1),
    ("resnet34", "b627a593", 87.3, 73.314, 1),
    ("resnet50", "0676ba61", 102.5, 76.130, 1),
    ("resnet50", "11ad3fa6", 102.5, 80.858, 2),
    ("resnet101", "63fe2227", 178.8, 77.374, 1),
    ("resnet101", "cd907fc2", 178.8, 81.886, 2),
    ("resnet152", "394f9c45", 241.6, 78.312, 1),
    ("resnet152", "f82ba261", 241.7, 82.284, 2),
    ("resnext50_32x4d", "7cdf4587", 100.4, 77.618, 1),
    ("resnext50_32x4d", "1a0047aa", 100.5, 81.198, 2),
    ("resnext101_32x8d", "8ba56ff5", 356.1, 79.312, 1),
    ("resnext101_32x8d", "110c445d", 356.2, 82.834, 2),
    ("resnext101_64x4d", "173b62eb", 334.8, 83.246, 1),
    ("wide_resnet50_2", "95faca4d", 138.2, 78.468, 1),
    ("wide_resnet50_2", "9ba9bcbe", 275.9, 81.602, 2),
    ("wide_resnet101_2", "32ee1156", 254.7, 78.848, 1),
    ("wide_resnet101_2", "d733dc28", 508.3, 82.510, 2),
)
# Name -> classifiers, whose backbone `model.backbone.weights` takes.
BACKBONES: Dict[str, Published] = {
    f"{net}_imagenet1k_v{version}": _of_torchvision(
        f"{net}-{digits}.pth", digits, megabytes, top1=top1
    )
    for net, digits, megabytes, top1, version in _CLASSIFIERS
}


def published(name: str) -> Published:
    """The weights of this name.

    Raises:
        InputError: there are none; names the nearest ones.
    """
    known = {**DETECTORS, **BACKBONES}
    if name in known:
        return known[name]
    hint = meant(name)
    hint = f"; {hint}" if hint else "."
    raise InputError(
        f"There are no published weights named {quoted(name, 100)}{hint} `tfmaskrcnn weights` "
        "lists the names."
    )


def meant(name: str) -> str:
    """The question for up to three names that `name` may have meant; "" where none is near."""
    return did_you_mean(name.lower(), (*DETECTORS, *BACKBONES), most=3, cutoff=0.7)
