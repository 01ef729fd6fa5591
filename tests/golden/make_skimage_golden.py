"""What scikit-image makes of images and masks by the calls in Matterport's Mask R-CNN.

Usage: python make_skimage_golden.py FOLDER   (scikit-image 0.26.0, scipy 1.17.1, numpy 2.4.6)

Images are resized by `resize(order=1, mode="constant", cval=0, clip=True, preserve_range=True,
anti_aliasing=False)` and cast to uint8; masks by the same without `preserve_range`, to the box
rounded by `np.around`, then compared with 0.5.
"""

import os
import sys

import numpy as np
from skimage.transform import resize
from weights_by_name import image

SIZES = ((31, 47, 50, 75), (48, 64, 77, 102), (90, 120, 45, 60), (40, 56, 29, 41), (20, 24, 20, 39))
MODE = {"order": 1, "mode": "constant", "cval": 0, "clip": True, "anti_aliasing": False}
HEIGHT, WIDTH = 60, 80


def resized_images():
    for i, (height, width, new_height, new_width) in enumerate(SIZES):
        picture = image(height, width, i)
        if i == 1:
            picture = picture // 3 + 120  # no black in it: clipping shows at the border
        out = resize(picture, (new_height, new_width), preserve_range=True, **MODE)
        yield f"image_{i}", picture
        yield f"resized_{i}", out.astype(np.uint8)


def pasted_masks(seed=0, count=16, side=28):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(size=(count, 4, 4))
    masks = (np.kron(coarse, np.ones((7, 7))) + rng.uniform(size=(count, side, side))) / 2
    masks[-2:] = masks[-2:] / 2 + 0.5  # above the threshold everywhere
    low = rng.uniform(0, [HEIGHT - 12, WIDTH - 12], (count, 2))
    high = np.minimum(low + np.exp(rng.uniform(0.2, 4.2, (count, 2))), [HEIGHT, WIDTH])
    low[0], high[0] = (2.5, 3.5), (9.5, 30.5)  # halves go to the even side
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    pasted = np.zeros((count, HEIGHT, WIDTH), bool)
    for out, mask, box in zip(pasted, masks.astype(np.float32), boxes):
        y1, x1, y2, x2 = np.around(box).astype(int)
        out[y1:y2, x1:x2] = resize(mask, (y2 - y1, x2 - x1), **MODE) >= 0.5
    return {"masks": masks.astype(np.float32), "boxes": boxes, "pasted": np.packbits(pasted)}


if __name__ == "__main__":
    path = os.path.join(sys.argv[1], "skimage.npz")
    np.savez_compressed(path, **dict(resized_images()), **pasted_masks())
