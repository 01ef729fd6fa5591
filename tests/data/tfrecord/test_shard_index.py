"""Indices of shards that lie, and records that are not what their index says."""

import io
import json
import os
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from helpers.memory import within
from tfmaskrcnn.data import load_tfrecord, write_shapes, write_tfrecord
from tfmaskrcnn.data.tfrecord import shard_index
from tfmaskrcnn.data.tfrecord.reading import ANNOTATION_KEY
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support.files import save_arrays


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a shard, its arrays and what its index says."""
    folder = tmp_path_factory.mktemp("shapes")
    shapes = write_shapes(str(folder), 3, height=40, width=50, seed=1)
    (path,) = write_tfrecord(*shapes, str(folder / "a"), 1, workers=1).paths
    arrays, about = shard_index.read_index(path)
    with open(path, "rb") as file:
        return file.read(), arrays, about


def put(folder, content, arrays, about):
    path = str(folder / "a-00000-of-00001.tfrecord")
    with open(path, "wb") as file:
        file.write(content)
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    save_arrays(path + ".index.npz", {**arrays, "about": np.frombuffer(text, np.uint8)})
    return path


def test_what_was_written_is_read(written, tmp_path):
    records = load_tfrecord(put(tmp_path, *written)).records
    assert len(records) == 3 and len(records[2].segmentations) == len(records[2].classes)


def change(array, value, place=0):
    array = array.copy()
    array[place] = value
    return array


ARRAYS = {
    "an offset beyond the file": ("offsets", lambda a: change(a, 2**40, 1)),
    "a negative offset": ("offsets", lambda a: change(a, -1, 1)),
    "the least offset": ("offsets", lambda a: change(a, -(2**63), 1)),
    "two records in one place": ("offsets", lambda a: change(a, a[0], 1)),
    "a huge length": ("lengths", lambda a: change(a, 2**62)),
    "all huge lengths": ("lengths", lambda a: np.full_like(a, 2**63 - 1)),
    "a negative length": ("lengths", lambda a: change(a, -1)),
    "a length that is one less": ("lengths", lambda a: change(a, a[0] - 1)),
    "a huge count": ("counts", lambda a: change(a, 2**62)),
    "counts that overflow to the right sum": (
        "counts",
        lambda a: np.array([2**63 - 1, 2**63 - 1, a.sum() + 2]),
    ),
    "a negative count": ("counts", lambda a: a + [-a[0] - 1, a[0] + 1, 0]),
    "an image without pixels": ("sizes", lambda a: change(a, 0)),
    "a box outside of its image": ("boxes", lambda a: change(a, [0, 0, 5, 51])),
    "a box that is no number": ("boxes", lambda a: change(a, np.nan)),
    "a box without area": ("boxes", lambda a: change(a, [5, 5, 5, 9])),
    "class 0": ("classes", lambda a: change(a, 0)),
    "class 100": ("classes", lambda a: change(a, 100)),
    "an image id twice": ("image_ids", lambda a: change(a, a[1])),
    "an array of another type": ("crowd", lambda a: a.astype(np.int64)),
    "an array of another shape": ("sizes", lambda a: a[:, :1]),
    "an array that is shorter": ("checksums", lambda a: a[:-1]),
    "boxes that are longer": ("boxes", lambda a: np.concatenate([a, a])),
}


@pytest.mark.parametrize("key, changed", ARRAYS.values(), ids=ARRAYS)
def test_an_index_whose_arrays_lie_is_refused(written, tmp_path, key, changed):
    content, arrays, about = written
    path = put(tmp_path, content, {**arrays, key: changed(arrays[key])}, about)
    with within(20), pytest.raises(InputError, match="index.npz cannot be read: .*anew") as caught:
        load_tfrecord(path)
    assert len(str(caught.value)) < len(path) + 400


ABOUT = {
    "shards of a million million": {"shards": 10**12},
    "no number of shards": {"shards": "3"},
    "a shard beyond their number": {"shard": 1},
    "a negative shard": {"shard": -1},
    "no categories": {"categories": []},
    "categories as numbers": {"categories": [1]},
    "a category without a name": {"categories": [{"id": 1}]},
    "a category of a huge id": {"categories": [{"id": 10**400, "name": "a"}]},
    "an id twice": {"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]},
    "half a character": {"categories": [{"id": 1, "name": "\ud800"}]},
    "too few names": {"names": ["a"]},
    "names as numbers": {"names": [1, 2, 3]},
    "a name of half a character": {"names": ["a", "b", "\ud800"]},
    "a name that no file has": {"names": ["a", "b", "\0"]},
    "a long name": {"names": ["a", "b", "c" * 10_000]},
    "no names": {"names": None},
    "masks of another kind": {"masks": 1},
    "a set of another kind": {"set": {}},
}


@pytest.mark.parametrize("changes", ABOUT.values(), ids=ABOUT)
def test_an_index_that_says_what_cannot_be_is_refused(written, tmp_path, changes):
    content, arrays, about = written
    path = put(tmp_path, content, arrays, {**about, **changes})
    with within(20), pytest.raises(InputError, match="index.npz cannot be read: .*anew") as caught:
        load_tfrecord(path)
    assert len(str(caught.value)) < len(path) + 400 and str(caught.value).encode()


@pytest.mark.parametrize("about", [b"[]", b"{", b"[" * 10**5, b"9" * 5000, b"3", b"\xff", b""])
def test_what_an_index_says_may_be_anything(written, tmp_path, about):
    path = put(tmp_path, *written[:2], about)
    with pytest.raises(InputError, match="index.npz cannot be read"):
        load_tfrecord(path)


def test_an_index_of_another_version_or_file_is_told(written, tmp_path):
    content, arrays, about = written
    with pytest.raises(InputError, match="has version 2, wanted 1"):
        load_tfrecord(put(tmp_path, content, arrays, {**about, "version": 2}))
    with pytest.raises(InputError, match="but its index is of 'many'"):
        load_tfrecord(put(tmp_path, content, arrays, {**about, "size": "many"}))


def framed(content):
    """A shard of one record, in TFRecord's frame; nobody looks at the frame's own checksums."""
    return bytes(12) + content + bytes(4)


def one_record(written, annotations, image=None, **changes):
    """A shard of one image with these annotations, and an index that agrees with it."""
    _, arrays, about = written
    if image is None:
        buffer = io.BytesIO()
        Image.new("RGB", (50, 40)).save(buffer, "png")
        image = buffer.getvalue()

    def feature(values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    features = {ANNOTATION_KEY: feature(annotations), "image/encoded": feature([image])}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    content = changes.pop("content", example.SerializeToString())
    count = int(arrays["counts"][0])
    arrays = {n: a[: count if n in ("boxes", "classes", "crowd") else 1] for n, a in arrays.items()}
    arrays["lengths"] = np.array([len(content)])
    arrays["checksums"] = np.array([zlib.crc32(content)], np.uint32)
    about = {**about, "names": about["names"][:1], "size": len(content) + 16}
    return framed(content), {**arrays, **changes}, about


def entries(count, **changes):
    shape = {"segmentation": [[1, 1, 9, 1, 9, 9]]}
    return [json.dumps({"id": i, **shape, **changes}).encode() for i in range(count)]


def test_a_record_of_ones_own_is_read(written, tmp_path):
    count = int(written[1]["counts"][0])
    path = put(tmp_path, *one_record(written, entries(count)))
    assert load_tfrecord(path).records[0].annotation_ids == list(range(count))


BAD_ENTRIES = {
    "no JSON": lambda n: [b"{"] * n,
    "nested deep": lambda n: [b"[" * 10**5] * n,
    "a number": lambda n: [b"3"] * n,
    "no id": lambda n: [b"{}"] * n,
    "an id of a text": lambda n: entries(n, id="a"),
    "no segmentation": lambda n: entries(n, segmentation=None),
    "a segmentation of a text": lambda n: entries(n, segmentation="a"),
    "a vertex far away": lambda n: entries(n, segmentation=[[0, 0, 1e9, 0, 1e9, 1e9]]),
    "no finite vertex": lambda n: entries(n, segmentation=[[0, 0, float("nan"), 0, 3, 3]]),
    "an RLE of another size": lambda n: entries(
        n, segmentation={"size": [10**9, 10**9], "counts": [10**18]}
    ),
    "one more": lambda n: entries(n + 1),
    "one less": lambda n: entries(n - 1),
}


@pytest.mark.parametrize("bad", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_a_record_whose_annotations_are_wrong_is_a_sentence(written, tmp_path, bad):
    path = put(tmp_path, *one_record(written, bad(int(written[1]["counts"][0]))))
    data = load_tfrecord(path)
    with within(20), pytest.raises(InputError, match="image 1 is damaged: .*anew") as caught:
        data.records[0]
    assert len(str(caught.value)) < len(path) + 400


def test_a_record_that_is_none_or_another_is_a_sentence(written, tmp_path):
    path = put(tmp_path, *one_record(written, [], content=b"\xff" * 50))
    with pytest.raises(InputError, match="image 1 is damaged: it is no tf.train.Example"):
        load_tfrecord(path).records[0]
    path = put(tmp_path, *one_record(written, [], content=b""))
    with pytest.raises(InputError, match="image 1 is damaged: it holds no image"):
        load_tfrecord(path).records[0]
    checksums = np.array([1], np.uint32)
    path = put(tmp_path, *one_record(written, [], checksums=checksums))
    with pytest.raises(InputError, match="the record of image 1 is damaged, or its index"):
        load_tfrecord(path).records[0]


def test_a_size_that_the_image_has_not_is_refused_before_masks_are_drawn(written, tmp_path):
    sizes = np.array([(2**31 - 1, 2**31 - 1)], np.int32)
    count = int(written[1]["counts"][0])
    path = put(tmp_path, *one_record(written, entries(count), sizes=sizes))
    with within(20), pytest.raises(InputError, match="said to have 2147483647 x 2147483647 pixels"):
        load_tfrecord(path).records[0]


def test_a_shard_that_is_there_twice_is_told(written, tmp_path):
    path = put(tmp_path, *written)
    for ending in ("", ".index.npz"):
        with (
            open(path + ending, "rb") as file,
            open(str(tmp_path / "b.tfrecord") + ending, "wb") as copy,
        ):
            copy.write(file.read())
    with pytest.raises(InputError, match="finds 2 of 1 shards, some twice"):
        load_tfrecord(str(tmp_path / "*.tfrecord"))
    assert sorted(os.listdir(tmp_path))[0].startswith("a-")
