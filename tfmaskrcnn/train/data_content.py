"""Fingerprints of a run's data: what is learned from, wherever it lies."""

import hashlib
import json
from typing import Dict, Iterable

import numpy as np

from tfmaskrcnn.config.run import Config
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.data.tfrecord.reading import TfrecordRecords
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import open_regular

_BLOCK = 1 << 20  # bytes read at a time


def data_content(data: CocoData, config: Config) -> Dict[str, str]:
    """Name -> digest of what training reads of its data sets, but for the pixels.

    Names that begin with "train" are of the train split: ids, names and sizes of the images, and
    their objects in their order. Its masks and keypoints are apart, as they are ("train_shapes") or
    by the checksums of TFRecord shards ("train_shards"), whose index does not have them: a run may
    so go on with the shards of its JSON. "val" is of the bytes of `data.val_json`.

    Args:
        data: the train split as it was read.
        config: names the val split.
    """
    found = {"train": _digest([_labels(data)], map(_objects, data.records))}
    if isinstance(data.records, TfrecordRecords):
        found["train_shards"] = _digest([data.records.checksums.tobytes()])
    else:
        found["train_shapes"] = _digest(map(_shapes, data.records))
    if config.data.val_json:
        found["val"] = _file_digest(config.data.val_json)
    return found


def _labels(data: CocoData) -> bytes:
    names = data.keypoints.names if data.keypoints else None
    return json.dumps([data.class_names, data.category_ids, names]).encode()


def _objects(record: Record) -> bytes:
    about = [record.image_id, record.file_name, record.height, record.width, len(record.classes)]
    arrays = (record.boxes, record.classes, record.crowd)
    return json.dumps(about).encode() + b"".join(np.asarray(a).tobytes() for a in arrays)


def _shapes(record: Record) -> bytes:
    parts = [] if record.keypoints is None else [np.asarray(record.keypoints).tobytes()]
    for shape in record.segmentations:
        if isinstance(shape, dict):
            counts = shape["counts"]
            counts = counts.decode() if isinstance(counts, bytes) else counts
            parts.append(json.dumps([list(shape["size"]), counts]).encode())
        else:
            parts += [np.asarray(polygon).tobytes() + b";" for polygon in shape or ()]
        parts.append(b"|")
    return b"".join(parts)


def _digest(*parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for piece in part:
            digest.update(piece)
    return digest.hexdigest()


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            for block in iter(lambda: file.read(_BLOCK), b""):
                digest.update(block)
    except OSError as error:
        raise InputError(f"Cannot read {path}, data.val_json: {error.strerror}.") from None
    return digest.hexdigest()
