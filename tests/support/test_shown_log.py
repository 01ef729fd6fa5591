"""Lines of the log where nobody has set it up, and the hands off where somebody has."""

import contextlib
import io
import logging
import types

import pytest

from tfmaskrcnn.support import shown_log, terminal
from tfmaskrcnn.support.shown_log import log_shown

OWN = logging.getLogger("tfmaskrcnn")
LINE = logging.getLogger("tfmaskrcnn.train.loop")


@contextlib.contextmanager
def bare():
    """The root logger as a new process has it; pytest's own handlers come back afterwards."""
    root, level = logging.getLogger(), OWN.level
    before, root.handlers = root.handlers, []
    OWN.setLevel(logging.NOTSET)
    try:
        yield root
    finally:
        root.handlers = before
        OWN.setLevel(level)


def test_lines_are_shown_where_nothing_is_set_up(capsys):
    with bare() as root:
        with log_shown():
            LINE.info("epoch %d", 1)
        LINE.info("not this")
        assert not root.handlers and OWN.level == logging.NOTSET
    assert capsys.readouterr().err == "epoch 1\n"


def test_in_a_notebook_they_are_no_errors(capsys, monkeypatch):
    monkeypatch.setattr(shown_log, "in_notebook", lambda: True)
    with bare(), log_shown():
        LINE.info("epoch 1")
    assert capsys.readouterr() == ("epoch 1\n", "")


def test_handlers_that_are_there_are_used(capsys):
    text = io.StringIO()
    with bare() as root:
        root.addHandler(logging.StreamHandler(text))
        with log_shown():
            LINE.info("epoch 1")
    assert text.getvalue() == "epoch 1\n" and capsys.readouterr().err == ""


def test_who_wants_it_quiet_has_it_quiet(capsys):
    with bare():
        OWN.setLevel(logging.WARNING)
        with log_shown():
            LINE.info("epoch 1")
        assert OWN.level == logging.WARNING
    assert capsys.readouterr().err == ""


def test_the_level_is_taken_back_after_an_error():
    with bare() as root:
        with pytest.raises(ZeroDivisionError), log_shown():
            1 / 0  # noqa: B018
        assert not root.handlers and OWN.level == logging.NOTSET


def test_a_bar_moves_on_a_terminal_alone():
    consoles = [(True, False), (True, True), (False, False)]
    kinds = [types.SimpleNamespace(is_terminal=t, is_jupyter=j) for t, j in consoles]
    assert [terminal.moves(console) for console in kinds] == [True, False, False]
    assert not terminal.in_notebook()
