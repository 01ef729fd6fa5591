"""`data/tfrecord/`, reading and writing: the same data as the JSON's, and other readers."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfmaskrcnn as mr
from helpers.one_stack import on_stack_a
from tfmaskrcnn.cli.main import main
from tfmaskrcnn.config.keypoints import KeypointHeadConfig
from tfmaskrcnn.config.yaml_files import parse_config
from tfmaskrcnn.data import (
    from_records,
    load_coco,
    load_tfrecord,
    read_image,
    write_shapes,
    write_tfrecord,
)
from tfmaskrcnn.data.coco.segmentation import decode
from tfmaskrcnn.errors import InputError

COUNT, KEYPOINTS = 7, KeypointHeadConfig(enabled=True)
CONFIG = [
    *("model.num_classes=2", "model.input.min_side=64", "model.input.max_side=96"),
    *("data.max_instances=6", "data.augment.scale=[0.7, 1.5]", "data.augment.crop=[50, 60]"),
    *("data.augment.brightness=0.2", "train.batch_size=2", "model.keypoint_head.enabled=true"),
    *("model.keypoint_head.num_keypoints=4", "model.keypoint_head.flip_pairs=[[1, 3]]"),
]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """(JSON, image folder) of polygons, RLE, a crowd, keypoints, an image without objects."""
    folder = str(tmp_path_factory.mktemp("shapes"))
    options = {"height": 60, "width": 80, "seed": 3, "classes": ("circle", "arrow")}
    json_path, image_dir = write_shapes(folder, COUNT, **options)
    with open(json_path) as file:
        coco = json.load(file)
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] != 4]
    coco["annotations"][2]["iscrowd"] = 1
    for category in coco["categories"]:
        category["id"] *= 10
    for annotation in coco["annotations"]:
        annotation["category_id"] *= 10
    with Image.open(os.path.join(image_dir, "000002.png")) as image:
        image.save(os.path.join(image_dir, "000002.jpg"))
        np.save(os.path.join(image_dir, "000003.npy"), np.asarray(image))
    coco["images"][1]["file_name"], coco["images"][2]["file_name"] = "000002.jpg", "000003.npy"
    with open(json_path, "w") as file:
        json.dump(coco, file)
    return json_path, image_dir


@pytest.fixture(scope="module")
def pattern(shapes, tmp_path_factory):
    out = str(tmp_path_factory.mktemp("records") / "train")
    written = write_tfrecord(*shapes, out, 3, workers=1)
    assert [os.path.basename(path) for path in written.paths] == [
        f"train-0000{k}-of-00003.tfrecord" for k in range(3)
    ]
    assert written.images == COUNT and written.size == sum(map(os.path.getsize, written.paths))
    return f"{out}-*.tfrecord"


def test_records_are_those_of_the_json_to_the_bit(shapes, pattern):
    expected = load_coco(*shapes, keypoint_head=KEYPOINTS)
    found = load_tfrecord(pattern, keypoint_head=KEYPOINTS)
    assert found[1:3] == expected[1:3] == (("circle", "arrow"), (10, 20))
    assert found.keypoints == expected.keypoints and len(found.records) == COUNT
    for i, (record, indexed) in enumerate(zip(expected.records, found.records)):
        same = found.records[i]
        for name, value in record._asdict().items():
            if name == "path":
                np.testing.assert_array_equal(read_image(same.path), read_image(record.path))
            else:
                np.testing.assert_equal(getattr(same, name), value, err_msg=name)
        for name in set(record._fields) - {"path"}:
            np.testing.assert_equal(getattr(indexed, name), getattr(record, name), err_msg=name)
        assert indexed._replace(height=1).path == same.path
    part = found.records[2:5]
    assert [r.image_id for r in part] == [3, 4, 5] == [part[i].image_id for i in range(3)]
    with pytest.raises(IndexError):
        part[3]


def test_what_a_data_set_is_checked_by_needs_no_shard(pattern):
    records = load_tfrecord(pattern).records
    records._record = lambda i: 1 / 0
    assert sum(len(r.classes) + r.crowd.sum() for r in records) > 9
    assert [r.file_name for r in records][1] == "000002.jpg"
    with pytest.raises(ZeroDivisionError):
        next(iter(records)).segmentations  # noqa: B018


@pytest.mark.parametrize("resumed", [{}, {"start_epoch": 1, "start_step": 1}])
def test_batches_are_those_of_the_json_to_the_bit(shapes, pattern, resumed):
    config = parse_config({}, CONFIG)
    expected = from_records(load_coco(*shapes, keypoint_head=KEYPOINTS), config, True, **resumed)
    found = from_records(load_tfrecord(pattern, keypoint_head=KEYPOINTS), config, True, **resumed)
    assert found.image_names == expected.image_names
    for _ in range(2):  # epochs
        batches = list(zip(expected.as_numpy_iterator(), found.as_numpy_iterator()))
        assert len(batches) == (2 if resumed else 3)
        for one, other in batches:
            for key in one:
                np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_other_programs_read_the_usual_keys_with_interleave(shapes, pattern):
    expected = {r.file_name: r for r in load_coco(*shapes).records}
    files = tf.data.Dataset.list_files(pattern)
    dataset = files.interleave(tf.data.TFRecordDataset, cycle_length=2)
    many = tf.io.VarLenFeature
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/source_id": tf.io.FixedLenFeature([], tf.string),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        **{f"image/object/bbox/{s}": many(tf.float32) for s in ("ymin", "xmin", "ymax", "xmax")},
        "image/object/area": many(tf.float32),
        "image/object/is_crowd": many(tf.int64),
        "image/object/class/label": many(tf.int64),
        "image/object/class/text": many(tf.string),
        "image/object/mask": many(tf.string),
    }
    seen = set()
    for content in dataset:
        example = tf.io.parse_single_example(content, features)
        example = {k: getattr(v, "values", v).numpy() for k, v in example.items()}
        record = expected[example["image/filename"].decode()]
        seen.add(record.file_name)
        with open(record.path, "rb") as file:
            assert file.read() == example["image/encoded"]
        assert example["image/format"].decode() in ("npy", "jpeg", "png")
        assert example["image/source_id"] == str(record.image_id).encode()
        assert (example["image/height"], example["image/width"]) == (60, 80)
        sides = [example[f"image/object/bbox/{s}"] for s in ("ymin", "xmin", "ymax", "xmax")]
        boxes = np.reshape(np.stack(sides, axis=-1), (-1, 4)) * (60, 80, 60, 80)
        np.testing.assert_allclose(boxes, record.boxes, atol=1e-4)
        assert (example["image/object/class/label"] == record.classes * 10).all()
        names = np.array([b"circle", b"arrow"])[record.classes - 1].tolist()
        assert example["image/object/class/text"].tolist() == names
        assert (example["image/object/is_crowd"] == record.crowd).all()
        masks = [tf.io.decode_png(png)[..., 0] for png in example["image/object/mask"]]
        for mask, shape, area in zip(masks, record.segmentations, example["image/object/area"]):
            np.testing.assert_array_equal(mask, decode(shape, 60, 80))
            assert area == pytest.approx(np.sum(mask), abs=2)
    assert seen == set(expected)


@on_stack_a
def test_processes_write_the_same_bytes(shapes, pattern, tmp_path):
    seen = []
    out = str(tmp_path / "train")
    written = write_tfrecord(*shapes, out, 3, 2, progress=lambda *done: seen.append(done))
    for path in written.paths:
        for name in (path, path + ".index.npz"):
            with open(name, "rb") as one:
                other = os.path.join(os.path.dirname(pattern), os.path.basename(name))
                with open(other, "rb") as other:
                    assert one.read() == other.read()
    assert seen[-1] == (COUNT, COUNT) and len(os.listdir(tmp_path)) == 6


def test_a_failed_writer_leaves_no_half_written_shard(shapes, tmp_path):
    with open(shapes[0]) as file:
        coco = json.load(file)
    coco["images"][3]["width"] = 79
    (tmp_path / "set.json").write_text(json.dumps(coco))
    with pytest.raises(InputError, match="is 60 x 80 pixels .*, but its annotations say 60 x 79"):
        write_tfrecord(str(tmp_path / "set.json"), shapes[1], str(tmp_path / "out" / "a"), 1, 1)
    assert not os.listdir(tmp_path / "out")
    with pytest.raises(InputError, match="8 shards of 7 images: wanted 1 to 7"):
        write_tfrecord(*shapes, str(tmp_path / "a"), 8)
    (tmp_path / "set.json").write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        write_tfrecord(str(tmp_path / "set.json"), shapes[1], str(tmp_path / "a"), 1)


def test_boxes_alone_are_for_models_without_masks(shapes, tmp_path):
    with open(shapes[0]) as file:
        coco = json.load(file)
    for annotation in coco["annotations"]:
        del annotation["segmentation"]
    (tmp_path / "set.json").write_text(json.dumps(coco))
    write_tfrecord(str(tmp_path / "set.json"), shapes[1], str(tmp_path / "a"), 1, 1)
    with pytest.raises(InputError, match="was made of boxes alone"):
        load_tfrecord(str(tmp_path / "a-*"))
    data = load_tfrecord(str(tmp_path / "a-*.tfrecord"), masks=False)
    assert data.records[0].segmentations[0] is None


@pytest.fixture
def copied(pattern, tmp_path):
    """The shards in a folder of their own: (pattern, paths)."""
    for name in os.listdir(os.path.dirname(pattern)):
        with open(os.path.join(os.path.dirname(pattern), name), "rb") as file:
            (tmp_path / name).write_bytes(file.read())
    return str(tmp_path / "train-*.tfrecord"), sorted(tmp_path.glob("*.tfrecord"))


def test_a_damaged_record_is_named_through_tf_data(copied):
    content = bytearray(copied[1][1].read_bytes())
    content[len(content) // 2] ^= 1
    copied[1][1].write_bytes(content)
    config = parse_config({}, [o for o in CONFIG if "keypoint" not in o])
    with pytest.raises(InputError) as caught:
        list(from_records(load_tfrecord(copied[0]), config, training=True))
    said = str(caught.value)
    assert said.startswith(f"{copied[1][1]}: the record of image") and "is damaged" in said


def test_shards_that_do_not_belong_together_are_refused(copied, shapes):
    pattern, paths = copied
    index = paths[1].with_name(paths[1].name + ".index.npz")
    kept = index.read_bytes()
    index.unlink()
    with pytest.raises(InputError, match=r"00001-of-00003.tfrecord has no index train-00001"):
        load_tfrecord(pattern)
    index.write_bytes(kept[:100])
    with pytest.raises(InputError, match="The index .* cannot be read"):
        load_tfrecord(pattern)
    index.write_bytes(kept)
    size = paths[1].stat().st_size
    with open(paths[1], "ab") as file:
        file.write(b"0")
    with pytest.raises(InputError, match=f"has {size + 1} bytes, but its index is of {size}"):
        load_tfrecord(pattern)
    paths[1].unlink()
    with pytest.raises(InputError, match="finds 2 of 3 shards, not number 1"):
        load_tfrecord(pattern)
    write_tfrecord(*shapes, str(paths[0].parent / "train"), 1, 1)
    with pytest.raises(InputError, match="are of different sets; narrow the pattern"):
        load_tfrecord(pattern)
    with pytest.raises(InputError, match=r"There is no file .*none-\*"):
        load_tfrecord(str(paths[0].parent / "none-*"))


def test_chosen_classes_are_those_of_the_json(pattern, shapes):
    chosen = {"thing": ["arrow", "circle"]}
    for classes in (["arrow"], ["arrow", "circle"], chosen):
        there, expected = (
            load_tfrecord(pattern, classes=classes),
            load_coco(*shapes, classes=classes),
        )
        assert there.class_names == expected.class_names
        assert there.category_ids == expected.category_ids
        for i, (known, record) in enumerate(zip(there.records, expected.records)):
            for found in (known, there.records[i], there.records[i:][0]):
                np.testing.assert_array_equal(found.classes, record.classes)
                np.testing.assert_array_equal(found.boxes, record.boxes)
                np.testing.assert_array_equal(found.crowd, record.crowd)
                assert found.annotation_ids == record.annotation_ids
                assert len(found.segmentations) == len(record.classes)
    with pytest.raises(InputError, match="has no category 'arow'; did you mean 'arrow'"):
        load_tfrecord(pattern, classes=["arow"])
    config = mr.data.with_classes_of(pattern, parse_config({}, ["data.classes=arrow"]))
    assert config.model.class_names == ("arrow",) and config.model.category_ids == (20,)


def test_a_run_takes_shards_or_a_json(pattern, shapes, tmp_path, monkeypatch):
    both = parse_config({}, [f"data.train_json={shapes[0]}", f"data.train_tfrecord={pattern}"])
    with pytest.raises(InputError, match="Both data.train_json and data.train_tfrecord are set"):
        mr.train.loop.train(both, str(tmp_path / "run"))
    config = parse_config({}, [f"data.train_tfrecord={pattern}", "model.num_classes=5"])
    seen = []
    monkeypatch.setattr(
        mr.train.loop, "with_classes_of", lambda data, _: seen.append(data) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        mr.train.loop.train(config, str(tmp_path / "run"))
    assert seen[0].json_path == pattern


def test_the_command_writes_shards(shapes, tmp_path, capsys):
    words = ["write-tfrecord", *shapes, str(tmp_path / "new" / "a"), "--shards", "2"]
    assert main([*words, "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{COUNT} images, ") and "for data.train_tfrecord" in said
    assert len(load_tfrecord(str(tmp_path / "new" / "a-*.tfrecord")).records) == COUNT
