"""A report of a small drawn set, with its images as files, as the page takes it."""

import numpy as np
from PIL import Image

from tfmaskrcnn.evaluation.analysis.bootstrap import NO_INTERVAL, Interval
from tfmaskrcnn.evaluation.coco_result import CocoResult
from tfmaskrcnn.evaluation.reporting.report import Report

AP = Interval(0.6, 0.5, 0.7)
NAMES = ("AP", "AP50", "AP75")


def report_of(examined, folder=None, **changes):
    """The report of `examined`, with intervals that cost nothing.

    Args:
        examined: the images.
        folder: draw them into this one; None has no images.
        changes: fields and numbers to have other values than those that it computes.
    """
    aps = {
        kind: Interval(0.6, 0.5, 0.7) if examined.images else NO_INTERVAL for kind in examined.kinds
    }
    paths = draw_files(examined, folder) if folder else {}
    report = Report(_result(examined, aps), examined, "runs/drawn", "drawn.json", image_paths=paths)
    return changed(report, class_intervals={k: {"": i} for k, i in aps.items()}, **changes)


def changed(report, **changes):
    """The report itself, with other fields or numbers."""
    vars(report).update(changes)
    return report


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


def _result(examined, aps):
    numbers = {kind: dict.fromkeys(NAMES, interval.value) for kind, interval in aps.items()}
    classes = dict.fromkeys(examined.class_names, 0.5)
    objects = sum(len(image.objects.classes) for image in examined.images)
    found = sum(len(image.found.scores) for image in examined.images)
    masks, boxes = numbers.get("mask", dict.fromkeys(NAMES, -1.0)), numbers["box"]
    return CocoResult(masks, boxes, classes, classes, len(examined.images), objects, found)
