"""Whether artefacts find what their origin finds: the same images through all of them.

The first artefact is what the others are compared with. Run folders (Keras), SavedModels, ONNX and
TFLite files. With a COCO JSON the AP of each is measured as well.
"""

import dataclasses
import importlib
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.config.yaml_files import load_config
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.export.check import SAME_IOU
from tfmaskrcnn.inference.exported import exported_config, served_instances
from tfmaskrcnn.inference.opening import check_artefacts, is_saved_model, open_source
from tfmaskrcnn.inference.prediction_files import find_images
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.ops.boxes import iou
from tfmaskrcnn.ops.images import pad_to, preprocess
from tfmaskrcnn.support.progress_bar import progress_bar

# Which module reads a file by its ending; each has `predictor(path)`.
READERS = {".onnx": "tfmaskrcnn.export.onnx", ".tflite": "tfmaskrcnn.export.tflite"}


class Column(NamedTuple):
    """Of the table."""

    head: str
    key: str  # of a row of `measure`
    form: str


COLUMNS = (
    Column("found", "found", "d"),
    Column("matched", "matched", "d"),
    Column("box px", "box", ".1e"),
    Column("score", "score", ".1e"),
    Column("mask", "mask", ".1e"),
    Column("mask IoU", "mask_iou", ".4f"),
    Column("keypoint px", "keypoint", ".1e"),
    Column("box AP", "box_ap", ".3f"),
    Column("mask AP", "mask_ap", ".3f"),
    Column("keypoint AP", "keypoint_ap", ".3f"),
)

Predict = Callable[[List[np.ndarray]], List[Instances]]


@dataclasses.dataclass(frozen=True)
class Difference:
    """How far the detections of an artefact lie from the first artefact's, over all images."""

    found: int  # detections of this artefact
    matched: int  # of the first one's, those with one of the same class here at IoU >= 0.5
    box: float  # largest distance of matched corners, pixels of the image
    score: float  # largest distance of matched scores
    mask: float  # largest distance of matched mask probabilities, 0 of RLE and bitmaps
    mask_iou: float  # least IoU of matched masks that cover more than nothing, pasted
    keypoint: float  # largest distance of matched keypoints, pixels of the image


def open_artefact(path: str, config: ModelConfig, size: Optional[Tuple[int, int]]) -> Predict:
    """The function behind an artefact.

    Args:
        path: a run folder, a SavedModel folder, an .onnx or a .tflite file.
        config: says how images are preprocessed for a file, which does not hold this.
        size: (height, width) of a file's input; None takes `config.input.fixed_size`.
    """
    ending = os.path.splitext(path)[1]
    if ending not in READERS:
        return open_source(path).predict
    size = size or config.input.fixed_size
    if not size:
        raise InputError(f"{path} takes images of one size: give it by --size HxW.")
    try:
        reader = importlib.import_module(READERS[ending])
    except ImportError as error:
        raise InputError(f"Cannot read {path}: {error}.") from None
    return from_network(reader.predictor(path), config, size)


def from_network(network, config: ModelConfig, size: Tuple[int, int]) -> Predict:
    """A predictor of images around a function like the signature `network`, of one image at a time.

    Args:
        network: from [1, H, W, C] float32 and sizes [1, 2] float32 to the served outputs by name.
        config: of the model.
        size: (H, W).
    """
    names, rule = config.class_names, config.mask_head.paste_rule
    inputs = config.input.model_copy(update={"fixed_size": tuple(size)})

    def predict(images: List[np.ndarray]) -> List[Instances]:
        found = []
        for image in images:
            ready, _ = preprocess(image, inputs)
            sizes = np.float32([ready.shape[:2]])
            outputs = network(pad_to(ready, *size, inputs).numpy()[np.newaxis], sizes)
            found.append(served_instances(outputs, 0, image.shape[:2], names, rule))
        return found

    return predict


def config_of(path: str) -> ModelConfig:
    """The model's configuration in a run folder or SavedModel."""
    if is_saved_model(path):
        return ModelConfig(**exported_config(path))
    return load_config(path).model


def compare(expected: Sequence[Instances], found: Sequence[Instances]) -> Difference:
    """`found` against `expected`, image by image."""
    boxes, scores, masks, overlaps, keypoints = [], [], [], [], []
    for one, other in zip(expected, found):
        rows, columns = match(one, other)
        boxes += np.abs(one.boxes[rows] - other.boxes[columns]).max(axis=1, initial=0).tolist()
        scores += np.abs(one.scores[rows] - other.scores[columns]).tolist()
        one, other = one[rows], other[columns]
        if len(one) and one.keypoints is not None and other.keypoints is not None:
            keypoints.append(np.abs(one.keypoints - other.keypoints)[..., :2].max())
        probabilities = one.mask_probabilities, other.mask_probabilities
        if len(one) and all(part is not None for part in probabilities):  # else RLE or bitmaps
            masks += np.abs(np.subtract(*probabilities)).max(axis=(1, 2)).tolist()
        if len(one) and one.has_masks and other.has_masks:
            union = (one.masks | other.masks).sum(axis=(1, 2))
            both = (one.masks & other.masks).sum(axis=(1, 2))
            overlaps += (both[union > 0] / union[union > 0]).tolist()
    return Difference(
        found=sum(len(one) for one in found),
        matched=len(boxes),
        box=max(boxes, default=0.0),
        score=max(scores, default=0.0),
        mask=max(masks, default=0.0),
        mask_iou=min(overlaps, default=1.0),
        keypoint=float(max(keypoints, default=0.0)),
    )


def match(one: Instances, other: Instances) -> Tuple[List[int], List[int]]:
    """Rows of `one` and of `other` that are the same object, best scores first, each once."""
    if not len(one) or not len(other):
        return [], []
    overlap = iou(tf.constant(one.boxes), tf.constant(other.boxes)).numpy()
    overlap[one.classes[:, np.newaxis] != other.classes] = 0.0
    pairs = []
    for row in range(len(one)):
        column = int(overlap[row].argmax())
        if overlap[row, column] >= SAME_IOU:
            pairs.append((row, column))
            overlap[:, column] = 0.0
    return [row for row, _ in pairs], [column for _, column in pairs]


def measure(
    artefacts: Sequence[str],
    images: str,
    json_path: Optional[str] = None,
    limit: Optional[int] = None,
    size: Optional[str] = None,
) -> Dict[str, Any]:
    """Send the same images through all artefacts.

    Args:
        artefacts: run folders, SavedModels, .onnx and .tflite files; the first, which the others
            are compared with, is one of the former two.
        images: folder, file or glob pattern.
        json_path: COCO instances whose file names start from `images`: AP is measured too.
        limit: use the first so many images.
        size: "HEIGHTxWIDTH" of an ONNX or TFLite file's input, if it was not exported with one.

    Returns:
        All numbers, of JSON's types.

    Raises:
        InputError: an artefact, an image or the size is wrong.
    """
    check_artefacts(artefacts)
    config, sides = config_of(artefacts[0]), _size(size)
    records = load_coco(json_path, images, skip_invalid=True).records if json_path else None
    paths = [r.path for r in records] if records else find_images([images])
    reading = config.input.channels, config.input.exif
    pixels = [read_image(path, None, *reading) for path in paths[:limit]]
    rows, expected = [], None
    for path in artefacts:
        predict = open_artefact(path, config, sides)
        found = []
        with progress_bar(os.path.basename(path.rstrip("/"))) as progress:
            for image in pixels:
                found += predict([image])
                progress(len(found), len(pixels))
        expected = found if expected is None else expected
        row = {"artefact": path, **dataclasses.asdict(compare(expected, found))}
        if json_path:
            row.update(_precision(found, json_path, images, limit, config))
        rows.append(row)
    total = sum(len(one) for one in expected)
    return {"images": len(pixels), "expected": total, "rows": rows}


def _precision(found: Sequence[Instances], json_path, images, limit, config) -> Dict[str, float]:
    """AP of detections that exist already."""
    rest = iter(found)
    result = evaluate(
        lambda batch: [next(rest) for _ in batch],
        *(json_path, images),
        limit=limit,
        channels=config.input.channels,
        exif=config.input.exif,
    )
    precision = {"box_ap": result.boxes["AP"], "mask_ap": result.masks["AP"]}
    if result.keypoints:
        precision["keypoint_ap"] = result.keypoints["AP"]
    return precision


def _size(text: Optional[str]) -> Optional[Tuple[int, int]]:
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise InputError(f"--size is {text!r}; wanted HEIGHTxWIDTH, such as 800x1216.")
    return int(sides[0]), int(sides[1])


def table(result: Dict[str, Any]) -> str:
    """The numbers as text for a terminal: largest differences, AP where there is a COCO JSON."""
    rows, width = result["rows"], max(len(row["artefact"]) for row in result["rows"])
    title = f"{result['images']} images, {result['expected']} detections of {rows[0]['artefact']}"
    columns = [column for column in COLUMNS if column.key in rows[0]]
    if not any(row["keypoint"] for row in rows):
        columns = [column for column in columns if column.key != "keypoint"]
    lines = [title, "", f"  {'':{width}}" + "".join(f"{column.head:>12}" for column in columns)]
    for row in rows:
        texts = [f"{row[column.key]:{column.form}}" for column in columns]
        lines.append(f"  {row['artefact']:{width}}" + "".join(f"{text:>12}" for text in texts))
    return "\n".join(lines)
