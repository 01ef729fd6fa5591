"""Which proposals torchvision makes of given logits and deltas, for torchvision_proposals.npz.

Usage: python make_torchvision_proposals_golden.py torchvision_proposals.npz

Made with torch 2.14.1 and torchvision 0.29.1. The logits and deltas are `weights_by_name.rpn_maps`,
of a batch padded to 256 x 320 pixels that holds images of `SIZES`.
"""

import sys

import numpy as np
import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.image_list import ImageList
from weights_by_name import rpn_maps

PADDED, SIZES = (256, 320), [(213, 317), (256, 200)]


def main(path):
    rpn = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).rpn.eval()
    maps = [rpn_maps(2, PADDED, level, seed=0) for level in range(2, 7)]
    # [B, h, w, A] logits and [B, h, w, A, 4] yxyx deltas -> channels first, xyxy
    logits = [torch.from_numpy(one.transpose(0, 3, 1, 2).copy()) for one, _ in maps]
    deltas = [d[..., [1, 0, 3, 2]].reshape(*d.shape[:3], 12).transpose(0, 3, 1, 2) for _, d in maps]
    rpn.head.forward = lambda _: (logits, [torch.from_numpy(one.copy()) for one in deltas])
    features = {str(i): torch.zeros(2, 256, *one.shape[2:]) for i, one in enumerate(logits)}
    with torch.no_grad():
        proposals, _ = rpn(ImageList(torch.zeros(2, 3, *PADDED), SIZES), features)
    np.savez_compressed(path, **{f"proposals_{i}": one.numpy() for i, one in enumerate(proposals)})
    print([len(one) for one in proposals])


if __name__ == "__main__":
    main(*sys.argv[1:])
