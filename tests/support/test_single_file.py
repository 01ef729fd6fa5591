"""Archives of strangers that are taken for single-file models."""

import io
import json
import zipfile

import pytest

from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import single_file
from tfmaskrcnn.support.files import read_json, read_text
from tfmaskrcnn.support.single_file import about, exists, is_single_file

ABOUT = json.dumps({"format": 1, "trained": True})
GOOD = {"model.json": ABOUT, "config.json": '{"a": 1}', "weights.npz": b"abc"}


def written(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return str(path)


@pytest.fixture
def good(tmp_path):
    return written(tmp_path / "good.tfmaskrcnn", GOOD.items())


def test_paths_lead_into_a_file_as_into_a_folder(good, tmp_path):
    assert read_json(f"{good}/config.json") == {"a": 1}
    assert exists(f"{good}/config.json") and not exists(f"{good}/thresholds.json")
    assert about(good) == {"format": 1, "trained": True}
    assert not exists(str(tmp_path / "none" / "config.json"))


def test_a_folder_of_such_a_name_is_a_folder(tmp_path):
    folder = tmp_path / "run.tfmaskrcnn"
    folder.mkdir()
    (folder / "config.json").write_text("[2]")
    assert not is_single_file(str(folder))
    assert exists(str(folder / "config.json")) and read_json(str(folder / "config.json")) == [2]


@pytest.mark.parametrize("name", ["thresholds.json", "../config.json", "a\0b", ""])
def test_a_member_that_is_not_there_is_told(good, name):
    with pytest.raises(InputError, match="Cannot read"):
        read_text(f"{good}/{name}")


def changed(**members):
    return [*{**GOOD, **members}.items()]


@pytest.mark.parametrize(
    "members, said",
    [
        (changed(**{"model.json": '{"format": 2}'}), "format 2, of a newer tfmaskrcnn"),
        (changed(**{"model.json": '{"format": "1"}'}), "is '1'; wanted a number from 1 on"),
        (changed(**{"model.json": "[]"}), "is None; wanted a number"),
        (changed(**{"model.json": "{"}), "model.json in it is no JSON"),
        (changed(**{"model.json": "[" * 100_000}), "model.json in it is no JSON"),
        (changed(**{"model.json": b"\xff"}), "model.json in it is no JSON"),
        (changed(**{"model.json": " " * (1 << 23)}), "model.json in it has 8388608 bytes"),
        ([*GOOD.items()][1:], "is no single-file model: model.json is not in it"),
        ([*GOOD.items(), ("config.json", "{}")], "two members of one name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_wrong_archive_is_one_sentence(tmp_path, members, said):
    path = written(tmp_path / "x.tfmaskrcnn", members)
    with pytest.raises(InputError, match=said) as told:
        about(path)
    assert str(told.value).startswith(path) and len(str(told.value)) < 300


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    inner = io.BytesIO()
    written(inner, [("kernel.npy", bytes(50_000_000))], zipfile.ZIP_DEFLATED)
    twice = [*changed(**{"weights.npz": inner.getvalue()})]
    path = written(tmp_path / "twice.tfmaskrcnn", twice, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="weights.npz in it is compressed; wanted it as it is"):
        single_file.open_member(single_file.Place(path, "weights.npz"))
    path = written(tmp_path / "long.tfmaskrcnn", changed(x=bytes(90_000_000)), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)  # not called
    with pytest.raises(InputError, match="it would unpack into 9"):
        about(path)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda content: b"", r"is empty \(0 bytes\)"),
        (lambda content: content[:-30], "is cut off, damaged or no single-file model"),
        (lambda content: b"no archive" * 9, "is cut off, damaged or no single-file model"),
        (lambda content: content.replace(b'"a": 1', b'"a": 2'), "is cut off, damaged"),
    ],
)
def test_a_damaged_file_is_one_sentence(good, spoil, said):
    with open(good, "rb") as file:
        content = spoil(file.read())
    with open(good, "wb") as file:
        file.write(content)
    with pytest.raises(InputError, match=said):
        read_text(f"{good}/config.json")
