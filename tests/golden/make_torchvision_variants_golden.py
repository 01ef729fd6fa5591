"""What torchvision's detectors other than `maskrcnn_resnet50_fpn` compute, small enough for this
folder.

Usage: python make_torchvision_variants_golden.py OUT.npz MODEL [CLASSES [SEED]]

MODEL is a function of torchvision.models.detection, or "mask:BACKBONE" or "faster:BACKBONE" for
what its `resnet_fpn_backbone` makes of a classifier. Its state dict is filled by
`weights_by_name.torchvision_state`; the image is `weights_by_name.image(213, 317, SEED)`, resized
to 256 x at most 320.

| here                             | made with torch 2.14.1, torchvision 0.29.1 and   |
|----------------------------------|--------------------------------------------------|
| torchvision_maskrcnn_v2.npz      | maskrcnn_resnet50_fpn_v2 7                       |
| torchvision_fasterrcnn.npz       | fasterrcnn_resnet50_fpn 5 1                      |
| torchvision_fasterrcnn_v2.npz    | fasterrcnn_resnet50_fpn_v2 5 2                   |
"""

import json
import sys

import numpy as np
import torch
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from weights_by_name import image, torchvision_state

STEPS, CHANNEL_STEP = (8, 4, 2, 2, 2), 32
ROIS, ROWS = 8, 40


def made(name, classes):
    sizes = {"num_classes": classes + 1, "min_size": 256, "max_size": 320}
    kind, _, backbone = name.partition(":")
    if not backbone:
        return getattr(detection, name)(weights=None, weights_backbone=None, **sizes)
    body = resnet_fpn_backbone(backbone_name=backbone, weights=None)
    return {"mask": detection.MaskRCNN, "faster": detection.FasterRCNN}[kind](body, **sizes)


def filled(model, seed):
    manifest = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items()]
    state = torchvision_state(manifest, seed)
    model.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in state.items()})
    return manifest


def stages(model, images):
    part = {"image_sizes": np.array(images.image_sizes)}
    pyramid = model.backbone(images.tensors)
    heads = model.rpn.head(list(pyramid.values()))
    for i, (step, level) in enumerate(zip(STEPS, pyramid.values())):
        part[f"fpn_{i}"] = level[:, ::CHANNEL_STEP, ::step, ::step]
        part[f"objectness_{i}"] = heads[0][i][:, :, ::step, ::step]
        part[f"deltas_{i}"] = heads[1][i][:, :, ::step, ::step]
    proposals, _ = model.rpn(images, pyramid)
    part["proposals"] = proposals[0]
    features = model.roi_heads.box_roi_pool(pyramid, proposals, images.image_sizes)
    logits, deltas = model.roi_heads.box_predictor(model.roi_heads.box_head(features))
    part["roi_features"] = features[:ROIS, :: 2 * CHANNEL_STEP]
    part["class_logits"], part["box_deltas"] = logits[:ROWS], deltas[:ROWS]
    return part


def main(path, name, classes="5", seed="0"):
    classes, seed = int(classes), int(seed)
    model = made(name, classes).eval()
    manifest = filled(model, seed)
    picture = image(213, 317, seed).astype(np.float32) / 255
    picture = torch.from_numpy(picture.transpose(2, 0, 1).copy())
    with torch.no_grad():
        part = stages(model, model.transform([picture])[0])
        found = model([picture])[0]
    part.update({key: found[key] for key in ("boxes", "scores", "labels")})
    part = {key: np.asarray(value) for key, value in part.items()}
    if "masks" in found:
        # Runs of the flattened masks: far smaller than the bits.
        bits = found["masks"].numpy()[:, 0] >= 0.5
        edges = np.flatnonzero(np.diff(bits.ravel().astype(np.int8), prepend=0, append=0))
        part["mask_edges"] = np.diff(edges, prepend=0).astype(np.uint32)
    meta = {"model": name, "classes": classes, "seed": seed}
    np.savez_compressed(path, manifest=json.dumps(manifest), meta=json.dumps(meta), **part)
    levels = [round(float(part[f"fpn_{i}"].std()), 3) for i in range(5)]
    print(name, "pyramid", levels, len(part["boxes"]), "boxes", part["scores"][:3])


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(*sys.argv[1:])
