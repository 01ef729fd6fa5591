"""A part of what torchvision's `maskrcnn_resnet50_fpn` computes, small enough for this folder.

Usage: python make_torchvision_maskrcnn_golden.py FULL.npz torchvision_maskrcnn.npz

FULL.npz holds the outputs of torchvision 0.29.1 (torch 2.14.1): `maskrcnn_resnet50_fpn(
weights=None, weights_backbone=None, num_classes=91, min_size=256, max_size=320)`, which has plain
batch normalisation of epsilon 1e-5, in evaluation mode. Its state dict was filled by
`weights_by_name.weight`; the images were `weights_by_name.image(213, 317, 0)` and
`image(256, 200, 1)` as floats in 0..1. Nothing is changed here, only thinned out, so maps are
[B, C, h, w] and boxes (x1, y1, x2, y2) as torchvision has them.
"""

import sys

import numpy as np

# Every so many pixels of each level, of the full file's every second.
STEPS = (4, 2, 1, 1, 1)
ROIS, ROWS = 20, 60


def main(full_path, out_path):
    full = np.load(full_path)
    part = {"manifest": full["manifest"], "image_sizes": full["image_sizes"]}
    part["anchors"] = full["anchors_every_97th"]
    part["input"] = full["normalized_image_crop"]
    for i, (step, key) in enumerate(zip(STEPS, ("0", "1", "2", "3", "pool"))):
        part[f"fpn_{i}"] = full[f"fpn_{key}"][:, ::2, ::step, ::step]
        part[f"objectness_{i}"] = full[f"rpn_objectness_{i}"][:, :, ::step, ::step]
        part[f"deltas_{i}"] = full[f"rpn_deltas_{i}"][:, :, ::step, ::step]
    part["roi_features"] = full["box_roi_features"][:ROIS, ::2]
    part["class_logits"] = full["class_logits"][:ROWS]
    part["box_deltas"] = full["box_regression"][:ROWS]
    for i in range(2):
        for key in ("proposals", "boxes", "scores", "labels"):
            part[f"{key}_{i}"] = full[f"{key}_{i}"]
        masks, shape = full[f"masks_{i}"], full[f"masks_shape_{i}"]
        bits = np.unpackbits(masks, axis=-1)[:, :, : shape[2]]
        # Runs of the flattened masks: far smaller than the bits.
        edges = np.flatnonzero(np.diff(bits.ravel(), prepend=0, append=0))
        part[f"mask_edges_{i}"] = np.diff(edges, prepend=0).astype(np.uint32)
    np.savez_compressed(out_path, **part)


if __name__ == "__main__":
    main(*sys.argv[1:])
