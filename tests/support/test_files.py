import contextlib
import errno
import gc
import os
import threading
import types

import numpy as np
import pytest
from PIL import Image

from helpers.memory import within
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import files
from tfmaskrcnn.support.files import (
    DiskFull,
    not_vital,
    read_json,
    read_text,
    remove_leftovers,
    replaced,
    save_arrays,
    writable_file,
    writable_folder,
)
from tfmaskrcnn.support.storage import same_place


@pytest.fixture
def path(tmp_path):
    """A file that says "former"."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"former")
    return path


def only_former(path):
    return path.read_bytes() == b"former" and os.listdir(path.parent) == [path.name]


def below_a_file(tmp_path):
    """A folder that nobody, not even root, can write into."""
    (tmp_path / "plain").write_text("a regular file")
    return tmp_path / "plain" / "folder"


def test_the_new_file_takes_the_place_of_the_former(path):
    with replaced(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == [path.name]


def test_a_file_that_did_not_exist_appears(tmp_path):
    with replaced(str(tmp_path / "new")) as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "new").read_bytes() == b"\x00\xff"


def test_readers_see_the_former_file_until_the_end(path):
    with replaced(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"former"


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_an_error_leaves_the_former_file_and_nothing_else(path, error):
    with pytest.raises(type(error)), replaced(path) as file:
        file.write(b"half")
        raise error
    assert only_former(path)


@pytest.mark.parametrize(
    "number, what", [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the quota .* is used up")]
)
def test_a_full_disk_is_a_sentence_and_leaves_the_former_file(path, number, what, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=5e6))
    wanted = f"file.bin: {what}, 80.0 MB are needed, 5.0 MB are free[.]"
    with pytest.raises(DiskFull, match=wanted), replaced(path, size=80_000_000):
        raise OSError(number, os.strerror(number))
    with pytest.raises(DiskFull, match=f"file.bin: {what}, 5.0 MB are free[.]"), replaced(path):
        raise OSError(number, os.strerror(number))
    assert only_former(path)


def test_a_disk_that_takes_no_more_files_is_another_sentence(path, tmp_path, monkeypatch):
    none = types.SimpleNamespace(f_files=40, f_favail=0)
    monkeypatch.setattr(files.os, "statvfs", lambda folder: none, raising=False)
    with pytest.raises(DiskFull, match="takes no more files"), replaced(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "makedirs", full)
    with pytest.raises(DiskFull, match="Cannot write into the folder"):
        files.writable_folder(str(tmp_path / "new"))


def test_arrays_are_written_as_numpy_reads_them(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.array("text"), "d": np.zeros((0, 2))}
    save_arrays(str(tmp_path / "x.npz"), arrays)
    with np.load(tmp_path / "x.npz") as found:
        assert found.files == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
def test_a_zip_file_that_finds_no_room_is_closed_without_a_word(tmp_path, monkeypatch, capsys):
    real = open
    monkeypatch.setattr(files, "open", lambda *a, **k: real("/dev/full", "wb"), raising=False)
    monkeypatch.setattr(files, "_remove", lambda path: None)
    with pytest.raises(DiskFull, match="x.npz: the disk is full, 0.8 MB are needed"):
        save_arrays(str(tmp_path / "x.npz"), {"a": np.zeros(100_000)})
    gc.collect()
    assert capsys.readouterr().err == ""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    for name in ("x.npz.123.tmp", "x.npz", "notes.tmp", "x.npz.123.tmp.txt"):
        (tmp_path / name).write_text("")
    remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["notes.tmp", "x.npz", "x.npz.123.tmp.txt"]
    remove_leftovers(str(tmp_path / "nowhere"))


def test_what_is_not_vital_leaves_a_line_in_the_log(tmp_path, caplog):
    with not_vital(), replaced(below_a_file(tmp_path) / "curves.png"):
        pytest.fail("the block must not run")
    assert "curves.png: Not a directory. The run goes on without it." in caplog.text
    with pytest.raises(RuntimeError), not_vital():
        raise RuntimeError("a bug")


def test_a_rename_that_fails_leaves_the_former_file(path, monkeypatch):
    def fail(source, target):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(InputError, match="file.bin: Input/output error"), replaced(path) as file:
        file.write(b"new")
    monkeypatch.undo()
    assert only_former(path)


def test_the_file_is_on_the_disk_before_it_is_renamed(path, monkeypatch):
    order = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda fd: order.append("sync") or sync(fd))
    monkeypatch.setattr(files.os, "replace", lambda *a: order.append("rename") or rename(*a))
    with replaced(path) as file:
        file.write(b"new")
    assert order == ["sync", "rename"]


def test_text_keeps_its_letters_and_line_ends(tmp_path):
    with replaced(tmp_path / "text", "w") as file:
        file.write("Größe 1\r\nε\n")
    assert (tmp_path / "text").read_bytes() == "Größe 1\r\nε\n".encode()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    for place in (below_a_file(tmp_path) / "x.npz", tmp_path / "missing" / "x.npz"):
        with (
            pytest.raises(InputError, match="Cannot write .*x.npz: No.* directory"),
            replaced(place),
        ):
            pytest.fail("the block must not run")


def test_a_folder_in_the_files_place_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(InputError, match="Cannot write .*folder: Is a directory"),
        replaced(tmp_path / "folder") as file,
    ):
        file.write(b"new")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_is_made_with_those_above_it(tmp_path):
    wanted = tmp_path / "a" / "b"
    assert writable_folder(wanted) == str(wanted)
    assert os.listdir(wanted) == []  # the probe is gone
    assert writable_folder(str(wanted)) == str(wanted)  # that it exists is no error


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot write into the folder .*folder: Not a directory"):
        writable_folder(below_a_file(tmp_path))
    with pytest.raises(InputError, match="Cannot write into the folder .*plain: File exists"):
        writable_folder(tmp_path / "plain")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs Linux")
def test_a_folder_that_exists_but_takes_no_files_is_named():
    with pytest.raises(InputError, match="Cannot write into the folder /proc/self: "):
        writable_folder("/proc/self")


def test_a_file_that_cannot_be_written_is_told_before_the_work(tmp_path):
    assert writable_file(tmp_path / "new" / "a.json") == str(tmp_path / "new" / "a.json")
    assert os.listdir(tmp_path / "new") == []
    with pytest.raises(InputError, match="new is a folder; give the name of the file to write"):
        writable_file(tmp_path / "new")
    with pytest.raises(InputError, match="Cannot write into the folder .*: Not a directory"):
        writable_file(below_a_file(tmp_path) / "a.json")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_is_read_with_a_byte_order_mark_or_without(path, mark):
    path.write_bytes(mark + '{"é": [1]}'.encode())
    assert read_json(path) == {"é": [1]} and read_text(path) == '{"é": [1]}'


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "Cannot read .*file.bin: Is a directory"),
        (b"", r"file.bin is empty \(0 bytes\); wanted JSON"),
        (b"{", "file.bin is not valid JSON: Expecting property name"),
        (b"[" * 100_000, "file.bin is not valid JSON: .*recursion"),
        ('"é"'.encode("latin-1"), "file.bin is no UTF-8 text: .* byte 0xe9 in position 1"),
    ],
)
def test_what_is_no_json_is_refused_in_a_sentence(path, content, said):
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_json(path)


def test_every_json_and_list_that_a_user_gives_may_have_a_byte_order_mark(tmp_path):
    from tfmaskrcnn.config.yaml_files import load_config
    from tfmaskrcnn.data.coco.file import read_coco
    from tfmaskrcnn.data.importers import from_yolo
    from tfmaskrcnn.evaluation.ground_truth import GroundTruthFile

    def marked(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        return str(tmp_path / name)

    image = '{"id": 1, "file_name": "a.png", "width": 20, "height": 10}'
    coco = f'{{"images": [{image}], "annotations": [], "categories": [{{"id": 1, "name": "a"}}]}}'
    assert len(read_coco(marked("coco.json", coco))["images"]) == 1
    assert GroundTruthFile(str(tmp_path / "coco.json")).class_names == ("a",)
    settings = '{"train": {"batch_size": 3}}'
    for name in ("config.json", "config.yaml"):
        assert load_config(marked(name, settings)).train.batch_size == 3
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    marked("train.txt", "a.png\n")
    marked("a.txt", "0 0.5 0.5 0.2 0.2\n")
    yolo = from_yolo(marked("data.yaml", "train: train.txt\nnames: [x]\n"))
    assert len(yolo.coco["annotations"]) == 1


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with replaced(tmp_path / "link", "w") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(InputError, match="fifo is no regular file"):
        writable_file(fifo)
    with pytest.raises(InputError, match="fifo is no regular file"), replaced(fifo):
        pass
    assert fifo.is_fifo() and os.listdir(tmp_path) == ["fifo"]


@pytest.mark.parametrize(
    "content, said",
    [
        ("[1]".encode("utf-16"), "file.bin is UTF-16 text; save it as UTF-8"),
        (b"9" * 5000, "file.bin is not valid JSON: .*4300 digits"),
    ],
)
def test_other_encodings_and_endless_numbers_are_sentences(path, content, said):
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_json(path)


def test_a_text_that_is_too_long_is_not_read(path, monkeypatch):
    with open(path, "wb") as file:
        file.truncate(1 << 34)  # takes no room on the disk
    with within(1), pytest.raises(InputError, match=r"file.bin has 17179.9 MB; at most 0.0 MB"):
        read_text(path, 1000)
    monkeypatch.setattr(files, "most_bytes", lambda: 1 << 30)
    with within(1), pytest.raises(InputError, match=r"file.bin has 17179.9 MB; at most 1073.7 MB"):
        read_json(path)


def test_a_text_too_long_for_the_memory_is_a_sentence(path, monkeypatch):
    def full(text):
        raise MemoryError

    monkeypatch.setattr(files.json, "loads", full)
    with pytest.raises(InputError, match="file.bin does not fit into the memory"):
        read_json(path)


def test_a_device_is_not_read_and_a_pipe_is(tmp_path):
    with pytest.raises(InputError, match="/dev/zero is no regular file"):
        read_text("/dev/zero")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for text, most in (("piped", None), ("x" * (1 << 21), 1 << 20)):
        writer = threading.Thread(target=_write, args=(fifo, text))
        writer.start()
        if most is None:
            assert read_text(fifo) == text
        else:
            with pytest.raises(InputError, match="fifo has 2.1 MB; at most 1.0 MB"):
                read_text(fifo, most)
        writer.join()


def _write(path, text):
    with contextlib.suppress(BrokenPipeError), open(path, "w") as file:
        file.write(text)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_name_of_a_file_is_said_so(tmp_path, name):
    place = str(tmp_path / name)
    for write in (writable_file, writable_folder, lambda path: replaced(path).__enter__()):
        with pytest.raises(InputError, match="is no name of a (file|folder)"):
            write(place)


def test_a_name_that_is_too_long_is_shortened(tmp_path):
    with pytest.raises(InputError, match="File name too long") as caught:
        read_text(str(tmp_path / ("a" * 300)))
    assert len(str(caught.value)) < 250


def test_two_paths_may_lead_to_one_place(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert same_place(str(path), str(tmp_path / "link"))
    assert not same_place(str(path), str(tmp_path)) and not same_place(str(path), "\ud800")
