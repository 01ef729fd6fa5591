"""Data that a run names, found from where it was trained."""

import os

import pytest

from tfmaskrcnn.config.run_paths import check_paths, looked_for, with_paths_found
from tfmaskrcnn.config.yaml_files import load_config, save_config
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.inference.opening import run_config
from tfmaskrcnn.support.run_folder import (
    Origin,
    Run,
    read_origin,
    removed_if_empty,
    write_origin,
)

PATHS = ["data.train_tfrecord=shards/*.tfrecord", "data.val_json=val.json"]
PATHS += ["data.val_images=images"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where the run `run` was trained; the current folder is another."""
    folder = tmp_path / "home"
    for name in ("shards", "images", "run"):
        (folder / name).mkdir(parents=True)
    (folder / "shards" / "a.tfrecord").write_text("")
    (folder / "val.json").write_text("{}")
    save_config(load_config(None, PATHS), str(folder / "run" / "config.json"))
    write_origin(str(folder / "run"), Origin(str(folder)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


@pytest.mark.parametrize("name", ["run", "run/config.json"])
def test_relative_paths_are_found_from_where_the_run_was_trained(home, name):
    found = with_paths_found(load_config(None, PATHS), str(home / name)).data
    assert found.train_tfrecord == f"{home}/shards/*.tfrecord"
    assert (found.val_json, found.val_images) == (f"{home}/val.json", f"{home}/images")
    assert run_config(str(home / "run")).data.val_json == f"{home}/val.json"


def test_what_is_here_goes_before_it_and_what_is_nowhere_stays(home):
    os.mkdir("images")
    config = load_config(None, [*PATHS, "data.train_json=no.json"])
    found = with_paths_found(config, str(home / "run")).data
    assert (found.val_images, found.train_json) == ("images", "no.json")
    assert with_paths_found(config) == config


def test_a_path_that_is_nowhere_is_told_with_both_places(home):
    config = load_config(None, ["data.val_images=none"])
    told = (
        "There is no folder 'none', which data.val_images names .neither here nor in "
        f"'{home}', where the run was trained.; give its place with --set data.val_images=PATH"
    )
    with pytest.raises(InputError, match=told):
        check_paths(config, str(home / "run"))
    with pytest.raises(InputError, match="which data.val_images names; give its place"):
        check_paths(config)
    assert looked_for("/absolute", str(home / "run")) == ""
    check_paths(with_paths_found(load_config(None, PATHS), str(home / "run")))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"folder": 3}', '{"folder": "a\\u0000b"}'])
def test_a_damaged_origin_is_none(home, text):
    (home / "run" / "origin.json").write_text(text)
    assert read_origin(str(home / "run")) is None


def test_an_origin_may_say_that_the_run_is_finished(home):
    write_origin(str(home / "run"), Origin("/somewhere", 12))
    assert read_origin(str(home / "run")) == Origin("/somewhere", 12)
    (home / "run" / "origin.json").write_text('{"folder": "/x", "finished": "soon"}')
    assert read_origin(str(home / "run")) == Origin("/x")
    assert read_origin(str(home)) is None and Run("a").origin == os.path.join("a", "origin.json")


def test_folders_that_stay_empty_go_again(tmp_path):
    deep = tmp_path / "a" / "b"
    with removed_if_empty(str(deep)):
        deep.mkdir(parents=True)
    assert os.listdir(tmp_path) == []
    with removed_if_empty(str(deep)):
        deep.mkdir(parents=True)
        (tmp_path / "a" / "file").write_text("")
    assert os.listdir(tmp_path / "a") == ["file"]
    (tmp_path / "mine").mkdir()
    with removed_if_empty(str(tmp_path / "mine")):
        pass
    assert (tmp_path / "mine").exists()


def test_a_name_that_no_folder_can_have_makes_nothing(tmp_path):
    with removed_if_empty(str(tmp_path / "\ud800")):
        pass
    assert not list(tmp_path.iterdir())
