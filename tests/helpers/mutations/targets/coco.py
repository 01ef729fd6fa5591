"""COCO JSON read for training, and for evaluation."""

import json
import logging
import math
import re

import numpy as np

from helpers.mutations.outcomes import expect, fault_of_sentence
from helpers.mutations.targets.good_sets import (
    HEIGHT,
    NAMES,
    SPECIAL,
    WIDTH,
    keypoint_set,
    points,
    write_coco,
)
from helpers.mutations.targets.target import Target
from helpers.mutations.texts import as_json
from helpers.mutations.values import mutated
from helpers.tiny import tiny_config

_SMALL = ("input.min_side=48", "input.max_side=64", "data.max_instances=12")
_AUGMENTED = (
    "data.augment={crop: [30, 40], scale: [0.5, 2.0], vertical_flip: 0.5, hue: 0.2}",
    "data.augment={copy_paste: 0.9, horizontal_flip: 0.5}",
    "data.augment={rotation: 30, shear: 9, quarter_turns: true}",
)


class CocoTarget(Target):
    """Has a good set, and writes mutated ones beside its images."""

    special = SPECIAL  # mutations of what it means

    def prepare(self):
        write_coco(self.base)

    def open(self):
        self.good = json.loads((self.base / "good.json").read_text())
        self.images = str(self.base / "images")

    def mutated_set(self, rng, folder) -> str:
        """The path of a mutated JSON."""
        raw, notes = mutated(self.good, rng, self.special)
        self.note(notes)
        path = folder / "set.json"
        path.write_text(as_json(raw))
        return str(path)


class Training(CocoTarget):
    """`load_coco`, what `train` says of it, and all batches of an epoch, masks included."""

    extra = ()  # settings beside those of `_SMALL`

    def run(self, rng, folder):
        from tfmaskrcnn.data import from_coco, load_coco
        from tfmaskrcnn.data.checking.first_look import first_look

        path, skip = self.mutated_set(rng, folder), rng.random() < 0.6
        settings = [*_SMALL, *self.extra, f"data.skip_invalid={skip}".lower()]
        if rng.random() < 0.3:
            settings.append(rng.choice(_AUGMENTED))
        config = tiny_config(*settings)
        head = config.model.keypoint_head
        data = load_coco(path, self.images, skip, config.model.mask_head.enabled, head)
        check_records(data, whole=config.model.mask_head.enabled)
        config = tiny_config(*settings, f"model.num_classes={len(data.class_names)}")
        said = first_look(data, config)
        for line in said:
            fault = fault_of_sentence(line)
            expect(not fault, f"a bad line of the log ({fault}): {line[:300]!r}")
        training = rng.random() < 0.4
        for batch in from_coco(path, self.images, config, training=training):
            batch = {key: value.numpy() for key, value in batch.items()}
            self._check_batch(batch)
            if not training and "gt_masks" in batch:
                objects = batch["gt_valid"] & ~batch["gt_crowd"]
                empty = ~batch["gt_masks"][objects].any(axis=(1, 2))
                expect(said or not empty.any(), f"{empty.sum()} masks are empty without a word")
        check_files(data)

    @staticmethod
    def _check_batch(batch) -> None:
        valid = batch["gt_valid"]
        boxes = batch["gt_boxes"][valid]
        expect(np.isfinite(batch["image"]).all(), "pixels are not finite")
        expect(np.isfinite(boxes).all(), "a trained box is not finite")
        expect((boxes[:, 2:] > boxes[:, :2]).all(), "a trained box has no area")
        expect((boxes >= 0).all() and (boxes <= [48, 64, 48, 64]).all(), "a box is outside")
        expect((batch["gt_classes"][valid] >= 1).all(), "a class is below 1")
        points = batch.get("gt_keypoints", np.zeros(1))
        expect(np.isfinite(points).all(), "a keypoint is not finite")


class Keypoints(Training):
    """The same of a set with keypoints, for a model without masks."""

    special = (*SPECIAL, *[points] * 6)
    extra = (
        *("keypoint_head={enabled: true, num_keypoints: 4, channels: 16, num_convs: 1}",),
        "mask_head.enabled=false",
    )

    def prepare(self):
        write_coco(self.base, keypoint_set())


class Reporting(CocoTarget):
    """`evaluation.report` with its page, tables and sentences."""

    def run(self, rng, folder):
        from tfmaskrcnn import evaluation

        path = self.mutated_set(rng, folder)
        found = evaluation.report(stand_in, path, self.images)
        evaluation.write_page(found, str(folder / "report.html"))
        (folder / "report.html").read_text(encoding="utf-8")
        json.dumps(evaluation.to_json(found), allow_nan=False)
        evaluation.write_csv(found, str(folder / "sheets"))
        evaluation.summary(found)


class Evaluation(CocoTarget):
    """`evaluate` with a stand-in for the model."""

    def run(self, rng, folder):
        from tfmaskrcnn.data import load_coco
        from tfmaskrcnn.evaluation import evaluate

        path = self.mutated_set(rng, folder)
        with logged() as lines:
            result = evaluate(stand_in, path, self.images)
        numbers = [*result.boxes.values(), *result.masks.values()]
        expect(all(math.isfinite(v) and -1 <= v <= 1 for v in numbers), f"numbers are {numbers}")
        check_count(result, path, lines)
        data = load_coco(path, self.images, skip_invalid=True, masks=False)
        check_records(data, whole=False)
        check_files(data)


def check_count(result, path, lines) -> None:
    """As many objects must have been evaluated as the log leaves of those in the file."""
    with open(path) as file:
        total = len(json.load(file)["annotations"])
    log = " ".join(lines)
    kept = total - sum(int(n) for n in re.findall(r"left out (\d+) wrong", log))
    expect(
        result.num_objects == kept,
        f"{result.num_objects} objects are evaluated, the log leaves {kept}: {lines[:2]}",
    )


def stand_in(images):
    """Instances of two boxes, whatever the images hold; classes 1 and 2."""
    from pycocotools import mask as coco_mask

    from tfmaskrcnn.instances import Instances

    found = []
    for image in images:
        mask = np.zeros((*image.shape[:2], 2), np.uint8, order="F")
        mask[4:24, 4:20, 0] = mask[10:40, 30:58, 1] = 1
        boxes = np.float32([[4, 4, 24, 20], [10, 30, 40, 58]])
        rle = coco_mask.encode(mask)
        found.append(
            Instances(
                boxes=np.minimum(boxes, [*image.shape[:2]] * 2).astype(np.float32),
                scores=np.float32([0.9, 0.6]),
                classes=np.int32([1, 2]),
                size=image.shape[:2],
                exact_rle=[{**one, "counts": one["counts"].decode()} for one in rle],
            )
        )
    return found


def check_records(data, whole: bool) -> None:
    """What must hold of records; `whole` ones have a mask for every object."""
    ids = [record.image_id for record in data.records]
    expect(len(set(ids)) == len(ids), "image ids repeat")
    for record in data.records:
        boxes, n = np.asarray(record.boxes), len(record.classes)
        size = [record.height, record.width] * 2
        expect(boxes.shape == (n, 4) and np.isfinite(boxes).all(), "a box is not finite")
        expect((boxes >= 0).all() and (boxes <= size).all(), "a box reaches outside the image")
        expect((boxes[:, 2:] > boxes[:, :2]).all(), f"a box has no area: {boxes.tolist()}")
        classes = np.asarray(record.classes)
        expect(((classes >= 1) & (classes <= len(data.class_names))).all(), "a class is not 1..K")
        expect(len(record.segmentations) == n, "an object has no place for a mask")
        expect(not whole or None not in record.segmentations, "an object has no mask")


def check_files(data) -> None:
    """After all images were read: sizes must be those of the files, all of which are alike."""
    for record in data.records:
        expect((record.height, record.width) == (HEIGHT, WIDTH), f"a size of {record.height}")
        expect(record.path.replace("\\", "/").endswith(NAMES), f"another file: {record.path!r:.80}")


class logged:
    """The lines that the package logs within a block."""

    def __enter__(self):
        self._lines, self._handler = [], logging.Handler()
        self._handler.emit = lambda record: self._lines.append(record.getMessage())
        self._logger = logging.getLogger("tfmaskrcnn")
        self._level = self._logger.level
        self._logger.addHandler(self._handler)
        self._logger.setLevel(logging.INFO)
        return self._lines

    def __exit__(self, *_):
        self._logger.removeHandler(self._handler)
        self._logger.setLevel(self._level)
