"""TFRecord shards as a data set: each record is read from its place in the file when it is needed.

Beside each shard lies an index with the places of its records, so that any order can be read, and
that of training is the same function of (seed, epoch, position) as for a JSON. The index holds
sizes, boxes and classes too: what a data set is checked by, without reading the images.
`writing` makes both.
"""

import dataclasses
import functools
import io
import itertools
import json
import os
import zlib
from collections.abc import Sequence as SequenceType
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image

from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.data.coco.annotations import Fault, checked_segmentation
from tfmaskrcnn.data.coco.data_classes import ClassesLike, DataClasses, numbering
from tfmaskrcnn.data.coco.file import field
from tfmaskrcnn.data.coco.image_files import PILLOW_FORMATS, ImageBytes
from tfmaskrcnn.data.coco.keypoint_annotations import checked_keypoints
from tfmaskrcnn.data.coco.records import CocoData, Record, rules_of
from tfmaskrcnn.data.coco.renumbering import renumbered
from tfmaskrcnn.data.tfrecord.shard_index import (
    HEADER_BYTES,
    INDEX_SUFFIX,
    read_index,
)
from tfmaskrcnn.errors import InputError, quoted
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.files import open_regular
from tfmaskrcnn.support.given import A_PATH, takes

# The whole COCO annotation of each object, as JSON: polygons and RLE exactly as they were given.
ANNOTATION_KEY = "tfmaskrcnn/annotation"
_SHARED = ("set", "shards", "masks", "categories")  # by all shards of a set
# Pixels that are believed without a look at the image, as of a JSON.
_BELIEVED_PIXELS = 2**26
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
        classes: Optional[np.ndarray] = None,  # [K + 1] of `renumbered`; None for the shards' own
    ):
        self._shards, self._keypoints, self._offset = shards, tuple(keypoints), keypoint_offset
        self._classes = classes
        self._chosen = range(len(shards.image_ids)) if chosen is None else chosen
        self._record = functools.lru_cache(_KEPT)(self._read)

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def checksums(self) -> np.ndarray:
        """[N] uint32, of each record as it was written: pixels, objects and all."""
        return self._shards.checksums[list(self._chosen)]

    def __getitem__(self, index):
        if isinstance(index, slice):
            chosen = self._chosen[index]
            own = (self._shards, self._keypoints, self._offset)
            return TfrecordRecords(*own, chosen, self._classes)
        return self._record(self._chosen[int(index)])

    def __iter__(self) -> Iterator[IndexedRecord]:
        return (self._numbered(self._indexed(i)) for i in self._chosen)

    def _numbered(self, record):
        """With the classes that are chosen; the shards have them all."""
        return record if self._classes is None else renumbered(record, self._classes)

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
        known, path = self._indexed(i), self._shards.paths[self._shards.shard[i]]
        where = f"{path}: image {known.image_id}"
        try:
            features = tf.train.Example.FromString(self._bytes(i)).features.feature
            entries = [json.loads(text) for text in features[ANNOTATION_KEY].bytes_list.value]
            content = features["image/encoded"].bytes_list.value[0]
            if len(entries) != len(known.classes):
                raise ValueError(f"{len(entries)} annotations, wanted {len(known.classes)}")
            _check_size(known, content)
            record = Record(
                path=ImageBytes(f"{where}, {known.file_name}", content),
                **self._annotations(entries, known),
                **{name: getattr(known, name) for name in _KNOWN},
            )
            return self._numbered(record)
        except (DecodeError, IndexError, ValueError, RecursionError) as error:
            if isinstance(error, InputError) and not isinstance(error, Fault):
                raise
            raise InputError(
                f"{where} is damaged: {_reason(error)}; write the shards anew."
            ) from None

    def _annotations(self, entries: List[Any], known: IndexedRecord) -> Dict[str, Any]:
        """What a `Record` has of its objects' annotations."""
        size, points = (known.height, known.width), None
        for entry in entries:
            field(entry, "id", int, "an annotation")
        if self._keypoints:
            points = [
                checked_keypoints(entry.get("keypoints"), self._keypoints, self._offset, *size)
                for entry in entries
            ]
            points = np.reshape(points, (-1, len(self._keypoints), 3))
        shapes = [entry.get("segmentation") for entry in entries]
        if self._shards.about["masks"] and not all(shapes):
            raise ValueError("an annotation without a segmentation")
        return {
            "segmentations": [checked_segmentation(s, *size) if s else None for s in shapes],
            "annotation_ids": [entry["id"] for entry in entries],
            "keypoints": points,
        }

    def _bytes(self, i: int) -> bytes:
        shards = self._shards
        path = shards.paths[shards.shard[i]]
        try:
            with open_regular(path) as file:
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


@takes(pattern=A_PATH)
def load_tfrecord(
    pattern: str,
    masks: bool = True,
    keypoint_head: Optional[KeypointHeadConfig] = None,
    classes: ClassesLike = None,
) -> CocoData:
    """The data set of shards that `write_tfrecord` made, with what `load_coco` gives of the JSON.

    Args:
        pattern: such as "records/train-*.tfrecord"; all shards of one set.
        masks: False takes objects without a segmentation too.
        keypoint_head: if it is enabled, keypoints are read as well.
        classes: as of `load_coco`.

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
    wanted = DataClasses.of(classes)
    keypoints, rules = rules_of(shards.about, pattern, masks, keypoint_head, wanted)
    found = numbering({c["id"]: c["name"] for c in categories}, wanted, pattern)
    numbers = None if wanted is None else found.renumbering(c["id"] for c in categories)
    offset = rules.keypoint_offset
    return CocoData(
        TfrecordRecords(shards, rules.keypoint_names, offset, classes=numbers),
        tuple(found.names.values()),
        tuple(found.names),
        pattern,
        keypoints,
    )


def _read_shards(pattern: str) -> Shards:
    pattern = os.fspath(pattern)
    paths = [path for path in storage.matching(pattern) if not path.endswith(INDEX_SUFFIX)]
    if not paths:
        raise InputError(f"There is no file {pattern}; wanted TFRecord shards.")
    parts, abouts = zip(*(read_index(path) for path in paths))
    for path, about in zip(paths, abouts):
        if any(about[key] != abouts[0][key] for key in _SHARED):
            raise InputError(f"{path} and {paths[0]} are of different sets; narrow the pattern.")
    numbers, count = {about["shard"] for about in abouts}, abouts[0]["shards"]
    if len(numbers) < count:
        missing = next(n for n in itertools.count() if n not in numbers)
        raise InputError(f"{pattern} finds {len(paths)} of {count} shards, not number {missing}.")
    if len(paths) > count:
        raise InputError(f"{pattern} finds {len(paths)} of {count} shards, some twice.")
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if len(np.unique(joined["image_ids"])) < len(joined["image_ids"]):
        raise InputError(f"{pattern}: an image id is in two of the shards; write them anew.")
    counts = [len(part["image_ids"]) for part in parts]
    return Shards(
        paths=paths,
        shard=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        ends=np.concatenate([[0], np.cumsum(joined.pop("counts"))]),
        names=[name for about in abouts for name in about["names"]],
        about=abouts[0],
        **joined,
    )


def _check_size(known: IndexedRecord, content: bytes) -> None:
    """Refuse a size that the image has not, before masks of this size are drawn."""
    size = known.height, known.width
    if size[0] * size[1] <= _BELIEVED_PIXELS:
        return
    if known.file_name.endswith(".npy"):
        right = size[0] * size[1] <= len(content)
    else:
        try:
            with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as image:
                right = image.size in (size, size[::-1])
        except Exception:  # Pillow raises a dozen kinds
            right = False
    if not right:
        raise ValueError(f"it is said to have {size[0]} x {size[1]} pixels (height x width)")


def _reason(error: Exception) -> str:
    if isinstance(error, DecodeError):
        return "it is no tf.train.Example"
    if isinstance(error, IndexError):
        return "it holds no image"
    return quoted(str(error).rstrip("."), 180)[1:-1]
