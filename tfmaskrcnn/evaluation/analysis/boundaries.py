"""How well masks follow the outlines of what they found.

Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation" (arXiv
2103.16562): a mask's IoU hardly notices a bad outline of a large object, so the IoU of the pixels
near the two outlines is looked at too. Where the text leaves a choice, it is that of the authors'
boundary-iou-api.
"""

from typing import Dict, NamedTuple, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.examined import Examined, ExaminedImage
from tfmaskrcnn.evaluation.analysis.pixels import rle_window
from tfmaskrcnn.evaluation.analysis.precision import ABSENT, average_precision, mean_present
from tfmaskrcnn.evaluation.analysis.verdicts import FOUND, ImageVerdicts
from tfmaskrcnn.ops.paste import Window

RATIO = 0.02  # of the image's diagonal: how deep a boundary reaches into its mask
LEAST_IOU = 0.5  # of masks; no threshold of an AP lies below, and nor does a match


class Outlines(NamedTuple):
    """The masks of the n found objects, and the AP that their outlines leave; 0..1.

    ABSENT where nothing was found, of APs where there is no object.
    """

    mean_iou: float
    mean_dice: float  # twice the shared pixels over the pixels of both: 2 IoU / (1 + IoU)
    mean_boundary_iou: float
    boundary_ap: float  # COCO's AP of min(mask IoU, boundary IoU)
    mask_ap: float  # COCO's
    ious: np.ndarray  # [n] float64
    boundary_ious: np.ndarray  # [n] float64
    areas: np.ndarray  # [n] float64 pixels of the annotated objects


def outlines(examined: Examined, verdicts: Sequence[ImageVerdicts]) -> Outlines:
    """The outlines of a set with masks.

    Args:
        examined: the images, `has_masks`.
        verdicts: of each image, by `judge` on masks at an IoU of 0.5 or more.
    """
    boundary = {image.image_id: boundary_overlap(image) for image in examined.images}
    found = []
    for image, verdict in zip(examined.images, verdicts):
        objects = np.array([code == FOUND for code in verdict.objects], bool)
        pairs = verdict.finder[objects], np.flatnonzero(objects)
        ious, boundary_ious = image.overlap("mask")[pairs], boundary[image.image_id][pairs]
        found.append(np.stack([ious, boundary_ious, image.objects.areas[objects]]))
    ious, boundary_ious, areas = np.concatenate([np.zeros((3, 0)), *found], axis=1)

    def strict(image: ExaminedImage) -> np.ndarray:
        return np.minimum(image.overlap("mask"), boundary[image.image_id])

    return Outlines(
        _mean(ious),
        _mean(2 * ious / (1 + ious)),
        _mean(boundary_ious),
        _ap(examined, strict),
        _ap(examined, None),
        ious,
        boundary_ious,
        areas,
    )


def boundary_overlap(image: ExaminedImage) -> np.ndarray:
    """[D, G] float64 boundary IoU of masks, whatever their classes; 0 where mask IoU is below 0.5.

    With a crowd region it is the mask's overlap: where its outline runs means nothing.
    """
    overlap = image.overlap("mask")
    crowd = image.objects.crowd
    result = np.where(crowd, overlap, 0.0)
    pairs = np.argwhere((overlap >= LEAST_IOU) & ~crowd)
    if not len(pairs):
        return result
    depth = boundary_depth(image.size)
    found, objects = image.found.rles, image.objects.rles
    thin = _thin(found, depth)[pairs[:, 0]] & _thin(objects, depth)[pairs[:, 1]]
    # Of what is nowhere thicker than two depths all is boundary.
    result[tuple(pairs[thin].T)] = overlap[tuple(pairs[thin].T)]
    pairs = pairs[~thin]
    of_found = {d: _Boundary.of(found[d], depth) for d in np.unique(pairs[:, 0])}
    of_object = {g: _Boundary.of(objects[g], depth) for g in np.unique(pairs[:, 1])}
    for d, g in pairs:
        result[d, g] = of_found[d].iou(of_object[g])
    return result


def boundary_depth(size: Tuple[int, int]) -> int:
    """Pixels from its outline up to which a mask's pixel is boundary, in an image (height, width).

    2 % of the diagonal, at least 1.
    """
    return max(1, round(RATIO * float(np.hypot(*size))))


def boundary(bitmap: np.ndarray, depth: int) -> np.ndarray:
    """[h, w] bool: `bitmap` without what is left of it after `depth` erosions by 3 x 3 pixels.

    Beyond the bitmap there is nothing, so an object that the image cuts has boundary there.
    """
    inner = _eroded(bitmap, 2 * depth + 1)
    result = bitmap.copy()
    result[depth : depth + inner.shape[0], depth : depth + inner.shape[1]] &= ~inner
    return result


def _eroded(bitmap: np.ndarray, side: int) -> np.ndarray:
    """[h - side + 1, w - side + 1] bool: the `side` x `side` pixels from there on are all on."""
    for _ in range(2):
        reach = 1
        while reach < side:  # doubling: two runs of `reach` pixels are one of up to twice as many
            step = min(reach, side - reach)
            bitmap = bitmap[:-step] & bitmap[step:]
            reach += step
        bitmap = bitmap.T
    return bitmap


def _thin(rles: Sequence[Dict], depth: int) -> np.ndarray:
    """[n] bool: the mask's box is too small for anything to be left by an erosion."""
    return coco_mask.toBbox(rles)[:, 2:].min(axis=1) <= 2 * depth


class _Boundary(NamedTuple):
    window: Window
    size: int  # pixels

    @classmethod
    def of(cls, rle: Dict, depth: int) -> "_Boundary":
        top, left, bitmap = rle_window(rle)
        edge = boundary(bitmap, depth)
        return cls(Window(top, left, edge), np.count_nonzero(edge))

    def iou(self, other: "_Boundary") -> float:
        parts = [_Boundary._cut(a, b) for a, b in ((self, other), (other, self))]
        shared = np.count_nonzero(parts[0] & parts[1])
        return shared / (self.size + other.size - shared)

    def _cut(self, other: "_Boundary") -> np.ndarray:
        """This boundary where the windows of both are."""
        (top, left, bitmap), (its_top, its_left, its) = self.window, other.window
        bottom = min(top + bitmap.shape[0], its_top + its.shape[0])
        right = min(left + bitmap.shape[1], its_left + its.shape[1])
        return bitmap[max(its_top - top, 0) : bottom - top, max(its_left - left, 0) : right - left]


def _ap(examined: Examined, overlap) -> float:
    matches = match_all(examined, "mask", overlap=overlap)
    return float(mean_present(average_precision(matches))[0])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else ABSENT
