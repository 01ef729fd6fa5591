"""A report of a small drawn set, with its images as files, as the page takes it."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from tfmaskrcnn.evaluation.analysis.bootstrap import NO_INTERVAL, Interval
from tfmaskrcnn.evaluation.analysis.boundaries import outlines
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.conditions import conditions
from tfmaskrcnn.evaluation.analysis.confusion import confusion
from tfmaskrcnn.evaluation.analysis.counting import counting
from tfmaskrcnn.evaluation.analysis.error_costs import error_costs
from tfmaskrcnn.evaluation.analysis.operating_points import operating_points, reliability
from tfmaskrcnn.evaluation.analysis.panoptic import panoptic_quality
from tfmaskrcnn.evaluation.analysis.precision import average_precision, mean_present
from tfmaskrcnn.evaluation.analysis.verdicts import judge
from tfmaskrcnn.evaluation.coco_result import CocoResult

NAMES = ("AP", "AP50", "AP75")


def report_of(examined, folder=None, **changes):
    """What `Report` holds of `examined`; images are drawn into `folder`, else there are none."""
    kind = examined.kind
    matches = {k: match_all(examined, k, [0.5]) for k in examined.kinds}
    points = operating_points(examined, matches[kind], kind)
    thresholds = points.thresholds()
    verdicts = judge(examined, kind, thresholds)
    intervals = {k: _interval(matches[k]) for k in examined.kinds}
    has_masks = examined.has_masks
    report = SimpleNamespace(
        result=_result(examined, intervals),
        class_names=examined.class_names,
        kind=kind,
        examined=examined,
        intervals=intervals,
        cautions=[],
        points=points,
        reliability=reliability(matches[kind]),
        verdicts=verdicts,
        confusion=confusion(examined, kind, thresholds),
        costs={k: error_costs(examined, k) for k in examined.kinds},
        conditions=conditions(examined, verdicts, None),
        outlines=outlines(examined, verdicts) if has_masks else None,
        panoptic=panoptic_quality(examined, thresholds) if has_masks else None,
        counting=counting(examined, thresholds),
        thresholds=thresholds,
        source="runs/drawn",
        data="drawn.json",
        image_paths=draw_files(examined, folder) if folder else {},
        channels=3,
    )
    vars(report).update(changes)
    return report


def _interval(matches):
    value = float(mean_present(average_precision(matches))[0])
    return Interval(value, max(value - 0.1, 0), min(value + 0.1, 1)) if value >= 0 else NO_INTERVAL


def draw_files(examined, folder):
    """{image id: path} of an image each: objects are bright on a dark ground."""
    paths = {}
    for image in examined.images:
        pixels = np.full((*image.size, 3), 60, np.uint8)
        for y1, x1, y2, x2 in np.round(image.objects.boxes).astype(int):
            pixels[y1:y2, x1:x2] = 200
        paths[image.image_id] = str(folder / f"{image.image_id}.png")
        Image.fromarray(pixels).save(paths[image.image_id])
    return paths


def _result(examined, intervals):
    numbers = {k: dict.fromkeys(NAMES, i.value) for k, i in intervals.items()}
    none = dict.fromkeys(NAMES, -1.0)
    classes = dict.fromkeys(examined.class_names, 0.5)
    objects = sum(len(image.objects.classes) for image in examined.images)
    found = sum(len(image.found.scores) for image in examined.images)
    masks, boxes = numbers.get("mask", none), numbers["box"]
    return CocoResult(masks, boxes, classes, classes, len(examined.images), objects, found)
