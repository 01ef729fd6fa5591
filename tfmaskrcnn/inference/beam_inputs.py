"""What the pipeline of `examples/beam_predict.py` reads, wherever it lies.

Apache Beam is an extra, so it is imported where it is needed. What passes between workers are
tuples; an image is (image id, name in `results.json`, file name in tables).
"""

import os
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple, Union

from tfmaskrcnn.data.coco.image_files import ImageBytes
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.image_paths import IMAGE_ENDINGS, before_wildcards

Image = Tuple[int, str, str]
FAILED = "failed"  # the tag of (name, reason) of what cannot be used
_RECORDS = 64  # of a TFRecord, that a worker reads in a row
REMOTE = "://"


def paths_of(given: Tuple[int, str]) -> List[Tuple[int, str]]:
    """(number, path) of all files that an input (number, text) stands for.

    The text is a file, a folder of images, or a pattern of Beam's: `*` within a folder, `**` across
    them. Names with a dot first are passed over.
    """
    number, text = given
    if os.path.isfile(text):
        return [(number, text)]
    paths = matching(text)
    if not paths:
        paths = [p for p in matching(below(text, "*")) if p.lower().endswith(IMAGE_ENDINGS)]
    return [(number, path) for path in paths]


def numbered(listed: Iterable[Tuple[int, str]], inputs: Sequence[str] = ()) -> Iterator[Image]:
    """The images of a list of (number, path), each once, with ids and names as `predict` has.

    Names in tables start from the deepest folder that all share, or that a pattern among `inputs`
    has before its first "*".
    """
    once: Dict[str, str] = {}
    for _, path in sorted(listed):
        once.setdefault(_whole(path), path)
    paths, parts = list(once.values()), [whole.split("/") for whole in once]
    patterns = [text for text in inputs if not os.path.isfile(text)]
    patterns = [text for text in patterns if before_wildcards(text) != text]
    starts = [_whole(os.path.dirname(before_wildcards(text))).split("/") for text in patterns]
    shared = len(os.path.commonprefix([*(part[:-1] for part in parts), *starts]))
    for image_id, (path, part) in enumerate(zip(paths, parts), start=1):
        yield image_id, path, "/".join(part[shared:])


def content_of(path: str) -> Union[str, ImageBytes]:
    """What `read_image` takes: the path, or the content of a file that is not on this disk."""
    if REMOTE not in path:
        return path
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        return ImageBytes(path, file.read())


def shard_records(given: Tuple[int, str]) -> Iterator[Any]:
    """(number, path) of a TFRecord -> the same with the offsets of its records."""
    from apache_beam.pvalue import TaggedOutput

    from tfmaskrcnn.data.tfrecord.plain_records import record_offsets  # it needs TensorFlow

    offsets, problem = record_offsets(given[1])
    yield (*given, offsets)
    if problem:
        yield TaggedOutput(FAILED, (given[1], problem))


def numbered_records(
    shards: Iterable[Tuple[int, str, List[int]]],
) -> Iterator[Tuple[int, str, int, List[int]]]:
    """(image id, path, place, offsets) of the first of some records, of a list of all shards."""
    image_id = 1
    for _, path, offsets in sorted(shards):
        for place in range(0, len(offsets), _RECORDS):
            yield image_id + place, path, place, offsets[place : place + _RECORDS]
        image_id += len(offsets)


def read_records(part: Tuple[int, str, int, List[int]]) -> Iterator[Any]:
    """Images with their content; a record's own `image/source_id` goes before its place."""
    from apache_beam.pvalue import TaggedOutput

    from tfmaskrcnn.data.tfrecord.plain_records import record_images

    first, path, place, offsets = part
    for i, found in enumerate(record_images(path, offsets, place)):
        if isinstance(found, InputError):
            yield TaggedOutput(FAILED, (f"{path}#{place + i}", str(found)))
        else:
            image_id = first + i if found.source_id is None else found.source_id
            yield (image_id, found.content.name, found.content.name), found.content


def matching(pattern: str) -> List[str]:
    """The files that a pattern stands for, sorted; no folders, no names with a dot first."""
    from apache_beam.io.filesystems import FileSystems

    paths = [file.path for file in FileSystems.match([pattern])[0].metadata_list]
    paths = [path for path in paths if not os.path.isdir(path)]
    return sorted(path for path in paths if not os.path.basename(path).startswith("."))


def below(folder: str, name: str) -> str:
    """A path in a folder, of any file system."""
    return f"{folder.rstrip('/')}/{name}"


def _whole(path: str) -> str:
    return path if REMOTE in path else os.path.abspath(path)
