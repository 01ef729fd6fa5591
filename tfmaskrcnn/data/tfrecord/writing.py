"""A COCO instance set as TFRecord shards, written by several processes.

Records have the keys of the TF Object Detection API and of the TF Model Garden, and each object's
whole COCO annotation as JSON under a key of our own.
"""

import hashlib
import io
import itertools
import json
import multiprocessing
import os
import zlib
from concurrent import futures
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow as tf
from PIL import Image

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.faults import Faults
from tfmaskrcnn.data.coco.file import read_coco
from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS, check_size, header_sizes
from tfmaskrcnn.data.coco.records import Record, checked_set, stop_if_all_wrong
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.data.tfrecord.reading import ANNOTATION_KEY
from tfmaskrcnn.data.tfrecord.shard_index import FRAME_BYTES, INDEX_SUFFIX, VERSION
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import save_arrays, writable_folder
from tfmaskrcnn.support.given import A_COUNT, A_FOLDER, A_PATH, takes
from tfmaskrcnn.support.progress_bar import Progress

_Images = List[Tuple[Record, List[Dict[str, Any]]]]  # each with its annotations
_POLL_SECONDS = 0.5
_INTEGERS = ("image/height", "image/width", "image/object/class/label", "image/object/is_crowd")
_counter = None  # of images done, in a worker; shared by all


class Written(NamedTuple):
    """What `write_tfrecord` made."""

    paths: List[str]
    images: int
    objects: int
    size: int  # bytes


@takes(json_path=A_PATH, image_dir=A_FOLDER, out=A_PATH, shards=A_COUNT)
def write_tfrecord(
    json_path: str,
    image_dir: str,
    out: str,
    shards: int,
    workers: Optional[int] = None,
    skip_invalid: bool = False,
    progress: Optional[Progress] = None,
) -> Written:
    """Write a COCO instance set as `OUT-00000-of-00008.tfrecord` and so on, each with its index.

    Images keep their bytes and the JSON's order; shards hold consecutive parts of it.

    Args:
        json_path: the annotations; if none has a segmentation, objects are boxes alone.
        image_dir: the folder that its file names start from.
        out: folder and beginning of the shards' names.
        shards: their number, at most that of the images.
        workers: processes; None for one a core. More than one need a script to have
            `if __name__ == "__main__":`.
        skip_invalid: leave wrong annotations out, as `load_coco` does.
        progress: called with (images done, images in all).

    Raises:
        InputError: annotations or images are wrong, or there is no place to write to.
    """
    raw = read_coco(json_path)
    data, objects, masks = _checked(raw, os.fspath(json_path), image_dir, skip_invalid)
    categories = [entry for entry in raw["categories"] if isinstance(entry, dict)]
    count = len(data.records)
    if not 1 <= shards <= count:
        raise InputError(f"{shards} shards of {count} images: wanted 1 to {count}.")
    writable_folder(os.path.dirname(out) or ".")
    about = {"version": VERSION, "shards": shards, "masks": masks}
    about["set"] = hashlib.sha256(_as_text([raw, shards], json_path).encode()).hexdigest()
    about["categories"] = sorted(categories, key=lambda category: category["id"])
    names = {category["id"]: category["name"] for category in categories}
    edges = [count * k // shards for k in range(shards + 1)]
    tasks = []
    for k in range(shards):
        records = data.records[edges[k] : edges[k + 1]]
        images = [(r, objects.get(r.image_id, [])) for r in records]
        path = f"{out}-{k:05d}-of-{shards:05d}.tfrecord"
        tasks.append((path, images, names, {**about, "shard": k}))
    workers = min(workers or os.cpu_count() or 1, shards)
    sizes = _written(tasks, workers, count, progress or (lambda done, total: None))
    number = sum(len(record.classes) for record in data.records)
    return Written([path for path, *_ in tasks], count, number, sum(sizes))


def _checked(raw: Dict[str, Any], json_path: str, image_dir: str, skip_invalid: bool):
    """What `load_coco` gives, image id -> the JSON's entries of its objects, whether with masks."""
    found = {
        key: [entry for entry in raw[key] if isinstance(entry, dict)]
        for key in ("annotations", "categories")
    }
    masks = not found["annotations"] or any(e.get("segmentation") for e in found["annotations"])
    head = KeypointHeadConfig(enabled=any(c.get("keypoints") for c in found["categories"]))
    faults = Faults(raw, json_path, os.fspath(image_dir), skip_invalid)
    data, entries = checked_set(raw, json_path, image_dir, faults, masks, head)
    stop_if_all_wrong(data, faults)
    faults.report()
    objects = {
        image_id: [{**entries.entry(one), "id": one.annotation_id} for one in checked]
        for image_id, checked in entries.objects.items()
    }
    return data, objects, masks


def _as_text(value: Any, json_path: str) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        raise InputError(f"{json_path} is nested too deep to be written.") from None


def _written(tasks, workers: int, count: int, progress: Progress) -> List[int]:
    """The bytes of each task's shard."""
    if workers == 1:
        done = itertools.count(1)
        return [_write_shard(*task, lambda: progress(next(done), count)) for task in tasks]
    # A fork would copy TensorFlow's threads half-way.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    pool = futures.ProcessPoolExecutor(workers, context, _set_counter, (counter,))
    try:
        results = [pool.submit(_counted_shard, *task) for task in tasks]
        waiting = set(results)
        while waiting:
            done, waiting = futures.wait(waiting, _POLL_SECONDS, futures.FIRST_EXCEPTION)
            progress(counter.value, count)
            for result in done:
                result.result()  # raises what the worker raised
        return [result.result() for result in results]
    except futures.process.BrokenProcessPool:
        raise InputError(
            "A process that wrote shards died: out of memory, or a script without `if __name__ == "
            '"__main__":`; --workers 1 writes without processes.'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _set_counter(counter) -> None:
    global _counter
    _counter = counter


def _counted_shard(*task) -> int:
    def count():
        with _counter.get_lock():
            _counter.value += 1

    return _write_shard(*task, count)


def _write_shard(
    path: str, images: _Images, names: Dict[int, str], about: Dict[str, Any], tick: Callable
) -> int:
    """Write one shard and its index; the shard's bytes."""
    temporary, offset = f"{path}.{os.getpid()}.tmp", 0
    offsets, lengths, checksums = [], [], []
    try:
        with tf.io.TFRecordWriter(temporary) as writer:
            for record, entries in images:
                content = _example(record, entries, names).SerializeToString(deterministic=True)
                writer.write(content)
                offsets.append(offset)
                lengths.append(len(content))
                checksums.append(zlib.crc32(content))
                offset += len(content) + FRAME_BYTES
                tick()
        storage.replace(temporary, path)
    except (OSError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"Cannot write {path}: {reason}.") from None
    finally:
        if storage.exists(temporary):
            storage.remove(temporary)
    records = [record for record, _ in images]
    about = {**about, "size": offset, "names": [record.file_name for record in records]}
    index = {
        "offsets": np.array(offsets, np.int64),
        "lengths": np.array(lengths, np.int64),
        "checksums": np.array(checksums, np.uint32),
        "image_ids": np.array([record.image_id for record in records], np.int64),
        "sizes": np.array([(record.height, record.width) for record in records], np.int32),
        "counts": np.array([len(record.classes) for record in records], np.int64),
        "boxes": np.concatenate([record.boxes for record in records]),
        "classes": np.concatenate([record.classes for record in records]),
        "crowd": np.concatenate([record.crowd for record in records]),
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
    }
    save_arrays(path + INDEX_SUFFIX, index)
    return offset


def _example(
    record: Record, entries: List[Dict[str, Any]], names: Dict[int, str]
) -> tf.train.Example:
    """One image with its objects; docs/data.md lists the keys."""
    with storage.open_bytes(record.path) as file:
        content = file.read()
    size = record.height, record.width
    boxes = record.boxes.astype(np.float64) / (*size, *size)
    labels = [entry["category_id"] for entry in entries]
    values: Dict[str, List] = {
        "image/encoded": [content],
        "image/format": [_format(record, content)],
        "image/filename": [record.file_name.encode()],
        "image/source_id": [str(record.image_id).encode()],
        "image/height": [record.height],
        "image/width": [record.width],
        "image/object/class/label": labels,
        "image/object/class/text": [names[label].encode() for label in labels],
        "image/object/is_crowd": record.crowd.astype(int).tolist(),
        "image/object/area": [float(entry.get("area") or 0) for entry in entries],
        ANNOTATION_KEY: [json.dumps(entry, separators=(",", ":")).encode() for entry in entries],
    }
    for i, side in enumerate(("ymin", "xmin", "ymax", "xmax")):
        values[f"image/object/bbox/{side}"] = boxes[:, i].tolist()
    if all(shape is not None for shape in record.segmentations):
        values["image/object/mask"] = [_png(decode(s, *size)) for s in record.segmentations]
    features = {key: _feature(key, value) for key, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def _feature(key: str, values: List) -> tf.train.Feature:
    if "bbox" in key or key.endswith("area"):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if key in _INTEGERS:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _format(record: Record, content: bytes) -> bytes:
    """ "jpeg", "png", ...; the image's header is checked on the way."""
    size = record.height, record.width
    sizes = header_sizes(record.path)  # either view will do: the reader turns it as it is told
    if size not in sizes:
        check_size(record.path, sizes[0], size)
    if record.path.endswith(".npy"):
        return b"npy"
    with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as image:
        return (image.format or "").lower().encode()


def _png(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()
