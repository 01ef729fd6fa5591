"""`inference/beam_inputs.py`: which images a pipeline is about; without Beam where that goes."""

import pytest

from tfmaskrcnn.inference.beam_inputs import numbered, numbered_records


def test_images_are_counted_through_all_inputs_and_each_is_one():
    listed = [(1, "b/2.png"), (0, "c/9.png"), (1, "b/1.png"), (1, "./c/9.png")]
    assert list(numbered(listed)) == [
        (1, "c/9.png", "c/9.png"),
        (2, "b/1.png", "b/1.png"),
        (3, "b/2.png", "b/2.png"),
    ]


def test_file_names_start_from_the_folder_that_all_share():
    remote = [(0, "gs://bucket/a/x/1.png"), (0, "gs://bucket/a/y/1.png")]
    assert [name for _, _, name in numbered(remote)] == ["x/1.png", "y/1.png"]
    assert [name for _, _, name in numbered(remote[:1])] == ["1.png"]
    assert list(numbered([])) == []


def test_file_names_start_before_the_first_wildcard_of_a_pattern():
    listed, inputs = [(0, "gs://bucket/a/x/1.png")], ["gs://bucket/a/*/?.png"]
    assert [name for _, _, name in numbered(listed, inputs)] == ["x/1.png"]
    assert [name for _, _, name in numbered([(0, "b/c/1.png")], ["b/**"])] == ["c/1.png"]
    assert [name for _, _, name in numbered([(0, "b/c/1.png")], ["b/c"])] == ["1.png"]


def test_records_are_counted_through_all_shards_in_parts():
    shards = [(0, "b", [5, 6]), (0, "a", list(range(70)))]
    parts = list(numbered_records(shards))
    assert [(first, path, place) for first, path, place, _ in parts] == [
        (1, "a", 0),
        (65, "a", 64),
        (71, "b", 0),
    ]
    assert [len(offsets) for *_, offsets in parts] == [64, 6, 2]


def test_files_folders_and_patterns_stand_for_their_files(tmp_path):
    pytest.importorskip("apache_beam")
    from tfmaskrcnn.inference.beam_inputs import paths_of

    (tmp_path / "below").mkdir()
    for name in ("b.PNG", "a[1].png", "notes.txt", ".hidden.png", "below/c.png"):
        (tmp_path / name).touch()
    names = {"": ["a[1].png", "b.PNG"], "/*.txt": ["notes.txt"], "/a[1].png": ["a[1].png"]}
    names.update({"/**.png": ["a[1].png", "below/c.png"], "/none*": []})
    for text, wanted in names.items():
        given = str(tmp_path) + text
        assert paths_of((7, given)) == [(7, str(tmp_path / name)) for name in wanted]
