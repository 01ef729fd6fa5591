"""Images in TFRecord files of anybody, which have no index."""

import struct
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import tensorflow as tf
from google.protobuf.message import DecodeError

from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.data.tfrecord.shard_index import FRAME_BYTES
from tfmaskrcnn.errors import InputError, one_line, short_path
from tfmaskrcnn.support.crc32c import masked_crc32c

_HEAD = struct.Struct("<QI")  # the content's length and its checksum; behind it the content
_CHECKSUM = struct.Struct("<I")  # of the content, behind it
_LARGEST_ID = 1 << 63


class RecordImage(NamedTuple):
    """What one record holds of its image, by the names of the TF Object Detection API."""

    source_id: Optional[int]  # None if it is no whole number
    file_name: str  # "" if there is none
    content: ImageBytes


def record_offsets(path: str) -> Tuple[List[int], Optional[str]]:
    """Where the records of a TFRecord begin, in bytes, and what is wrong behind the last of them.

    Only the lengths are read, not the contents. A file that is compressed is nothing but wrong.

    Args:
        path: of the file, on any file system that TensorFlow knows.

    Returns:
        The offsets, ascending, of all whole records; and a sentence, or None.
    """
    offsets, end = [], 0
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            size = file.size()
            while end < size:
                file.seek(end)
                head = file.read(_HEAD.size)
                length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else size
                if end + length + FRAME_BYTES > size:
                    text = "is cut off, or no uncompressed TFRecord, from byte"
                    return offsets, f"{short_path(path)} {text} {end} on."
                offsets.append(end)
                end += length + FRAME_BYTES
    except tf.errors.OpError as error:
        return offsets, f"Cannot read {short_path(path)}: {one_line(error.message)}."
    return offsets, None


def record_images(path: str, offsets: Sequence[int], first: int = 0) -> Iterator:
    """The image of each record at `offsets`, or the `InputError` that says why there is none.

    Args:
        path: of a TFRecord.
        offsets: some of `record_offsets`.
        first: place of the first of these records in the file, from 0, for names.

    Yields:
        A `RecordImage` or an `InputError` for each offset, in order.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        for place, offset in enumerate(offsets, start=first):
            name = f"{path}#{place}"
            try:
                yield _image(_content(file, offset), name)
            except (InputError, tf.errors.OpError) as error:
                yield InputError(f"The record {short_path(name)} {one_line(error)}.")


def _content(file: tf.io.gfile.GFile, offset: int) -> bytes:
    file.seek(offset)
    head = file.read(_HEAD.size)
    length = _HEAD.unpack(head)[0]
    content, tail = file.read(length), file.read(_CHECKSUM.size)
    sums = (_HEAD.unpack(head)[1], *_CHECKSUM.unpack(tail))
    if sums != (masked_crc32c(head[:8]), masked_crc32c(content)):
        raise InputError("is damaged: its checksum is another")
    return content


def _image(record: bytes, name: str) -> RecordImage:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        raise InputError("is no tf.train.Example") from None
    content, file_name, source_id = (
        next(iter(features[f"image/{key}"].bytes_list.value), b"")
        for key in ("encoded", "filename", "source_id")
    )
    if not content:
        raise InputError("has no image/encoded")
    own = source_id.isdigit() and len(source_id) < 20 and int(source_id) < _LARGEST_ID
    text = file_name.decode("utf-8", "backslashreplace")
    return RecordImage(int(source_id) if own else None, text, ImageBytes(text or name, content))
