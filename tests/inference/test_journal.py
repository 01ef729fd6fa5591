"""`inference/journal.py`: whole lines or none, and a prediction that goes on is the same one."""

import json

import pytest

from tfmaskrcnn import InputError
from tfmaskrcnn.inference.journal import NAME, Journal

HEAD = {"model": "m", "inputs": "3 images, 00", "settings": {"threshold": 0.5, "save": ["coco"]}}


def begun(folder, count=3, finished=False):
    with Journal(str(folder), HEAD) as journal:
        for i in range(count):
            journal.add(i, {"value": i * 10})
        if finished:
            journal.finish()
    return folder / NAME


def lines_of(folder):
    return len((folder / NAME).read_text().splitlines())


def values(journal):
    return [record["value"] for record in journal.records()]


def test_what_is_added_is_there_when_it_is_opened_again(tmp_path):
    begun(tmp_path, 2)
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert (len(journal), journal.resumed, 1 in journal, 2 in journal) == (2, 2, True, False)
        journal.add(5, {"value": 7})
        assert values(journal) == [0, 10, 7]
        assert [r["index"] for r in journal.records([5, 0])] == [5, 0]


@pytest.mark.parametrize("cut", [1, 2, 9, 18])
def test_a_half_last_line_is_cut_off(tmp_path, cut):
    path = begun(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert values(journal) == [0, 10]
        journal.add(2, {"value": 20})
    lines = path.read_text().splitlines()
    assert [json.loads(line).get("index") for line in lines] == [None, 0, 1, 2]


def test_zeros_that_a_power_cut_leaves_are_cut_off(tmp_path):
    path = begun(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(500))
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert values(journal) == [0, 10, 20]
    assert path.read_bytes().endswith(b"}\n")


def test_a_failure_is_kept_until_the_image_is_done(tmp_path):
    with Journal(str(tmp_path), HEAD) as journal:
        journal.add(0, {"value": 1})
        journal.add_failure(1, "It is gone.")
        assert 1 not in journal and len(journal) == 1
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert journal.failed == {1: "It is gone."}
        journal.add_failure(1, "It is gone.")  # still; that is said already
        journal.add(1, {"value": 2})
        assert journal.failed == {} and values(journal) == [1, 2]
        journal.add_failure(1, "Too late.")
    assert lines_of(tmp_path) == 4  # with the first
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert journal.failed == {} and values(journal) == [1, 2]


def test_an_unfinished_prediction_is_not_begun_anew(tmp_path):
    path = begun(tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"unfinished prediction of 3 images; go on .*--resume"):
        Journal(str(tmp_path), HEAD)
    assert path.read_bytes() == before


def test_a_finished_prediction_is_replaced(tmp_path):
    begun(tmp_path, 3, finished=True)
    with Journal(str(tmp_path), {**HEAD, "model": "other"}) as journal:
        assert len(journal) == 0 and not list(journal.records())


def test_a_finished_part_is_not_replaced_by_another_part(tmp_path):
    parts = [{**HEAD, "settings": {"shard": shard}} for shard in ([1, 3], [2, 3], [2, 4], None)]
    with Journal(str(tmp_path), parts[0]) as journal:
        journal.finish()
    with pytest.raises(InputError, match="holds part 1 of 3, which part 2 would replace; give"):
        Journal(str(tmp_path), parts[1])
    for other in (parts[0], *parts[2:]):
        with Journal(str(tmp_path), other) as journal:
            journal.finish()


def test_to_resume_where_nothing_lies_is_to_begin(tmp_path):
    with Journal(str(tmp_path), HEAD, resume=True) as journal:
        assert journal.resumed == 0


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"model": "n"}, "predictions.jsonl is of another model; go on with that one, choose"),
        ({"inputs": "4 images, 01"}, r"of other images \(3 images, 00\), not of these \(4 images"),
        ({"settings": {"threshold": 0.7, "save": ["coco"]}}, "begun with threshold 0.5, not 0.7; "),
        ({"settings": {**HEAD["settings"], "tile": 512}}, "begun with tile None, not 512; "),
    ],
)
def test_another_prediction_does_not_go_on(tmp_path, change, expected):
    begun(tmp_path)
    with pytest.raises(InputError, match=expected):
        Journal(str(tmp_path), {**HEAD, **change}, resume=True)


def test_another_program_s_file_is_left_alone(tmp_path):
    path = tmp_path / NAME
    for content in (
        b"",
        b"{}\n",
        b"[1]\n",
        b"\xff\x00",
        b'{"journal": "tfmaskrcnn predictions 0"}\n',
    ):
        path.write_bytes(content)
        for resume in (False, True):
            with pytest.raises(InputError, match="is no journal of this version"):
                Journal(str(tmp_path), HEAD, resume)
        assert path.read_bytes() == content


def test_a_damaged_record_is_a_sentence(tmp_path):
    path = begun(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"value": 10', b'"value": 1#'))
    damaged = pytest.raises(InputError, match="damaged where image 2 stands")
    with Journal(str(tmp_path), HEAD, resume=True) as journal, damaged:
        list(journal.records())
