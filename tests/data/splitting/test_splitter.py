"""`data.split` and `tfmaskrcnn split`: parts that are alike, share no picture, and lose nothing."""

import json
import os
import random
import shutil

import numpy as np
import pytest
from PIL import Image

import tfmaskrcnn as mr
from tfmaskrcnn.cli.main import main

KINDS = ("square", "circle", "arrow")


def arrows_of(raw):
    """The ids of images that show an arrow."""
    return sorted({a["image_id"] for a in raw["annotations"] if a["category_id"] == 3})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """(JSON, folder) of 20 pictures; arrows in three of them, patients of two pictures each."""
    folder = tmp_path_factory.mktemp("set")
    images, raw = mr.data.make_shapes(20, 96, 128, (1, 3), seed=5, classes=KINDS)
    (folder / "images" / "x").mkdir(parents=True)
    arrows = arrows_of(raw)[:3]
    raw["annotations"] = [
        a for a in raw["annotations"] if a["category_id"] < 3 or a["image_id"] in arrows
    ]
    for image, pixels in zip(raw["images"], images):
        image.update(file_name=f"x/{image['id']:02}.png", patient=(image["id"] - 1) // 2, licence=4)
        Image.fromarray(pixels).save(folder / "images" / image["file_name"])
    raw.update(licenses=[{"id": 4, "name": "CC0"}], info={"year": 2026}, colours={"a": [1.5]})
    (folder / "all.json").write_text(json.dumps(raw))
    return str(folder / "all.json"), str(folder / "images")


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture
def own(drawn, tmp_path):
    """The same, to be changed: (the JSON as dictionaries, a function that writes it)."""
    shutil.copytree(os.path.dirname(drawn[0]), tmp_path / "set")
    path = tmp_path / "set" / "all.json"

    def write(raw):
        path.write_text(json.dumps(raw))
        return str(path)

    return read(path), write


def ids_of(coco):
    return [image["id"] for image in coco["images"]]


def test_the_command_as_it_is_typed(drawn, tmp_path, capsys):
    assert main(["split", drawn[0], "--val", "0.2", "--test", "0.1", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    whole, parts = read(drawn[0]), {}
    for name, count in (("train", 14), ("val", 4), ("test", 2)):
        parts[name] = read(tmp_path / f"all_{name}.json")
        assert len(parts[name]["images"]) == count
        assert f"written     {tmp_path}/all_{name}.json" in said
        for key in ("categories", "licenses", "info", "colours"):
            assert parts[name][key] == whole[key]
    for key in ("images", "annotations"):
        every = [entry for part in parts.values() for entry in part[key]]
        assert sorted(every, key=lambda e: e["id"]) == whole[key]
    for part in parts.values():  # in the order of the file, objects beside their images
        assert ids_of(part) == sorted(ids_of(part))
        assert {a["image_id"] for a in part["annotations"]} <= set(ids_of(part))
    assert any(a.get("keypoints") for a in parts["train"]["annotations"])
    assert "14 (70%)" in said and " has no object of 'arrow' (3): too few pictures" in said
    images = drawn[1]
    assert f"data.train_images={images} data.val_json={tmp_path}/all_val.json" in said
    # What is written is read from the same folder of images.
    assert len(mr.data.load_coco(str(tmp_path / "all_val.json"), images).records) == 4


def test_every_class_is_in_val_where_there_is_enough_of_it(drawn):
    found = mr.data.split(*drawn, val=0.34)
    arrows = set(arrows_of(read(drawn[0])))
    assert len(arrows) == 3 and len(arrows & set(found.images("val"))) == 1
    assert not any("no object of" in note for note in found.notes)


def test_the_same_seed_gives_the_same_parts_in_whatever_order(own, drawn):
    raw, write = own
    first = mr.data.split(*drawn, val=0.3, seed=4)
    random.Random(1).shuffle(raw["images"])
    random.Random(2).shuffle(raw["annotations"])
    path = write(raw)
    again = mr.data.split(path, val=0.3, seed=4)  # images are found beside the JSON
    assert set(again.images("val")) == set(first.images("val"))
    others = {tuple(mr.data.split(*drawn, val=0.3, seed=s).images("val")) for s in range(5)}
    assert len(others) > 1


def test_folds_are_each_val_once(drawn, tmp_path, capsys):
    words = ["split", drawn[0], "--folds", "4", "--test", "0.2", "--out", str(tmp_path)]
    assert main(words) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 9 and "all_fold4_train.json" in names and "all_test.json" in names
    vals = [ids_of(read(tmp_path / f"all_fold{k}_val.json")) for k in range(1, 5)]
    trains = [ids_of(read(tmp_path / f"all_fold{k}_train.json")) for k in range(1, 5)]
    test = ids_of(read(tmp_path / "all_test.json"))
    assert len(test) == 4 and all(len(val) == 4 for val in vals)
    assert sorted([*sum(vals, []), *test]) == list(range(1, 21))
    for train, val in zip(trains, vals):
        assert not set(train) & {*val, *test} and len(train) == 12
    assert "fold 3" in capsys.readouterr().out


def test_groups_stay_whole(drawn, capsys, tmp_path):
    assert main(["split", drawn[0], "--group-by", "patient", "--out", str(tmp_path)]) == 0
    val = read(tmp_path / "all_val.json")["images"]
    train = read(tmp_path / "all_train.json")["images"]
    assert not {i["patient"] for i in val} & {i["patient"] for i in train} and len(val) == 4
    assert "10 groups by the key 'patient' stay whole." in capsys.readouterr().out


def test_copies_are_never_on_both_sides(own):
    raw, write = own
    folder = os.path.join(os.path.dirname(write(raw)), "images")
    for n, source in enumerate(range(1, 11)):  # half of the pictures, once more
        name = f"copy{n}.{'png' if n % 2 else 'jpg'}"
        path = os.path.join(folder, f"x/{source:02}.png")
        if n % 2:
            shutil.copy(path, os.path.join(folder, name))
        else:
            Image.open(path).save(os.path.join(folder, name), quality=60)
        entry = {**raw["images"][source - 1], "id": 100 + source, "file_name": name}
        raw["images"].append(entry)
    path = write(raw)
    for seed in range(3):
        found = mr.data.split(path, val=0.4, seed=seed)
        for source in range(1, 11):
            assert found.part_of[source] == found.part_of[100 + source]
    assert found.notes[0].startswith("5 pictures are the same as another, to the byte")
    assert found.notes[1].startswith("5 pictures look the same as another")


def test_nothing_is_replaced_unasked(drawn, tmp_path, capsys, monkeypatch):
    words = ["split", *drawn[:1], "--out", str(tmp_path)]
    (tmp_path / "all_val.json").write_text("mine")
    monkeypatch.setattr("tfmaskrcnn.data.splitting.splitter.near_copies", None)  # not reached
    assert main(words) == 2
    assert "all_val.json exists already; --overwrite replaces it" in capsys.readouterr().err
    assert (tmp_path / "all_val.json").read_text() == "mine"
    monkeypatch.undo()
    assert main([*words, "--overwrite"]) == 0
    assert len(read(tmp_path / "all_val.json")["images"]) == 4


@pytest.mark.parametrize(
    "words, message",
    [
        (["--val", "0"], "then there is nothing to divide"),
        (["--val", "0.6", "--test", "0.4"], "val 0.6 and test 0.4 leave nothing to train on"),
        (["--val", "1"], "val is 1.0; wanted a share below 1"),
        (["--val", "0.01"], "val: a share of 0.01 of 20 images is no image"),
        (["--val", "0.2", "--folds", "3"], "give folds or val, not both"),
        (["--folds", "1"], "folds is 1; wanted 2 to 100"),
        (["--folds", "50"], "a share of 0.02 of 20 images is no image"),
        (["--group-by", "patent"], "did you mean 'patient'"),
        (["--group-by", "folder"], "all 20 images are of one group, 'x'"),
        (["--folds", "5", "--group-by", "file:[01]"], "in 2 groups, which cannot be divided into"),
        (["--images", "nowhere"], "None of the 20 pictures can be read from nowhere"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(words, message, drawn, tmp_path, capsys):
    assert main(["split", drawn[0], "--out", str(tmp_path), *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_python_knows_its_options(drawn):
    with pytest.raises(mr.InputError, match="There is no option 'value'; wanted val, test, folds"):
        mr.data.split(*drawn, value=0.2)
    with pytest.raises(mr.InputError, match="seed is -1; wanted a whole number"):
        mr.data.split(*drawn, seed=-1)
    with pytest.raises(mr.InputError, match="is the set itself"):
        found = mr.data.split(*drawn, val=0.2)
        other = os.path.join(os.path.dirname(drawn[0]), "all_val.json")
        os.symlink(drawn[0], other)
        try:
            found.write(overwrite=True)
        finally:
            os.remove(other)


def test_wrong_entries_stop_it_or_are_left_out(own, tmp_path, capsys):
    raw, write = own
    raw["annotations"][0]["bbox"] = [0, 0, -1, 5]
    path = write(raw)
    assert main(["split", path, "--out", str(tmp_path)]) == 2
    assert "has no area" in capsys.readouterr().err
    assert main(["split", path, "--out", str(tmp_path), "--skip-invalid"]) == 0
    parts = [read(tmp_path / f"all_{name}.json") for name in ("train", "val")]
    assert sum(len(p["annotations"]) for p in parts) == len(raw["annotations"]) - 1
    raw["images"][2].pop("file_name")
    assert main(["split", write(raw), "--skip-invalid", "--overwrite", "--out", str(tmp_path)]) == 2
    assert "the 'file_name' of image 3 is None" in capsys.readouterr().err


def test_a_picture_that_cannot_be_read_is_told(own):
    raw, write = own
    path = write(raw)
    os.remove(os.path.join(os.path.dirname(path), "images", "x", "04.png"))
    found = mr.data.split(path, val=0.2)
    assert "1 pictures cannot be read, so it is not known" in found.notes[0]
    assert len(found.part_of) == 20


def test_the_table_counts_objects_by_class_and_size(drawn):
    found = mr.data.split(*drawn, val=0.2)
    rows = {line.split()[0]: line for line in found.table().splitlines() if line.strip()}
    raw = read(drawn[0])
    objects = [a for a in raw["annotations"] if a["category_id"] == 3]
    assert rows["images"].split()[1:] == ["16", "(80%)", "4", "(20%)", "20"]
    total = rows["arrow"].split("=")[-1]
    counted = np.array([int(n) for n in total.split("+")])
    assert counted.sum() == len(objects)
    assert counted[0] == sum(a["area"] < 32**2 for a in objects)
