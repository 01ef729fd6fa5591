import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from helpers.paths import ROOT
from tfmaskrcnn.errors import InputError
from tfmaskrcnn.support import folder_lock
from tfmaskrcnn.support.folder_lock import locked_folder

pytestmark = pytest.mark.skipif(folder_lock.fcntl is None, reason="no such locks on Windows")
HOLDING = """
import sys
from tfmaskrcnn.support.folder_lock import locked_folder
with locked_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_lock_goes_with_the_block(tmp_path):
    for _ in range(2):
        with locked_folder(str(tmp_path)):
            assert os.listdir(tmp_path) == [".lock"]
        assert os.listdir(tmp_path) == []


def test_a_second_process_is_told_which_where_and_since_when(other, tmp_path):
    who = f"process {other.pid} on {socket.gethostname()}, since 2"
    whose = pytest.raises(InputError, match=f"{tmp_path} is in use by another run .{who}")
    with whose, locked_folder(str(tmp_path)):
        pass
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == other.pid


def test_the_lock_of_a_killed_process_stops_nobody(other, tmp_path):
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (tmp_path / ".lock").exists()
    with locked_folder(str(tmp_path)):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("facts", ["", "{", "[]", '{"host": 1}', '{"host": "\\ud800"}'])
def test_a_lock_that_does_not_say_whose_it_is_holds(other, tmp_path, facts):
    (tmp_path / ".lock").write_text(facts)
    with pytest.raises(InputError, match="use by another run; wait"), locked_folder(str(tmp_path)):
        pass


def test_where_there_are_no_locks_the_log_says_so(tmp_path, monkeypatch, caplog):
    def unsupported(*args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", unsupported)
    with locked_folder(str(tmp_path)):
        pass
    assert "cannot be locked (Operation not supported): make sure that no second" in caplog.text


def test_a_link_is_not_written_through(tmp_path, caplog):
    (tmp_path / "precious").write_text("text")
    os.symlink("precious", tmp_path / ".lock")
    with locked_folder(str(tmp_path)):
        pass
    assert (tmp_path / "precious").read_text() == "text" and "cannot be locked" in caplog.text


def test_two_that_come_as_a_third_leaves_do_not_both_get_it(tmp_path, monkeypatch):
    # The second one opened the file that the first removes: it must see that it is another by now.
    real, taken = folder_lock._is_still, []

    def removed_meanwhile(path, file):
        if not taken:
            taken.append(path)
            os.remove(path)
        return real(path, file)

    monkeypatch.setattr(folder_lock, "_is_still", removed_meanwhile)
    with locked_folder(str(tmp_path)):
        assert os.listdir(tmp_path) == [".lock"]
        with pytest.raises(InputError, match="in use"), locked_folder(str(tmp_path)):
            pass
