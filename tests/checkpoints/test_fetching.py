"""What is fetched is checked, whole, and fetched once, whatever the server and others do."""

import hashlib
import os
import subprocess
import sys

import pytest

from helpers.file_server import FileServer
from tfmaskrcnn.checkpoints import fetching
from tfmaskrcnn.checkpoints.fetching import fetched, holds, known_file, weights_folder
from tfmaskrcnn.checkpoints.published import DETECTORS
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import cache_folder

NAME = "maskrcnn_r50_fpn_3x_coco"
FILE = "model_final.pkl"
CONTENT = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def server():
    server = FileServer(**{FILE: CONTENT, "other.pkl": CONTENT[1:]})
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the file is to lie."""
    monkeypatch.setenv(cache_folder.HOME, str(tmp_path / "home"))
    return tmp_path / "home" / "weights" / NAME


@pytest.fixture
def lies_at(monkeypatch, server):
    """Puts another address in the place of the publisher's."""

    def put(way, digits=12):
        digest = f"md5:{hashlib.md5(CONTENT).hexdigest()[:digits]}"
        address = way if "://" in way else f"{server.address}/{way}"
        changed = DETECTORS[NAME]._replace(address=address, digest=digest)
        monkeypatch.setitem(DETECTORS, NAME, changed)
        return address

    return put


def told(folder, address):
    """The sentence in which a file is not fetched; nothing of it is left."""
    with pytest.raises(InputError) as refused:
        fetched(NAME)
    sentence = str(refused.value)
    assert address in sentence and str(folder / os.path.basename(address)) in sentence
    assert len(sentence) < 400 and sentence.endswith(".") and "\n" not in sentence
    assert not list(folder.iterdir())
    return sentence


@pytest.mark.parametrize("way", [FILE, f"moved/{FILE}", f"slow/{FILE}"])
def test_a_file_is_fetched_once_and_is_there_without_a_network(folder, lies_at, server, way):
    lies_at(way)
    before = len(server.asked)
    path = fetched(NAME)
    assert path == str(folder / FILE) and (folder / FILE).read_bytes() == CONTENT
    asked = len(server.asked) - before
    assert fetched(NAME) == path and len(server.asked) == before + asked
    assert [p.name for p in folder.iterdir()] == [FILE]


def test_how_far_it_is_shows_in_megabytes(folder, lies_at, monkeypatch):
    lies_at(FILE)
    shown = []

    class Bar(fetching._Bar):
        def __init__(self, tick):
            super().__init__(lambda done, total: shown.append((done, total)))

    monkeypatch.setattr(fetching, "_Bar", Bar)
    monkeypatch.setattr(fetching, "_MEGABYTE", 1000)
    fetched(NAME)
    assert shown == sorted(shown) and shown[-1] == (102, 102) and len(shown) >= 2


@pytest.mark.parametrize(
    "way, reason",
    [
        (f"gone/{FILE}", "the server answers 404 Not Found"),
        (f"cut/{FILE}", "the connection was cut after some 0.0 MB"),
        ("other.pkl", "the 102399 bytes that came are another file than was published, by the"),
        (f"silent/{FILE}", "the server was silent for 0.2 seconds"),
        ("http://127.0.0.1:9/model_final.pkl", "no connection to its server (or to any network)"),
        ("http://nowhere.invalid/model_final.pkl", "no connection to its server"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_a_sentence(folder, lies_at, monkeypatch, way, reason):
    monkeypatch.setattr(fetching, "SILENCE", 0.2)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    assert reason in told(folder, lies_at(way))


def test_after_a_cut_it_begins_anew(folder, lies_at):
    told(folder, lies_at(f"cut/{FILE}"))
    (folder / f"{FILE}.123.tmp").write_bytes(CONTENT[:99])  # of a process that was killed
    lies_at(FILE)
    assert os.path.getsize(fetched(NAME)) == len(CONTENT)
    assert [p.name for p in folder.iterdir()] == [FILE]


def test_a_file_that_was_put_there_by_hand_is_taken_if_it_is_the_one(folder, lies_at, server):
    address, before = lies_at(FILE), len(server.asked)
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=f"is not the file that detectron2 .* {address}"):
        fetched(NAME)
    (folder / FILE).write_bytes(CONTENT)
    assert fetched(NAME) == str(folder / FILE) and len(server.asked) == before


def test_two_processes_at_once_fetch_it_once(folder, lies_at, server):
    address, before = lies_at(f"slow/{FILE}"), len(server.asked)
    server.pause = 0.5
    entry = DETECTORS[NAME]
    code = (
        "from tfmaskrcnn.checkpoints.published import DETECTORS\n"
        "from tfmaskrcnn.checkpoints.fetching import fetched\n"
        f"changed = {{'address': {address!r}, 'digest': {entry.digest!r}}}\n"
        f"DETECTORS[{NAME!r}] = DETECTORS[{NAME!r}]._replace(**changed)\n"
        f"print(fetched({NAME!r}))"
    )
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate(timeout=60)[0] for process in both} == {f"{folder / FILE}\n"}
    assert len(server.asked) == before + 1
    assert (folder / FILE).read_bytes() == CONTENT
    assert [p.name for p in folder.iterdir()] == [FILE]


def test_the_cache_is_the_users_unless_the_environment_names_another(monkeypatch, tmp_path):
    monkeypatch.delenv(cache_folder.HOME, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert weights_folder(NAME) == str(tmp_path / "tfmaskrcnn" / "weights" / NAME)
    monkeypatch.setenv(cache_folder.HOME, "~/models")
    assert weights_folder(NAME) == os.path.expanduser(f"~/models/weights/{NAME}")


def test_a_published_file_is_known_by_its_content(tmp_path, lies_at):
    lies_at(FILE)
    copy = tmp_path / FILE
    copy.write_bytes(CONTENT)
    assert holds(str(copy), DETECTORS[NAME])
    assert known_file(str(copy)) == (NAME, DETECTORS[NAME])
    copy.write_bytes(CONTENT[::-1])  # tuned further and saved under the old name
    assert known_file(str(copy)) is None
    assert known_file(str(tmp_path / "missing.pkl")) is None


def test_a_name_that_is_not_known_is_refused_without_a_network():
    with pytest.raises(InputError, match="did you mean 'maskrcnn_r50_fpn_3x_coco' or"):
        fetched("mask_rcnn_R_50_FPN_3x")
    with pytest.raises(InputError, match=r"named 'zzz'\. `tfmaskrcnn weights` lists the names"):
        fetched("zzz")
