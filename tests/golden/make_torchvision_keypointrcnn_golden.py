"""What torchvision's `keypointrcnn_resnet50_fpn` computes from weights that need no file.

Usage: python make_torchvision_keypointrcnn_golden.py torchvision_keypointrcnn.npz

Made with torchvision 0.29.1 and torch 2.14.1 on a CPU: `keypointrcnn_resnet50_fpn(weights=None,
weights_backbone=None, min_size=192, max_size=256)`, which has plain batch normalisation of epsilon
1e-5, in evaluation mode; 2 classes and 17 keypoints. Its state dict was filled by
`weights_by_name.weight`; the images were `weights_by_name.image(160, 237, 0)` and
`image(192, 150, 1)` as floats in 0..1. Maps are [B, C, h, w], boxes (x1, y1, x2, y2) and keypoints
(x, y, 1), as torchvision has them. `heatmaps` is a part of the 56 x 56 logits of the first
proposals of image 0; `decoded` is what `heatmaps_to_keypoints` makes of
`weights_by_name.heat_maps(40, 4, 0)`.
"""

import json
import sys

import numpy as np
import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints
from weights_by_name import heat_maps, image, weight

STEPS = (8, 4, 2, 2, 2)  # every so many pixels of each level
CHANNEL_STEP, ROIS, ROWS, MAPS = 32, 20, 60, 10


def main(out_path):
    torch.set_num_threads(1)
    model = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=192, max_size=256
    ).eval()
    state = model.state_dict()
    drawn = {name: torch.from_numpy(weight(name, tuple(t.shape))) for name, t in state.items()}
    model.load_state_dict(drawn)
    shapes = [[name, list(tensor.shape)] for name, tensor in state.items()]
    part = {"manifest": np.array(json.dumps(shapes))}
    images = [image(160, 237, 0), image(192, 150, 1)]
    images = [torch.from_numpy(i).permute(2, 0, 1).float() / 255 for i in images]
    with torch.no_grad():
        part.update(stages(model, images))
        for i, found in enumerate(model(images)):
            part[f"boxes_{i}"] = found["boxes"].numpy()
            part[f"scores_{i}"] = found["scores"].numpy()
            part[f"keypoints_{i}"] = found["keypoints"].numpy()
            part[f"keypoint_scores_{i}"] = found["keypoints_scores"].numpy()
        part.update(decoding())
    np.savez_compressed(out_path, **part)


def stages(model, images):
    batch, _ = model.transform(images)
    pyramid = model.backbone(batch.tensors)
    part = {"image_sizes": np.array(batch.image_sizes)}
    logits, deltas = model.rpn.head(list(pyramid.values()))
    for i, (level, step) in enumerate(zip(pyramid.values(), STEPS)):
        part[f"fpn_{i}"] = level[:, ::CHANNEL_STEP, ::step, ::step].numpy()
        part[f"objectness_{i}"] = logits[i][:, :, ::step, ::step].numpy()
        part[f"deltas_{i}"] = deltas[i][:, :, ::step, ::step].numpy()
    proposals, _ = model.rpn(batch, pyramid)
    heads = model.roi_heads
    features = heads.box_roi_pool(pyramid, proposals, batch.image_sizes)
    part["roi_features"] = features[:ROIS, :: 2 * CHANNEL_STEP].numpy()
    logits, deltas = heads.box_predictor(heads.box_head(features))
    part["class_logits"], part["box_deltas"] = logits[:ROWS].numpy(), deltas[:ROWS].numpy()
    for i, boxes in enumerate(proposals):
        part[f"proposals_{i}"] = boxes.numpy()
    few = [boxes[:MAPS] for boxes in proposals]
    features = heads.keypoint_roi_pool(pyramid, few, batch.image_sizes)
    maps = heads.keypoint_predictor(heads.keypoint_head(features))[:MAPS]
    part["heatmaps"] = maps[:, ::4, ::4, ::4].numpy()
    return part


def decoding():
    maps, boxes = heat_maps(40, 4, 0)
    found, scores = heatmaps_to_keypoints(torch.from_numpy(maps), torch.from_numpy(boxes))
    return {"decoded": found.numpy(), "decoded_scores": scores.numpy()}


if __name__ == "__main__":
    main(*sys.argv[1:])
