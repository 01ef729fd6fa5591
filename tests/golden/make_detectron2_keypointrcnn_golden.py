"""A part of what Detectron2's `keypoint_rcnn_R_50_FPN_3x` computes, small enough for this folder.

Usage: python make_detectron2_keypointrcnn_golden.py FULL.npz FOLDER

FULL.npz holds the outputs of Detectron2 02b5c4e: the model-zoo configuration
COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml in evaluation mode, its state dict filled by
`weights_by_name.weight` but for the norms' means and variances, which were measured on the image,
`weights_by_name.image(192, 256, 0)`, given as it is, in BGR. Nothing is changed here, only thinned
out and spread over three files, so maps are [B, C, h, w], boxes (x1, y1, x2, y2) and keypoints
(x, y, score).
"""

import os
import sys

import numpy as np

STEPS = (4, 2, 1, 1, 1)  # every so many pixels of each level, of the full file's every second
ROIS, ROWS = 20, 60


def main(full_path, folder):
    full = np.load(full_path)
    part = {"manifest": full["manifest"], "proposals": full["proposals_0"]}
    for i, step in enumerate(STEPS):
        part[f"fpn_{i}"] = full[f"fpn_p{i + 2}"][:, ::2, ::step, ::step]
        part[f"objectness_{i}"] = full[f"rpn_objectness_{i}"][:, :, ::step, ::step]
        part[f"deltas_{i}"] = full[f"rpn_deltas_{i}"][:, :, ::step, ::step]
    part["roi_features"] = full["box_roi_features"][:ROIS, ::2]
    part["class_logits"] = full["class_logits"][:ROWS]
    part["box_deltas"] = full["box_regression"][:ROWS]
    for key in ("boxes", "scores", "labels", "keypoints"):
        part[key] = full[f"{key}_0"]
    np.savez_compressed(os.path.join(folder, "detectron2_keypointrcnn.npz"), **part)
    for kind in ("mean", "var"):
        found = {n[5:]: full[n] for n in full.files if n.endswith(f".running_{kind}")}
        name = f"detectron2_keypointrcnn_{kind}.npz"
        np.savez_compressed(os.path.join(folder, name), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
