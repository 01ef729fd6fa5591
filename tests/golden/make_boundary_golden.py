"""Boundaries of masks by OpenCV, and their IoU by pycocotools.

Usage: python make_boundary_golden.py FOLDER   (opencv-python-headless 5.0.0, pycocotools 2.0.11,
numpy 2.4.6)

As Cheng et al. (arXiv 2103.16562) define them: a mask without its erosion by 3 x 3 pixels, repeated
round(2 % of the diagonal) times, at least once, on an image with a frame of zeros.
"""

import os
import sys

import cv2
import numpy as np
from pycocotools import mask as coco_mask

# The diagonals of the second and the fourth are 125 and 10: 2.5 and 0.2 pixels.
SIZES = ((60, 90), (75, 100), (240, 320), (6, 8))
PER_IMAGE = 6


def blobs(size, rng):
    """[PER_IMAGE, H, W] uint8 masks, the second half much like the first, cut by the border too."""
    noise = cv2.GaussianBlur(rng.normal(size=size), (0, 0), min(size) / 12)
    rough = noise / noise.std() * 0.4
    y, x = np.mgrid[: size[0], : size[1]]
    masks = []
    for _ in range(PER_IMAGE // 2):
        center, radius = rng.uniform(0, size), rng.uniform(0.2, 0.7, 2) * size
        distance = np.hypot((y - center[0]) / radius[0], (x - center[1]) / radius[1])
        masks.append(distance + rough < 1)
    masks[0] &= np.hypot(y - size[0] / 2, x - size[1] / 2) > min(size) / 9  # a hole
    masks += [np.roll(mask, max(1, size[0] // 30), axis=0) for mask in masks]
    return np.array(masks, np.uint8)


def boundary(mask):
    depth = max(1, int(round(0.02 * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=depth)
    return mask - eroded[1:-1, 1:-1]


def main(folder):
    rng = np.random.default_rng(0)
    arrays = {}
    for i, size in enumerate(SIZES):
        masks = blobs(size, rng)
        edges = np.array([boundary(mask) for mask in masks])
        rles = [coco_mask.encode(np.asfortranarray(edge)) for edge in edges]
        arrays[f"size_{i}"] = np.array(size)
        arrays[f"masks_{i}"] = np.packbits(masks)
        arrays[f"boundaries_{i}"] = np.packbits(edges)
        arrays[f"iou_{i}"] = coco_mask.iou(rles, rles, [0] * len(rles))
    np.savez_compressed(os.path.join(folder, "boundary.npz"), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
