"""Names and shapes of the arrays in published weight files, from their architectures."""

import json
import re

import numpy as np

from helpers.paths import GOLDEN
from tfmaskrcnn.checkpoints.published import BACKBONES, DETECTORS
from tfmaskrcnn.checkpoints.resnet_names import torchvision_name

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
BLOCKS[152] = (3, 8, 36, 3)
VECTORS = {"gn": ("weight", "bias"), "": ()}
VECTORS["bn"] = (*VECTORS["gn"], "running_mean", "running_var")
K = 80  # COCO's classes; torchvision counts the gaps of the ids too
IDS = 90
# The manifests of torchvision's own models, which have other numbers of classes.
MANIFESTS = {
    "maskrcnn_resnet50_fpn_coco": "torchvision_maskrcnn",
    "maskrcnn_resnet50_fpn_v2_coco": "torchvision_maskrcnn_v2",
    "fasterrcnn_resnet50_fpn_coco": "torchvision_fasterrcnn",
    "fasterrcnn_resnet50_fpn_v2_coco": "torchvision_fasterrcnn_v2",
    "keypointrcnn_resnet50_fpn_coco": "torchvision_keypointrcnn",
    "mask_rcnn_coco": "matterport_maskrcnn",
}


def published_shapes(name):
    """{weight: shape} of the file behind a published name, in the publisher's names and axes."""
    if name in BACKBONES:
        net = re.sub(r"_imagenet1k_v\d$", "", name)
        shapes = {torchvision_name(n): s for n, s in resnet(*depth_of(net)).items()}
        channels = 2048 if depth_of(net)[0] >= 50 else 512
        return {**shapes, **dense("fc", 1000, channels)}
    if name in MANIFESTS:
        shapes = manifest(MANIFESTS[name])
        poses_or_keras = "keypoint" in name or name == "mask_rcnn_coco"
        return shapes if poses_or_keras else with_coco_classes(shapes)
    return detectron2(DETECTORS[name].address)


def manifest(golden):
    found = json.loads(str(np.load(GOLDEN / f"{golden}.npz")["manifest"]))
    return {name: tuple(shape) for name, shape in found}


def with_coco_classes(shapes):
    """Torchvision's shapes with the 91 classes of its published files."""
    sizes = {"cls_score": IDS + 1, "bbox_pred": 4 * (IDS + 1), "mask_fcn_logits": IDS + 1}
    changed = {}
    for name, shape in shapes.items():
        layer = name.rsplit(".", 2)[-2]
        rpn = name.startswith("rpn")
        changed[name] = (sizes[layer], *shape[1:]) if layer in sizes and not rpn else shape
    return changed


def depth_of(net):
    """(depth, groups, width of a group) of torchvision's or Detectron2's name of a ResNet."""
    depth = int(re.search(r"(?:net|next|R_|X_)(\d+)", net).group(1))
    grouped = re.search(r"(\d+)x(\d+)d", net)
    if grouped:
        return depth, int(grouped.group(1)), int(grouped.group(2))
    return depth, 1, 128 if net.startswith("wide") else 64


def conv(name, out, channels, side=3, norm=""):
    shapes = {f"{name}.weight": (out, channels, side, side)}
    if not norm:
        return {**shapes, f"{name}.bias": (out,)}
    return {**shapes, **{f"{name}.norm.{vector}": (out,) for vector in VECTORS[norm]}}


def dense(name, out, channels):
    return {f"{name}.weight": (out, channels), f"{name}.bias": (out,)}


def resnet(depth, groups, width, norm="bn"):
    """A ResNet in Detectron2's names, its stem's included."""
    shapes, channels = conv("stem.conv1", 64, 3, 7, norm), 64
    for stage, number in enumerate(BLOCKS[depth]):
        inner = groups * width << stage
        out = 256 << stage if depth >= 50 else inner
        for i in range(number):
            block = f"res{stage + 2}.{i}"
            if depth >= 50:
                shapes.update(conv(f"{block}.conv1", inner, channels, 1, norm))
                shapes.update(conv(f"{block}.conv2", inner, inner // groups, 3, norm))
                shapes.update(conv(f"{block}.conv3", out, inner, 1, norm))
            else:
                shapes.update(conv(f"{block}.conv1", inner, channels, 3, norm))
                shapes.update(conv(f"{block}.conv2", inner, inner, 3, norm))
            if channels != out:
                shapes.update(conv(f"{block}.shortcut", out, channels, 1, norm))
            channels = out
    return shapes


def detectron2(address):
    """Of one of the model zoo's files, by what its address tells of the configuration."""
    norm = "gn" if "_gn/" in address else "bn" if "syncbn" in address or "LSJ" in address else ""
    poses, boxes = "keypoint" in address, "faster" in address
    heads, rpn, classes = "roi_heads", "proposal_generator.rpn_head", 1 if poses else K
    body = resnet(*depth_of(re.search(r"[RX]_[^/]*", address).group()), norm or "bn")
    shapes = {f"backbone.bottom_up.{name}": shape for name, shape in body.items()}
    for i in range(4):
        shapes.update(conv(f"backbone.fpn_lateral{i + 2}", 256, 256 << i, 1, norm))
        shapes.update(conv(f"backbone.fpn_output{i + 2}", 256, 256, 3, norm))
    for layer in ("conv.conv0", "conv.conv1") if "LSJ" in address else ("conv",):
        shapes.update(conv(f"{rpn}.{layer}", 256, 256))
    shapes.update(conv(f"{rpn}.objectness_logits", 3, 256, 1))
    shapes.update(conv(f"{rpn}.anchor_deltas", 12, 256, 1))
    for i in range(4 if norm else 0):
        shapes.update(conv(f"{heads}.box_head.conv{i + 1}", 256, 256, 3, norm))
    shapes.update(dense(f"{heads}.box_head.fc1", 1024, 256 * 49))
    if not norm:
        shapes.update(dense(f"{heads}.box_head.fc2", 1024, 1024))
    shapes.update(dense(f"{heads}.box_predictor.cls_score", classes + 1, 1024))
    shapes.update(dense(f"{heads}.box_predictor.bbox_pred", 4 * classes, 1024))
    if poses:
        for i in range(8):
            layer = f"{heads}.keypoint_head.conv_fcn{i + 1}"
            shapes.update(conv(layer, 512, 512 if i else 256))
        shapes[f"{heads}.keypoint_head.score_lowres.weight"] = (512, 17, 4, 4)
        shapes[f"{heads}.keypoint_head.score_lowres.bias"] = (17,)
    elif not boxes:
        for i in range(4):
            shapes.update(conv(f"{heads}.mask_head.mask_fcn{i + 1}", 256, 256, 3, norm))
        shapes.update(conv(f"{heads}.mask_head.deconv", 256, 256, 2))
        shapes.update(conv(f"{heads}.mask_head.predictor", classes, 256, 1))
    return shapes
