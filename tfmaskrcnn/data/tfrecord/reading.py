"""TFRecord shards as a data set: each record is read from its place in the file when it is needed.

Beside each shard lies an index with the places of its records, so that any order can be read, and
that of training is the same function of (seed, epoch, position) as for a JSON. The index holds
sizes, boxes and classes too: what a data set is checked by, without reading the images.
`writing` makes both.
"""

import dataclasses
import functools
import glob
import json
import os
import zipfile
import zlib
from collections.abc import Sequence as SequenceType
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import checked_segmentation
from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints, keypoint_names
from tfmaskrcnn.data.coco.records import CocoData, Record
from tfmaskrcnn.errors import InputError

# The whole COCO annotation of each object, as JSON: polygons and RLE exactly as they were given.
ANNOTATION_KEY = "tfmaskrcnn/annotation"
INDEX_SUFFIX = ".index.npz"
VERSION = 1
# TFRecord frames each record: its length and that number's checksum before, its own after it.
HEADER_BYTES, FRAME_BYTES = 12, 16
_KNOWN = ("image_id", "file_name", "height", "width", "boxes", "classes", "crowd")
# Records kept, because the image and the objects of a sample are read one after the other.
_KEPT = 64


@dataclasses.dataclass(frozen=True)
class IndexedRecord:
    """A `Record` of which the index knows the most; for pixels and masks it reads the shard."""

    image_id: int
    file_name: str
    height: int
    width: int
    boxes: np.ndarray  # [n, 4] float32, yxyx pixels of the original image, clipped to it
    classes: np.ndarray  # [n] int32, 1..K
    crowd: np.ndarray  # [n] bool
    whole: Callable[[], Record]

    def __getattr__(self, name: str):  # all that is not above
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.whole(), name)


class Shards(NamedTuple):
    """The indices of all shards, one after the other; N images, n objects in all."""

    paths: List[str]
    shard: np.ndarray  # [N] int32, which of `paths`
    offsets: np.ndarray  # [N] int64, bytes to the record's frame
    lengths: np.ndarray  # [N] int64, bytes of the record without its frame
    checksums: np.ndarray  # [N] uint32, CRC32 of these
    image_ids: np.ndarray  # [N] int64
    sizes: np.ndarray  # [N, 2] int32 (height, width)
    ends: np.ndarray  # [N + 1] int64, where the objects of each image begin and end
    boxes: np.ndarray  # [n, 4] float32
    classes: np.ndarray  # [n] int32
    crowd: np.ndarray  # [n] bool
    names: List[str]  # N file names
    about: Dict[str, Any]  # what all shards share: "categories", "masks", "json_path"


class TfrecordRecords(SequenceType):
    """The records of shards. An index gives a whole `Record`, read from the file at that moment.

    Iterating gives `IndexedRecord`s, without reading the shards. Safe in many threads.
    """

    def __init__(
        self,
        shards: Shards,
        keypoints: Sequence[str] = (),
        keypoint_offset: float = 0.0,
        chosen: Optional[range] = None,
    ):
        self._shards, self._keypoints, self._offset = shards, tuple(keypoints), keypoint_offset
        self._chosen = range(len(shards.image_ids)) if chosen is None else chosen
        self._record = functools.lru_cache(_KEPT)(self._read)

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index):
        if isinstance(index, slice):
            chosen = self._chosen[index]
            return TfrecordRecords(self._shards, self._keypoints, self._offset, chosen)
        return self._record(self._chosen[int(index)])

    def __iter__(self) -> Iterator[IndexedRecord]:
        return (self._indexed(i) for i in self._chosen)

    def _indexed(self, i: int) -> IndexedRecord:
        shards = self._shards
        part = slice(shards.ends[i], shards.ends[i + 1])
        return IndexedRecord(
            int(shards.image_ids[i]),
            shards.names[i],
            *shards.sizes[i].tolist(),
            *(shards.boxes[part], shards.classes[part], shards.crowd[part]),
            functools.partial(self._record, i),
        )

    def _read(self, i: int) -> Record:
        known, where = self._indexed(i), f"{self._shards.paths[self._shards.shard[i]]}: image"
        features = tf.train.Example.FromString(self._bytes(i)).features.feature
        entries = [json.loads(text) for text in features[ANNOTATION_KEY].bytes_list.value]
        content = features["image/encoded"].bytes_list.value[0]
        size = known.height, known.width
        points = None
        if self._keypoints:
            points = [
                checked_keypoints(entry.get("keypoints"), self._keypoints, self._offset, *size)
                for entry in entries
            ]
            points = np.reshape(points, (-1, len(self._keypoints), 3))
        shapes = [entry.get("segmentation") for entry in entries]
        return Record(
            path=ImageBytes(f"{where} {known.image_id}, {known.file_name}", content),
            segmentations=[checked_segmentation(s, *size) if s else None for s in shapes],
            annotation_ids=[entry["id"] for entry in entries],
            keypoints=points,
            **{name: getattr(known, name) for name in _KNOWN},
        )

    def _bytes(self, i: int) -> bytes:
        shards = self._shards
        path = shards.paths[shards.shard[i]]
        try:
            with open(path, "rb") as file:
                file.seek(int(shards.offsets[i]) + HEADER_BYTES)
                content = file.read(int(shards.lengths[i]))
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from None
        if zlib.crc32(content) != shards.checksums[i]:
            raise InputError(
                f"{path}: the record of image {shards.image_ids[i]} is damaged, or its index is "
                "of another file; write the shards anew."
            )
        return content


def load_tfrecord(
    pattern: str, masks: bool = True, keypoint_head: Optional[KeypointHeadConfig] = None
) -> CocoData:
    """The data set of shards that `write_tfrecord` made, with what `load_coco` gives of the JSON.

    Args:
        pattern: such as "records/train-*.tfrecord"; all shards of one set.
        masks: False takes objects without a segmentation too.
        keypoint_head: if it is enabled, keypoints are read as well.

    Raises:
        InputError: a shard or its index is missing, or is of another set; there are no masks.
    """
    shards = _read_shards(pattern)
    if masks and not shards.about["masks"]:
        raise InputError(
            f"{pattern} was made of boxes alone, but Mask R-CNN needs a mask for every object; set "
            "mask_head.enabled=false to train on boxes alone."
        )
    categories = shards.about["categories"]
    keypoints, names, offset = None, (), 0.0
    if keypoint_head is not None and keypoint_head.enabled:
        keypoints = keypoint_names(categories, pattern)
        names, offset = keypoints.names, keypoint_head.pixel_offset
    return CocoData(
        TfrecordRecords(shards, names, offset),
        tuple(category["name"] for category in categories),
        tuple(category["id"] for category in categories),
        pattern,
        keypoints,
    )


def _read_shards(pattern: str) -> Shards:
    pattern = os.fspath(pattern)
    paths = sorted(path for path in glob.glob(pattern) if not path.endswith(INDEX_SUFFIX))
    if not paths:
        raise InputError(f"There is no file {pattern}; wanted TFRecord shards.")
    parts, abouts = zip(*(_read_index(path) for path in paths))
    for path, about in zip(paths, abouts):
        if about["set"] != abouts[0]["set"]:
            raise InputError(f"{path} and {paths[0]} are of different sets; narrow the pattern.")
    numbers, count = [about["shard"] for about in abouts], abouts[0]["shards"]
    missing = sorted(set(range(count)) - set(numbers))
    if missing:
        raise InputError(
            f"{pattern} finds {len(paths)} of {count} shards, not number {missing[0]}."
        )
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    counts = [len(part["image_ids"]) for part in parts]
    return Shards(
        paths=paths,
        shard=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        ends=np.concatenate([[0], np.cumsum(joined.pop("counts"))]),
        names=[name for about in abouts for name in about["names"]],
        about=abouts[0],
        **joined,
    )


def _read_index(path: str) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """The arrays of a shard's index, and what else it says."""
    index = path + INDEX_SUFFIX
    try:
        with np.load(index, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about["version"] != VERSION:
            raise InputError(f"{index} has version {about['version']}, wanted {VERSION}.")
        size = os.path.getsize(path)
    except FileNotFoundError:
        raise InputError(
            f"{path} has no index {os.path.basename(index)}; write the shards with `tfmaskrcnn "
            "write-tfrecord`."
        ) from None
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"The index {index} cannot be read: {error}.") from None
    if size != about["size"]:
        raise InputError(
            f"{path} has {size} bytes, but its index is of {about['size']}; write the shards anew."
        )
    return arrays, about
