"""Places that only TensorFlow reaches, shown on its own file system in memory, `ram://`."""

import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.data.coco.image_files import read_image
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import storage
from tfmaskrcnn.support.array_files import read_arrays
from tfmaskrcnn.support.files import (
    read_json,
    read_text,
    refuse_full,
    remove_leftovers,
    replaced,
    save_arrays,
    writable_file,
    writable_folder,
)
from tfmaskrcnn.support.folder_lock import locked_folder
from tfmaskrcnn.support.run_folder import Origin, read_origin, removed_if_empty, write_origin


@pytest.fixture
def folder(request):
    path = f"ram://{request.node.name.split('[')[0]}"
    yield writable_folder(path)
    tf.io.gfile.rmtree(path)


@pytest.mark.parametrize(
    "path, remote",
    [
        *((f"{scheme}://bucket/run", True) for scheme in ("gs", "s3", "hdfs", "ram", "file")),
        *((f"{scheme}://a.b/c.png", False) for scheme in ("http", "https")),
        *((path, False) for path in ("runs/a", "/runs/a", "a:b", "C:\\runs", "a/b://c", "://", "")),
        (b"gs://bytes", False),
    ],
)
def test_a_scheme_tells_what_is_not_on_this_machine(path, remote):
    assert storage.is_remote(path) is remote


def test_paths_of_this_machine_need_no_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # an import fails
    folder = writable_folder(str(tmp_path / "x"))
    with replaced(f"{folder}/a.json", "w") as file:
        file.write("[1]")
    remove_leftovers(folder)
    with locked_folder(folder), removed_if_empty(folder):
        assert read_json(f"{folder}/a.json") == [1]
    assert storage.names_in(folder) == ["a.json"] and storage.size(f"{folder}/a.json") == 3
    assert f"{folder}/a.json" in storage.FilesThere()


def test_questions_are_answered_as_of_this_machine(folder, tmp_path):
    def answers(root):
        here = os.path.join(root, "states")
        storage.make_folder(here)
        storage.make_folder(here)
        for name in ("b.npz", "a.npz", "c.txt"):
            storage.touch(os.path.join(here, name))
        storage.replace(os.path.join(here, "a.npz"), os.path.join(here, "b.npz"))
        storage.remove(os.path.join(here, "c.txt"))
        there = storage.FilesThere()
        for path in (root, here, os.path.join(here, "b.npz"), os.path.join(here, "no")):
            yield storage.exists(path), storage.is_file(path), storage.is_folder(path)
            yield storage.names_in(path)
        yield [os.path.join(here, name) in there for name in ("b.npz", "a.npz", "no/b.npz")]
        found = storage.matching(os.path.join(here, "*.npz"))
        yield [os.path.relpath(path, root) for path in found]
        with replaced(os.path.join(here, "d"), "w") as file:
            file.write("ä\r\n")
        yield storage.size(os.path.join(here, "d")), read_text(os.path.join(here, "d"))

    assert list(answers(folder)) == list(answers(str(tmp_path)))


def test_a_file_appears_whole_or_not_at_all(folder):
    path = f"{folder}/config.json"
    with replaced(path, "w") as file:
        file.write('{"a": 1}')
    with pytest.raises(RuntimeError, match="killed"), replaced(path, "w") as file:
        file.write('{"a": ')
        raise RuntimeError("killed")
    assert read_json(path) == {"a": 1}
    assert storage.names_in(folder) == ["config.json"]


def test_objects_of_a_store_are_written_under_their_own_names(folder, monkeypatch):
    # There a renaming is a copy, and a file appears when it is closed.
    monkeypatch.setattr(storage, "_RENAMING", ())
    monkeypatch.setattr(storage, "replace", lambda *_: pytest.fail("a copy too many"))
    with replaced(f"{folder}/a.bin") as file:
        file.write(b"abc")
        assert storage.names_in(folder) == []
    assert storage.names_in(folder) == ["a.bin"]


def test_parts_of_files_are_read(folder):
    content = np.random.default_rng(0).bytes(1_000_000)
    with replaced(f"{folder}/a.bin") as file:
        file.write(content)
    with storage.open_bytes(f"{folder}/a.bin") as file:
        assert file.seek(0, os.SEEK_END) == len(content) and file.read() == b""
        file.seek(-10, os.SEEK_END)
        assert file.read(100) == content[-10:]
        file.seek(500_000)
        assert file.read(3) == content[500_000:500_003] and file.tell() == 500_003
        file.seek(0)
        assert file.read() == content
    save_arrays(f"{folder}/a.npz", {"x": np.arange(5), "y/z": np.ones((2, 3), np.float32)})
    found = read_arrays(f"{folder}/a.npz")
    assert found["x"].tolist() == [0, 1, 2, 3, 4] and found["y/z"].sum() == 6


def test_what_is_missing_is_told_as_on_this_machine(folder):
    with pytest.raises(FileNotFoundError):
        storage.open_bytes(f"{folder}/no.json")
    with pytest.raises(InputError, match="Cannot read .*no.json: No such file or directory"):
        read_json(f"{folder}/no.json")
    with pytest.raises(InputError, match=f"The image {folder}/no.png does not exist"):
        read_image(f"{folder}/no.png")
    with pytest.raises(InputError, match="Is a directory"):
        read_json(folder)
    with pytest.raises(InputError, match="is a folder; give the name of the file"):
        writable_file(folder)
    with replaced(f"{folder}/a.npz") as file:
        file.write(b"no archive")
    with pytest.raises(ValueError, match="no zip archive"):
        read_arrays(f"{folder}/a.npz")


@pytest.mark.parametrize("path", ["nowhere://bucket/a.json", "s3://bucket/a.json"])
def test_a_store_that_tensorflow_does_not_know_is_one_sentence(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)  # as if it were not installed
    for look in (read_json, writable_folder, storage.exists):
        with pytest.raises(InputError, match=r"a.json: TensorFlow knows no \w+:// by itself; inst"):
            look(path)


def test_a_store_that_refuses_is_told(folder, monkeypatch):
    def refuses(*_, **__):
        raise tf.errors.PermissionDeniedError(None, None, "the key is\nof another project.")

    class Gfile:
        get_registered_schemes = tf.io.gfile.get_registered_schemes
        exists = makedirs = isdir = GFile = refuses

    monkeypatch.setattr(storage, "_gfile", lambda: Gfile)
    text = "Cannot write .*: the key is of another project.$"
    with pytest.raises(InputError, match=text), replaced(f"{folder}/a"):
        pass
    with pytest.raises(InputError, match="Cannot write into the folder .*: the key is of another"):
        writable_folder(folder)
    with pytest.raises(InputError, match="Cannot read .*: the key is of another project.$"):
        read_json(f"{folder}/a")


def test_a_remote_folder_goes_without_a_lock_which_is_told(folder, caplog):
    with removed_if_empty(folder), locked_folder(folder):
        pass
    assert "cannot be locked (it is not on this machine): make sure that no second" in caplog.text
    assert storage.exists(folder) and storage.names_in(folder) == []


def test_what_is_written_here_alone_refuses_other_places(folder):
    for refuse in (storage.on_this_machine, refuse_full):
        with pytest.raises(InputError, match="is not on this machine; choose a folder here, and c"):
            refuse(folder)
    assert storage.on_this_machine("runs/a") == "runs/a"


def test_a_run_tells_of_itself(folder):
    write_origin(folder, Origin("/home/me", 3))
    storage.touch(f"{folder}/weights.npz.123.tmp")
    remove_leftovers(folder)
    assert read_origin(folder) == Origin("/home/me", 3)
    assert storage.names_in(folder) == ["origin.json"]
    assert storage.same_place(folder, folder + "/") and not storage.same_place(
        folder, "ram://other"
    )
