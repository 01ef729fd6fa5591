"""`inference/prediction_files.py` with a source that needs no model."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.stub_source import picture, source_of
from tfmaskrcnn import InputError
from tfmaskrcnn.inference.prediction_files import find_images, predict_all, predict_files
from tfmaskrcnn.inference.prediction_options import PredictionOptions
from tfmaskrcnn.inference.score_thresholds import ScoreThresholds


def results_of(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def pngs(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".png"))


def test_folders_files_and_patterns_are_found_in_order_and_once(tmp_path):
    b, a = picture(tmp_path / "in" / "b.png"), picture(tmp_path / "in" / "A.JPG")
    deep = picture(tmp_path / "in" / "deep" / "er" / "c.TIFF")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    folder = str(tmp_path / "in")
    assert find_images([folder]) == [a, b]
    assert find_images([b, folder, b]) == [b, a]
    assert find_images([f"{folder}/**/*.TIFF"]) == [deep]
    assert find_images([f"{folder}/*/*/*", f"{folder}/?.png"]) == [deep, b]
    assert find_images([f"{folder}/[bc].png"]) == [b]


def test_another_spelling_of_a_path_is_no_other_image(tmp_path, monkeypatch):
    picture(tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    spellings = ["in/a.png", "./in/a.png", "in/../in/a.png", str(tmp_path / "in"), "in/*.png"]
    assert find_images(spellings) == ["in/a.png"]


def test_a_file_that_is_named_is_taken_whatever_its_ending(tmp_path):
    odd = tmp_path / "in" / "scan.dat"
    odd.parent.mkdir()
    odd.write_bytes(b"")
    assert find_images([str(odd)]) == [str(odd)]


def test_a_path_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    path = picture(tmp_path / "in[1]" / "a[2].png")
    assert find_images([path]) == find_images([os.path.dirname(path)]) == [path]


def test_hidden_files_and_folders_with_an_image_s_name_are_left_out(tmp_path):
    a = picture(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"a resource fork")
    (tmp_path / "album.jpg").mkdir()
    assert find_images([str(tmp_path)]) == find_images([f"{tmp_path}/*"]) == [a]


def test_what_stands_for_nothing_is_named(tmp_path):
    a = picture(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no image\.$"):
        find_images([a, str(tmp_path / "empty")])
    for text in ("*.gif", "none/**", "b[1].png"):
        with pytest.raises(InputError, match="matches no file"):
            find_images([a, str(tmp_path / text)])
    for text, kind in (("b.png", "file"), ("none/b.png", "file"), ("none/", "folder")):
        path = f"{tmp_path}/{text}"
        with pytest.raises(InputError, match=f"^There is no {kind} .*{text}[.]$"):
            find_images([a, path])
    with pytest.raises(InputError, match=f"{os.devnull} is neither a file nor a folder"):
        find_images([a, os.devnull])


def test_equal_names_of_different_folders_get_pictures_of_their_own(tmp_path):
    paths = [
        picture(tmp_path / name, value=v)
        for v, name in enumerate(["x/a.png", "y/a.jpg", "z/A.png", "z/a_2.png", "x/b.c.png"])
    ]
    predict_files(source_of(), paths, str(tmp_path / "out"), 0.5)
    assert pngs(tmp_path / "out") == ["A_3.png", "a.png", "a_2.png", "a_2_2.png", "b.c.png"]
    results = results_of(tmp_path / "out" / "results.json")
    assert [(r["image_id"], r["file_name"]) for r in results] == list(enumerate(paths, start=1))


def test_results_hold_the_category_ids_and_coco_s_boxes(tmp_path):
    path = picture(tmp_path / "a.png")
    source = source_of(classes=(3, 1, 2), category_ids=(1, 5, 9))
    results = results_of(predict_files(source, [path], str(tmp_path / "out"), 0.5))
    assert [r["category_id"] for r in results] == [9, 1, 5]
    assert [r["score"] for r in results] == pytest.approx([0.9, 0.6, 0.3])
    assert all(r["bbox"] == [5, 2, 10, 8] for r in results)  # x, y, width, height
    assert all(r["segmentation"]["size"] == [20, 30] for r in results)


def test_without_category_ids_classes_are_their_own_ids(tmp_path):
    path = picture(tmp_path / "a.png")
    results = results_of(predict_files(source_of((3, 1)), [path], str(tmp_path / "out"), 0.5))
    assert [r["category_id"] for r in results] == [3, 1]


def test_nothing_found_is_an_empty_list_and_a_picture(tmp_path):
    path = picture(tmp_path / "a.png")
    assert results_of(predict_files(source_of(()), [path], str(tmp_path / "out"), 0.5)) == []
    assert pngs(tmp_path / "out") == ["a.png"]


def test_the_threshold_decides_what_is_drawn_and_not_what_is_written(tmp_path):
    path = picture(tmp_path / "a.png")
    drawn = {}
    for threshold in (0.2, 0.95):
        out = str(tmp_path / str(threshold))
        assert len(results_of(predict_files(source_of((1, 2)), [path], out, threshold))) == 2
        drawn[threshold] = np.unique(np.asarray(Image.open(os.path.join(out, "a.png"))))
    assert list(drawn[0.95]) == [90] and len(drawn[0.2]) > 1


def test_without_a_threshold_the_model_s_own_are_taken_and_told(tmp_path, caplog):
    caplog.set_level("INFO")
    path = picture(tmp_path / "a.png")
    values = {"iou": 0.5, "kind": "mask", "images": 7, "class_names": ("cell", "dust")}
    drawn = {}
    for second in (0.3, 0.31):  # the score of the second object, of class 2, is 0.3
        own = ScoreThresholds(scores=(0.95, second), overall=0.5, **values)
        source = source_of((1, 2))._replace(thresholds=own)
        for threshold in (None, 0.2):
            out = tmp_path / f"{second} {threshold}"
            results = results_of(predict_files(source, [path], str(out), threshold))
            assert len(results) == 2  # whatever is drawn
            drawn[second, threshold] = np.asarray(Image.open(out / "a.png"))
    assert len(np.unique(drawn[0.3, None])) > 1 and len(np.unique(drawn[0.31, None])) == 1
    np.testing.assert_array_equal(drawn[0.3, 0.2], drawn[0.31, 0.2])
    told = [text for text in caplog.messages if "own score thresholds" in text]
    assert [text.partition("(")[2] for text in told] == [
        "cell 0.95, dust 0.3), chosen on 7 images.",
        "cell 0.95, dust 0.31), chosen on 7 images.",
    ]


def test_a_model_without_thresholds_is_drawn_from_a_half_on(tmp_path):
    path = picture(tmp_path / "a.png")
    pictures = []
    for threshold in (None, 0.5, 0.2):
        out = tmp_path / str(threshold)
        predict_files(source_of((1, 2)), [path], str(out), threshold)
        pictures.append((out / "a.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_images_go_through_in_batches(tmp_path):
    sizes = [(20, 30), (8, 9), (30, 20)]
    paths = [picture(tmp_path / f"{i}.png", size) for i, size in enumerate(sizes)]
    batches = []
    path = predict_files(source_of(batches=batches), paths, str(tmp_path / "out"), 0.5, 2)
    assert batches == [sizes[:2], sizes[2:]]
    assert [r["image_id"] for r in results_of(path)] == [1, 2, 3]
    assert pngs(tmp_path / "out") == ["0.png", "1.png", "2.png"]


def test_an_input_is_never_replaced_by_its_picture(tmp_path):
    path = picture(tmp_path / "in" / "a.png")
    before = Path(path).read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for out in ("in", "link"):
        with pytest.raises(InputError, match="would replace an input"):
            predict_files(source_of(), [path], str(tmp_path / out), 0.5)
    assert Path(path).read_bytes() == before
    # A JPEG's picture has another name.
    jpeg = picture(tmp_path / "jpegs" / "a.jpg")
    predict_files(source_of(), [jpeg], str(tmp_path / "jpegs"), 0.5)
    expected = ["a.jpg", "a.png", "predictions.jsonl", "results.json"]
    assert sorted(os.listdir(tmp_path / "jpegs")) == expected


def test_pictures_are_not_written_among_the_inputs_of_a_folder(tmp_path):
    folder = str(Path(picture(tmp_path / "in" / "a.jpg")).parent)
    (tmp_path / "link").symlink_to(folder)
    growing = [{}, {"save": ("crops",), "recursive": True}]
    for options in (PredictionOptions(**values) for values in growing):
        with pytest.raises(InputError, match=r"its images would be joined by .*found\.$"):
            predict_all(source_of(), [tmp_path / "link"], folder, options)
    assert os.listdir(folder) == ["a.jpg"]
    predict_all(source_of(), [folder], folder, PredictionOptions(save=("none",)))
    assert "results.json" in os.listdir(folder)


def test_one_array_is_no_list_of_them(tmp_path):
    for array in (np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)):
        with pytest.raises(InputError, match=r"one array \(20, 30.*wanted \[array\]"):
            predict_files(source_of(), array, str(tmp_path))
    path = predict_files(source_of(), np.zeros((2, 20, 30, 3), np.uint8), str(tmp_path))
    assert len(results_of(path)) == 2
    each = (array for array in np.zeros((3, 20, 30, 3), np.uint8))
    assert len(results_of(predict_files(source_of(), each, str(tmp_path)))) == 3
