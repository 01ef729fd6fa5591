"""What may mislead a person who reads the numbers of an evaluation."""

from typing import List

import numpy as np

from tfmaskrcnn.evaluation.analysis.examined import Examined
from tfmaskrcnn.evaluation.class_choice import short
from tfmaskrcnn.evaluation.coco_result import CocoResult

FEW_IMAGES = 30
FEW_OBJECTS = 10  # of a class


def cautions(result: CocoResult, examined: Examined) -> List[str]:
    """A sentence for each, none where all is well."""
    found = [_left_out(result), _capped(examined), _few_images(examined), _few_objects(examined)]
    return [sentence for sentence in found if sentence]


def _left_out(result: CocoResult) -> str:
    if not result.left_out:
        return ""
    names = short([f"'{name}'" for name in result.left_out])
    return f"The model does not know {names}; all numbers are of the other categories."


def _capped(examined: Examined) -> str:
    """More objects than COCO counts detections."""
    counts = _counts(examined)  # [K, I]
    most, over = examined.max_detections, int((counts > examined.max_detections).any(axis=0).sum())
    if not over:
        return ""
    reach = np.minimum(counts, most).sum() / counts.sum()
    many = "1 image has" if over == 1 else f"{over:,} images have"
    return (
        f"{many} more than {most:,} objects of a class, and COCO counts the best {most:,} "
        f"detections: even a perfect model would find {reach:.0%} of all objects. Take "
        f"--max-detections 1 100 {_round(int(counts.max()))}."
    )


def _few_images(examined: Examined) -> str:
    count = len(examined.images)
    if count >= FEW_IMAGES:
        return ""
    images = "1 image is" if count == 1 else f"{count} images are"
    return f"{images} few: other images like them may give quite other numbers (see the intervals)."


def _few_objects(examined: Examined) -> str:
    totals = _counts(examined).sum(axis=1)
    few = [n for n, total in zip(examined.class_names, totals) if total < FEW_OBJECTS]
    if not few or len(examined.class_names) == 1 and not totals[0]:
        return ""
    what = "class has" if len(few) == 1 else "classes have"
    return (
        f"{len(few)} {what} fewer than {FEW_OBJECTS} objects ({short(few)}); AP and threshold of "
        "each are little more than chance."
    )


def _counts(examined: Examined) -> np.ndarray:
    """[K, I] objects that are to be found."""
    counts = np.zeros((examined.num_classes, len(examined.images)), int)
    for i, image in enumerate(examined.images):
        own = image.objects.classes[~image.objects.crowd]
        counts[:, i] = np.bincount(own, minlength=len(counts) + 1)[1:]
    return counts


def _round(count: int) -> int:
    """Up to the next of 200, 500, 1000, 2000, ..."""
    scale = 100
    while True:
        for step in (2, 5, 10):
            if count <= step * scale:
                return step * scale
        scale *= 10
