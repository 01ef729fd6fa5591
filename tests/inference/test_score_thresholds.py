"""Score thresholds: what they choose, and that they are read back or refused."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from tfmaskrcnn import InputError, Instances
from tfmaskrcnn.inference.score_thresholds import (
    ScoreThresholds,
    exported_thresholds,
    run_thresholds,
    save_for_run,
)
from tfmaskrcnn.support.files import save_arrays

GOOD = {"scores": (0.4, None, 0.9), "overall": 0.6, "iou": 0.5, "kind": "mask", "images": 14}
NAMES = ("cell", "crystal", "dust")


def thresholds(**values):
    return ScoreThresholds(**{**GOOD, **values})


def instances(scores, classes):
    count = len(scores)
    return Instances(np.zeros((count, 4)), scores, classes, size=(8, 8))


def test_a_class_without_its_own_threshold_gets_the_overall_one():
    found = thresholds().of([[3, 1], [2, 2]])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([[0.9, 0.4], [0.6, 0.6]]))
    assert thresholds().of([]).shape == (0,)


@pytest.mark.parametrize("classes", [[0, 1], [4]])
def test_a_class_without_any_threshold_is_an_error(classes):
    with pytest.raises(InputError, match=r"found; there are thresholds of 1\.\.3"):
        thresholds().of(classes)


def test_a_detection_at_its_threshold_is_selected_and_one_just_below_is_not():
    below = np.nextafter(np.float32(0.4), np.float32(0))
    found = instances(np.float32([0.95, 0.89, 0.6, 0.4, below]), [3, 3, 2, 1, 1])
    np.testing.assert_array_equal(thresholds().selected(found).scores, found.scores[[0, 2, 3]])
    assert len(thresholds().selected(instances([], []))) == 0


def test_what_is_written_is_read_to_the_bit(tmp_path):
    path = str(tmp_path / "thresholds.json")
    scores = (*map(float, np.random.default_rng(0).random(20, np.float32)), None)
    for written in (thresholds(scores=scores), thresholds(class_names=("Zähler", "\ud800", "c"))):
        written.write(path)
        assert ScoreThresholds.read(path) == written
    raw = json.loads(written.to_json())
    (tmp_path / "thresholds.json").write_text(json.dumps({**raw, "of_a_later_version": 1}))
    assert ScoreThresholds.read(path) == written


def test_numbers_of_numpy_become_plain_ones():
    made = thresholds(scores=np.float32([0.5, 0.25, 1]), iou=np.float64(0.5), images=np.int64(3))
    assert made == thresholds(scores=(0.5, 0.25, 1.0), images=3)
    assert json.loads(made.to_json())["images"] == 3


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"scores": (0.5, float("nan"), None)}, "scores[1] is nan; wanted a number from 0 to 1"),
        ({"scores": (0.5, "0.5")}, "scores[1] is '0.5'"),
        ({"scores": (True,)}, "scores[0] is True"),
        ({"scores": (1.01,)}, "scores[0] is 1.01"),
        ({"scores": ()}, "scores is empty"),
        ({"scores": "0.5"}, "scores is '0.5'; wanted a list"),
        ({"scores": 0.5}, "scores is 0.5; wanted a list"),
        ({"overall": None}, "overall is None"),
        ({"iou": 0}, "iou is 0; wanted a number above 0"),
        ({"kind": "points"}, "kind is 'points'; wanted one of mask, box"),
        ({"images": 0}, "images is 0; wanted a whole number above 0"),
        ({"images": 2.5}, "images is 2.5"),
        ({"class_names": ["a", "b"]}, "class_names has 2 entries for 3 scores"),
        ({"class_names": ["a", "b", 3]}, "must be text"),
        ({"images": 10**400}, "images is 1000"),
        ({"overall": 10**400}, "overall is 1000"),
        ({"kind": ["mask"]}, "kind is ['mask']; wanted one of"),
        ({"kind": "m" * 10_000}, "kind is 'mmm"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_file(change, expected, tmp_path):
    with pytest.raises(InputError, match=re.escape(expected)):
        thresholds(**change)
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(InputError, match=r"thresholds.json holds no score thresholds \(") as error:
        ScoreThresholds.read(str(path))
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "is empty"),
        ("{", "is not valid JSON"),
        ("[1, 2]", r"holds no score thresholds \(it is a list\)"),
        ('{"scores": [0.5]}', r"holds no score thresholds \('overall' is missing\)"),
    ],
)
def test_a_foreign_file_is_refused(text, expected, tmp_path):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=expected):
        ScoreThresholds.read(str(tmp_path / "t.json"))


def test_a_subset_has_the_classes_asked_for_in_their_order():
    part = thresholds(class_names=NAMES).subset([2, 1], ["Staub", "Kristall"])
    assert part == thresholds(scores=(0.9, None), class_names=("Staub", "Kristall"))


def test_a_person_reads_names_and_of_many_classes_the_range():
    assert thresholds(class_names=NAMES).short() == "cell 0.4, crystal 0.6, dust 0.9"
    assert thresholds().about() == {
        **{"kind": "mask", "iou": 0.5, "images": 14, "overall": 0.6},
        "scores": {"1": 0.4, "2": 0.6, "3": 0.9},
    }
    assert thresholds(scores=(0.2, None, 0.7, 0.3, 0.3, 0.3)).short() == "0.2 to 0.7 by class"


def test_those_of_a_run_are_used_as_long_as_its_weights_are_the_same(tmp_path, caplog):
    run, weights = str(tmp_path), str(tmp_path / "weights.npz")
    save_arrays(weights, {"a": np.zeros(3, np.float32), "b": np.ones(2, np.float32)})
    assert run_thresholds(run, 3) is None
    path = save_for_run(thresholds(class_names=NAMES), run)
    saved = ScoreThresholds.read(path)
    assert saved.weights and dataclasses.replace(saved, weights="") == thresholds(class_names=NAMES)
    # Written again the same weights have another time in them.
    save_arrays(weights, {"a": np.zeros(3, np.float32), "b": np.ones(2, np.float32)})
    assert run_thresholds(run, 3) == saved and not caplog.records
    save_arrays(weights, {"a": np.zeros(3, np.float32), "b": np.full(2, 2, np.float32)})
    assert run_thresholds(run, 3) is None
    (record,) = caplog.records
    assert "thresholds.json is of other weights than those in the run" in record.getMessage()
    thresholds().write(path)  # of unknown weights, such as made by hand
    assert run_thresholds(run, 3) == thresholds()


def test_those_of_another_number_of_classes_are_refused(tmp_path):
    (tmp_path / "assets").mkdir()
    thresholds().write(str(tmp_path / "thresholds.json"))
    thresholds().write(str(tmp_path / "assets" / "thresholds.json"))
    for read in (run_thresholds, exported_thresholds):
        with pytest.raises(InputError, match="of 3 classes, the model has 2; remove the file"):
            read(str(tmp_path), 2)
    assert exported_thresholds(str(tmp_path), None) == thresholds()
    assert exported_thresholds(str(tmp_path / "assets"), 3) is None


def test_they_need_neither_tensorflow_nor_keras():
    code = "import sys, tfmaskrcnn as mr; mr.inference.ScoreThresholds\n"
    code += "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
