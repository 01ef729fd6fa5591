"""Whether artefacts find what their origin finds: the same images through all of them.

The first artefact is what the others are compared with. Run folders (Keras), SavedModels, ONNX and
TFLite files, of which a runtime may be chosen. With a COCO JSON the AP of each is measured as well.
"""

import dataclasses
import os
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tfmaskrcnn.config.model import ModelConfig
from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.data.coco.records import load_coco
from tfmaskrcnn.evaluation import evaluate
from tfmaskrcnn.export.check import same_objects
from tfmaskrcnn.inference.exported import exported_config
from tfmaskrcnn.inference.opening import check_artefacts, is_exported, open_source, run_config
from tfmaskrcnn.inference.prediction_files import find_images
from tfmaskrcnn.inference.runtimes.file_about import file_about, is_model_file, model_config
from tfmaskrcnn.inference.runtimes.file_predictor import file_predictor
from tfmaskrcnn.inference.runtimes.network_opening import open_network
from tfmaskrcnn.instances import Instances
from tfmaskrcnn.support.progress_bar import progress_bar


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


def open_artefact(path: str, config: ModelConfig, runtime: Optional[str] = None) -> Predict:
    """The function behind an artefact.

    Args:
        path: a run folder, a SavedModel folder, an .onnx or a .tflite file.
        config: tells of a file that says nothing of itself how images are prepared for it.
        runtime: of an .onnx file.
    """
    if is_model_file(path) and not file_about(path):
        return file_predictor(open_network(path, runtime), config.model_dump(mode="json"))
    return open_source(path, runtime=runtime).predict


def config_of(path: str) -> ModelConfig:
    """The model's configuration in a run folder or an exported model."""
    if is_exported(path):
        return model_config(exported_config(path), path)
    return run_config(path).model


def compare(expected: Sequence[Instances], found: Sequence[Instances]) -> Difference:
    """`found` against `expected`, image by image."""
    boxes, scores, masks, overlaps, keypoints = [], [], [], [], []
    for one, other in zip(expected, found):
        rows, columns = same_objects(one.boxes, one.classes, other.boxes, other.classes)
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


def measure(
    artefacts: Sequence[str],
    images: str,
    json_path: Optional[str] = None,
    limit: Optional[int] = None,
    runtimes: Sequence[str] = (),
) -> Dict[str, Any]:
    """Send the same images through all artefacts.

    Args:
        artefacts: run folders, SavedModels, .onnx and .tflite files; the first is what the others
            are compared with.
        images: folder, file or glob pattern.
        json_path: COCO instances whose file names start from `images`: AP is measured too.
        limit: use the first so many images.
        runtimes: what runs each .onnx file, see `inference.runtimes.network_opening`; none takes
            ONNX Runtime.

    Returns:
        All numbers, of JSON's types.

    Raises:
        InputError: an artefact, an image or a runtime is wrong.
    """
    check_artefacts(artefacts)
    config = config_of(artefacts[0])
    records = load_coco(json_path, images, skip_invalid=True).records if json_path else None
    paths = [r.path for r in records] if records else find_images([images])
    reading = config.input.channels, config.input.exif
    pixels = [read_image(path, None, *reading) for path in paths[:limit]]
    rows, expected = [], None
    for path, runtime, name in _named(artefacts, runtimes):
        predict = open_artefact(path, config, runtime)
        found = []
        with progress_bar(os.path.basename(name.rstrip("/"))) as progress:
            for image in pixels:
                found += predict([image])
                progress(len(found), len(pixels))
        expected = found if expected is None else expected
        row = {"artefact": name, **dataclasses.asdict(compare(expected, found))}
        if json_path:
            row.update(_precision(found, json_path, images, limit, config))
        rows.append(row)
    total = sum(len(one) for one in expected)
    return {"images": len(pixels), "expected": total, "rows": rows}


def _named(
    artefacts: Sequence[str], runtimes: Sequence[str]
) -> Iterator[Tuple[str, Optional[str], str]]:
    """(path, runtime, name in the table) of each row."""
    for path in artefacts:
        if not runtimes or not path.endswith(".onnx"):
            yield path, None, path
        else:
            for runtime in runtimes:
                yield path, runtime, f"{path} {runtime}"


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
