"""`data/tfrecord/plain_records.py`: records of files without an index."""

import gzip

import tensorflow as tf

from helpers.tiny import tiny_data
from tfmaskrcnn.data.tfrecord.plain_records import record_images, record_offsets
from tfmaskrcnn.data.tfrecord.shard_index import read_index
from tfmaskrcnn.data.tfrecord.writing import write_tfrecord
from tfmaskrcnn.errors import InputError


def record(**values):
    features = {
        f"image/{key}": tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for key, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in records:
            writer.write(one)
    return str(path)


def test_offsets_are_those_of_the_index_and_images_their_files(tmp_path):
    json_path, images = tiny_data(tmp_path / "data")
    path = write_tfrecord(json_path, images, str(tmp_path / "set"), 1, workers=1).paths[0]
    index, about = read_index(path)
    offsets, problem = record_offsets(path)
    assert problem is None and offsets == index["offsets"].tolist()
    found = list(record_images(path, offsets))
    assert [image.source_id for image in found] == index["image_ids"].tolist()
    assert [image.file_name for image in found] == about["names"]
    for image in found:
        with open(f"{images}/{image.file_name}", "rb") as file:
            assert image.content == (image.file_name, file.read())


def test_a_record_without_a_name_or_number_goes_by_its_place(tmp_path):
    path = write(
        tmp_path / "a.tfrecord", [record(encoded=b"x"), record(encoded=b"y", source_id=b"a7")]
    )
    images = list(record_images(path, record_offsets(path)[0], first=5))
    assert [image.content.name for image in images] == [f"{path}#5", f"{path}#6"]
    assert [(image.source_id, image.file_name) for image in images] == [(None, "")] * 2


def test_bad_records_are_told_and_the_others_read(tmp_path):
    good = record(encoded=b"x", source_id=b"3")
    path = write(
        tmp_path / "a.tfrecord", [good, b"no example \xff", record(filename=b"n"), good, good]
    )
    offsets, _ = record_offsets(path)
    with open(path, "r+b") as file:
        file.seek(offsets[3] + 14)
        file.write(b"\xff\xff")
    found = list(record_images(path, offsets))
    assert [isinstance(one, InputError) for one in found] == [False, True, True, True, False]
    assert "a.tfrecord#1 is no tf.train.Example." in str(found[1])
    assert "a.tfrecord#2 has no image/encoded." in str(found[2])
    assert "a.tfrecord#3 is damaged" in str(found[3])


def test_an_end_that_is_cut_off_is_told_and_what_is_whole_kept(tmp_path):
    path = write(tmp_path / "a.tfrecord", [record(encoded=b"x" * 50)] * 3)
    offsets, _ = record_offsets(path)
    with open(path, "r+b") as file:
        file.truncate(offsets[2] + 30)
    kept, problem = record_offsets(path)
    assert kept == offsets[:2] and f"from byte {offsets[2]} on" in problem
    with gzip.open(tmp_path / "b.gz", "wb") as file:
        file.write(b"text")
    for other in (tmp_path / "b.gz", tmp_path / "missing"):
        kept, problem = record_offsets(str(other))
        assert kept == [] and other.name in problem
    (tmp_path / "empty").touch()
    assert record_offsets(str(tmp_path / "empty")) == ([], None)
