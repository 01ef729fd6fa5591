"""A part of what Matterport's Mask R-CNN computes, small enough for this folder.

Usage: python make_matterport_maskrcnn_golden.py FULL.npz FOLDER

FULL.npz holds the outputs of Matterport's Mask R-CNN (its TensorFlow 2 port, on TensorFlow 2.12)
with ResNet-101, 81 classes, IMAGE_MIN_DIM 256, IMAGE_MAX_DIM 320 and DETECTION_MIN_CONFIDENCE 0,
its weights filled by `weights_by_name.keras_weight`, on `weights_by_name.image(256, 320, 0)`.
Nothing is changed here, only left out. Boxes are (y1, x1, y2, x2) in 0..1 of the padded 320 x 320
input less a pixel.
"""

import os
import sys

import numpy as np

ROWS, MASKS = 60, 20
WHOLE = ("manifest", "window", "anchors_every_997th", "rpn_class", "rpn_bbox", "rpn_rois")


def main(full_path, folder):
    full = np.load(full_path)
    part = {name: full[name] for name in (*WHOLE, "detections")}
    for level in ("p2", "p3", "p4", "p5"):
        part[f"fpn_{level}"] = full[f"fpn_{level}"][..., ::2]
    part["class_scores"] = full["mrcnn_class_100"][0, :ROWS]
    part["box_deltas"] = full["mrcnn_bbox_100"][0, :ROWS]
    part["masks"] = full["masks28"][:MASKS]
    np.savez_compressed(os.path.join(folder, "matterport_maskrcnn.npz"), **part)


if __name__ == "__main__":
    main(*sys.argv[1:])
