"""RoIPool of torchvision on a small pyramid, for `tests/ops/test_roi_pool.py`.

Usage: python make_roi_pool_golden.py roi_pool.npz     (torchvision 0.29.1, torch 2.14.1)

Boxes are stored as this project writes them (yxyx), features and gradients channels last. Each
RoI's level is stored, so that the two frameworks' rules for it need not agree. Features have 2
decimals, so that many bins hold their maximum more than once.
"""

import sys

import numpy as np
import torch
import torchvision
from torchvision.ops import roi_pool

HEIGHT, WIDTH, CHANNELS, SIDES = 128, 160, 2, (1, 3, 7)
LEVELS = (2, 3, 4, 5)
SPECIAL = [
    [0, 0, HEIGHT, WIDTH],
    [-300, -300, 900, 900],
    [0, 0, 1, 1],
    [HEIGHT - 1, WIDTH - 1, HEIGHT, WIDTH],
    [40, 50, 40, 90],  # no height
    [-50, -50, -20, -20],  # outside
    [100, 130, 150, 200],  # partly outside
    [0, 0, HEIGHT, 2],
    [10, 14, 42, 46],  # corners at halves of feature pixels
    [-6, -10, 30, 34],
]


def draw_boxes(rng, count):
    center = rng.uniform(0, [HEIGHT, WIDTH], [count, 2])
    size = np.exp(rng.uniform(np.log(4), np.log(400), [count, 2]))
    random = np.concatenate([center - size / 2, center + size / 2], 1)
    return np.concatenate([random, SPECIAL]).astype(np.float32)


def pool(maps, boxes, levels, side):
    out = torch.zeros([*levels.shape, CHANNELS, side, side])
    xyxy = torch.from_numpy(boxes[..., [1, 0, 3, 2]].copy())
    for image in range(2):
        for level, features in zip(LEVELS, maps):
            where = torch.from_numpy(levels[image] == level)
            rois = [xyxy[image][where]]
            out[image, where] = roi_pool(features[image : image + 1], rois, side, 0.5**level)
    return out


def main():
    rng = np.random.default_rng(0)
    shapes = [(2, HEIGHT >> k, WIDTH >> k, CHANNELS) for k in LEVELS]
    maps = [np.round(rng.normal(size=s), 2).astype(np.float32) for s in shapes]
    boxes = np.stack([draw_boxes(rng, 20), draw_boxes(rng, 20)])
    area = np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), -1)
    levels = np.clip(np.floor(4 + np.log2(np.sqrt(area) / 56 + 1e-8)), 2, 5).astype(np.int32)
    record = {"boxes": boxes, "levels": levels}
    record.update({f"p{k}": m for k, m in zip(LEVELS, maps)})
    for side in SIDES:
        leaves = [torch.from_numpy(m).permute(0, 3, 1, 2).clone() for m in maps]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        out = pool(leaves, boxes, levels, side)  # [2, R, C, S, S]
        upstream = rng.normal(size=[*levels.shape, side, side, CHANNELS]).astype(np.float16)
        out.backward(torch.from_numpy(upstream.astype(np.float32)).permute(0, 1, 4, 2, 3))
        record[f"side{side}"] = out.detach().permute(0, 1, 3, 4, 2).numpy()
        record[f"side{side}_upstream"] = upstream
        for k, leaf in zip(LEVELS, leaves):
            record[f"side{side}_grad_p{k}"] = leaf.grad.permute(0, 2, 3, 1).numpy()
    record["meta"] = np.array(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    np.savez_compressed(sys.argv[1], **record)
    print({k: np.bincount(levels.ravel())[k] for k in LEVELS}, record["meta"])


if __name__ == "__main__":
    main()
