"""A part of what Detectron2's `mask_rcnn_R_50_FPN_3x` and its like compute, small enough for this
folder.

Usage: python make_detectron2_maskrcnn_golden.py FULL.npz FOLDER NAME

FULL.npz holds the outputs of Detectron2 02b5c4e: a model-zoo configuration in evaluation mode, its
state dict filled by `weights_by_name.weight` but for the norms' means and variances, which were
measured on the image, given as it is, in BGR. Nothing is changed here, only thinned out and spread
over several files, so maps are [B, C, h, w] and boxes (x1, y1, x2, y2).

| NAME             | configuration of COCO-InstanceSegmentation/ | `weights_by_name.image` |
|------------------|---------------------------------------------|-------------------------|
| detectron2       | mask_rcnn_R_50_FPN_3x.yaml                  | (256, 320, 0)           |
| detectron2_x101  | mask_rcnn_X_101_32x8d_FPN_3x.yaml           | (192, 256, 0)           |
"""

import os
import sys

import numpy as np

STEPS = (4, 2, 1, 1, 1)  # every so many pixels of each level, of the full file's every second
ROIS, ROWS, MASKS = 20, 60, 20
MAX_BYTES = 180_000  # of statistics in a file; they do not compress


def main(full_path, folder, name):
    full = np.load(full_path)
    part = {"manifest": full["manifest"], "proposals": full["proposals_0"]}
    for i, step in enumerate(STEPS):
        part[f"fpn_{i}"] = full[f"fpn_p{i + 2}"][:, ::2, ::step, ::step]
        part[f"objectness_{i}"] = full[f"rpn_objectness_{i}"][:, :, ::step, ::step]
        part[f"deltas_{i}"] = full[f"rpn_deltas_{i}"][:, :, ::step, ::step]
    part["roi_features"] = full["box_roi_features"][:ROIS, ::2]
    part["class_logits"] = full["class_logits"][:ROWS]
    part["box_deltas"] = full["box_regression"][:ROWS]
    for key in ("boxes", "scores", "labels"):
        part[key] = full[f"{key}_0"]
    masks = full["masks28_0"]  # [D, 28, 28] or [D, 1, 28, 28] float16
    part["masks"] = masks.reshape(-1, 28, 28)[:MASKS]
    np.savez_compressed(os.path.join(folder, f"{name}_maskrcnn.npz"), **part)
    for kind in ("mean", "var"):
        found = {n[5:]: full[n] for n in full.files if n.endswith(f".running_{kind}")}
        files, size = [{}], 0
        for key, array in found.items():
            size += array.nbytes
            if size > MAX_BYTES:
                files.append({})
                size = array.nbytes
            files[-1][key] = array
        for i, arrays in enumerate(files):
            number = f"_{i}" if len(files) > 1 else ""
            path = os.path.join(folder, f"{name}_running_{kind}{number}.npz")
            np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
